"""`/status` of a node of two processes: whichever of them is asked, it tells of both."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.node.test_workers import SENT, SIZE, TWO, children, uploads_in_both
from tests.nodes import NodeProcess, wait_until


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", TWO) as node:
        node.start()
        yield node


def facts(node: NodeProcess) -> Any:
    return node.get("/status?t=json").json()


def test_all_transfers_are_told_of(node: NodeProcess) -> None:
    with ExitStack() as left_open:
        uploads_in_both(node, left_open)
        wait_until(lambda: [one["done"] for one in facts(node)["requests"]] == [SENT, SENT], "all that was sent is in")
        seen = facts(node)
    assert [one["size"] for one in seen["requests"]] == [SIZE, SIZE]
    assert (len(seen["workers"]), seen["silent_workers"]) == (2, 0)
    assert all(budget["capacity"] > 0 for budget in seen["memory"]) and len(seen["memory"]) == 3


def test_one_that_hangs_keeps_nobody_waiting(node: NodeProcess) -> None:
    hanging, _ = children(node)
    os.kill(hanging, signal.SIGSTOP)
    try:
        assert facts(node)["silent_workers"] == 1
        assert "1 of 2 processes of this node don't answer" in node.get("/status", {"Accept": "text/html"}).text
    finally:
        os.kill(hanging, signal.SIGCONT)
    wait_until(lambda: facts(node)["silent_workers"] == 0, "it goes on")


def test_what_went_wrong_in_any_process_is_told(node: NodeProcess) -> None:
    _, second = children(node)
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: any("worker 1 has ended" in one["text"] for one in facts(node)["trouble"]), "its end is told")
