"""`tahoeish storage`: how others get to this storage node, and an end for shares that nobody wants any more."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tahoeish.storage.expiry import Collector

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BROKEN_PIPE = 141
"""What a shell says of a program that SIGPIPE has ended, as it ends most of them."""


def add_storage_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    storage = subparsers.add_parser("storage", help="look after a storage node")
    commands = storage.add_subparsers(metavar="COMMAND", required=True)
    node = argparse.ArgumentParser(add_help=False)
    node.add_argument(
        "--node-dir",
        metavar="DIR",
        help="the node's directory (default: $TAHOEISH_NODE_DIR, else ~/.tahoeish)",
    )
    nurl = commands.add_parser(
        "nurl",
        parents=[node],
        help="print the NURL by which other nodes get to this one",
        description="Print the NURL by which other nodes get to this one. Whoever knows it can store shares here.",
    )
    nurl.add_argument(
        "--servers-yaml",
        action="store_true",
        help="print instead what to put into private/servers.yaml of a Tahoe-LAFS client",
    )
    nurl.set_defaults(command=_nurl)
    expire = commands.add_parser(
        "expire",
        parents=[node],
        help="remove the shares whose leases have all expired",
        description="Remove the shares whose leases have all expired, and print which they were. A node with"
        " `expire = true` in [storage] does the same, little by little, while it runs.",
    )
    expire.add_argument("--dry-run", action="store_true", help="only print which they are")
    expire.set_defaults(command=_expire)


# What a command needs is imported when it runs: help needs none of it.


def _nurl(arguments: argparse.Namespace) -> int:
    from tahoeish.node.directory import NodeDirectory, chosen_path
    from tahoeish.node.storage_identity import described

    directory = NodeDirectory(chosen_path(arguments.node_dir, os.environ))
    print(described(directory, servers_yaml=arguments.servers_yaml), end="")
    return EXIT_DONE


def _expire(arguments: argparse.Namespace) -> int:
    from tahoeish.node.directory import NodeDirectory, chosen_path
    from tahoeish.storage.errors import StoreError
    from tahoeish.storage.expiry import Collector, ExpiryPolicy

    config = NodeDirectory(chosen_path(arguments.node_dir, os.environ)).config()
    collector = Collector(
        config.storage.directory,
        ExpiryPolicy(config.storage.expire_after),
        now=time.time,
        durable=config.durability.sync,
        dry_run=arguments.dry_run,
    )
    try:
        _collect(collector)
    except BrokenPipeError:
        # Whoever read the list has had enough. The interpreter would try to print the rest when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except StoreError as error:
        print(f"tahoeish: storage expire: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_DONE


def _collect(collector: Collector) -> None:
    from tahoeish.storage.expiry import Fate, Tally

    tally = Tally()
    for finding in collector.findings():
        tally.count(finding)
        if finding.fate is Fate.EXPIRED:
            day = datetime.fromtimestamp(finding.expired_at, UTC)
            print(f"{day:%Y-%m-%d}  {finding.size:>12}  {finding.path.relative_to(collector.directory)}")
        elif finding.fate is Fate.UNREADABLE:
            print(f"tahoeish: storage expire: {finding.problem}", file=sys.stderr)
    # Flushed, so that nobody reading on is found out here and not when the interpreter exits.
    print(f"{tally} ({'nothing was removed' if collector.dry_run else 'now removed'})", flush=True)
