"""`twistd tahoeish` and `twist tahoeish`."""

from __future__ import annotations

import os
from typing import cast

from twisted.application.service import IService
from twisted.python import usage

from tahoeish.node.config import ConfigError
from tahoeish.node.crew import make_node
from tahoeish.node.directory import NodeDirectory, NodeDirectoryError, chosen_path
from tahoeish.node.run import reload_on_hangup


class Options(usage.Options):
    """The same options as `tahoeish run`."""

    longdesc = "A storage node that encrypts, erasure-codes and distributes an upload while it arrives."
    optParameters = [  # noqa: RUF012
        ["node-dir", None, None, "The node's directory (default: $TAHOEISH_NODE_DIR, else ~/.tahoeish)"],
        ["encoding", None, None, "NEEDED/TOTAL, whatever the configuration says"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = None

    def opt_listen(self, endpoint: str) -> None:
        """Listen at this endpoint instead, such as tcp:8080:interface=127.0.0.1; can be given several times."""
        self["listen"] = [*(self["listen"] or []), endpoint]

    def postOptions(self) -> None:
        # Here and not in makeService, because here a UsageError becomes a message. There it is a traceback.
        self.directory = NodeDirectory(chosen_path(self["node-dir"], os.environ))
        try:
            self.config = self.directory.config().overridden(encoding=self["encoding"], listen=self["listen"])
        except (ConfigError, NodeDirectoryError) as error:
            raise usage.UsageError(str(error)) from error


def makeService(options: Options) -> IService:
    from twisted.internet import reactor

    node = make_node(options.config, options.directory.path, reactor, os.urandom)
    # twistd has handlers of its own for what ends it, but none for this.
    reactor.callWhenRunning(reload_on_hangup, node, reactor)
    return cast(IService, node)
