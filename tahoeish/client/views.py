"""What a person sees of uploads: a progress line on a terminal, and words about what is out of the ordinary."""

from __future__ import annotations

from collections.abc import Callable

from tahoeish.client.errors import ClientError, NodeUnreachable
from tahoeish.client.local_tree import LocalFile, shown
from tahoeish.client.progress import ProgressLine, amount, duration
from tahoeish.client.tree import TreePlan, TreeWatcher
from tahoeish.client.watching import Watcher

Say = Callable[[str], object]

AGAIN = "run the same command again to go on"


class View:
    """Says something without spoiling the line. Without a line, all is said in words."""

    def __init__(self, line: ProgressLine | None, say: Say) -> None:
        self._line = line
        self._say = say

    def say(self, words: str) -> None:
        if self._line is not None:
            self._line.erase()
        self._say(words)

    def note(self, words: str) -> None:
        """Something that is over soon."""
        if self._line is None:
            self._say(words)
        else:
            self._line.note(words)


class FileView(Watcher):
    """`hint` is what to say when it has ended early."""

    def __init__(self, line: ProgressLine | None, say: Say) -> None:
        self.hint: str | None = None
        self._line = line
        self._view = View(line, say)
        self._begun = False

    def passed(self, done: int, total: int | None) -> None:
        self._begun = True
        if self._line is not None:
            self._line.passed(done, total)

    def goes_on(self, done: int, total: int) -> None:
        if done and not self._begun:
            self._view.say(f"{_so_much(done, total)} already; going on from there")
        if self._line is not None:
            self._line.stands(done, total)

    def waits(self, seconds: float, error: ClientError) -> None:
        self._view.note(_next_try(seconds, error))

    def begins_anew(self, reason: str) -> None:
        self._view.say(f"{reason}, so it is sent from the beginning")

    def not_remembered(self, error: OSError) -> None:
        self._view.say(_not_remembered(error))

    def left(self, done: int | None, total: int) -> None:
        self.hint = AGAIN if done is None else f"{_so_much(done, total)}; {AGAIN}"


class TreeView(TreeWatcher):
    """`hint` is what to say when it has ended early."""

    def __init__(self, line: ProgressLine | None, say: Say) -> None:
        self.hint: str | None = None
        self._line = line
        self._view = View(line, say)
        self._told: set[str] = set()

    def waits(self, seconds: float, error: ClientError) -> None:
        self._view.note(_next_try(seconds, error))

    def planned(self, plan: TreePlan) -> None:
        self.hint = f"what has been sent stays; {AGAIN}"
        self.passed(0, plan.size)

    def passed(self, done: int, total: int) -> None:
        if self._line is not None:
            self._line.passed(done, total)

    def of_file(self, file: LocalFile) -> Watcher:
        return _FileInTree(shown(file.path), self._view, self._told)


class _FileInTree(Watcher):
    def __init__(self, name: str, view: View, told: set[str]) -> None:
        self._name = name
        self._view = view
        self._told = told

    def waits(self, seconds: float, error: ClientError) -> None:
        self._view.note(f"{self._name}: {_next_try(seconds, error)}")

    def begins_anew(self, reason: str) -> None:
        self._view.say(f"{self._name}: {reason}, so it is sent from the beginning")

    def not_remembered(self, error: OSError) -> None:
        # The same for all of them.
        words = _not_remembered(error)
        if words not in self._told:
            self._told.add(words)
            self._view.say(words)


def _so_much(done: int, total: int) -> str:
    return f"{amount(done)} of {amount(total)} are there"


def _next_try(seconds: float, error: ClientError) -> str:
    # Where to find another node is of no interest yet.
    reason = f"no node answers ({error.reason})" if isinstance(error, NodeUnreachable) else str(error)
    return f"next try in {duration(max(1, seconds))}: {reason}"


def _not_remembered(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"can't remember uploads ({place}{error.strerror}), so after a break they begin anew"
