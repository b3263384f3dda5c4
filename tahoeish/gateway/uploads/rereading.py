"""Whole files, read back from the grid."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.grid.download import Downloader
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.verifier import Verifier


@dataclass(frozen=True)
class Rereading:
    """
    What was hashed on the way in doesn't survive a restart, and what lies in the grid is what matters. So whoever needs
    a digest of what came over several requests gets it from here.
    """

    downloader: Downloader
    run_in_thread: ThreadRunner

    async def pieces(self, cap: ReadCap | LiteralCap) -> AsyncGenerator[Buffer, None]:
        if isinstance(cap, LiteralCap):
            yield cap.data
            return
        file = await self.downloader.open(cap)
        try:
            async with aclosing(file.read(0, cap.size - 1)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            await file.close()

    async def feed(self, verifier: Verifier, cap: ReadCap | LiteralCap) -> None:
        """All of the file; it has settled then."""
        async with aclosing(self.pieces(cap)) as pieces:
            async for piece in pieces:
                await verifier.feed(piece)
        await verifier.settle()

    async def digest(self, algorithm: str, cap: ReadCap | LiteralCap) -> bytes:
        verifier = Verifier((), self.run_in_thread, also=[algorithm])
        await self.feed(verifier, cap)
        return verifier.digest(algorithm)
