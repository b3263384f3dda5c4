from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tahoeish.storage.shares import ShareStore
from tests.storage.serving import Server
from tests.storage.stores import StartStore


@pytest.fixture
def start_store() -> Iterator[StartStore]:
    """Starts stores, and closes in the end what the test left open."""
    with ExitStack() as left_open:
        yield StartStore(left_open)


@pytest.fixture
def store(start_store: StartStore, tmp_path: Path) -> ShareStore:
    return start_store(tmp_path / "store", durable=True)


@pytest.fixture
def quick_store(start_store: StartStore, tmp_path: Path) -> ShareStore:
    """One that leaves it to the system when what is written comes to the disk."""
    return start_store(tmp_path / "store")


@pytest.fixture
def server(quick_store: ShareStore) -> Server:
    """What clients of a storage node see."""
    return Server(quick_store)
