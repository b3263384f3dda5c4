"""Findings as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.charts import CHARTS, Chart
from bench.drawing import CannotDraw, Lines, draw, name_of, places
from bench.findings import Finding, rounded

PLOTS = "plots"
"""The folder beside a report."""


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

    def markdown(self, order: Sequence[str], plots: str = "") -> str:
        """`order` is that of the rows; `plots` is the folder of the pictures, if there are any."""
        return "\n".join(
            [
                "# What was measured",
                "",
                "[README.md](README.md) says what each figure means.",
                "",
                "| what | asked | measured: median (lowest..highest, runs) | verdict | run |",
                "|---|---|---|---|---|",
                *(_line(finding, run) for finding, run in self._found(order) if not finding.is_drawn),
                "",
                *(line for chart, lines in self._charts(order) for line in _table(chart, lines, plots)),
                *(line for run in self.runs for line in _about(run)),
            ]
        )

    def write(self, path: Path, order: Sequence[str]) -> None:
        """The table to `path`, and the JSON and the pictures beside it."""
        content = {"runs": [run.as_json() for run in self.runs]}
        path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
        plots = PLOTS if path.stem == "RESULTS" else f"{path.stem}-{PLOTS}"
        try:
            draw(self._charts(order), path.parent / plots)
        except CannotDraw as error:
            print(error, file=sys.stderr)
            plots = ""
        path.write_text(self.markdown(order, plots))

    def _found(self, order: Sequence[str]) -> Iterator[tuple[Finding, Run]]:
        for name in order:
            for run in self.runs:
                for finding in run.rows.get(name, ()):
                    yield finding, run

    def _charts(self, order: Sequence[str]) -> Sequence[tuple[Chart, Lines]]:
        """Those that have points."""
        lines: dict[str, dict[str, list[Finding]]] = {}
        for finding, _ in self._found(order):
            if finding.is_drawn and finding.point is not None:
                lines.setdefault(finding.point.chart, {}).setdefault(finding.point.series, []).append(finding)
        return [(chart, lines[chart.name]) for chart in CHARTS if chart.name in lines]


def _table(chart: Chart, lines: Lines, plots: str) -> Iterator[str]:
    """A line for each series, a column for each place."""
    columns = places(lines)
    yield f"## {chart.title}"
    yield ""
    if plots:
        yield f"![{chart.title}]({plots}/{chart.name}.svg)"
        yield ""
    yield f"In {chart.y}: median, and lowest..highest of the runs."
    yield ""
    yield "| | " + " | ".join(name_of(chart, place) for place in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for series, findings in lines.items():
        cells = {finding.point.x: _cell(finding) for finding in findings if finding.point is not None}
        yield "| " + " | ".join([series, *(cells.get(place, "-") for place in columns)]) + " |"
    yield ""


def _cell(finding: Finding) -> str:
    lowest, highest = rounded(min(finding.values)), rounded(max(finding.values))
    return f"{rounded(finding.median)} ({lowest}..{highest})" if len(finding.values) > 1 else rounded(finding.median)


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
