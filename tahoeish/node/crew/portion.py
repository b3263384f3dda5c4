"""What each of several processes gets of what the node has once. Pure."""

from __future__ import annotations

from dataclasses import fields, replace

from tahoeish.namespace.throttle import Patience
from tahoeish.node.config import Config, Memory
from tahoeish.node.config.model import SMALLEST_BUDGET


def portion_of(config: Config, processes: int, *, leads: bool) -> Config:
    """
    The configuration of one of so many processes.

    Only the one that leads keeps shares for other nodes, because their unfinished uploads are in its memory.
    """
    budgets = {each.name: getattr(config.memory, each.name) for each in fields(Memory)}
    connections = config.grid.connections_per_peer
    return replace(
        config,
        memory=Memory(**{name: max(SMALLEST_BUDGET, budget // processes) for name, budget in budgets.items()}),
        grid=replace(config.grid, connections_per_peer=max(1, connections // processes)),
        storage=replace(config.storage, enabled=config.storage.enabled and leads),
    )


def portion_of_patience(processes: int) -> Patience:
    """
    Who guesses passwords meets any of the processes, each of which knows only what was guessed there. So each lets
    fewer attempts go free and makes the next ones wait longer; together they put up with about as much as one would.
    """
    whole = Patience()
    return replace(
        whole,
        first_delay=whole.first_delay * processes,
        free_per_user=max(1, whole.free_per_user // processes),
        free_per_address=max(1, whole.free_per_address // processes),
        most_remembered=whole.most_remembered // processes,
    )
