"""
The C library's heap, where large buffers and all that OpenSSL has of a connection lie, and Python's collector.

Elsewhere than with glibc the heap has no such knobs, or no need for them; then nothing of this has an effect on it.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from twisted.internet.interfaces import IReactorTime

from tahoeish.streams.recurring import Recurring
from tahoeish.streams.threads import ThreadRunner

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Of mallopt(3)."""

_MIB = 1024 * 1024

LOOK_SECONDS = 1.0

WORTH_COLLECTING = 500
"""New objects: fewer than two uploads leave that break off."""

MOST_NEW_OBJECTS = 50_000
"""In a second. Then the collector comes by itself."""

QUIET_LOOKS = 3
"""After so many without transfers none is about to begin, which would have to have the same memory cleared again."""


def keep_large_buffers() -> None:
    """
    Otherwise large buffers go back to the system one by one, which then clears each page of the next one; that costs as
    much as all encryption.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, 4 * _MIB)
        library.mallopt(TRIM_THRESHOLD, 32 * _MIB)
        # What is free in one can't be had in another, and each thread would like one of its own.
        library.mallopt(ARENA_MAX, 2)


def set_aside_what_stays() -> None:
    """
    What there is by now, modules above all, is there until the end, and the collector of cycles needn't look at it
    again. From now on it comes when `HeapCare` calls it: by itself, it would come several times for each small file,
    whose objects are hardly ever in cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(MOST_NEW_OBJECTS, *gc.get_threshold()[1:])


def collect_cycles() -> None:
    """
    Whatever broke off leaves errors, whose frames hold pieces of files. That is the only large thing in cycles, and
    mustn't wait for long.
    """
    if gc.get_count()[0] >= WORTH_COLLECTING:
        gc.collect()


def give_back() -> None:
    """Blocks, for milliseconds. All pages in which nothing lies."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))


class HeapCare:
    """
    Looks for what is left over in cycles, once a second or less often; gives back what transfers have left behind, once
    there have been none for a while. `busy`: there are some now.
    """

    def __init__(
        self,
        busy: Callable[[], bool],
        *,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        give_back: Callable[[], None] = give_back,
        collect: Callable[[], None] = collect_cycles,
    ) -> None:
        self._busy = busy
        self._give_back = partial(run_in_thread, give_back)
        self._collect = collect
        self._clock = clock
        self._looks_without_collecting = 0
        self._quiet_looks = QUIET_LOOKS
        self._recurring = Recurring(self._look, LOOK_SECONDS, clock, doing="giving memory back")

    def start(self) -> None:
        self._recurring.start(now=False)

    async def stop(self) -> None:
        await self._recurring.stop()

    async def _look(self) -> float:
        self._collect_now_and_then()
        if self._busy():
            self._quiet_looks = 0
        else:
            self._quiet_looks += 1
            if self._quiet_looks == QUIET_LOOKS:
                await self._give_back()
        return 0

    def _collect_now_and_then(self) -> None:
        """For no more than a hundredth of the time, however much there is to look at."""
        if self._looks_without_collecting:
            self._looks_without_collecting -= 1
            return
        begun = self._clock.seconds()
        self._collect()
        self._looks_without_collecting = int(100 * (self._clock.seconds() - begun) / LOOK_SECONDS)
