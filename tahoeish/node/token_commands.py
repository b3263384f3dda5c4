"""`tahoeish token`: secrets for programs, in place of a password."""

from __future__ import annotations

import argparse
import time

from tahoeish.node.administration import Administration, command, day, lifetime, node_options, parsed_path, table


def add_token_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    token = subparsers.add_parser("token", help="give programs secrets of their own")
    commands = token.add_subparsers(title="commands", metavar="COMMAND", required=True)
    node = node_options()
    create = commands.add_parser(
        "create",
        parents=[node],
        help="make a token, and print its secret",
        description="Make a token for a program, and print its secret, which is shown only now. The program gives it in"
        " place of USER's password, or as a Bearer token.",
    )
    create.add_argument("user", metavar="USER", help="whose files it is for")
    create.add_argument("--label", metavar="TEXT", default="", help="what it is for, as `token list` shows it")
    create.add_argument("--read-only", action="store_true", help="let nothing be changed by it")
    create.add_argument("--folder", metavar="/A/B", default="", help="limit it to what is in this folder")
    create.add_argument("--expires", metavar="TIME", type=lifetime, help='how long it is valid, such as "30 d"')
    create.set_defaults(command=command("token create", _create))
    listed = commands.add_parser("list", parents=[node], help="tell which tokens there are")
    listed.add_argument("user", metavar="USER", nargs="?", help="only those of USER")
    listed.set_defaults(command=command("token list", _list))
    revoke = commands.add_parser("revoke", parents=[node], help="let nobody in by a token any more")
    revoke.add_argument("id", metavar="ID", help="as `token list` shows it")
    revoke.set_defaults(command=command("token revoke", _revoke))


def _create(arguments: argparse.Namespace, node: Administration) -> None:
    expires = None if arguments.expires is None else time.time() + arguments.expires
    _, secret = node.tokens.create(
        arguments.user,
        label=arguments.label,
        read_only=arguments.read_only,
        below=parsed_path(arguments.folder),
        expires=expires,
    )
    # Alone, so that a script can take it.
    print(secret)


def _list(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.namespace.errors import NoSuchUser

    if arguments.user is not None and node.users.find(arguments.user) is None:
        raise NoSuchUser(arguments.user)
    tokens = node.tokens.all(arguments.user)
    if not tokens:
        print("There are no tokens.")
        return
    now = time.time()
    rows = [
        (
            token.id,
            token.user,
            "read" if token.read_only else "read, write",
            "/" + "/".join(token.below),
            day(token.created, "-"),
            day(token.expires, "never") if token.is_valid(now) else "expired",
            day(token.last_used, "never"),
            token.label,
        )
        for token in tokens
    ]
    print(table(("ID", "USER", "MAY", "FOLDER", "SINCE", "EXPIRES", "LAST USED", "LABEL"), rows))


def _revoke(arguments: argparse.Namespace, node: Administration) -> None:
    node.tokens.revoke(arguments.id)
