"""However a process ends, every name stands for its old file or its new one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TIMES = 12


def test_a_killed_process_leaves_nothing_half_done(fresh_url: str) -> None:
    program = [sys.executable, "-W", "error", "-m", "tests.namespace.killing", fresh_url, str(TIMES), "1"]
    done = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
