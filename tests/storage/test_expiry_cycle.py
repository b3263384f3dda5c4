from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import provider

from tahoeish.chk import base32
from tahoeish.storage.expiry import Collector, ExpiryPolicy
from tahoeish.storage.expiry_cycle import ExpiryCycle
from tahoeish.storage.shares import ShareStore
from tahoeish.streams.threads import ThreadRunner, direct
from tests.held_work import HeldWork
from tests.storage.containers import immutable_container, lease_number, put
from tests.storage.stores import NOW

REST = 3600
EXPIRED = immutable_container(2, b"share", [lease_number(1, expiry=NOW - 1)])
LEASED = immutable_container(2, b"share", [lease_number(1, expiry=NOW + 1)])
NAMES = sorted(base32.encode(bytes([number * 20]) + bytes(15)) for number in range(12))

StartCycle = Callable[..., ExpiryCycle]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(store: ShareStore) -> Path:
    return store.directory


@pytest.fixture
def start_cycle(directory: Path, clock: Clock) -> Iterator[StartCycle]:
    """Starts one that looks at three shares a second, and stops in the end what the test left running."""
    cycles = []

    def start(run_in_thread: ThreadRunner = direct) -> ExpiryCycle:
        collector = Collector(directory, ExpiryPolicy(), now=lambda: NOW, durable=False, dry_run=False)
        cycle = ExpiryCycle(collector, run_in_thread=run_in_thread, clock=clock, shares_per_second=3, rest_seconds=REST)
        cycle.start()
        cycles.append(cycle)
        return cycle

    yield start
    for cycle in cycles:
        stop(cycle)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    told: list[str] = []

    @provider(ILogObserver)
    def note(event: LogEvent) -> None:
        if event["log_namespace"].startswith("tahoeish.storage"):
            told.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    yield told
    globalLogPublisher.removeObserver(note)


def stop(cycle: ExpiryCycle) -> Deferred[None]:
    return Deferred.fromCoroutine(cycle.stop())


def fill(directory: Path, container: bytes) -> list[Path]:
    return [put(directory, 0, container, name=name) for name in NAMES]


def left_of(paths: list[Path]) -> int:
    return sum(path.exists() for path in paths)


def seconds_pass(clock: Clock, count: int) -> None:
    clock.pump([1.0] * count)


def test_no_more_shares_a_second_are_looked_at_than_allowed(
    directory: Path, start_cycle: StartCycle, clock: Clock
) -> None:
    paths = fill(directory, EXPIRED)

    start_cycle()
    left = [left_of(paths)]
    for _ in range(4):
        seconds_pass(clock, 1)
        left.append(left_of(paths))

    assert left == [9, 6, 3, 0, 0]


def test_slow_disk_is_not_given_more_to_do(directory: Path, start_cycle: StartCycle, clock: Clock) -> None:
    fill(directory, EXPIRED)
    disk = HeldWork()
    start_cycle(disk)

    seconds_pass(clock, 100)
    assert len(disk) == 1


def test_every_removed_share_is_logged_and_every_round_summed_up(
    directory: Path, start_cycle: StartCycle, clock: Clock, logged: list[str]
) -> None:
    leased = put(directory, 0, LEASED, name=NAMES[0])
    expired = put(directory, 1, EXPIRED, name=NAMES[0])

    start_cycle()

    assert logged == [
        f"removed an expired share of {len(EXPIRED)} bytes: {expired}",
        f"looked for expired shares: 1 of 2 shares have expired, {len(EXPIRED)} bytes",
    ]
    assert leased.exists()


def test_after_a_round_comes_a_rest_and_then_the_next_round(
    directory: Path, start_cycle: StartCycle, clock: Clock
) -> None:
    start_cycle()
    late = put(directory, 0, EXPIRED, name=NAMES[0])

    clock.advance(REST - 1)
    assert late.exists()
    clock.advance(1)
    assert not late.exists()


def test_round_goes_on_where_a_restart_interrupted_it(directory: Path, start_cycle: StartCycle, clock: Clock) -> None:
    paths = fill(directory, LEASED)
    first = start_cycle()
    seconds_pass(clock, 2)
    stop(first)

    for path in paths:
        path.write_bytes(EXPIRED)
    start_cycle()
    seconds_pass(clock, 1)

    # Nine had been looked at. The folder of the ninth is looked through once more, as it may not have been done with.
    assert [path.exists() for path in paths] == [True] * 8 + [False] * 4
    assert not (directory / "expiry-progress").exists()


@pytest.mark.parametrize("progress", [b"", b"\xff\xfe", b"zz"])
def test_what_stands_in_the_progress_file_costs_one_round_at_most(
    directory: Path, start_cycle: StartCycle, clock: Clock, progress: bytes
) -> None:
    (directory / "expiry-progress").write_bytes(progress)
    path = put(directory, 0, EXPIRED, name=NAMES[0])

    start_cycle()
    clock.advance(REST)

    assert not path.exists()


def test_stopping_waits_for_the_thread_that_is_at_it(directory: Path, start_cycle: StartCycle, clock: Clock) -> None:
    paths = fill(directory, EXPIRED)
    disk = HeldWork()
    cycle = start_cycle(disk)

    stopped = stop(cycle)
    assert not stopped.called
    disk.do_all()
    assert stopped.called

    seconds_pass(clock, 10)
    assert left_of(paths) == 9


def test_disk_that_is_gone_is_looked_at_again_later(
    directory: Path, start_cycle: StartCycle, clock: Clock, logged: list[str]
) -> None:
    path = put(directory, 0, EXPIRED, name=NAMES[0])
    (directory / "shares").rename(directory / "unmounted")

    start_cycle()
    assert logged[0] == f"can't look for expired shares now: {directory}/shares: No such file or directory"

    (directory / "unmounted").rename(directory / "shares")
    clock.advance(REST)
    assert not path.exists()
