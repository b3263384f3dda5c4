"""A line on a terminal that tells how far a transfer is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TextIO

REDRAW_SECONDS = 0.2
"""Draw this often: the line stands still enough to be read, and moves when nothing else does."""

RATE_WINDOW_SECONDS = 5.0
_SHORTEST_BAR = 10
_LONGEST_BAR = 40
_GAP = "  "
_UNITS = ("KiB", "MiB", "GiB", "TiB")


class StatusLine:
    """Shows words on `terminal`, the latest in place of those before."""

    def __init__(self, terminal: TextIO, columns: Callable[[], int]) -> None:
        self._terminal = terminal
        self._columns = columns
        self._shown = 0

    def show(self, words: str) -> None:
        # A character in the last column would make some terminals begin a new line.
        words = words[: max(0, self._columns() - 1)]
        # Padding, because not every terminal can erase.
        self._terminal.write("\r" + words.ljust(self._shown))
        self._terminal.flush()
        self._shown = len(words)

    def erase(self) -> None:
        """Leave the line to whoever has something to say."""
        self.show("")
        self._terminal.write("\r")
        self._terminal.flush()


class ProgressLine:
    """
    Draws on `terminal` what `passed` was told last, one line over the other.

    Nothing moves by itself: its owner calls `draw` every now and then, and in the end `finish` or `erase`.
    """

    def __init__(self, terminal: TextIO, seconds: Callable[[], float], columns: Callable[[], int]) -> None:
        self._terminal = terminal
        self._seconds = seconds
        self._columns = columns
        self._began = seconds()
        self._before = 0
        self._samples = deque([(self._began, 0)])
        self._done = 0
        self._total: int | None = None
        self._note: str | None = None
        self._line = StatusLine(terminal, columns)

    def passed(self, done: int, total: int | None) -> None:
        """So much has gone through by now."""
        self._done = done
        self._total = total
        self._note = None

    def stands(self, done: int, total: int | None) -> None:
        """So much is through without having been sent just now, so it doesn't count for the rate."""
        self.passed(done, total)
        self._began, self._before = self._seconds(), done
        self._samples = deque([(self._began, done)])

    def note(self, words: str) -> None:
        """Show this until something passes again."""
        self._note = words

    def draw(self) -> None:
        now = self._seconds()
        self._samples.append((now, self._done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - RATE_WINDOW_SECONDS:
            self._samples.popleft()
        self._show(_rate(self._samples[0], self._samples[-1]))

    def finish(self) -> None:
        """The transfer is over: leave a last line with its average rate, and go to the next one."""
        self._show(_rate((self._began, self._before), (self._seconds(), self._done)))
        self._terminal.write("\n")
        self._terminal.flush()

    def erase(self) -> None:
        """The transfer has failed: leave the line to whoever says why."""
        self._line.erase()

    def _show(self, rate: float) -> None:
        width = self._columns() - 1
        if self._note is not None:
            percent = "" if self._total is None else f"{_percent(self._done, self._total):3}%{_GAP}"
            self._line.show(percent + self._note)
            return
        self._line.show(render(self._done, self._total, rate, self._seconds() - self._began, width))


def _rate(first: tuple[float, int], last: tuple[float, int]) -> float:
    seconds = last[0] - first[0]
    return (last[1] - first[1]) / seconds if seconds > 0 else 0.0


def render(done: int, total: int | None, rate: float, elapsed: float, width: int) -> str:
    """The line, with as much of it as fits into `width` characters."""
    wordings = _with_end(done, total, rate) if total is not None else _without_end(done, rate, elapsed)
    parts: list[str] = []
    for parts in wordings:
        if len(_GAP.join(parts)) <= width:
            break
    line = _GAP.join(parts)
    if total is not None:
        length = min(_LONGEST_BAR, width - len(line) - len(_GAP))
        if length >= _SHORTEST_BAR:
            line = _GAP.join([parts[0], _bar(done, total, length), *parts[1:]])
    return line[: max(0, width)]


def _with_end(done: int, total: int, rate: float) -> Iterator[list[str]]:
    percent = f"{_percent(done, total):3}%"
    remaining = duration((total - done) / rate) if rate > 0 else "-:--"
    left = "done" if done >= total else f"{remaining} left"
    yield [percent, f"{amount(done)} of {amount(total)}", f"{amount(rate)}/s", left]
    yield [percent, f"{amount(rate)}/s", left]
    yield [percent, left]
    yield [percent]


def _without_end(done: int, rate: float, elapsed: float) -> Iterator[list[str]]:
    yield [amount(done), f"{amount(rate)}/s", f"{duration(elapsed)} elapsed"]
    yield [amount(done), f"{amount(rate)}/s"]
    yield [amount(done)]


def _percent(done: int, total: int) -> int:
    """Rounded down: 100 is for all of it."""
    return 100 if done >= total else 100 * done // total


def _bar(done: int, total: int, length: int) -> str:
    inside = length - 2
    full = inside if done >= total else inside * done // total
    return f"[{'#' * full}{'-' * (inside - full)}]"


def amount(size: float) -> str:
    """Bytes for people, in three digits: `999 B`, `1.5 MiB`."""
    if size < 999.5:
        return f"{size:.0f} B"
    exponent = 1
    while (size := size / 1024) >= 999.95 and exponent < len(_UNITS):
        exponent += 1
    return f"{size:.1f} {_UNITS[exponent - 1]}"


def duration(seconds: float) -> str:
    """`0:07`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
