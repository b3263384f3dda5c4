from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from tahoeish.chk import base32
from tahoeish.grid.local import LocalPeer
from tahoeish.grid.peer import IShareWriter, IStoragePeer, PeerError, PeerFull, PeerUnavailable
from tahoeish.storage import incoming
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.steps import Steps, StepsOfDisks
from tahoeish.streams.threads import ThreadRunner, WorkerPool, direct
from tests.grid.peer_contract import (
    SHARE,
    STORAGE_INDEX,
    PeerContract,
    allocated,
    content,
    half_written,
    store,
    write_the_rest,
)
from tests.held_work import HeldWork
from tests.storage.stores import full_disk_behind, open_files_below

T = TypeVar("T")

LEASE_SECRET = b"lease secret of the node"
SEED = bytes(range(32))
NOW = 1_700_000_000


def local_peer(
    directory: Path,
    run_in_thread: ThreadRunner = direct,
    *,
    durable: bool = False,
    reserved_space: int = 0,
    steps_of: Callable[[int], Steps] | None = None,
) -> LocalPeer:
    return LocalPeer(
        str(directory),
        directory,
        run_in_thread=run_in_thread,
        lease_secret=LEASE_SECRET,
        now=lambda: NOW,
        durable=durable,
        reserved_space=reserved_space,
        steps_of=steps_of,
    )


def initialised(directory: Path) -> Path:
    LocalPeer.initialise(directory, lambda size: SEED[:size])
    return directory


def files_in(directory: Path) -> set[str]:
    """The numbers of all the shares there, finished or not."""
    return {path.name.rpartition(".")[2] for path in (directory / "shares").rglob("*") if path.is_file()}


def started(coroutine: Coroutine[Deferred[Any], Any, T]) -> tuple[Deferred[T], list[str]]:
    """A coroutine under way, and a list that says how it went once it is over."""
    endings: list[str] = []
    running = Deferred.fromCoroutine(coroutine)

    def ended(result: object) -> None:
        endings.append("done")

    running.addCallbacks(ended, lambda reason: endings.append(reason.type.__name__))
    return running, endings


