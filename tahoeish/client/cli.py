"""The client's commands, `put`, `get` and so on, as far as their words go; `commands` does what they say."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tahoeish.client.arguments import text, understood
from tahoeish.client.defaults import JOBS, RETRIES

if TYPE_CHECKING:
    from tahoeish.client.address import CapPath, Target
    from tahoeish.client.terminal import Where

_DIGITS = 9
_FILE_CAP = "what `put` has printed, or a URL with that in it; or a directory's, and the file's path, as CAP/A/B"


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    address, quietness = _address(), _quietness()
    _add_put(subparsers, [address, quietness])
    get = subparsers.add_parser(
        "get",
        parents=[address, quietness],
        help="get a file by its cap",
        description="Get a file by its cap. FILE appears when all of it is there and has been verified.",
    )
    get.add_argument("cap", metavar="CAP", type=_file, help=_FILE_CAP)
    get.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="where to write it (default: standard output)"
    )
    get.set_defaults(command=_get)
    check = subparsers.add_parser(
        "check",
        parents=[address],
        help="tell whether all shares of a file are there",
        description="Tell whether all shares of a file are there. The exit status is 0 if they are, else 1.",
    )
    check.add_argument("cap", metavar="CAP", type=_file, help=f"{_FILE_CAP}; or a verify cap")
    check.add_argument("--verify", action="store_true", help="read every share, and find those that are damaged")
    check.add_argument("--repair", action="store_true", help="store again what is missing")
    check.set_defaults(command=_check)
    _add_backup_commands(subparsers, [address, quietness])


def _add_put(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], parents: list[argparse.ArgumentParser]
) -> None:
    put = subparsers.add_parser(
        "put",
        parents=parents,
        help="store a file and print its cap, or a folder",
        description="Store a file and print the cap by which it can be had again; nothing else leads to it, unless it"
        " gets a name by --to. Or store all files in a folder under names, several at a time, without those that are"
        " there unchanged. What was interrupted goes on where it stopped when the same command is run again.",
    )
    put.add_argument("file", metavar="FILE", help="the file or folder to store; - for standard input")
    put.add_argument(
        "--to",
        metavar="/files/NAME",
        type=_target,
        help="the name to give to the file; with a slash at the end, the folder to put it into. Of a folder: where its"
        " contents shall be (default: /files/ and its own name)",
    )
    put.add_argument(
        "--no-resume",
        action="store_false",
        dest="resume",
        help="send each file in one request, from its beginning, and remember nothing",
    )
    put.add_argument(
        "--retries",
        metavar="N",
        type=_count,
        default=RETRIES,
        help=f"give up after so many tries in a row that bring nothing (default: {RETRIES}, which take half an hour)",
    )
    put.add_argument(
        "--jobs",
        metavar="N",
        type=_at_least_one,
        default=JOBS,
        help=f"of a folder: so many files at a time (default: {JOBS})",
    )
    put.add_argument("--dry-run", action="store_true", help="of a folder: only tell what would be sent")
    put.set_defaults(command=_put)


def _add_backup_commands(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], parents: list[argparse.ArgumentParser]
) -> None:
    snapshot = subparsers.add_parser(
        "snapshot",
        parents=parents,
        help="store the names in a folder, and print the cap of that",
        description="Store all names below a folder of /files as immutable directories, and print the one cap by which"
        " they, and the files, can be had again, by this program or by any Tahoe-LAFS.",
    )
    snapshot.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=text, default="/", help="such as /photos (default: all)"
    )
    snapshot.set_defaults(command=_snapshot)
    restore = subparsers.add_parser(
        "restore",
        parents=parents,
        help="bring back the names that a snapshot holds",
        description="Bring back the names that a snapshot, or any other immutable directory, holds: all of them in one"
        " step. No file is moved. The exit status is 1 if something could not be brought back.",
    )
    restore.add_argument(
        "cap", metavar="CAP", type=_directory, help="what `snapshot` has printed; or a folder in that, as CAP/A/B"
    )
    restore.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=text,
        default="/",
        help="which is made, or is empty (default: /, the top)",
    )
    restore.add_argument(
        "--overwrite", action="store_true", help="let what is in the folder make way; it can be had back as versions"
    )
    restore.set_defaults(command=_restore)


def _address() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--node-url",
        metavar="URL",
        type=text,
        help="the node to ask (default: $TAHOEISH_NODE_URL, else what node.url in the node's directory says)",
    )
    options.add_argument(
        "--user",
        metavar="NAME",
        type=text,
        help="who to be there; the password is $TAHOEISH_PASSWORD, or asked for (default: what the URL says, else an"
        " app token in $TAHOEISH_TOKEN, else $TAHOEISH_USER, else what ~/.netrc says for the host)",
    )
    return options


def _quietness() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "-q",
        "--quiet",
        "--no-progress",
        action="store_true",
        dest="quiet",
        help="show no progress; without this it is shown when standard error is a terminal",
    )
    return options


# Twisted is imported only when there is something to transfer: help and mistakes are answered at once.


def _put(arguments: argparse.Namespace) -> int:
    from tahoeish.client.put_command import How, put

    how = How(
        to=arguments.to,
        resume=arguments.resume,
        retries=arguments.retries,
        jobs=arguments.jobs,
        dry_run=arguments.dry_run,
        quiet=arguments.quiet,
    )
    return put(arguments.file, where=_where(arguments), how=how)


def _get(arguments: argparse.Namespace) -> int:
    from tahoeish.client.commands import get

    return get(arguments.cap, arguments.file, where=_where(arguments), quiet=arguments.quiet)


def _check(arguments: argparse.Namespace) -> int:
    from tahoeish.client.commands import check

    return check(arguments.cap, verify=arguments.verify, repair=arguments.repair, where=_where(arguments))


def _snapshot(arguments: argparse.Namespace) -> int:
    from tahoeish.client.commands import snapshot

    return snapshot(arguments.folder, where=_where(arguments), quiet=arguments.quiet)


def _restore(arguments: argparse.Namespace) -> int:
    from tahoeish.client.commands import restore

    where = _where(arguments)
    return restore(arguments.cap, arguments.folder, overwrite=arguments.overwrite, where=where, quiet=arguments.quiet)


def _where(arguments: argparse.Namespace) -> Where:
    from tahoeish.client.terminal import Where

    return Where(arguments.node_url, arguments.user)


def _target(text: str) -> Target:
    from tahoeish.client.address import BadTarget, target_from

    return understood(text, target_from, BadTarget)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    if len(text) > _DIGITS:
        raise argparse.ArgumentTypeError(f"a number has at most {_DIGITS} digits here")
    return int(text)


def _at_least_one(text: str) -> int:
    if (number := _count(text)) < 1:
        raise argparse.ArgumentTypeError("there has to be at least one")
    return number


def _file(text: str) -> CapPath:
    from tahoeish.chk.errors import BadCap
    from tahoeish.client.address import file_from

    return understood(text, file_from, BadCap)


def _directory(text: str) -> CapPath:
    from tahoeish.chk.errors import BadCap
    from tahoeish.client.address import directory_from

    return understood(text, directory_from, BadCap)
