"""
A node that is several processes.

Its nouns: the `Crew` is the process that was started, which holds the node's directory and addresses, and serves nobody
itself; its `Worker`s are the processes that do; a `Board` is where each worker writes how much it has to do, for all to
see; a message is what goes between the crew and a worker.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahoeish.node.config import Config

if TYPE_CHECKING:
    from tahoeish.node.background import NodeService


def make_node(config: Config, path: Path, reactor: Any, random_bytes: Callable[[int], bytes]) -> NodeService:
    """The node that a configuration describes, in this process or in several."""
    workers = config.gateway.workers or os.cpu_count() or 1
    if config.gateway.enabled and workers > 1:
        from tahoeish.node.crew.crew import Crew

        return Crew(config, workers, path, reactor, random_bytes)
    from tahoeish.node.service import Node

    return Node(config, path, reactor, random_bytes)