def finished(held: HeldWork, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
    results: list[T] = []
    Deferred.fromCoroutine(coroutine).addCallback(results.append)
    held.do_all()
    (result,) = results
    return result


class TestLocalPeer(PeerContract):
    @pytest_twisted.async_yield_fixture
    async def peer(self, tmp_path: Path) -> AsyncIterator[IStoragePeer]:
        peer = local_peer(initialised(tmp_path / "peer"), durable=True)
        await peer.start()
        yield peer
        await peer.stop()


class TestLocalPeerInThreads(PeerContract):
    @pytest_twisted.async_yield_fixture
    async def peer(self, tmp_path: Path) -> AsyncIterator[IStoragePeer]:
        pool = WorkerPool(IReactorFromThreads(reactor), 4, "test")
        peer = local_peer(initialised(tmp_path / "peer"), pool)
        await peer.start()
        yield peer
        await peer.stop()
        pool.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return initialised(tmp_path / "peer")


@pytest_twisted.async_yield_fixture
async def peer(folder: Path) -> AsyncIterator[LocalPeer]:
    peer = local_peer(folder)
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
def held() -> HeldWork:
    return HeldWork()


@pytest.fixture
def slow_peer(folder: Path, held: HeldWork) -> Iterator[LocalPeer]:
    """A peer that does nothing until `held` lets it."""
    peer = local_peer(folder, held)
    finished(held, peer.start())
    yield peer
    finished(held, peer.stop())


# The folder


def test_folder_gets_a_seed_for_its_place_in_the_ring(tmp_path: Path) -> None:
    folder = initialised(tmp_path / "disk" / "peer")

    assert (folder / "permutation-seed").read_text() == base32.encode(SEED) + "\n"


def test_folder_stays_the_peer_that_it_is(folder: Path) -> None:
    LocalPeer.initialise(folder, lambda size: bytes(size))

    assert (folder / "permutation-seed").read_text() == base32.encode(SEED) + "\n"


@pytest_twisted.ensureDeferred
async def test_empty_mount_point_is_left_alone(tmp_path: Path) -> None:
    mount_point = tmp_path / "disk2"
    mount_point.mkdir()
    peer = local_peer(mount_point)

    with pytest.raises(PeerUnavailable, match=r"disk2 isn't a peer folder \(disk not mounted\?\)"):
        await peer.start()
    with pytest.raises(PeerUnavailable):
        await peer.allocate(STORAGE_INDEX, [0], 10)

    assert list(mount_point.iterdir()) == []
    initialised(mount_point)
    await peer.start()
    assert peer.permutation_seed == SEED
    await peer.stop()


@pytest.mark.parametrize("damaged", ["", "not base32!", "ünlesbar"])
@pytest_twisted.ensureDeferred
async def test_folder_with_a_damaged_seed_is_left_alone(folder: Path, damaged: str) -> None:
    (folder / "permutation-seed").write_text(damaged, encoding="latin-1")

    with pytest.raises(PeerUnavailable, match="permutation-seed can't be read"):
        await local_peer(folder).start()


@pytest_twisted.ensureDeferred
async def test_disk_may_go_and_come_back(folder: Path, peer: LocalPeer) -> None:
    await store(peer, 0, b"share")
    unmounted = folder.rename(folder.parent / "unmounted")
    folder.mkdir()

    with pytest.raises(PeerUnavailable, match="disk not mounted"):
        await peer.share_numbers(STORAGE_INDEX)
    with pytest.raises(PeerUnavailable, match="disk not mounted"):
        await peer.allocate(STORAGE_INDEX, [0], 10)
    with pytest.raises(PeerUnavailable, match="disk not mounted"):
        await peer.open_share(STORAGE_INDEX, 0)

    folder.rmdir()
    unmounted.rename(folder)
    assert await content(peer, 0) == b"share"


@pytest_twisted.ensureDeferred
async def test_other_peers_disk_in_the_same_place_is_left_alone(folder: Path, peer: LocalPeer) -> None:
    folder.rename(folder.parent / "unmounted")
    LocalPeer.initialise(folder, lambda size: bytes(size))

    with pytest.raises(PeerUnavailable, match="the folder of a peer that hasn't been started"):
        await peer.allocate(STORAGE_INDEX, [0], 10)


@pytest_twisted.ensureDeferred
async def test_folder_can_be_moved_to_another_disk(folder: Path, tmp_path: Path) -> None:
    before = local_peer(folder)
    await before.start()
    await store(before, 0, b"share")
    await before.stop()

    after = local_peer(folder.rename(tmp_path / "elsewhere"))
    await after.start()

    assert after.permutation_seed == SEED
    assert await content(after, 0) == b"share"
    await after.stop()


@pytest_twisted.ensureDeferred
async def test_folder_in_use_is_not_available(folder: Path, peer: LocalPeer) -> None:
    with pytest.raises(PeerUnavailable, match="somebody else uses"):
        await local_peer(folder).start()


# Room and leases


@pytest_twisted.ensureDeferred
async def test_refusal_for_lack_of_room_says_so(folder: Path) -> None:
    peer = local_peer(folder, reserved_space=2**60)
    await peer.start()

    allocation = await peer.allocate(STORAGE_INDEX, [0, 1], 1000)

    assert (allocation.existing, allocation.writers) == (frozenset(), {})
    assert allocation.refusal is not None
    assert "no room for 1084 bytes" in allocation.refusal
    await peer.stop()


@pytest_twisted.ensureDeferred
async def test_allocation_that_fails_half_way_leaves_nothing(folder: Path, peer: LocalPeer) -> None:
    writer = await allocated(peer, 9, 10)
    (path,) = (folder / "shares" / "incoming").iterdir()
    path.with_suffix(".1").mkdir()

    with pytest.raises(PeerError, match=f"{folder}: {path.with_suffix('.1')}: Is a directory"):
        await peer.allocate(STORAGE_INDEX, [0, 1], 10)

    assert files_in(folder) == {"9"}
    await writer.abort()


@pytest_twisted.ensureDeferred
async def test_disk_that_fills_up_fails_the_write(folder: Path, peer: LocalPeer) -> None:
    writer = await allocated(peer, 0, 5)
    (path,) = (folder / "shares" / "incoming").iterdir()
    full_disk_behind(path)

    with pytest.raises(PeerFull, match=f"{folder}: {path}: No space left on device"):
        await writer.write(0, [b"share"])

    await writer.abort()
    assert files_in(folder) == set()


@pytest_twisted.ensureDeferred
async def test_lease_comes_from_the_nodes_secret_and_the_peers_seed(folder: Path, peer: LocalPeer) -> None:
    await store(peer, 0, b"share")

    secrets = LeaseSecrets.derived(LEASE_SECRET, STORAGE_INDEX, sha256(SEED).digest()[:20])
    (path,) = (folder / "shares").rglob("0")
    lease = path.read_bytes()[-72:]
    assert lease[4:36] == blake2b(secrets.renew, digest_size=32).digest()
    assert lease[36:68] == blake2b(secrets.cancel, digest_size=32).digest()


@pytest_twisted.ensureDeferred
async def test_allocation_renews_the_lease_of_what_is_there(folder: Path, peer: LocalPeer) -> None:
    await store(peer, 0, b"share")
    (path,) = (folder / "shares").rglob("0")
    fresh = path.read_bytes()
    path.write_bytes(fresh[:-4] + bytes(4))

    await peer.allocate(STORAGE_INDEX, [], 10)

    assert path.read_bytes() == fresh


@pytest_twisted.ensureDeferred
async def test_disk_is_never_far_behind_a_durable_share(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "SYNC_EVERY", 100)
    peer = local_peer(folder, durable=True)
    await peer.start()
    writer = await allocated(peer, 0, None)
    sizes: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: sizes.append(os.fstat(fd).st_size))

    for offset in range(0, 300, 60):
        await writer.write(offset, [bytes(30), bytes(30)])

    assert sizes == [12 + 120, 12 + 240]
    await writer.abort()
    await peer.stop()


