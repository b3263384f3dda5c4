"""The facts of `/status`, and how they look."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from tahoeish.gateway.page import WorkerLine, page
from tahoeish.gateway.pages.assets import script
from tahoeish.gateway.pages.names import marked_up, plain
from tahoeish.gateway.pages.report import SLOW_SECONDS, Memory, Request
from tahoeish.gateway.pages.sizes import in_words
from tahoeish.gateway.pages.trouble import Incident
from tahoeish.namespace.viewer import LOCAL

T = TypeVar("T")

MOST_LISTED = 200
"""Rows of one kind that a person may want to see."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload over several requests; `peers` is how many have confirmed what is confirmed, if it is under way."""

    user: str
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
class Facts:
    """
    `requests`, `unfinished` and `trouble` are what the viewer may see, who is perhaps the `operator`. `silent_workers`:
    how many processes of the node haven't told what they are doing.
    """

    viewer: str
    operator: bool
    workers: Sequence[WorkerLine]
    silent_workers: int
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
    content = f'<div class="status">{_whose(facts)}{live}{"".join(sections)}</div>{script("status.js")}'
    return page("Status", content, wide=True)


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{content}</section>'


def _whose(facts: Facts) -> str:
    if facts.viewer == LOCAL:
        return ""
    viewer = f"You are <strong>{html.escape(facts.viewer)}</strong>"
    if facts.operator:
        return f'<p class="note">{viewer}, an operator: you see what everybody does.</p>'
    return f'<p class="note">{viewer}: you see what is yours. Of others you see how much there is.</p>'


def _transfers(facts: Facts) -> str:
    count, silent = facts.requests_of_others, facts.silent_workers
    more = f"<p>{count} more of other users.</p>" if count else ""
    if silent > 0:
        more += f'<p class="failed">{silent} of {len(facts.workers)} processes of this node don\'t answer.</p>'
    if not facts.requests:
        return f"<p>{_none(facts)}</p>{more}"
    who = "Who|" if facts.operator else ""
    return _listing(f"What|{who}Way|How far", facts.requests, lambda request: _request(request, facts.operator)) + more


def _unfinished(facts: Facts) -> str:
    if not facts.unfinished:
        return f"<p>{_none(facts)}</p>"
    who = "Who|" if facts.operator else ""
    heads = f"File|{who}How far||Peers|Begun (UTC)"
    return _listing(heads, facts.unfinished, lambda upload: _upload(upload, facts.operator))


def _none(facts: Facts) -> str:
    return "None." if facts.operator else "None of yours."


def _trouble(facts: Facts) -> str:
    if facts.trouble:
        return _table("When (UTC)|How bad|What", map(_incident, facts.trouble))
    if facts.trouble_count:
        return f"<p>{facts.trouble_count} since the node was started; its log has them.</p>"
    return "<p>None since the node was started.</p>"


def _request(request: Request, with_user: bool) -> list[str]:
    size = "" if request.size is None else f" of {in_words(request.size)}"
    return [
        marked_up(request.what),
        *([html.escape(request.user or "not known yet")] if with_user else []),
        html.escape(request.method),
        f"{in_words(request.done)}{size}",
    ]


def _upload(upload: Unfinished, with_user: bool) -> list[str]:
    size = "" if upload.length is None else f" of {in_words(upload.length)}"
    phase = ", being finished" if upload.phase == "finishing" else "" if upload.peers else ", waiting for its client"
    return [
        marked_up(upload.name),
        *([html.escape(upload.user)] if with_user else []),
        _bar(f"Stored of {plain(upload.name)}", upload.confirmed, upload.length),
        f"{in_words(upload.confirmed)}{size}{phase}",
        str(upload.peers),
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
        "not said" if peer.space is None else f"{in_words(peer.space)} free",
        f"{peer.seconds * 1000:.0f} ms",
        str(peer.holds_up),
    ]


def _memory(memory: Memory) -> list[str]:
    bar = _bar(f"In use for {memory.what}", memory.used, memory.capacity)
    return [
        html.escape(memory.what),
        bar,
        f"{in_words(memory.used)} of {in_words(memory.capacity)}",
        str(memory.waiting),
    ]


def _incident(incident: Incident) -> list[str]:
    return [_time(incident.when), html.escape(incident.level), marked_up(incident.text)]


def _bar(label: str, value: int, most: int | None) -> str:
    return f'<progress aria-label="{html.escape(label)}" max="{most or max(value, 1)}" value="{value}"></progress>'


def _listing(heads: str, items: Sequence[T], row: Callable[[T], list[str]]) -> str:
    """A table that may become long."""
    left_out = len(items) - MOST_LISTED
    more = f"<p>{left_out} more.</p>" if left_out > 0 else ""
    return _table(heads, map(row, items[:MOST_LISTED])) + more


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


def _time(seconds: float) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%Y-%m-%d %H:%M:%S}</time>'
