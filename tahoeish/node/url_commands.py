"""`tahoeish url`: addresses that let somebody without an account read or store a single file, and the keys for them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tahoeish.node.administration import (
    Administration,
    command,
    day,
    directory_of,
    node_options,
    parsed_path,
    table,
)
from tahoeish.node.url_arguments import Place, base, expiry, ip_range, place, size

if TYPE_CHECKING:
    from tahoeish.namespace.names import Path
    from tahoeish.namespace.url_keys import UrlKey

METHODS = ("GET", "PUT", "POST", "HEAD", "DELETE")


def add_url_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    url = subparsers.add_parser("url", help="sign addresses, for those who have no account")
    commands = url.add_subparsers(title="commands", metavar="COMMAND", required=True)
    node = node_options()
    signed = commands.add_parser(
        "sign",
        parents=[node],
        help="print an address by which anybody can read or store a file, for a while",
        description="Print an address by which anybody who has it can do one thing with one file, for a while.",
    )
    signed.add_argument("method", metavar="METHOD", choices=METHODS, help="GET, PUT, POST, HEAD or DELETE")
    signed.add_argument(
        "file",
        metavar="/files/A/B",
        type=place,
        help="the file, by the address that it has, or is to get; a %% in its name is written %%25",
    )
    signed.add_argument("--user", metavar="USER", help="whose file it is (default: the only one who has a key)")
    signed.add_argument(
        "--expires", metavar="TIME", type=expiry, default="1 h", help='how long it is good, such as "1 h"'
    )
    signed.add_argument("--max-size", metavar="SIZE", type=size, help='how large the file may be, such as "2 GiB"')
    signed.add_argument("--filename", metavar="NAME", help="what whoever fetches the file is to save it as")
    signed.add_argument("--inline", action="store_true", help="let browsers show the file instead of saving it")
    signed.add_argument(
        "--ip-range", metavar="RANGE", type=ip_range, help="only for these clients, such as 192.0.2.0/24"
    )
    signed.add_argument("--prefix", action="store_true", help="for every file whose address begins like this one")
    signed.add_argument(
        "--base",
        metavar="URL",
        type=base,
        help="how clients get to the node, such as https://files.example (default: as it runs)",
    )
    signed.add_argument("--qr", action="store_true", help="also print it as a QR code, for a telephone")
    sign = command("url sign", _sign)

    def checked(arguments: argparse.Namespace) -> int:
        asked: Place = arguments.file
        if (problem := asked.problem(prefix=arguments.prefix)) is not None:
            signed.error(problem)
        return sign(arguments)

    signed.set_defaults(command=checked)

    key = commands.add_parser("key", help="make and end the keys that sign addresses")
    keys = key.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, work, text in (
        ("add", _add, "make a key, and print it"),
        ("rotate", _rotate, "make a key in the place of the older one of two, and print it"),
    ):
        made = keys.add_parser(
            name,
            parents=[node],
            help=text,
            description=f"{text[0].upper()}{text[1:]}. Of each place there are at most two, so that addresses signed"
            " with the one before stay good meanwhile. Programs that sign by themselves need it, such as"
            " `swift tempurl`.",
        )
        made.add_argument("user", metavar="USER", help="whose files it is for")
        made.add_argument("--folder", metavar="/A/B", default="", help="limit it to what is in this folder")
        made.set_defaults(command=command(f"url key {name}", work))
    listed = keys.add_parser("list", parents=[node], help="tell which keys there are")
    listed.add_argument("user", metavar="USER", nargs="?", help="only those of USER")
    listed.add_argument("--show", action="store_true", help="with the keys themselves")
    listed.set_defaults(command=command("url key list", _list))
    removed = keys.add_parser("remove", parents=[node], help="end a key, and all addresses that it has signed")
    removed.add_argument("id", metavar="ID", help="as `url key list` shows it")
    removed.set_defaults(command=command("url key remove", _remove))


def _add(arguments: argparse.Namespace, node: Administration) -> None:
    # Alone, so that a script can take it.
    print(node.url_keys.add(arguments.user, parsed_path(arguments.folder)).secret)


def _rotate(arguments: argparse.Namespace, node: Administration) -> None:
    print(node.url_keys.rotate(arguments.user, parsed_path(arguments.folder)).secret)


def _list(arguments: argparse.Namespace, node: Administration) -> None:
    keys = node.url_keys.all(arguments.user)
    if not keys:
        print("There are no keys.")
        return
    rows = [
        (key.id, key.user, "/" + "/".join(key.below), day(key.created, "-"), *([key.secret] if arguments.show else []))
        for key in keys
    ]
    print(table(("ID", "USER", "FOLDER", "SINCE", *(["KEY"] if arguments.show else [])), rows))


def _remove(arguments: argparse.Namespace, node: Administration) -> None:
    node.url_keys.remove(arguments.id)


def _sign(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.gateway.links.tempurl import ROOT, signed_address

    asked: Place = arguments.file
    key = _key_for(arguments.user, asked.path, node)
    slash = "/" if asked.is_folder else ""
    address = signed_address(
        key.secret,
        arguments.method,
        arguments.expires,
        "/".join([ROOT, key.user, *asked.path]) + slash,
        prefix=arguments.prefix,
        ip_range=arguments.ip_range,
        max_size=arguments.max_size,
        filename=arguments.filename,
        inline=arguments.inline,
    )
    url = _base(arguments) + address
    print(url)
    if arguments.qr:
        _print_code(url)


def _key_for(user: str | None, path: Path, node: Administration) -> UrlKey:
    """The newest one that is good for this file; of several places, that of the narrowest."""
    from tahoeish.namespace.url_keys import NoSuchKey

    if user is None:
        users = {key.user for key in node.url_keys.all()}
        if len(users) > 1:
            raise NoSuchKey("several users have keys; say whose file it is with --user")
        user = next(iter(users), "")
    good = [key for key in node.url_keys.of_user(user) if key.covers(path)]
    if not good:
        raise NoSuchKey(f"there is no key for it; `tahoeish url key add {user or 'USER'}` makes one")
    # The first of those that are as narrow: they come newest first.
    return max(good, key=lambda key: len(key.below))


def _base(arguments: argparse.Namespace) -> str:
    from tahoeish.namespace.errors import NamespaceError

    if arguments.base is not None:
        return str(arguments.base)
    try:
        return directory_of(arguments).url_path.read_text(encoding="utf-8").strip().rstrip("/")
    except FileNotFoundError:
        raise NamespaceError("the node doesn't run; say with --base how clients get there") from None


def _print_code(text: str) -> None:
    import segno

    segno.make(text, error="l", micro=False).terminal(out=sys.stdout, compact=True)
