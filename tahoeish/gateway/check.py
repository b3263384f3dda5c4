"""`POST /uri/CAP?t=check`: whether a file is all there, and making it whole again."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

from tahoeish.chk import base32
from tahoeish.chk.caps import LiteralCap, ReadCap, VerifyCap
from tahoeish.chk.directory import UnknownCap
from tahoeish.chk.directory_caps import AnyCap, DirectoryCap, DirectoryVerifyCap
from tahoeish.gateway.errors import Refused, prefers_json, write_text
from tahoeish.gateway.page import page
from tahoeish.gateway.pages import policy
from tahoeish.gateway.resource import argument, flag
from tahoeish.grid.check import CheckResult
from tahoeish.grid.repair import Repairer, RepairResult
from tahoeish.streams.request import StreamingRequest

_LITERAL: dict[str, object] = {"storage-index": "", "results": {"healthy": True}}
"""What a cap that is its own file has to say: there is nothing that could get lost."""

_COUNTS = ("count-shares-good", "count-shares-needed", "count-shares-expected", "count-wrong-shares")
_NO_SHARES: dict[str, object] = {
    "storage-index": "",
    "results": {"healthy": True, **dict.fromkeys(_COUNTS, 0), "list-corrupt-shares": []},
}
"""The same where a repair was asked for: there, Tahoe-LAFS's command line wants to know more of every file."""


class CheckServer:
    """Checks and repairs what a cap names, and writes what came of it into the response."""

    def __init__(self, repairer: Repairer) -> None:
        self._repairer = repairer

    async def respond(self, request: StreamingRequest, cap: AnyCap | UnknownCap) -> None:
        """By the query arguments `t`, `verify`, `repair`, `add-lease` and `output`. Directories are files here."""
        wanted = argument(request, "t") or ""
        if wanted != "check":
            raise Refused(400, f"POST to file: bad t={wanted}")
        if isinstance(cap, UnknownCap):
            raise Refused(400, "this node doesn't know this kind of cap, and can't check it")
        verify, repair, add_lease = (flag(argument(request, name), name) for name in ("verify", "repair", "add-lease"))
        contents = cap.contents if isinstance(cap, DirectoryCap | DirectoryVerifyCap) else cap
        if repair:
            await self._repair(request, contents, verify, add_lease)
        elif isinstance(contents, LiteralCap):
            _answer(request, _LITERAL, "Healthy", _LITERAL_TEXT)
        else:
            result = await self._repairer.checker.check(contents, verify=verify, add_lease=add_lease)
            _answer(request, _checked(result), _headline(result), _table(result) + _list(_problems(result)))

    async def _repair(
        self, request: StreamingRequest, cap: ReadCap | VerifyCap | LiteralCap, verify: bool, add_lease: bool
    ) -> None:
        if isinstance(cap, VerifyCap):
            raise Refused(400, "a verify cap can check a file, but repairing it takes the read cap")
        if isinstance(cap, LiteralCap):
            nothing_done = {"storage-index": "", "repair-attempted": False, "repair-successful": False}
            both = {"pre-repair-results": _NO_SHARES, "post-repair-results": _NO_SHARES}
            _answer(request, nothing_done | both, "Healthy", _LITERAL_TEXT)
            return
        result = await self._repairer.check_and_repair(cap, verify=verify, add_lease=add_lease)
        problems = [*_problems(result.before), *filter(None, [result.problem])]
        body = f"<p>{html.escape(_deed(result))}</p>" + _table(result.after) + _list(problems)
        _answer(request, _repaired(result), _headline(result.after), body)


def _answer(request: StreamingRequest, facts: dict[str, object], headline: str, body: str) -> None:
    if (argument(request, "output") or "").lower() == "json" or prefers_json(request):
        write_text(request, 200, json.dumps(facts, indent=1) + "\n")
    else:
        request.setHeader(b"Content-Security-Policy", policy.PLAIN)
        write_text(request, 200, page(headline, body), "text/html; charset=utf-8")


# For programs, with the keys of Tahoe-LAFS; only `problems` is not among those.


def _checked(result: CheckResult) -> dict[str, object]:
    index = base32.encode(result.cap.storage_index)
    return {
        "storage-index": index,
        "summary": result.summary,
        "results": {
            "count-happiness": result.happiness,
            "count-shares-good": len(result.shares),
            "count-shares-needed": result.cap.needed,
            "count-shares-expected": result.cap.total,
            "count-good-share-hosts": len(result.good_hosts),
            "count-corrupt-shares": len(result.corrupt),
            "list-corrupt-shares": [[bad.peer, index, bad.number] for bad in result.corrupt],
            "servers-responding": list(result.answering),
            "sharemap": {str(number): list(peers) for number, peers in result.shares.items()},
            # Only of mutable files can there be several versions.
            "count-wrong-shares": 0,
            "count-recoverable-versions": int(result.recoverable),
            "count-unrecoverable-versions": int(not result.recoverable),
            "healthy": result.healthy,
            "recoverable": result.recoverable,
        },
        "problems": _problems(result),
    }


def _repaired(result: RepairResult) -> dict[str, object]:
    return {
        "storage-index": base32.encode(result.before.cap.storage_index),
        "repair-attempted": result.attempted,
        "repair-successful": result.successful,
        "pre-repair-results": _checked(result.before),
        "post-repair-results": _checked(result.after),
        "problems": [result.problem] if result.problem else [],
    }


def _problems(result: CheckResult) -> list[str]:
    return [
        *(f"{peer} does not say which shares it holds: {reason}" for peer, reason in result.silent.items()),
        *(f"{bad.peer}: {bad.reason}" for bad in result.corrupt),
        *(f"{bad.peer}: share {bad.number} could not be read: {bad.reason}" for bad in result.unreadable),
        *(f"{peer} has not renewed its leases: {reason}" for peer, reason in result.not_leased.items()),
    ]


# For people.

_LITERAL_TEXT = "<p>This file is in its cap: there are no shares of it that could get lost.</p>"


def _headline(result: CheckResult) -> str:
    if result.healthy:
        return "Healthy"
    return "Not healthy" if result.recoverable else "Not recoverable"


def _deed(result: RepairResult) -> str:
    if result.before.healthy:
        return "There was nothing to repair."
    if not result.attempted:
        return "It can't be repaired."
    return "It has been repaired." if result.successful else "The repair has failed."


def _table(result: CheckResult) -> str:
    cap = result.cap
    rows = "".join(_row(number, result.shares.get(number, ())) for number in range(cap.total))
    return (
        f"<p>Of {cap.total} different shares there are {len(result.shares)}, on {len(result.good_hosts)} peers; "
        f"any {cap.needed} of them are enough to have the file.</p>"
        f"<table><thead><tr><th>Share</th><th>Peers</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(number: int, peers: Iterable[str]) -> str:
    where = html.escape(", ".join(peers))
    return f"<tr><td>{number}</td>" + (f"<td>{where}</td></tr>" if where else '<td class="failed">missing</td></tr>')


def _list(problems: Iterable[str]) -> str:
    items = "".join(f'<li class="failed">{html.escape(problem)}</li>' for problem in problems)
    return f"<ul>{items}</ul>" if items else ""
