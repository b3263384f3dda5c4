"""`tahoeish user`: who may come in, and how much room they have."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tahoeish.client.arguments import understood
from tahoeish.node.administration import Administration, command, day, node_options, table

if TYPE_CHECKING:
    from tahoeish.namespace.users import User

NO_QUOTA = "none"

_BYTES = re.compile("[0-9]{1,30}")
_LARGEST_QUOTA = 2**63 - 1
"""More is no number to a database."""

_STATES = {"on": True, "off": False}


def add_user_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    user = subparsers.add_parser("user", help="say who may use the node")
    commands = user.add_subparsers(title="commands", metavar="COMMAND", required=True)
    node, password = node_options(), _password_options()
    add = commands.add_parser(
        "add",
        parents=[node, password],
        help="let somebody in",
        description="Let somebody in. As long as there are no users, the node serves everybody on its own machine; the"
        " first user gets what they have stored.",
    )
    add.add_argument("name", metavar="NAME")
    add.add_argument("--quota", metavar="SIZE", type=_size, help='how much NAME may store, such as "10 GiB"')
    add.add_argument("--operator", action="store_true", help="let NAME see at /status what everybody does")
    add.set_defaults(command=command("user add", _add))
    listed = commands.add_parser("list", parents=[node], help="tell who they are, and how much they store")
    listed.set_defaults(command=command("user list", _list))
    passwd = commands.add_parser("passwd", parents=[node, password], help="give somebody another password")
    passwd.add_argument("name", metavar="NAME")
    passwd.set_defaults(command=command("user passwd", _passwd))
    remove = commands.add_parser(
        "remove",
        parents=[node],
        help="let somebody in no longer",
        description="Let somebody in no longer. Their tokens are revoked. Whoever has files is removed only together"
        " with a word about these.",
    )
    remove.add_argument("name", metavar="NAME")
    files = remove.add_mutually_exclusive_group()
    files.add_argument(
        "--keep-files",
        action="store_true",
        help="leave them where they are, also for those with whom they are shared; `user add NAME` gives them back",
    )
    files.add_argument(
        "--delete-files",
        action="store_true",
        help="delete their names for good; what was shared ends. Whoever has the cap of a file can still read it",
    )
    remove.set_defaults(command=command("user remove", _remove))
    quota = commands.add_parser("quota", parents=[node], help="say how much somebody may store")
    quota.add_argument("name", metavar="NAME")
    quota.add_argument("size", metavar="SIZE", type=_quota, help=f'such as "10 GiB", or {NO_QUOTA}')
    quota.set_defaults(command=command("user quota", _set_quota))
    operator = commands.add_parser(
        "operator",
        parents=[node],
        help="say who sees what everybody does",
        description="Say whether somebody sees at /status what everybody does, and all errors, or only their own"
        " transfers.",
    )
    operator.add_argument("name", metavar="NAME")
    operator.add_argument("state", choices=_STATES)
    operator.set_defaults(command=command("user operator", _set_operator))


def _password_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    source = options.add_mutually_exclusive_group()
    source.add_argument(
        "--password-file",
        metavar="FILE",
        help="take the password from the first line of FILE, which nobody else may be able to read; - for standard"
        " input (default: ask for it)",
    )
    source.add_argument("--generate", action="store_true", help="make a password up, and print it")
    return options


# What a command needs is imported when it runs: help needs none of it.


def _add(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.namespace.users import UserExists, checked_name

    name = checked_name(arguments.name)
    # Before anybody is asked for a password.
    before = node.users.find(name)
    if before is not None and not before.disabled:
        raise UserExists(name)
    password = _new_password(arguments, name)
    first = node.users.add(name, _hashed(password), arguments.quota, operator=arguments.operator)
    print(f"{name} may come in now.")
    if before is not None:
        print("Everything is there as it was left.")
    if first:
        print("This is the first user: everybody needs a password from now on, also on this machine.")
        print(f"What was stored under a name until now belongs to {name}.")
    _tell_generated(arguments, password)


def _list(arguments: argparse.Namespace, node: Administration) -> None:
    users = node.users.all()
    if not users:
        print("There are no users: the node serves everybody on its own machine, and nobody else.")
        return
    print(table(("NAME", "USED", "QUOTA", "SINCE", ""), [_row(user) for user in users]))


def _row(user: User) -> tuple[str, ...]:
    from tahoeish.client.progress import amount

    quota = NO_QUOTA if user.quota is None else amount(user.quota)
    remark = "removed, files kept" if user.disabled else "operator" if user.operator else ""
    return user.name, amount(user.used), quota, day(user.created, "-"), remark


def _passwd(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.namespace.errors import NoSuchUser

    user = node.users.find(arguments.name)
    if user is None or user.disabled:
        raise NoSuchUser(arguments.name)
    password = _new_password(arguments, user.name)
    node.users.set_password(user.name, _hashed(password))
    print(
        f"{user.name} has another password now. Tokens stay as they are: `tahoeish token list` tells which there are."
    )
    _tell_generated(arguments, password)


def _remove(arguments: argparse.Namespace, node: Administration) -> None:
    keep_files = True if arguments.keep_files else False if arguments.delete_files else None
    some_left = node.users.remove(arguments.name, keep_files=keep_files)
    print(f"{arguments.name} can't come in any more." + (" The files stay." if keep_files else ""))
    if not some_left:
        print("That was the last user: from now on the node serves everybody on its own machine, and nobody else.")


def _set_quota(arguments: argparse.Namespace, node: Administration) -> None:
    node.catalogue.set_quota(arguments.name, arguments.size)


def _set_operator(arguments: argparse.Namespace, node: Administration) -> None:
    node.users.set_operator(arguments.name, _STATES[arguments.state])


# Passwords.


def _new_password(arguments: argparse.Namespace, name: str) -> str:
    """Raises `BadPassword`."""
    from tahoeish.namespace.passwords import checked_password, generated

    if arguments.generate:
        return generated(os.urandom)
    if arguments.password_file is not None:
        return checked_password(_first_line(arguments.password_file))
    return checked_password(_asked_for(name))


def _asked_for(name: str) -> str:
    from tahoeish.namespace.passwords import BadPassword

    if not sys.stdin.isatty():
        raise BadPassword("there is no terminal to ask for the password; give --password-file or --generate")
    password = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("The same again: ") != password:
        raise BadPassword("these were two different passwords; nothing has changed")
    return password


def _first_line(file: str) -> str:
    from tahoeish.namespace.passwords import BadPassword

    if file == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        with Path(file).open(encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadPassword(f"others can read {file}; `chmod 600 {file}` keeps them out")
            return opened.readline().rstrip("\r\n")
    except OSError as error:
        raise BadPassword(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadPassword(f"{file}: not UTF-8 text") from error


def _hashed(password: str) -> str:
    from tahoeish.namespace.passwords import Passwords

    return Passwords(os.urandom).hashed(password)


def _tell_generated(arguments: argparse.Namespace, password: str) -> None:
    if arguments.generate:
        print(f"The password, which is shown only now: {password}")


# Sizes.


def _size(text: str) -> int:
    from tahoeish.node.config.quantities import parse_size

    size = int(text) if _BYTES.fullmatch(text) else understood(text, parse_size, ValueError)
    if size > _LARGEST_QUOTA:
        raise argparse.ArgumentTypeError(f"{text!r} is more than can be counted; for no bound, say {NO_QUOTA}")
    return size


def _quota(text: str) -> int | None:
    return None if text == NO_QUOTA else _size(text)
