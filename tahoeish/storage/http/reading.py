"""Shares on their way out, whole or a range of bytes, as fast as the client drinks."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from tahoeish.storage.errors import StoreError
from tahoeish.storage.http.answers import Refused, answer
from tahoeish.storage.http.routing import Call
from tahoeish.storage.ranges import Range
from tahoeish.storage.recent import RecentShares
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.wire import LARGEST_NUMBER, OCTETS, BadMessage, content_range, parse_range
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.response import streaming
from tahoeish.streams.threads import ThreadRunner, Turns, claimed

PIECE = 256 * 1024
"""What is handed to the transport at a time of more than is read at once."""

AT_ONCE = 4 * PIECE
"""
What is read at a time, and all that a response holds of a share. Each time is a trip to a thread, and waking one costs
as much as encrypting a piece.
"""

OpenShare = Callable[[bytes, int], ShareFile]
"""The share with this storage index and number. It blocks, and raises `NoSuchShare`."""


class ShareSender:
    """Answers with shares. A client that takes nothing for `idle_timeout` seconds is given up."""

    def __init__(self, run_in_thread: ThreadRunner, clock: IReactorTime, idle_timeout: float) -> None:
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._idle_timeout = idle_timeout
        self._recent = RecentShares(run_in_thread, clock)

    def stop(self) -> None:
        """Keep no share open that isn't being read."""
        self._recent.stop()

    async def send(self, call: Call, open_share: OpenShare) -> None:
        """A share that may be another one the next time."""
        await self._send(call, open_share, None)

    async def send_finished(self, call: Call, open_share: OpenShare) -> None:
        """One that doesn't change any more, so that it needn't be opened each time."""
        await self._send(call, open_share, self._recent)

    async def _send(self, call: Call, open_share: OpenShare, recent: RecentShares | None) -> None:
        ranged = _wanted(call.request.getHeader("Range"))
        wanted = ranged or Range(0, LARGEST_NUMBER)
        in_turn = Turns(self._run_in_thread)
        kept = recent.take(call.storage_index, call.number) if recent is not None else None
        piece: bytes | memoryview | None = None
        if kept is None:
            opening = in_turn(_opened, open_share, call.storage_index, call.number, wanted, recent is not None)
            opened = await claimed(opening, lambda unclaimed: unclaimed[0].close())
            share, piece = opened
        else:
            share = kept
        answered = False
        try:
            await self._answer(call.request, share, ranged, wanted, piece, in_turn)
            answered = True
        finally:
            if answered and recent is not None and ranged and not share.closed:
                recent.keep(call.storage_index, call.number, share)
            elif not share.closed:
                # After what a thread may still be reading.
                in_turn(share.close)

    async def _answer(
        self,
        request: StreamingRequest,
        share: ShareFile,
        ranged: Range | None,
        wanted: Range,
        piece: bytes | memoryview | None,
        in_turn: Turns,
    ) -> None:
        """`piece` is what has been read already of what is wanted."""
        begin, end = wanted.begin, min(wanted.end, share.length)
        if ranged and begin >= share.length:
            answer(request, 204)
            return
        request.setResponseCode(206 if ranged else 200)
        request.setHeader("Content-Type", OCTETS)
        request.setHeader("Content-Length", str(end - begin))
        if ranged:
            request.setHeader("Content-Range", content_range(begin, end - 1))
        if request.method == b"HEAD":
            request.write(b"")
            return
        if piece is None:
            piece = await _next_piece(share, Range(begin, end), in_turn)
        if len(piece) == end - begin:
            request.write(piece)
            return
        async with streaming(request, self._clock, self._idle_timeout, piece=PIECE) as response:
            while True:
                await response.write(piece)
                begin += len(piece)
                if begin == end:
                    break
                piece = await _next_piece(share, Range(begin, end), in_turn)


async def _next_piece(share: ShareFile, left: Range, in_turn: Turns) -> bytes | memoryview:
    length = min(left.end - left.begin, AT_ONCE)
    piece: bytes | memoryview | None = share.read_now(left.begin, length)
    if piece is None:
        piece = await in_turn(share.read, left.begin, length)
    if not piece and length:
        raise StoreError(f"{share.path}: became shorter while it was being read")
    return piece


def _opened(
    open_share: OpenShare, storage_index: bytes, number: int, wanted: Range, keeps: bool
) -> tuple[ShareFile, bytes]:
    """
    Blocks. Most reads are small, so the first piece comes along with the share, and then it is closed already, unless
    somebody may want to know more of it.
    """
    share = open_share(storage_index, number)
    try:
        piece = share.read(wanted.begin, min(wanted.end - wanted.begin, AT_ONCE))
    except BaseException:
        share.close()
        raise
    whole = Range(0, share.length) if keeps else wanted
    if len(piece) == min(whole.end, share.length) - whole.begin:
        share.close()
    return share, piece


def _wanted(header: str | None) -> Range | None:
    if header is None:
        return None
    try:
        return parse_range(header)
    except BadMessage as error:
        raise Refused(416, str(error)) from error
