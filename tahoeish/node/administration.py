"""What the commands that look after a node, and after its users, tokens, shares and locks, have in common."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tahoeish.client.arguments import is_text, understood
from tahoeish.client.exits import EXIT_DONE, EXIT_FAILED, EXIT_MISUSED

if TYPE_CHECKING:
    from tahoeish.namespace.catalogue import Catalogue
    from tahoeish.namespace.names import Path
    from tahoeish.namespace.tokens import Tokens
    from tahoeish.namespace.url_keys import UrlKeys
    from tahoeish.namespace.users import Users
    from tahoeish.node.directory import NodeDirectory


_LAST_MOMENT = datetime.max.replace(tzinfo=UTC).timestamp()
"""No date is later than the year 9999."""

_PATHS = {"node_dir", "password_file"}
"""Arguments that are names of files, which may have any bytes in them."""


@dataclass(frozen=True, slots=True)
class Administration:
    """A node's catalogue in the hands of whoever may read its directory. The node may run or not."""

    users: Users
    tokens: Tokens
    catalogue: Catalogue
    url_keys: UrlKeys


class NoNode(Exception):
    """There is no node in the directory."""


def node_options() -> argparse.ArgumentParser:
    """Where the node is, as a parent of the parsers of commands."""
    node = argparse.ArgumentParser(add_help=False)
    node.add_argument(
        "--node-dir",
        metavar="DIR",
        help="the node's directory (default: $TAHOEISH_NODE_DIR, else ~/.tahoeish)",
    )
    return node


def directory_of(arguments: argparse.Namespace) -> NodeDirectory:
    """The directory that these options say, whether there is a node in it or not."""
    from tahoeish.node.directory import NodeDirectory, chosen_path

    return NodeDirectory(chosen_path(arguments.node_dir, os.environ))


def command(
    name: str, work: Callable[[argparse.Namespace, Administration], None]
) -> Callable[[argparse.Namespace], int]:
    """What `work` does as a command, which says in one line why it couldn't, and returns the exit status."""

    def run(arguments: argparse.Namespace) -> int:
        from tahoeish.namespace.errors import NamespaceError

        if (odd := _no_text(arguments)) is not None:
            print(f"tahoeish: {name}: {odd!r} isn't UTF-8", file=sys.stderr)
            return EXIT_MISUSED
        try:
            with _administration(arguments) as administration:
                work(arguments, administration)
        except (NamespaceError, NoNode) as error:
            print(f"tahoeish: {name}: {error}", file=sys.stderr)
            return EXIT_FAILED
        return EXIT_DONE

    return run


def _no_text(arguments: argparse.Namespace) -> str | None:
    """The first word that no name, label or folder can be."""
    given = {name: words for name, words in vars(arguments).items() if isinstance(words, str)}
    return next((words for name, words in given.items() if name not in _PATHS and not is_text(words)), None)


@contextmanager
def _administration(arguments: argparse.Namespace) -> Iterator[Administration]:
    from tahoeish.namespace.catalogue import Catalogue
    from tahoeish.namespace.tokens import Tokens
    from tahoeish.namespace.url_keys import UrlKeys
    from tahoeish.namespace.users import Users
    from tahoeish.node.catalogue import open_database

    directory = directory_of(arguments)
    if not directory.config_path.exists():
        raise NoNode(f"there is no node in {directory.path}; `tahoeish run` makes one")
    database = open_database(directory.config(), directory.path)
    try:
        yield Administration(
            Users(database, time.time),
            Tokens(database, time.time, os.urandom),
            Catalogue(database, time.time),
            UrlKeys(database, time.time, os.urandom),
        )
    finally:
        database.close()


def parsed_path(text: str) -> Path:
    """A folder as it is written on a command line, such as `/photos/2026`. Raises `BadName`."""
    from tahoeish.namespace.names import check_name

    return tuple(check_name(name) for name in text.split("/") if name)


def lifetime(text: str) -> float:
    """In seconds. Raises `argparse.ArgumentTypeError`."""
    from tahoeish.node.config.quantities import parse_duration

    seconds = understood(text, parse_duration, ValueError)
    if time.time() + seconds > _LAST_MOMENT:
        raise argparse.ArgumentTypeError(f"{text!r} would end after the year 9999")
    return seconds


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what is in them."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    padded = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def day(moment: float | None, otherwise: str) -> str:
    """The date, of UTC."""
    if moment is None:
        return otherwise
    return "after 9999" if moment > _LAST_MOMENT else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
