"""`tahoeish storage`: how others get to this storage node, and an end for shares that nobody wants any more."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tahoeish.client.exits import EXIT_DONE, EXIT_FAILED
from tahoeish.node.administration import directory_of, node_options

if TYPE_CHECKING:
    from tahoeish.storage.expiry import Collector


def add_storage_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    storage = subparsers.add_parser("storage", help="look after a storage node")
    commands = storage.add_subparsers(title="commands", metavar="COMMAND", required=True)
    node = node_options()
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
    from tahoeish.node.storage_identity import described

    print(described(directory_of(arguments), servers_yaml=arguments.servers_yaml), end="")
    return EXIT_DONE


def _expire(arguments: argparse.Namespace) -> int:
    from tahoeish.storage.errors import StoreError
    from tahoeish.storage.expiry import Collector, ExpiryPolicy

    config = directory_of(arguments).config()
    collector = Collector(
        config.storage.directory,
        ExpiryPolicy(config.storage.expire_after),
        now=time.time,
        durable=config.durability.sync,
        dry_run=arguments.dry_run,
    )
    try:
        _collect(collector)
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
    print(f"{tally} ({'nothing was removed' if collector.dry_run else 'now removed'})")
