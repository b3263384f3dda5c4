"""What is synced by itself, what together, and who is told what went wrong."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tahoeish.storage import incoming, syncing
from tahoeish.storage.syncing import FEW, LITTLE, Unsafe, can_sync_whole, kind_of, sync_all, waiting_for_disks
from tests.storage.stores import SECRETS, StartStore

MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:25 /a\\040-\\040b /mnt/a rw - fuse.sshfs host:/ rw
31 27 8:17 / /srv rw,relatime master:2 - xfs /dev/sdb1 rw,attr2
"""


class Disk:
    """Counts what is asked of the system, and fails where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, trusted: bool, waiting: int) -> None:
        self.each: list[Path] = []
        self.whole: list[Path] = []
        self.fault_of_the_whole = 0
        self.faults: dict[Path, int] = {}
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._sync)
        monkeypatch.setattr(syncing, "can_sync_whole", lambda disk: trusted)
        monkeypatch.setattr(syncing, "waiting_for_disks", lambda: waiting)
        monkeypatch.setattr(syncing, "_syncfs", self._sync_whole)
        monkeypatch.setattr(syncing, "_sync_file_range", self._look_at)

    def _sync(self, fd: int) -> None:
        path = _path_of(fd)
        self.each.append(path)
        if path in self.faults:
            raise OSError(self.faults[path], "can't")
        self._fsync(fd)

    def _sync_whole(self, fd: int) -> int:
        self.whole.append(_path_of(fd))
        ctypes.set_errno(self.fault_of_the_whole)
        return -1 if self.fault_of_the_whole else 0

    def _look_at(self, fd: int, offset: int, length: int, flags: int) -> int:
        number = self.faults.get(_path_of(fd), 0)
        ctypes.set_errno(number)
        return -1 if number else 0


def _path_of(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[int]]:
    """Open ones, more than a few."""
    with ExitStack() as stack:
        yield [stack.enter_context(open(tmp_path / str(number), "wb", buffering=0)).fileno() for number in range(5)]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Disk]:
    def build(*, trusted: bool = True, waiting: int = 0) -> Disk:
        return Disk(monkeypatch, trusted=trusted, waiting=waiting)

    return build


def test_many_things_are_synced_with_their_file_system(
    disk: Callable[..., Disk], files: list[int], tmp_path: Path
) -> None:
    one = disk()
    assert sync_all([*files, tmp_path]) == {}
    assert len(one.whole) == 1
    # What empties the disk's own cache.
    assert one.each == one.whole


@pytest.mark.parametrize(
    ("setting", "count"), [({}, FEW), ({"trusted": False}, 5), ({"waiting": LITTLE + 1}, 5)], ids=str
)
def test_each_is_synced_by_itself_when_that_is_better(
    setting: dict[str, int], count: int, disk: Callable[..., Disk], files: list[int], tmp_path: Path
) -> None:
    one = disk(**setting)
    things: list[Unsafe] = [tmp_path, *files]
    assert sync_all(things[:count]) == {}
    assert one.whole == []
    assert one.each == [tmp_path, *map(_path_of, files)][:count]


def test_those_of_another_disk_are_synced_there(
    disk: Callable[..., Disk], files: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = disk()
    elsewhere = Path("/proc/self")
    monkeypatch.setattr(os, "fsync", lambda fd: one.each.append(_path_of(fd)))
    assert sync_all([elsewhere, *files]) == {}
    assert one.whole == [_path_of(files[0])]
    assert one.each == [elsewhere.resolve(), _path_of(files[0])]


def test_when_the_file_system_has_an_error_nothing_of_it_is_safe(
    disk: Callable[..., Disk], files: list[int], tmp_path: Path
) -> None:
    one = disk()
    one.fault_of_the_whole = errno.EIO
    faults = sync_all([*files, tmp_path])
    assert faults.keys() == {*files, tmp_path}
    assert {error.errno for error in faults.values()} == {errno.EIO}


@pytest.mark.parametrize("trusted", [True, False], ids=["together", "each"])
def test_a_file_that_was_not_written_is_told_of_alone(
    trusted: bool, disk: Callable[..., Disk], files: list[int], tmp_path: Path
) -> None:
    one = disk(trusted=trusted)
    one.faults[_path_of(files[2])] = errno.ENOSPC
    faults = sync_all([tmp_path, *files])
    assert faults.keys() == {files[2]}
    assert faults[files[2]].errno == errno.ENOSPC


def test_what_is_gone_does_not_hold_up_the_others(disk: Callable[..., Disk], files: list[int], tmp_path: Path) -> None:
    one = disk()
    faults = sync_all([tmp_path / "gone", *files])
    assert faults.keys() == {tmp_path / "gone"}
    assert len(one.whole) == 1


def test_the_system_takes_these_calls(files: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "can_sync_whole", lambda disk: True)
    monkeypatch.setattr(syncing, "waiting_for_disks", lambda: 0)
    for file in files:
        os.write(file, b"content")
    assert sync_all([*files, tmp_path]) == {}


@pytest.mark.parametrize(
    ("disk", "kind"),
    [(os.makedev(254, 0), "ext4"), (os.makedev(0, 25), "fuse.sshfs"), (os.makedev(8, 17), "xfs"), (1, None)],
)
def test_the_kind_of_a_file_system_is_that_of_its_mount(disk: int, kind: str | None) -> None:
    assert kind_of(disk, MOUNTS) == kind


@pytest.mark.parametrize(("release", "trusted"), [("5.16.9", False), ("5.17.0-rc1", True), ("6.1.0-18-amd64", True)])
def test_a_system_that_hides_errors_is_not_trusted(
    release: str, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*system[:2], release, *system[3:])))
    monkeypatch.setattr(syncing, "kind_of", lambda disk, mounts: "ext4")
    can_sync_whole.cache_clear()
    try:
        assert can_sync_whole(1) is trusted
    finally:
        can_sync_whole.cache_clear()


def test_memory_is_not_a_disk_to_be_trusted() -> None:
    assert not can_sync_whole(os.stat("/proc").st_dev)


def test_what_waits_for_the_disks_is_known(tmp_path: Path) -> None:
    assert 0 <= waiting_for_disks() < float("inf")


def test_a_large_share_is_on_its_way_to_the_disk_before_it_is_synced(
    start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(incoming, "SEND_EVERY", 100)
    monkeypatch.setattr(incoming, "SYNC_EVERY", 400)
    monkeypatch.setattr(incoming, "begin_writing", lambda fd: sent.append("sent"))
    monkeypatch.setattr(os, "fdatasync", lambda fd: sent.append("synced"))
    share = start_store(tmp_path / "store", durable=True).create(bytes(16), 0, 600, SECRETS)

    for offset in range(0, 600, 50):
        share.write(offset, [bytes(50)])

    assert sent == ["sent", "sent", "sent", "synced", "sent", "sent"]
