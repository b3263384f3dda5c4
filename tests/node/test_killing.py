"""However often and whenever a node is killed, every name stands for its old file or its new one."""

from __future__ import annotations

import os
from pathlib import Path

from tests.node.killing import kill_again_and_again

TIMES = int(os.environ.get("TAHOEISH_KILLS", "8"))


def test_a_killed_node_leaves_nothing_half_done_and_nobody_waiting(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "node", TIMES, seed=1)
