"""A node that is killed again and again, in the midst of all kinds of changes, leaves nothing half-done."""

from __future__ import annotations

from collections.abc import Iterator

from bench.findings import Finding
from bench.setting import Setting
from tests.node.killing import kill_again_and_again

SEED = 20


def measure(setting: Setting) -> Iterator[Finding]:
    times = setting.scale.kills
    kill_again_and_again(setting.new_directory() / "node", times, SEED)
    yield Finding(
        "kill -9 in the midst of PUT, MOVE, COPY, MKCOL, DELETE and LOCK",
        "every name the old file or the new one, whole",
        [times],
        "kills",
        True,
    )
