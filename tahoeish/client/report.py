"""What a node says of a file it has checked, in words for the person who asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tahoeish.client.errors import TransferBroken


@dataclass(frozen=True)
class CheckReport:
    """How a file is: after the repair, if there was one."""

    healthy: bool
    """All of its shares are there."""
    recoverable: bool
    """Enough of its shares are there to have it."""
    shares: str
    """How many there are."""
    deed: str = ""
    """What came of the repair, if one was wanted."""
    problems: Sequence[str] = ()

    @classmethod
    def parse(cls, text: str) -> CheckReport:
        """From the JSON that a node writes, ours or one of Tahoe-LAFS. Raises `TransferBroken` for all else."""
        try:
            answer = json.loads(text)
            return _repair_report(answer) if "repair-attempted" in answer else _report(answer)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TransferBroken(
                f"what was answered is not the result of a check, so this is not a storage node: {error!r}"
            ) from None

    def __str__(self) -> str:
        headline = "Healthy" if self.healthy else "Not healthy" if self.recoverable else "Not recoverable"
        lines = [f"{headline}: {self.shares}", self.deed, *(f"- {problem}" for problem in self.problems)]
        return "\n".join(filter(None, lines))


def _report(answer: Mapping[str, Any], deed: str = "", problems: Sequence[str] = ()) -> CheckReport:
    results = answer["results"]
    problems = [*map(str, answer.get("problems", ())), *problems]
    if not answer["storage-index"]:
        return CheckReport(True, True, "the file is in its cap, so no share of it can get lost", deed, problems)
    good, hosts = results["count-shares-good"], results["count-good-share-hosts"]
    needed, total = results["count-shares-needed"], results["count-shares-expected"]
    shares = f"{good} of {total} shares on {hosts} peers; any {needed} are enough"
    return CheckReport(bool(results["healthy"]), bool(results["recoverable"]), shares, deed, problems)


def _repair_report(answer: Mapping[str, Any]) -> CheckReport:
    before, after = answer["pre-repair-results"], answer["post-repair-results"]
    if answer["repair-successful"]:
        deed = "It has been repaired."
    elif answer["repair-attempted"]:
        deed = "The repair has failed."
    else:
        deed = "There was nothing to repair." if before["results"]["healthy"] else "It can't be repaired."
    return _report(after, deed, [*map(str, answer.get("problems", ()))])
