"""The nodes that the programs talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nodes import new_node, node
from tests.postgresql import NoPostgreSQL, Server, running_server

__all__ = ["new_node", "node"]


@pytest.fixture(autouse=True)
def no_lost_failures() -> None:
    """The Deferreds are in other processes, and what gets lost there is in what they say."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    try:
        with running_server() as server:
            yield server
    except NoPostgreSQL as why:
        pytest.skip(f"NOT TESTED: {why}")
