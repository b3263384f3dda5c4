"""Shares on their way out, whole or a range of bytes, as fast as the client drinks."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from tahoeish.storage.errors import StoreError
from tahoeish.storage.http.answers import Refused, answer
from tahoeish.storage.http.routing import Call
from tahoeish.storage.ranges import Range
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.wire import LARGEST_NUMBER, OCTETS, BadMessage, content_range, parse_range
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

    async def send(self, call: Call, open_share: OpenShare) -> None:
        request = call.request
        wanted = _wanted(request.getHeader("Range"))
        begin, end = wanted or Range(0, LARGEST_NUMBER)
        in_turn = Turns(self._run_in_thread)
        opening = in_turn(_opened, open_share, call.storage_index, call.number, Range(begin, end))
        share, piece = await claimed(opening, lambda opened: opened[0].close())
        try:
            if wanted and begin >= share.length:
                answer(request, 204)
                return
            end = min(end, share.length)
            request.setResponseCode(206 if wanted else 200)
            request.setHeader("Content-Type", OCTETS)
            request.setHeader("Content-Length", str(end - begin))
            if wanted:
                request.setHeader("Content-Range", content_range(begin, end - 1))
            if request.method == b"HEAD" or len(piece) == end - begin:
                request.write(piece)
                return
            async with streaming(request, self._clock, self._idle_timeout, piece=PIECE) as response:
                while True:
                    await response.write(piece)
                    begin += len(piece)
                    if begin == end:
                        break
                    piece = await in_turn(_read, share, Range(begin, end))
                    if not piece:
                        raise StoreError(f"{share.path}: became shorter while it was being read")
        finally:
            if not share.closed:
                # After what a thread may still be reading.
                in_turn(share.close)


def _opened(open_share: OpenShare, storage_index: bytes, number: int, wanted: Range) -> tuple[ShareFile, bytes]:
    """Blocks. Most reads are small, so the first piece comes along with the share, and then it is closed already."""
    share = open_share(storage_index, number)
    try:
        piece = _read(share, wanted)
    except BaseException:
        share.close()
        raise
    if len(piece) == min(wanted.end, share.length) - wanted.begin:
        share.close()
    return share, piece


def _read(share: ShareFile, wanted: Range) -> bytes:
    """Blocks. What is wanted, up to `AT_ONCE`."""
    return share.read(wanted.begin, min(wanted.end - wanted.begin, AT_ONCE))


def _wanted(header: str | None) -> Range | None:
    if header is None:
        return None
    try:
        return parse_range(header)
    except BadMessage as error:
        raise Refused(416, str(error)) from error
