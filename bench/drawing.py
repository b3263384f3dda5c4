"""Charts as pictures, where matplotlib is installed (`pip install '.[bench]'`, which bench/run does)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import Any

from bench.charts import Chart
from bench.findings import Finding
from bench.sizes import shown

Lines = Mapping[str, Sequence[Finding]]
"""The points of each line, in the order of their places."""


TITLE_WIDTH = 80
"""Letters of a line."""


class CannotDraw(Exception):
    """There is no matplotlib."""


def draw(charts: Iterable[tuple[Chart, Lines]], folder: Path) -> None:
    """An SVG file for each. Raises `CannotDraw`."""
    try:
        matplotlib: Any = import_module("matplotlib")
        matplotlib.use("svg")
        pyplot: Any = import_module("matplotlib.pyplot")
    except ImportError as error:
        raise CannotDraw("without matplotlib there are no plots") from error
    folder.mkdir(parents=True, exist_ok=True)
    # The same data give the same file, and its text can be searched.
    settings = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(settings):
        for chart, lines in charts:
            figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
            if chart.x == "files":
                _dots(axes, chart, lines)
            else:
                axes.set_prop_cycle(color=matplotlib.colormaps["tab20"].colors)
                _curves(axes, chart, lines)
            # Above all of it: a long one doesn't fit above the axes alone.
            figure.suptitle(fill(chart.title, TITLE_WIDTH))
            figure.savefig(folder / f"{chart.name}.svg", metadata={"Date": None, "Creator": None})
            pyplot.close(figure)


def _curves(axes: Any, chart: Chart, lines: Lines) -> None:
    """Medians, with the whole spread."""
    all_places = places(lines)
    for number, (series, findings) in enumerate(lines.items()):
        xs = [all_places.index(_place(finding)) for finding in findings]
        ys = [finding.median for finding in findings]
        spread = [
            [finding.median - min(finding.values) for finding in findings],
            [max(finding.values) - finding.median for finding in findings],
        ]
        dashes = "-" if series.startswith("ours") else "--"
        marker = "os^vDPX*<>h"[number % 11]
        axes.errorbar(xs, ys, spread, label=series, linestyle=dashes, marker=marker, markersize=4, capsize=2)
    axes.set_xticks(range(len(all_places)), [name_of(chart, place) for place in all_places])
    if chart.x != "encoding":
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    axes.set_ylabel(chart.y)
    axes.grid(visible=True, alpha=0.3)
    axes.figure.legend(loc="outside right center", fontsize=7)


def _dots(axes: Any, chart: Chart, lines: Lines) -> None:
    """For what has one place only."""
    names = list(lines)[::-1]
    medians = [lines[name][0].median for name in names]
    spread = [
        [lines[name][0].median - min(lines[name][0].values) for name in names],
        [max(lines[name][0].values) - lines[name][0].median for name in names],
    ]
    # Bars would have no beginning on such an axis.
    axes.errorbar(medians, names, xerr=spread, fmt="o", capsize=2)
    axes.grid(visible=True, alpha=0.3)
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis)
    axes.set_xlabel(chart.y)


def _plain_numbers(axis: Any) -> None:
    """Not as powers, also where the axis is so short that it has none of them."""
    ticker: Any = import_module("matplotlib.ticker")
    axis.set_major_formatter("{x:g}")
    numbers = ticker.LogFormatter(labelOnlyBase=False, minor_thresholds=(1, 0.5))
    axis.set_minor_formatter(numbers)


def places(lines: Lines) -> Sequence[float | str]:
    """In their order; what has a name and no size stays in the order in which it was measured."""
    found = list(dict.fromkeys(_place(finding) for findings in lines.values() for finding in findings))
    numbers = [place for place in found if not isinstance(place, str)]
    return sorted(numbers) if len(numbers) == len(found) else found


def _place(finding: Finding) -> float | str:
    assert finding.point is not None
    return finding.point.x


def name_of(chart: Chart, place: float | str) -> str:
    if isinstance(place, str):
        return place
    return shown(int(place)) if chart.x == "size" else f"{place:g}"
