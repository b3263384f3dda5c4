"""What is wrong with a configuration, told to the person who wrote it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

SHOWN_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing to mend.

    `line` is `None` for what does not stand in the file: a missing section, an option of the command line.
    """

    line: int | None
    key: str
    message: str

    def describe(self, source: str) -> str:
        """One line of text, in the form that editors and terminals make a link of."""
        place = source if self.line is None else f"{source}:{self.line}"
        return ": ".join(filter(None, [place, self.key, self.message]))


class ConfigError(Exception):
    """
    Everything that is wrong with one configuration, in the order of its lines.

    `source` is where it was written: a file's name, or the command.
    """

    def __init__(self, problems: Iterable[Problem], source: str) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        self.source = source
        super().__init__("\n".join(problem.describe(source) for problem in self.problems))


def shown(value: object) -> str:
    """A value much as it is written in TOML, on one line, cut when it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "…"
