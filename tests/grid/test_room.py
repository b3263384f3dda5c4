"""How much more fits into a grid."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from tahoeish.grid.room import FRESH, GridRoom, room_for_files
from tahoeish.grid.shareset import EncodingChoice
from tests.grid.gridtools import FolderGrid

TWO_OF_THREE = EncodingChoice(2, 3, 2, 1024)


@pytest.mark.parametrize(
    ("peers", "room"),
    [
        ([("a", 300), ("b", 300), ("c", 300)], 600),
        # All three on one disk: what is free there is free only once.
        ([("a", 300), ("a", 300), ("a", 300)], 200),
        # Two of three peers are enough, so the smallest one doesn't count.
        ([("a", 30), ("b", 300), ("c", 300)], 400),
        ([("a", 30), ("b", 30), ("c", 300)], 60),
        ([("a", 300), ("b", None), ("c", None)], 600),
        ([("a", None)], None),
        # One peer is too few for a file.
        ([("a", 300)], 0),
        ([], 0),
    ],
)
def test_estimate(peers: list[tuple[str, int | None]], room: int | None) -> None:
    assert room_for_files(TWO_OF_THREE, peers) == room


@pytest_twisted.ensureDeferred
async def test_peers_on_one_disk_share_it_and_are_not_asked_all_the_time(tmp_path: Path) -> None:
    clock = Clock()
    with FolderGrid(tmp_path, 3) as grid:
        room = GridRoom(lambda: grid.peers, lambda: TWO_OF_THREE, clock)
        free = await grid.peers[0].available_space()
        estimate = await room()
        assert free is not None and estimate == pytest.approx(free * 2 / 3, rel=0.05)

        for folder in grid.folders:
            folder.rename(folder.with_name(f"{folder.name}.away"))
        assert await room() == estimate
        clock.advance(FRESH)
        assert await room() == 0
