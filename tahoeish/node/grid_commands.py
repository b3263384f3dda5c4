"""`tahoeish grid`: where the peers come from, how they are, and changing them while the node runs."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tahoeish.client.exits import EXIT_DONE, EXIT_FAILED, EXIT_SIGNAL
from tahoeish.node.administration import directory_of, node_options

if TYPE_CHECKING:
    from tahoeish.node.config import Peer
    from tahoeish.node.directory import NodeDirectory


def add_grid_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each parser leaves, as `command`, a function that takes the arguments and returns the exit status."""
    grid = subparsers.add_parser("grid", help="look after the peers")
    commands = grid.add_subparsers(title="commands", metavar="COMMAND", required=True)
    node = node_options()
    status = commands.add_parser(
        "status",
        parents=[node],
        help="tell how each peer is",
        description="Tell of each peer whether it can be reached, how quickly, what it runs and how much room it has."
        " The exit status is 0 if all that are enabled can be reached, else 1.",
    )
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(command=_status)
    imported = commands.add_parser(
        "import",
        parents=[node],
        help="take the storage nodes that a Tahoe-LAFS client knows",
        description="Print the storage nodes that a Tahoe-LAFS client knows as peers for tahoeish.toml, but for those"
        " that are there already. The client's node directory is only read.",
    )
    imported.add_argument("client", metavar="TAHOE_NODE_DIR", type=Path, help="such as ~/.tahoe")
    imported.add_argument("--write", action="store_true", help="append them to tahoeish.toml instead")
    imported.set_defaults(command=_import)
    reload = commands.add_parser(
        "reload",
        parents=[node],
        help="let the running node use the peers that are listed now",
        description="Let the running node use the peers that tahoeish.toml lists now. Transfers that are under way go"
        " on with those that they have. Other changes take effect when the node is started again.",
    )
    reload.set_defaults(command=_reload)


# What a command needs is imported when it runs: help needs none of it.


def _status(arguments: argparse.Namespace) -> int:
    from twisted.internet import reactor

    from tahoeish.client.foreground import Interrupted, run_to_end
    from tahoeish.node.grid_status import all_statuses, status_table

    config = directory_of(arguments).config()
    try:
        statuses = run_to_end(reactor, lambda: all_statuses(config, reactor))
    except Interrupted as interrupted:
        return EXIT_SIGNAL + interrupted.signal_number
    if arguments.json:
        print(json.dumps([status.as_json() for status in statuses], indent=1))
    else:
        print(status_table(statuses))
    return EXIT_DONE if all(status.reachable for status in statuses if status.enabled) else EXIT_FAILED


def _import(arguments: argparse.Namespace) -> int:
    from tahoeish.node.config import peer_text
    from tahoeish.node.grid_import import NotATahoeClient, find_peers, without_known

    directory = directory_of(arguments)
    # A grid is often imported because there are no peers yet.
    known = directory.config(peers_to_come=True).grid.peers if directory.config_path.exists() else ()
    try:
        findings = find_peers(arguments.client.expanduser())
    except NotATahoeClient as error:
        print(f"tahoeish: grid import: {error}", file=sys.stderr)
        return EXIT_FAILED
    peers = without_known(findings.peers, known)
    for name, reason in findings.unusable.items():
        print(f"tahoeish: grid import: {name} is left out: {reason}", file=sys.stderr)
    if not arguments.write:
        print("\n".join(map(peer_text, peers)), end="")
    elif peers:
        _append(directory, peers)
    there = len(findings.peers) - len(peers)
    print(f"tahoeish: grid import: {len(peers)} new peers, {there} are there already", file=sys.stderr)
    return EXIT_DONE


def _reload(arguments: argparse.Namespace) -> int:
    directory = directory_of(arguments)
    # What is wrong is told here, and not only in the node's log.
    directory.config()
    process = _process_of(directory)
    if process is None:
        print(f"tahoeish: grid reload: no node runs in {directory.path}", file=sys.stderr)
        return EXIT_FAILED
    os.kill(process, signal.SIGHUP)
    return EXIT_DONE


def _append(directory: NodeDirectory, peers: Sequence[Peer]) -> None:
    """Raises `ConfigError`, and then nothing has changed."""
    from tahoeish.node.config import default_text, parse, peer_text
    from tahoeish.node.directory import told, write_durably

    path = directory.config_path
    with told(f"cannot write {path}"):
        if path.exists():
            before, mode = path.read_text(encoding="utf-8"), stat.S_IMODE(path.stat().st_mode)
        else:
            directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            before, mode = default_text(()), 0o600
        text = "\n".join([before.rstrip("\n"), "", *map(peer_text, peers)])
        parse(text, base=directory.path, source=str(path), peers_to_come=True)
        write_durably(path, text.encode(), mode)


def _process_of(directory: NodeDirectory) -> int | None:
    """The process that runs the node."""
    try:
        with directory.lock_path.open("rb") as lock:
            # Who runs a node holds the lock as long as it lives. Its number stays behind in the file.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int(directory.lock_path.read_text("ascii"))
    return None
