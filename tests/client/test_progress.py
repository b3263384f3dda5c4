"""The progress line, without a terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from twisted.internet.task import Clock

from tahoeish.client.progress import ProgressLine, amount, duration, render

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (79, " 42%  [##########----------------]  42.0 MiB of 100.0 MiB  2.0 MiB/s  0:29 left"),
        (60, " 42%  42.0 MiB of 100.0 MiB  2.0 MiB/s  0:29 left"),
        (40, " 42%  [####------]  2.0 MiB/s  0:29 left"),
        (20, " 42%  0:29 left"),
        (10, " 42%"),
        (3, " 42"),
        (0, ""),
    ],
)
def test_the_line_fits_its_terminal(width: int, line: str) -> None:
    shown = render(42 * MIB, 100 * MIB, rate=2 * MIB, elapsed=21, width=width)
    assert shown == line
    assert len(shown) <= width


@pytest.mark.parametrize(
    ("width", "line"),
    [(79, "42.0 MiB  2.0 MiB/s  0:21 elapsed"), (25, "42.0 MiB  2.0 MiB/s"), (12, "42.0 MiB")],
)
def test_without_a_length_there_is_no_percentage_and_no_end(width: int, line: str) -> None:
    assert render(42 * MIB, None, rate=2 * MIB, elapsed=21, width=width) == line


def test_a_hundred_percent_is_for_all_of_it() -> None:
    assert render(10**9 - 1, 10**9, rate=1, elapsed=1, width=4) == " 99%"
    assert render(10**9, 10**9, rate=1, elapsed=1, width=4) == "100%"


def test_an_empty_file_is_done_at_once() -> None:
    assert render(0, 0, rate=0, elapsed=0, width=45) == "100%  [############]  0 B of 0 B  0 B/s  done"


def test_a_transfer_that_stands_still_has_no_time_left() -> None:
    assert render(1, 2, rate=0, elapsed=9, width=24) == " 50%  0 B/s  -:-- left"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1023 * 1024, "1.0 MiB"),
        (3 * 1024**4, "3.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_amounts_are_short(size: int, text: str) -> None:
    assert amount(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3723, "1:02:03"), (360000, "100:00:00")])
def test_durations_are_like_a_clocks(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class Watched:
    """A progress line on a terminal of 60 columns, and the clock that it goes by."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.terminal = StringIO()
        self.columns = 60
        self.line = ProgressLine(self.terminal, self.clock.seconds, lambda: self.columns)

    @property
    def drawn(self) -> list[str]:
        return self.terminal.getvalue().split("\r")[1:]


def test_nothing_is_drawn_until_it_is_asked_for() -> None:
    watched = Watched()
    watched.line.passed(1, 2)
    assert watched.drawn == []
    watched.line.draw()
    assert len(watched.drawn) == 1


def test_a_shorter_line_covers_a_longer_one() -> None:
    watched = Watched()
    watched.line.passed(MIB, None)
    watched.line.draw()
    watched.columns = 20
    watched.line.draw()
    longer, shorter = watched.drawn
    assert len(shorter) == len(longer)
    assert shorter.rstrip() == "1.0 MiB  0 B/s"


def test_the_rate_is_that_of_the_last_seconds() -> None:
    watched = Watched()
    for second in range(20):
        watched.line.passed(second * MIB if second < 10 else 10 * MIB, None)
        watched.line.draw()
        watched.clock.advance(1)
    assert "1.0 MiB/s" in watched.drawn[9]
    assert "0 B/s" in watched.drawn[-1]


def test_the_last_line_has_the_average_and_stays() -> None:
    watched = Watched()
    watched.clock.advance(4)
    watched.line.passed(8 * MIB, 8 * MIB)
    watched.line.finish()
    assert watched.drawn[-1].endswith("8.0 MiB of 8.0 MiB  2.0 MiB/s  done\n")


def test_after_an_error_the_line_is_empty() -> None:
    watched = Watched()
    watched.line.draw()
    watched.line.erase()
    assert watched.drawn[-2].strip() == ""
    assert watched.drawn[-1] == ""


def test_what_was_there_already_does_not_count_for_the_rate() -> None:
    clock, terminal = Clock(), StringIO()
    line = ProgressLine(terminal, clock.seconds, lambda: 60)
    line.stands(80 * MIB, 100 * MIB)
    clock.advance(2)
    line.passed(84 * MIB, 100 * MIB)
    line.draw()
    assert "2.0 MiB/s  0:08 left" in terminal.getvalue()


def test_a_note_is_shown_until_something_passes() -> None:
    clock, terminal = Clock(), StringIO()
    line = ProgressLine(terminal, clock.seconds, lambda: 60)
    line.passed(50, 100)
    line.note("next try in 0:08")
    line.draw()
    assert terminal.getvalue().rpartition("\r")[2] == " 50%  next try in 0:08"
    line.passed(60, 100)
    line.draw()
    assert "next try" not in terminal.getvalue().rpartition("\r")[2]
