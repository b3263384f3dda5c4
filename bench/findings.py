"""What a row has to say: one line of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Finding:
    """
    One thing that was measured, once or several times.

    `holds` is None where nothing was asked and the figure is stated for its own sake.
    """

    what: str
    asked: str
    values: Sequence[float]
    unit: str
    holds: bool | None
    remark: str = ""

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
        text = f"{_rounded(median(self.values))} {self.unit}"
        if len(self.values) > 1:
            lowest, highest = _rounded(min(self.values)), _rounded(max(self.values))
            text += f" ({lowest}..{highest}, {len(self.values)} runs)"
        else:
            text += " (1 run)"
        return f"{text}; {self.remark}" if self.remark else text

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "values": list(self.values), "median": median(self.values) if self.values else None}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Finding:
        """What `as_json` gave."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})


def failed(what: str, error: BaseException) -> Finding:
    """A row that didn't get to its end."""
    return Finding(what, "to be measured", [], "", False, f"broke off: {type(error).__name__}: {error}")


def not_measured(what: str, why: str) -> Finding:
    """A row that can't be measured here."""
    return Finding(what, "to be measured", [], "", None, why)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of them don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def _rounded(value: float) -> str:
    size = abs(value)
    if size >= 100 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"
