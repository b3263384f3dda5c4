"""A node where nothing is ever stored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.delivery.shipping import MIB
from tests.nodes import NOT_DURABLE, NodeProcess, running


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    settings = {**NOT_DURABLE, "gateway": {"max_upload_size": 4 * MIB}}
    with running(tmp_path_factory.mktemp("bare") / "node", settings) as node:
        yield node
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said
