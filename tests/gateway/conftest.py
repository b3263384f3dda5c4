"""The nodes that these tests talk to."""

from __future__ import annotations

import pytest

from tests.nodes import new_node, node

__all__ = ["new_node", "node"]


@pytest.fixture(autouse=True)
def no_lost_failures() -> None:
    """The Deferreds are in other processes, and what gets lost there is in what they say."""
