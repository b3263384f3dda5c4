"""
A storage directory that several processes use together.

Two stores in one process stand for them: the locks belong to open files, not to processes.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import pytest

from tahoeish.storage.errors import ShareExists, ShareInProgress, StoreInUse
from tahoeish.storage.layout import is_at
from tahoeish.storage.ownership import Ownership, begin_file, remove_abandoned
from tahoeish.storage.shares import ShareStore
from tests.storage.stores import NOW, SECRETS, STORAGE_INDEX


def store_of(directory: Path, crew: str | None) -> ShareStore:
    return ShareStore(directory, durable=False, now=lambda: NOW, crew=crew)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[ShareStore]]:
    stores = [store_of(tmp_path, "the crew") for _ in range(2)]
    for store in stores:
        store.start()
    yield stores
    for store in stores:
        store.stop()


def incoming(directory: Path) -> list[str]:
    return sorted(path.suffix for path in (directory / "shares" / "incoming").iterdir())


class TestCrew:
    def test_what_one_stores_the_other_finds(self, pair: list[ShareStore]) -> None:
        share = pair[0].create(STORAGE_INDEX, 3, 5, SECRETS)
        share.write(0, [b"share"])
        share.prepare()
        share.commit()
        assert pair[1].share_numbers(STORAGE_INDEX) == {3}
        with pytest.raises(ShareExists):
            pair[1].create(STORAGE_INDEX, 3, 5, SECRETS)

    def test_what_one_is_writing_the_other_leaves_alone(self, pair: list[ShareStore]) -> None:
        share = pair[0].create(STORAGE_INDEX, 3, 5, SECRETS)
        with pytest.raises(ShareInProgress, match="is being written by somebody else"):
            pair[1].create(STORAGE_INDEX, 3, 5, SECRETS)
        share.abort()
        pair[1].create(STORAGE_INDEX, 3, 5, SECRETS).abort()

    def test_who_starts_later_clears_away_only_what_nobody_writes(self, tmp_path: Path, pair: list[ShareStore]) -> None:
        written = pair[0].create(STORAGE_INDEX, 0, 5, SECRETS)
        abandoned = pair[1].create(STORAGE_INDEX, 1, 5, SECRETS)
        abandoned._file.close()  # As the end of its process does.
        pair[1].stop()
        assert incoming(tmp_path) == [".0", ".1"]

        pair[1].start()

        assert incoming(tmp_path) == [".0"]
        written.abort()

    def test_an_abandoned_share_is_in_nobodys_way(self, tmp_path: Path, pair: list[ShareStore]) -> None:
        abandoned = pair[1].create(STORAGE_INDEX, 1, 5, SECRETS)
        abandoned._file.close()
        pair[0].create(STORAGE_INDEX, 1, 5, SECRETS).abort()
        assert incoming(tmp_path) == []

    @pytest.mark.parametrize("crew", ["another crew", None])
    def test_nobody_else_comes_in(self, tmp_path: Path, pair: list[ShareStore], crew: str | None) -> None:
        with pytest.raises(StoreInUse, match=f"{tmp_path}: somebody else uses this storage directory"):
            store_of(tmp_path, crew).start()
        pair[0].stop()
        with pytest.raises(StoreInUse):
            store_of(tmp_path, crew).start()
        pair[1].stop()
        store = store_of(tmp_path, crew)
        store.start()
        store.stop()

    def test_a_crew_does_not_come_in_to_somebody_else(self, tmp_path: Path) -> None:
        store = store_of(tmp_path, None)
        store.start()
        with pytest.raises(StoreInUse):
            store_of(tmp_path, "the crew").start()
        store.stop()

    def test_one_waits_while_another_one_clears_away(self, tmp_path: Path) -> None:
        path = tmp_path / "owner.lock"
        first = Ownership.take(path, "the crew")
        with ThreadPoolExecutor(1) as thread:
            second = thread.submit(Ownership.take, path, "the crew")
            assert first.alone and not second.done()
            first.share()
            assert not second.result(timeout=30).alone
        second.result().release()
        first.release()


class TestBeginning:
    def test_a_file_that_somebody_holds_is_being_written(self, tmp_path: Path) -> None:
        path = tmp_path / "index.1"
        with FileIO(path, "x") as another:
            fcntl.flock(another, fcntl.LOCK_EX)
            with pytest.raises(ShareInProgress):
                begin_file(path)
        with begin_file(path) as file:
            assert is_at(path, file)

    def test_whoever_clears_away_disturbs_nobody(self, tmp_path: Path) -> None:
        root = tmp_path / "incoming"
        root.mkdir()

        def begin_and_end(number: int) -> None:
            path = root / f"index.{number}"
            for _ in range(200):
                with begin_file(path) as file:
                    assert is_at(path, file)
                    path.unlink()

        def clear_away(_: int) -> None:
            for _ in range(200):
                remove_abandoned(root)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda work: work(0), [begin_and_end, lambda _: begin_and_end(1), clear_away, clear_away]))
        assert list(root.iterdir()) == []
