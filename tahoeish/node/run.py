"""`tahoeish run`: a node in the foreground."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure

from tahoeish.node.background import CANNOT_START, NodeService
from tahoeish.node.config import Config
from tahoeish.node.crew import make_node
from tahoeish.node.directory import NodeDirectory, chosen_path
from tahoeish.node.listening import CannotListen

log = Logger()


def run_node(arguments: argparse.Namespace) -> int:
    """Run until told to stop; returns the exit status. Raises `ConfigError` or `NodeDirectoryError` before that."""
    from twisted.internet import reactor

    directory = NodeDirectory(chosen_path(arguments.node_dir, os.environ))
    first_start = not directory.config_path.exists()
    config = directory.config().overridden(encoding=arguments.encoding, listen=arguments.listen)
    _log_to_stderr(config)
    node = make_node(config, directory.path, reactor, os.urandom)
    return _Run(node, reactor, first_start).to_the_end()


class _Run:
    """One run of a node, with its signals."""

    def __init__(self, node: NodeService, reactor: Any, first_start: bool) -> None:
        self._node = node
        self._reactor = reactor
        self._first_start = first_start
        self._stopping = False
        self._status = 0

    def to_the_end(self) -> int:
        self._reactor.callWhenRunning(self._start)
        self._reactor.run()
        return self._status

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)
        reload_on_hangup(self._node, self._reactor)
        starting = Deferred.fromCoroutine(self._node.start())
        starting.addCallbacks(self._started, self._failed)

    def _started(self, _: None) -> None:
        if not self._stopping:
            print(_announcement(self._node, self._first_start), flush=True)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            # Told to stop before it was up.
            return
        self._status = 1
        if failure.check(*CANNOT_START):
            print(f"tahoeish: {failure.getErrorMessage()}", file=sys.stderr)
            if failure.check(CannotListen):
                print("tahoeish: choose another address with --listen, such as tcp:3457", file=sys.stderr)
        else:
            failure.printTraceback(file=sys.stderr)
        self._stop()

    def _signalled(self, number: int, _: object) -> None:
        self._reactor.callFromThread(self._stop)

    def _stop(self) -> None:
        if self._stopping:
            self._node.hurry()
            return
        self._stopping = True
        stopping = Deferred.fromCoroutine(self._node.stop())
        stopping.addErrback(lambda failure: failure.printTraceback(file=sys.stderr))
        stopping.addBoth(lambda _: self._reactor.stop())


def reload_on_hangup(node: NodeService, reactor: Any) -> None:
    """Let SIGHUP, which `tahoeish grid reload` sends, change the peers."""

    def reload() -> None:
        Deferred.fromCoroutine(node.reload()).addErrback(lambda failure: log.failure("changing the peers", failure))

    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(reload))


def _announcement(node: NodeService, first_start: bool) -> str:
    config = node.config
    encoding = f"any {config.encoding.needed} of {config.encoding.total} shares rebuild a file"
    lines = [
        f"tahoeish is ready at {node.urls[0]}" if node.urls else "tahoeish is ready",
        f"  data    {node.path}" + (" (new)" if first_start else ""),
    ]
    if node.urls:
        lines += [
            f"  peers   {len(config.grid.enabled_peers)}, {encoding}",
            f"  try     curl -T FILE {node.urls[0]}/uri",
            f"  files   curl -T FILE {node.urls[0]}/files/ (any WebDAV client can mount it)",
        ]
    if node.without_users:
        lines.append("  for     this machine only, until there are users: tahoeish user add NAME")
    if node.nurl is not None:
        lines.append(f"  storage {node.nurl}")
    lines += [f"  missing {name}: {problem}" for name, problem in node.missing_peers.items()]
    return "\n".join([*lines, "Ctrl-C stops it."])


def _log_to_stderr(config: Config) -> None:
    # What everybody is told on standard output need not be in the log on the same screen again.
    level = LogLevel.lookupByName(config.log.level)
    if level == LogLevel.info and sys.stderr.isatty():
        level = LogLevel.warn
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(level)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
