"""The facts of `/status`, and how they look."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tahoeish.gateway.page import WorkerLine, page
from tahoeish.gateway.pages.assets import script
from tahoeish.gateway.pages.trouble import Incident

SLOW_SECONDS = 1.0
"""A peer that takes longer for a short answer holds up whoever waits for it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One that is being answered; `done` and `size` are bytes of what comes in, or goes out."""

    method: str
    what: str
    done: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload over several requests; `peers` is how many have confirmed what is confirmed, if it is under way."""

    name: str
    phase: str
    confirmed: int
    length: int | None
    peers: int
    begun: float


@dataclass(frozen=True, slots=True)
class PeerState:
    """
    `problem` is empty for one that is there; `seconds`: how long it took to say so. `holds_up`: how many uploads have
    waited for it for a while.
    """

    name: str
    problem: str
    space: int | None
    seconds: float | None
    holds_up: int


@dataclass(frozen=True, slots=True)
class Memory:
    """One budget, in bytes, and how many wait for a part of it."""

    what: str
    used: int
    capacity: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Facts:
    """`requests`, `unfinished` and `trouble` are what the viewer may see."""

    viewer: str
    process: int
    workers: Sequence[WorkerLine]
    requests: Sequence[Request]
    requests_of_others: int
    unfinished: Sequence[Unfinished]
    peers: Sequence[PeerState]
    memory: Sequence[Memory]
    trouble: Sequence[Incident]
    trouble_count: int


def status_page(facts: Facts) -> str:
    """Each `section` of it can be renewed by itself."""
    sections = [
        _section("transfers", "Transfers", _transfers(facts)),
        _section("unfinished", "Unfinished uploads", _unfinished(facts)),
        _section("peers", "Peers", _table("Peer|State|Room|Answers in|Holds up uploads", map(_peer, facts.peers))),
        _section("memory", "Memory", _table("For|In use||Waiting for it", map(_memory, facts.memory))),
        _section("trouble", "Recent errors", _trouble(facts)),
    ]
    live = (
        '<p class="live"><button type="button" hidden aria-pressed="false">Hold still</button>'
        '<a href="">Look again</a></p>'
    )
    return page("Status", f'<div class="status">{live}{"".join(sections)}</div>{script("status.js")}', wide=True)


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{content}</section>'


def _transfers(facts: Facts) -> str:
    count = facts.requests_of_others
    others = f"<p>{count} more of other users.</p>" if count else ""
    elsewhere = [worker for worker in facts.workers if worker.pid != facts.process]
    if elsewhere:
        busy = sum(worker.transfers for worker in elsewhere)
        others += f"<p>{busy} more in {len(elsewhere)} other processes of this node.</p>"
    if not facts.requests:
        return f"<p>None of yours in this process.</p>{others}"
    return _table("What|Way|How far", map(_request, facts.requests)) + others


def _unfinished(facts: Facts) -> str:
    if not facts.unfinished:
        return "<p>None of yours.</p>"
    return _table("File|How far||Peers|Begun (UTC)", map(_upload, facts.unfinished))


def _trouble(facts: Facts) -> str:
    if facts.trouble:
        return _table("When (UTC)|How bad|What", map(_incident, facts.trouble))
    if facts.trouble_count:
        return f"<p>{facts.trouble_count} since the node was started; its log has them.</p>"
    return "<p>None since the node was started.</p>"


def _request(request: Request) -> list[str]:
    size = "" if request.size is None else f" of {_bytes(request.size)}"
    return [html.escape(request.what), html.escape(request.method), f"{_bytes(request.done)}{size}"]


def _upload(upload: Unfinished) -> list[str]:
    size = "" if upload.length is None else f" of {_bytes(upload.length)}"
    phase = ", being finished" if upload.phase == "finishing" else ""
    return [
        html.escape(upload.name),
        _bar(f"Stored of {upload.name}", upload.confirmed, upload.length),
        f"{_bytes(upload.confirmed)}{size}{phase}",
        str(upload.peers or "waiting for its client"),
        _time(upload.begun),
    ]


def _peer(peer: PeerState) -> list[str]:
    if peer.problem:
        return [html.escape(peer.name), f'<span class="failed">{html.escape(peer.problem)}</span>', "", "", ""]
    assert peer.seconds is not None
    slow = peer.seconds > SLOW_SECONDS or peer.holds_up
    return [
        html.escape(peer.name),
        '<span class="failed">slow</span>' if slow else "there",
        "not said" if peer.space is None else f"{_bytes(peer.space)} free",
        f"{peer.seconds * 1000:.0f} ms",
        str(peer.holds_up),
    ]


def _memory(memory: Memory) -> list[str]:
    bar = _bar(f"In use for {memory.what}", memory.used, memory.capacity)
    return [html.escape(memory.what), bar, f"{_bytes(memory.used)} of {_bytes(memory.capacity)}", str(memory.waiting)]


def _incident(incident: Incident) -> list[str]:
    return [_time(incident.when), html.escape(incident.level), html.escape(incident.text)]


def _bar(label: str, value: int, most: int | None) -> str:
    return f'<progress aria-label="{html.escape(label)}" max="{most or max(value, 1)}" value="{value}"></progress>'


def _table(heads: str, rows: Iterable[Sequence[str]]) -> str:
    """A head without a title belongs to the one before it."""
    titles: list[list[str | int]] = []
    for title in heads.split("|"):
        if title:
            titles.append([title, 1])
        else:
            titles[-1][1] = int(titles[-1][1]) + 1
    head = "".join(f'<th scope="col"{f" colspan={span}" if span != 1 else ""}>{title}</th>' for title, span in titles)
    # On a small screen, where a row is no row any more, each cell says what it is.
    labels = [f'<td data-of="{title}">' for title in heads.split("|")]
    body = "".join(
        f"<tr>{''.join(f'{label}{cell}</td>' for label, cell in zip(labels, row, strict=True))}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _bytes(number: int) -> str:
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.0f} PB"


def _time(seconds: float) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%Y-%m-%d %H:%M:%S}</time>'
