"""Verifying one share whole: everything in it that a reader would ever look at."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress

from tahoeish.chk.caps import ReadCap, VerifyCap
from tahoeish.chk.layout import Segmentation
from tahoeish.chk.share_reader import FileFacts, ShareReader, Span

_RUN_SIZE = 1024 * 1024
"""Blocks smaller than this are fetched several at a time."""


class ShareVerifier:
    """
    Verifies one share from its header to its last block. Takes no key.

    As long as `wanted` names a span of the share, fetch that and give it to `received`. When nothing is wanted any
    more, the share is good. It holds what it was given last, and the share's two hash trees.
    """

    def __init__(self, cap: ReadCap | VerifyCap, number: int) -> None:
        """Raises CorruptShare when the file has no such share, since the number is what somebody claims to hold."""
        # Not shared with the verifiers of other shares: each has its own copy of the file's tree to answer for.
        self._facts = FileFacts(cap)
        self._reader = ShareReader(number, self._facts)
        self._verifying = self._verify()
        self._wanted: Span | None = next(self._verifying)

    def wanted(self) -> Span | None:
        """The bytes to fetch next, None when all is verified."""
        return self._wanted

    def received(self, data: bytes) -> None:
        """
        The wanted bytes; fewer when the share ended before. Raises CorruptShare, which ends the verifying, or
        CorruptFile, which goes for all shares of the file. Heavy: any thread may do it, one at a time.
        """
        self._wanted = None
        with suppress(StopIteration):
            self._wanted = self._verifying.send(data)

    def _verify(self) -> Generator[Span, bytes, None]:
        while (span := self._reader.wanted()) is not None:
            self._reader.received((yield span))
        segmentation = self._facts.segmentation
        assert segmentation is not None
        for run in _runs(segmentation):
            blocks = [self._reader.block_span(segment) for segment in run]
            whole = Span(blocks[0].offset, blocks[-1].end - blocks[0].offset)
            data = memoryview((yield whole))
            for segment, block in zip(run, blocks, strict=True):
                start = block.offset - whole.offset
                self._reader.verify_block(segment, data[start : start + block.length])


def _runs(segmentation: Segmentation) -> Iterator[range]:
    """All segments, in groups whose blocks are fetched together."""
    length = max(1, _RUN_SIZE // segmentation.block_size)
    for first in range(0, segmentation.num_segments, length):
        yield range(first, min(first + length, segmentation.num_segments))
