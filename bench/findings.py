"""What a row has to say: one line of the table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil
from statistics import median
from typing import Any

from bench.charts import Chart, Point

_ADDRESS = re.compile(r"\S+://\S+|(?<!\w)/[\w.+-]+(?:/[\w.+-]+)+")
_LONGEST = 300


@dataclass(frozen=True)
class Finding:
    """
    One thing that was measured, once or several times.

    `holds` is None where nothing was asked and the figure is stated for its own sake. What is a `point` of a chart is
    shown there, and not line by line.
    """

    what: str
    asked: str
    values: Sequence[float]
    unit: str
    holds: bool | None
    remark: str = ""
    point: Point | None = None

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def is_drawn(self) -> bool:
        """It has its place in a chart. What couldn't be measured is said in a line."""
        return self.point is not None and bool(self.values)

    @property
    def verdict(self) -> str:
        if self.holds is None and not self.values:
            return "not measured"
        return {True: "holds", False: "**missed**", None: "stated"}[self.holds]

    @property
    def measured(self) -> str:
        """The median, how far the runs lie apart, and what else there is to know."""
        if not self.values:
            return self.remark
        text = f"{rounded(self.median)} {self.unit}"
        if len(self.values) > 1:
            lowest, highest = rounded(min(self.values)), rounded(max(self.values))
            text += f" ({lowest}..{highest}, {len(self.values)} runs)"
        else:
            text += " (1 run)"
        return f"{text}; {self.remark}" if self.remark else text

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "values": list(self.values), "median": self.median if self.values else None}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Finding:
        """What `as_json` gave."""
        known = {field.name: content[field.name] for field in fields(cls) if field.name in content}
        point = known.pop("point", None)
        return cls(**known, point=None if point is None else Point(**point))


def failed(what: str, error: BaseException) -> Finding:
    """A row that didn't get to its end."""
    return Finding(what, "to be measured", [], "", False, f"broke off: {told(error)}")


def told(error: BaseException) -> str:
    """Without the addresses and places of this machine, which say nothing to whoever reads the results elsewhere."""
    text = _ADDRESS.sub("...", f"{type(error).__name__}: {error}")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def not_measured(what: str, why: str) -> Finding:
    """A row that can't be measured here."""
    return Finding(what, "to be measured", [], "", None, why)


def charted(chart: Chart, series: str, x: float | str, values: Sequence[float]) -> Finding:
    """A point of a chart."""
    return Finding(
        f"{chart.title}: {series}, {x}", "to be stated", values, chart.y, None, point=Point(chart.name, series, x)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of them don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def rounded(value: float) -> str:
    size = abs(value)
    if size >= 100 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"
