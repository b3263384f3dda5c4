"""What one process of a node is doing. Where there are several, each tells the one that is asked for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tahoeish.gateway.access import known_viewer
from tahoeish.gateway.pages.trouble import Incident
from tahoeish.gateway.uploads.keeper import Keeper
from tahoeish.grid.upload import Uploader
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.request import StreamingRequest

SLOW_SECONDS = 1.0
"""A peer that takes longer for a short answer holds up whoever waits for it."""

_BY_CAP = {b"uri", b"cap", b"file", b"named"}
_BY_SECRET = {
    b"drop": "files that come by a link",
    b"v1": "a file by a signed address",
    b"uploads": "a piece of an upload",
}


@dataclass(frozen=True, slots=True)
class Request:
    """
    One that is being answered; `done` and `size` are bytes of what comes in, or goes out. `user` is empty as long as
    nobody knows who asks.
    """

    user: str
    method: str
    what: str
    done: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Of an upload over several requests: bytes that the grid has, and how many peers have confirmed them."""

    confirmed: int
    peers: int


@dataclass(frozen=True, slots=True)
class Memory:
    """One budget, in bytes, and how many wait for a part of it."""

    what: str
    used: int
    capacity: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Report:
    """`uploads`: by their ids. `holds_up`: for how many uploads each peer has been busy for longer than it should."""

    requests: Sequence[Request]
    uploads: Mapping[str, Standing]
    holds_up: Mapping[str, int]
    memory: Sequence[Memory]

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Report:
        return cls(
            [Request(**each) for each in told["requests"]],
            {id_: Standing(**each) for id_, each in told["uploads"].items()},
            told["holds_up"],
            [Memory(**each) for each in told["memory"]],
        )


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the other processes of a node tell. `trouble` is None where nobody else writes a log."""

    reports: Sequence[Report] = ()
    trouble: Sequence[Incident] | None = None


def together(reports: Iterable[Report]) -> Report:
    """What they are doing as one."""
    reports = list(reports)
    uploads: dict[str, Standing] = {}
    for id_, standing in (item for report in reports for item in report.uploads.items()):
        # It may have gone from one process to another, which is ahead.
        uploads[id_] = max(standing, uploads.get(id_, standing), key=lambda each: each.confirmed)
    holds_up = sum((Counter(report.holds_up) for report in reports), Counter())
    memory = [
        Memory(
            parts[0].what,
            sum(part.used for part in parts),
            sum(part.capacity for part in parts),
            sum(part.waiting for part in parts),
        )
        for parts in zip(*(report.memory for report in reports), strict=True)
    ]
    return Report([request for report in reports for request in report.requests], uploads, holds_up, memory)


@dataclass(frozen=True)
class Reporter:
    """Tells of the process that it is in."""

    transfers: Callable[[], Iterable[StreamingRequest]]
    keeper: Keeper
    uploader: Uploader
    downloads: ByteBudget

    def report(self, without: StreamingRequest | None = None) -> Report:
        """`without` is the request that asks for it."""
        shown = [each for each in self.transfers() if each is not without and not _is_watching(each)]
        standings = {id_: Standing(each.confirmed, each.peers) for id_, each in self.keeper.at_hand().items()}
        return Report(
            list(map(_described, shown)), standings, dict(self.uploader.kept_waiting(SLOW_SECONDS)), self._memory()
        )

    def _memory(self) -> Sequence[Memory]:
        work, allowance, reading = self.uploader.budget, self.uploader.allowance, self.downloads
        return [
            Memory("uploads on their way", work.used, work.capacity, work.waiting),
            Memory("what waits for clients", allowance.promised, allowance.capacity, 0),
            Memory("downloads", reading.used, reading.capacity, reading.waiting),
        ]


def _is_watching(request: StreamingRequest) -> bool:
    return bool(
        request.method == b"GET" and request.path.startswith(b"/uploads/") and request.path.endswith(b"/events")
    )


def _described(request: StreamingRequest) -> Request:
    viewer = known_viewer(request)
    body, told = request.body, request.responseHeaders.getRawHeaders(b"Content-Length") or [b""]
    is_upload = body.length != 0
    return Request(
        user=viewer.user if viewer is not None else "",
        method=request.method.decode("ascii", "replace"),
        what=_what(request),
        done=body.received if is_upload else request.sentLength,
        size=body.length if is_upload else int(told[-1] or 0) or None,
    )


def _what(request: StreamingRequest) -> str:
    """The address without what is secret in it."""
    parts = request.path.split(b"/")
    place = parts[1] if len(parts) > 1 else b""
    if place in _BY_CAP and len(parts) > 2:
        name = parts[-1].decode("utf-8", "replace") if len(parts) > 3 else ""
        return f"a file by its cap{f', {name}' if name else ''}"
    if place in _BY_SECRET and any(parts[2:]):
        return _BY_SECRET[place]
    return bytes(request.path).decode("utf-8", "replace")
