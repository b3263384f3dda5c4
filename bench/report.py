"""Findings as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.findings import Finding


class CannotUpdate(Exception):
    """What was written earlier can't be read."""


@dataclass(frozen=True)
class Run:
    """One run of the benchmark: when, with what and on what, and what was found, row by row."""

    begun: datetime
    command: str
    scale: Mapping[str, object]
    machine: Mapping[str, str]
    rows: Mapping[str, Sequence[Finding]]

    @property
    def all_hold(self) -> bool:
        return not any(finding.holds is False for findings in self.rows.values() for finding in findings)

    @property
    def when(self) -> str:
        return f"{self.begun.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

    def without(self, names: Collection[str]) -> Run:
        return replace(self, rows={name: found for name, found in self.rows.items() if name not in names})

    def as_json(self) -> dict[str, object]:
        return {
            "begun": self.begun.astimezone(UTC).isoformat(timespec="seconds"),
            "command": self.command,
            "scale": dict(self.scale),
            "machine": dict(self.machine),
            "rows": {name: [finding.as_json() for finding in found] for name, found in self.rows.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Run:
        """What `as_json` gave."""
        return cls(
            begun=datetime.fromisoformat(content["begun"]),
            command=content["command"],
            scale=content["scale"],
            machine=content["machine"],
            rows={
                name: [Finding.from_json(finding) for finding in findings] for name, findings in content["rows"].items()
            },
        )


@dataclass(frozen=True)
class Report:
    """What there is to say of each row, from the run that measured it last."""

    runs: Sequence[Run]

    @classmethod
    def written(cls, path: Path) -> Report:
        """The one that was written to this path; with nothing in it if there is none. Raises `CannotUpdate`."""
        source = path.with_suffix(".json")
        try:
            return cls([Run.from_json(run) for run in json.loads(source.read_text())["runs"]])
        except FileNotFoundError:
            return cls([])
        except (ValueError, LookupError, TypeError) as error:
            raise CannotUpdate(f"{source} is not what a run of this benchmark has written: {error!r}") from error

    def updated(self, run: Run) -> Report:
        """What this run has measured is of no interest any more from the others."""
        others = [other.without(run.rows) for other in self.runs]
        return Report([*(other for other in others if other.rows), run])

    def markdown(self, order: Sequence[str]) -> str:
        """`order` is that of the rows."""
        return "\n".join(
            [
                "# What was measured",
                "",
                "[README.md](README.md) says what each figure means.",
                "",
                "| what | asked | measured: median (lowest..highest, runs) | verdict | run |",
                "|---|---|---|---|---|",
                *(_line(finding, run) for name in order for run in self.runs for finding in run.rows.get(name, ())),
                "",
                *(line for run in self.runs for line in _about(run)),
            ]
        )

    def write(self, path: Path, order: Sequence[str]) -> None:
        """The table to `path`, and the JSON beside it."""
        path.write_text(self.markdown(order))
        content = {"runs": [run.as_json() for run in self.runs]}
        path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")


def _about(run: Run) -> Iterator[str]:
    yield f"## The run of {run.when}"
    yield ""
    yield f"`{run.command}`"
    yield ""
    yield from (f"- {name}: {fact}" for name, fact in run.machine.items())
    yield ""


def _line(finding: Finding, run: Run) -> str:
    when = f"{run.when}, commit {run.machine['commit']}, load {run.machine['load before']}"
    cells = (finding.what, finding.asked, finding.measured, finding.verdict, when)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
