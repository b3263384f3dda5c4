"""`tahoeish share`, `unshare`, `shares`, `lock`: what users let each other into, and keep each other out of."""

from __future__ import annotations

import argparse
import time

from tahoeish.node.administration import Administration, command, node_options, parsed_path, table


def add_share_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    node = node_options()
    share = subparsers.add_parser(
        "share",
        parents=[node],
        help="let a user into another one's folder",
        description="Let a user into a folder of another one, where it appears as /@OWNER/NAME. Sharing it again"
        " changes what may be done there.",
    )
    share.add_argument("folder", metavar="FOLDER", help="in the owner's tree, such as /photos")
    share.add_argument("--from", dest="owner", metavar="USER", required=True, help="whose folder it is")
    share.add_argument("--with", dest="guest", metavar="USER", required=True, help="who is let in")
    share.add_argument("--name", metavar="NAME", help="what it is called there (default: as the folder)")
    share.add_argument("--read-write", action="store_true", help="let it be changed, too")
    share.set_defaults(command=command("share", _share))
    unshare = subparsers.add_parser("unshare", parents=[node], help="let a user into another one's folder no longer")
    unshare.add_argument("name", metavar="NAME", help="what the folder is called there")
    unshare.add_argument("--from", dest="owner", metavar="USER", required=True, help="whose folder it is")
    unshare.add_argument("--with", dest="guest", metavar="USER", required=True, help="who was let in")
    unshare.set_defaults(command=command("unshare", _unshare))
    shares = subparsers.add_parser("shares", parents=[node], help="tell who is let into which folders")
    shares.set_defaults(command=command("shares", _shares))
    lock = subparsers.add_parser("lock", help="look after what WebDAV clients have locked")
    commands = lock.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listed = commands.add_parser("list", parents=[node], help="tell what is locked, by whom and for how long")
    listed.set_defaults(command=command("lock list", _locks))
    broken = commands.add_parser("break", parents=[node], help="end a lock whose holder doesn't")
    broken.add_argument("token", metavar="TOKEN", help="as `lock list` shows it")
    broken.set_defaults(command=command("lock break", _break))


# What a command needs is imported when it runs: help needs none of it.


def _share(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.namespace.errors import NamespaceError
    from tahoeish.namespace.viewer import Viewer

    folder = parsed_path(arguments.folder)
    if not folder and arguments.name is None:
        raise NamespaceError("the whole tree has no name of its own; give one with --name")
    shared = node.catalogue.share(
        Viewer(arguments.owner), folder, arguments.guest, arguments.name or folder[-1], arguments.read_write
    )
    may = "read and change" if shared.writable else "read"
    print(f"{shared.with_user} can {may} it as /@{shared.owner}/{shared.name}.")


def _unshare(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.namespace.viewer import Viewer

    node.catalogue.unshare(Viewer(arguments.owner), arguments.guest, arguments.name)


def _shares(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.namespace.viewer import Viewer

    shares = [
        share
        for user in node.users.all()
        for share in node.catalogue.shares(Viewer(user.name))
        if share.owner == user.name
    ]
    if not shares:
        print("Nothing is shared.")
        return
    rows = [
        (
            share.owner,
            "/" + "/".join(share.path),
            share.with_user,
            f"/@{share.owner}/{share.name}",
            "read, write" if share.writable else "read",
        )
        for share in shares
    ]
    print(table(("FROM", "FOLDER", "WITH", "AS", "MAY"), rows))


def _locks(arguments: argparse.Namespace, node: Administration) -> None:
    from tahoeish.client.progress import duration

    now = time.time()
    rows = [
        (
            lock.token,
            "/" + "/".join(lock.path),
            lock.holder,
            lock.scope.value,
            duration(max(0.0, lock.expires - now)),
        )
        for lock in node.catalogue.all_locks()
    ]
    if not rows:
        print("Nothing is locked.")
        return
    print(table(("TOKEN", "PATH", "BY", "SCOPE", "ENDS IN"), rows))


def _break(arguments: argparse.Namespace, node: Administration) -> None:
    node.catalogue.break_lock(arguments.token)
