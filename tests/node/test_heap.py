"""What transfers leave behind goes back: cycles to the C library's heap, and its free pages to the system."""

from __future__ import annotations

import platform
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tahoeish.node.heap import (
    LOOK_SECONDS,
    MOST_NEW_OBJECTS,
    QUIET_LOOKS,
    WORTH_COLLECTING,
    HeapCare,
    collect_cycles,
    give_back,
)
from tahoeish.streams.threads import direct
from tests.cycles import without_collector

MIB = 1024 * 1024


class Node:
    def __init__(self) -> None:
        self.busy = False
        self.given_back = 0
        self.collected = 0
        self.collecting_takes = 0.0
        self.clock = Clock()
        self.care = HeapCare(
            lambda: self.busy,
            run_in_thread=direct,
            clock=self.clock,
            give_back=self._give_back,
            collect=self._collect,
        )
        self.care.start()

    def looks(self, count: int) -> None:
        self.clock.pump([LOOK_SECONDS] * count)

    def _give_back(self) -> None:
        self.given_back += 1

    def _collect(self) -> None:
        self.collected += 1
        self.clock.rightNow += self.collecting_takes


def test_memory_is_given_back_once_when_there_have_been_no_transfers_for_a_while() -> None:
    node = Node()
    node.busy = True
    node.looks(3)
    node.busy = False
    node.looks(QUIET_LOOKS - 1)
    assert node.given_back == 0
    node.looks(1)
    assert node.given_back == 1
    node.looks(3 * QUIET_LOOKS)
    assert node.given_back == 1


def test_it_is_kept_while_transfers_follow_each_other() -> None:
    node = Node()
    for _ in range(3):
        node.busy = True
        node.looks(1)
        node.busy = False
        node.looks(QUIET_LOOKS - 1)
    assert node.given_back == 0


def test_nothing_is_given_back_where_nothing_was_transferred() -> None:
    node = Node()
    node.looks(3 * QUIET_LOOKS)
    assert node.given_back == 0


@pytest.mark.parametrize("busy", [True, False])
def test_cycles_are_looked_for_each_time(busy: bool) -> None:
    node = Node()
    node.busy = busy
    node.looks(5)
    assert node.collected == 5


def test_what_takes_long_to_look_through_is_looked_through_less_often() -> None:
    node = Node()
    node.collecting_takes = 0.045
    node.looks(50)
    assert node.collected == 10


class Circle:
    """Nobody but the collector finds it."""

    def __init__(self) -> None:
        self.itself = self


def test_many_new_cycles_are_collected_and_few_are_not_worth_it() -> None:
    with without_collector():
        few = weakref.ref(Circle())
        collect_cycles()
        assert few() is not None
        many = [weakref.ref(Circle()) for _ in range(WORTH_COLLECTING)]
        collect_cycles()
        assert [circle for circle in [few, *many] if circle() is not None] == []


def test_the_collector_passes_by_what_was_there_at_the_start_and_comes_seldom() -> None:
    program = """
import gc
from tahoeish.node.heap import set_aside_what_stays
set_aside_what_stays()
print(gc.get_freeze_count(), len(gc.get_objects()), gc.get_threshold()[0])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    set_aside, looked_at, new_ones = map(int, said.split())
    assert set_aside > 10_000 > looked_at and new_ones == MOST_NEW_OBJECTS


def test_nobody_looks_any_more_after_the_end() -> None:
    node = Node()
    stopped = Deferred.fromCoroutine(node.care.stop())
    assert stopped.called and node.clock.getDelayedCalls() == []


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_what_is_free_below_something_that_is_not_is_given_back() -> None:
    buffers = [bytes([1]) * 100_000 for _ in range(400)]
    last = buffers.pop()
    buffers.clear()
    before = resident()
    give_back()
    assert last and before - resident() > 20 * MIB


def resident() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
