"""Steps that are taken together: what is synced how often, and who is told what went wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.python.failure import Failure

from tahoeish.storage import syncing
from tahoeish.storage.steps import Step, Steps, take, take_together
from tests.held_work import HeldWork
from tests.storage.stores import SECRETS, StartStore, shares_found
from tests.storage.test_durability import SyncedPaths


class CountedSyncs:
    """Every sync of a folder or a file, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[Path] = []
        real = os.fsync
        monkeypatch.setattr(syncing, "can_sync_whole", lambda disk: False)

        def sync(fd: int) -> None:
            self.paths.append(Path(f"/proc/self/fd/{fd}").readlink())
            real(fd)

        monkeypatch.setattr(os, "fsync", sync)


def needing(folder: Path, told: list[str], name: str) -> Step[str]:
    told.append(f"{name} begins")
    yield [folder]
    told.append(f"{name} ends")
    return name


def test_what_several_steps_need_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = CountedSyncs(monkeypatch)
    told: list[str] = []

    outcomes = take_together([needing(tmp_path, told, "first"), needing(tmp_path, told, "second")])

    assert outcomes == ["first", "second"]
    assert syncs.paths == [tmp_path]
    assert told == ["first begins", "second begins", "first ends", "second ends"]


def test_only_those_who_need_it_hear_of_a_folder_that_can_not_be_synced(tmp_path: Path) -> None:
    told: list[str] = []

    missing, fine = take_together([needing(tmp_path / "gone", told, "first"), needing(tmp_path, told, "second")])

    assert isinstance(missing, Failure) and missing.check(FileNotFoundError)
    assert fine == "second"
    assert "first ends" not in told


def test_one_step_by_itself_raises_its_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        take(needing(tmp_path / "gone", [], "it"))


def test_many_shares_need_one_sync_of_the_folder_above_them(
    start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = start_store(tmp_path / "store", durable=True)
    shares = [store.create(bytes([number]) * 16, number, 5, SECRETS) for number in range(8)]
    for share in shares:
        share.write(0, [b"share"])
    syncs = CountedSyncs(monkeypatch)

    take_together([share.preparing() for share in shares])
    assert sorted(syncs.paths) == sorted(share.path for share in shares)
    take_together([share.committing() for share in shares])

    assert syncs.paths.count(tmp_path / "store" / "shares") == 1
    assert len(shares_found(store)) == 8


def test_a_whole_share_is_safe_before_it_can_be_seen(
    start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = start_store(tmp_path / "store", durable=True)
    synced = SyncedPaths(monkeypatch)

    share = take(store.storing(bytes(16), 0, 5, [b"share"], SECRETS))

    assert synced.take() == {share.path}
    assert store.share_numbers(bytes(16)) == set()
    share.commit()
    assert store.share_numbers(bytes(16)) == {0}


def test_steps_that_come_meanwhile_are_taken_together(tmp_path: Path) -> None:
    held = HeldWork()
    steps = Steps(held)
    told: list[str] = []
    results: list[str] = []

    for number in range(6):
        steps(needing(tmp_path, told, str(number))).addCallback(results.append)
    batches = 0
    while held:
        held.do_next()
        batches += 1

    # All that were there when the first batch began; the second had begun to wait for a thread by then.
    assert batches == 2
    assert sorted(results) == [str(number) for number in range(6)]


def test_nobody_waiting_any_more_does_not_stop_a_step(tmp_path: Path) -> None:
    held = HeldWork()
    steps = Steps(held)
    told: list[str] = []

    taking = steps(needing(tmp_path, told, "it"))
    taking.addErrback(lambda _: None)
    taking.cancel()
    held.do_all()

    assert told == ["it begins", "it ends"]
