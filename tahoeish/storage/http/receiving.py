"""Pieces of shares on their way in, each to its place while it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as Waited
from twisted.internet.interfaces import IReactorTime

from tahoeish.storage.ranges import Range
from tahoeish.storage.undoing import NoSuchUpload
from tahoeish.storage.upload import DifferentContent, Upload
from tahoeish.streams.body import BodyError, BodyStream, Piece

BATCH = 2 * 1024 * 1024
"""Bytes of a body that are worth a trip to a thread."""

SMALLEST_BATCH = 64 * 1024
MEMORY = 16 * 1024 * 1024
"""What all bodies may hold together, as long as each may have its smallest batch."""

MOST_PIECES = 64
"""However small the pieces are in which a body arrives, so many go in one trip."""

LONGEST_SECONDS = 0.5
"""What has come from a slow client isn't kept from the disk for longer."""


class ShareReceiver:
    """Writes the bodies of all requests that bring pieces of shares."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._under_way = 0

    async def receive(self, body: BodyStream, upload: Upload, target: Range) -> int:
        """
        Write the body to its place while it arrives; gives the offset that it reaches to.

        What has arrived of a body that breaks off is written, too. What is more than the target is ignored.
        """
        self._under_way += 1
        try:
            offset, ended = target.begin, False
            while offset < target.end and not ended:
                offset, ended = await self._pass_on(body, upload, Range(offset, target.end))
            async for _ in body:
                pass
            return offset
        finally:
            self._under_way -= 1

    async def _pass_on(self, body: BodyStream, upload: Upload, target: Range) -> tuple[int, bool]:
        """One batch of it. Gives where the next one begins, and whether there is none."""
        batch: list[Piece] = []
        try:
            ended = await self._fill(batch, body, target.end - target.begin)
        except BodyError:
            # There is nobody left who would want to know what becomes of it.
            with suppress(NoSuchUpload, DifferentContent):
                await _write(upload, target.begin, batch)
            raise
        return await _write(upload, target.begin, batch), ended

    async def _fill(self, batch: list[Piece], body: BodyStream, left: int) -> bool:
        """Whether the body has ended with this batch."""
        size = 0
        deadline = 0.0
        while size < self._enough(left) and len(batch) < MOST_PIECES:
            reading = body.read()
            if not batch:
                piece = await reading
                deadline = self._clock.seconds() + LONGEST_SECONDS
            else:
                try:
                    piece = await self._until(deadline, reading)
                except Waited:
                    return False
            if not piece:
                return True
            batch.append(piece if len(piece) <= left - size else piece[: left - size])
            size += len(batch[-1])
        return False

    def _enough(self, left: int) -> int:
        """A rest that isn't worth a trip of its own goes with what comes before it."""
        enough = max(SMALLEST_BATCH, min(BATCH, MEMORY // self._under_way))
        return left if left < enough + SMALLEST_BATCH else enough

    def _until(self, deadline: float, reading: Deferred[Piece]) -> Deferred[Piece]:
        if not reading.called:
            reading.addTimeout(max(0.0, deadline - self._clock.seconds()), self._clock)
        return reading


async def _write(upload: Upload, offset: int, batch: Sequence[Piece]) -> int:
    """Gives where it ends."""
    if batch:
        await upload.write(offset, batch)
    return offset + sum(map(len, batch))