# Shares that last


@pytest_twisted.ensureDeferred
async def test_lasting_share_is_gone_on_with_after_a_restart(folder: Path) -> None:
    before = local_peer(folder, durable=True)
    await before.start()
    ticket = await half_written(before, 3)
    await before.stop()
    after = local_peer(folder, durable=True)
    await after.start()

    await write_the_rest(await after.reopen(STORAGE_INDEX, 3, ticket))

    assert await content(after, 3) == SHARE
    await after.stop()


@pytest_twisted.ensureDeferred
async def test_share_that_does_not_last_has_no_ticket(peer: LocalPeer) -> None:
    writer = await allocated(peer, 0, 10)

    assert writer.ticket is None
    await writer.abort()


@pytest_twisted.ensureDeferred
async def test_share_on_a_disk_that_is_gone_is_not_missing(folder: Path, peer: LocalPeer) -> None:
    ticket = await half_written(peer, 0)
    unmounted = folder.rename(folder.parent / "unmounted")
    folder.mkdir()

    with pytest.raises(PeerUnavailable, match="disk not mounted"):
        await peer.reopen(STORAGE_INDEX, 0, ticket)

    folder.rmdir()
    unmounted.rename(folder)
    await write_the_rest(await peer.reopen(STORAGE_INDEX, 0, ticket))


def test_reopening_that_is_cancelled_leaves_the_share(folder: Path, slow_peer: LocalPeer, held: HeldWork) -> None:
    ticket = finished(held, half_written(slow_peer, 0))
    reopening, endings = started(slow_peer.reopen(STORAGE_INDEX, 0, ticket))

    reopening.cancel()
    assert endings == ["CancelledError"]
    held.do_all()

    assert len(open_files_below(folder)) == 1
    finished(held, write_the_rest(finished(held, slow_peer.reopen(STORAGE_INDEX, 0, ticket))))


# Threads


def test_folders_on_one_disk_do_their_work_together(tmp_path: Path, held: HeldWork) -> None:
    steps_of = StepsOfDisks(held)
    peers = [local_peer(initialised(tmp_path / name), held, steps_of=steps_of) for name in "abcd"]
    writers: list[IShareWriter] = []
    for peer in peers:
        finished(held, peer.start())
        writers += finished(held, peer.allocate_whole(STORAGE_INDEX, [0], 5)).writers.values()

    writing = [started(writer.write(0, [b"share"])) for writer in writers]
    held.do_next()

    assert [endings for _, endings in writing] == [["done"]] * 4
    for writer, peer in zip(writers, peers, strict=True):
        finished(held, writer.abort())
        finished(held, peer.stop())


# Cancelling


def test_cancelled_allocation_leaves_nothing(folder: Path, slow_peer: LocalPeer, held: HeldWork) -> None:
    allocating, endings = started(slow_peer.allocate(STORAGE_INDEX, [0, 1], 10))

    allocating.cancel()
    assert endings == ["CancelledError"]
    held.do_next()
    assert files_in(folder) == {"0", "1"}
    held.do_all()

    assert files_in(folder) == set()


def test_cancelled_opening_closes_the_file(folder: Path, slow_peer: LocalPeer, held: HeldWork) -> None:
    finished(held, store(slow_peer, 0, b"share"))
    opening, endings = started(slow_peer.open_share(STORAGE_INDEX, 0))

    opening.cancel()
    held.do_next()
    assert endings == ["CancelledError"]
    assert len(open_files_below(folder)) == 2
    held.do_all()

    assert len(open_files_below(folder)) == 1


@pytest.mark.parametrize("step", ["write", "prepare", "commit"])
def test_abort_waits_for_the_thread_of_a_cancelled_step(
    folder: Path, slow_peer: LocalPeer, held: HeldWork, step: str
) -> None:
    writer = finished(held, allocated(slow_peer, 0, 5))
    steps: dict[str, Callable[[], Coroutine[Deferred[Any], Any, None]]] = {
        "write": lambda: writer.write(0, [b"share"]),
        "prepare": writer.prepare,
        "commit": writer.commit,
    }
    for name, work in steps.items():
        running, endings = started(work())
        if name == step:
            break
        held.do_all()
        assert endings == ["done"]

    running.cancel()
    _, aborted = started(writer.abort())
    assert (endings, aborted) == (["CancelledError"], [])
    assert len(held) == 1

    held.do_next()
    assert files_in(folder) == {"0"}
    assert aborted == []
    held.do_next()
    assert aborted == ["done"]
    assert files_in(folder) == set()


def test_closing_waits_for_the_thread_of_a_cancelled_read(folder: Path, slow_peer: LocalPeer, held: HeldWork) -> None:
    finished(held, store(slow_peer, 0, b"share"))
    source = finished(held, slow_peer.open_share(STORAGE_INDEX, 0))

    reading, read = started(source.read(0, 5))
    reading.cancel()
    _, closed = started(source.close())
    assert (read, closed) == (["CancelledError"], [])
    held.do_next()
    assert closed == []
    held.do_next()
    assert closed == ["done"]
