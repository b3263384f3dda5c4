"""What is remembered of the tests' uploads isn't the user's business; and the nodes that most of them talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet import reactor

from tahoeish.client.client import Client
from tests.client.nodes import CONTENT, MemoryNode, ScriptedNode, listening


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


@pytest.fixture
def url(node: MemoryNode) -> Iterator[str]:
    with listening(node.site()) as url:
        yield url


@pytest.fixture
def client(url: str) -> Client:
    return Client.connect(reactor, url)


@pytest.fixture
def scripted() -> ScriptedNode:
    return ScriptedNode()


@pytest.fixture
def scripted_url(scripted: ScriptedNode) -> Iterator[str]:
    with listening(scripted) as url:
        yield url


@pytest.fixture
def scripted_client(scripted_url: str) -> Client:
    return Client.connect(reactor, scripted_url)


@pytest.fixture
def deserted_url() -> str:
    with listening(ScriptedNode()) as url:
        return url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "big.iso"
    path.write_bytes(CONTENT)
    return path
