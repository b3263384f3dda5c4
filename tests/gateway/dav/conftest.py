"""A folder of its own for each test, on a node that a module shares."""

from __future__ import annotations

import pytest

from tests.gateway.dav.webdav import Folder
from tests.nodes import NodeProcess


@pytest.fixture
def folder(node: NodeProcess, request: pytest.FixtureRequest) -> Folder:
    name = "".join(character if character.isalnum() else "-" for character in request.node.name)
    folder = Folder(node, f"/files/{name}")
    assert folder.request("MKCOL", "").status == 201
    return folder
