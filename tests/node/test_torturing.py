"""Whatever happens to its line, its gateway and its storage nodes, an upload goes on where it was, to the right end."""

from __future__ import annotations

from pathlib import Path

from tests.node.torturing import MIB, Trouble, restless_grid, upload_in_trouble

SIZE = 48 * MIB
MOST_LOST = 12 * MIB
"""What has to be sent again after one kill, at worst: a piece, and what was on its way."""


def test_an_upload_survives_a_bad_line_and_restarts_of_everything(tmp_path: Path) -> None:
    trouble = Trouble(cuts=6, kills=2, restarts=1)
    with restless_grid(tmp_path, nodes=4, encoding="2/4") as (gateway, storages):
        ordeal = upload_in_trouble(gateway, storages, SIZE, trouble, seed=1)
        assert len(ordeal.happened) == 9
        assert ordeal.sent - SIZE <= trouble.kills * MOST_LOST
        assert "Traceback" not in gateway.said, gateway.said
