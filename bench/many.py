"""Several clients at a store at the same time, from a process of their own."""

from __future__ import annotations

import os

from bench.crowd import put_all
from bench.helper import Helper
from bench.setting import EIGHT, FILE_OF_MANY, SMALL_FILE, Setting
from bench.sizes import MIB
from bench.store import Store


class NotServed(Exception):
    """Not everybody could store a file."""


def small_files_rate(setting: Setting, store: Store) -> float:
    """Files of 10 KiB in a second, eight at a time, each on a connection of its own."""
    # Earlier ones stay: ext4 makes new files slowly for minutes where it has just removed many.
    os.sync()
    count = setting.scale.small_files
    return count / _put_together(setting, store, count, SMALL_FILE, EIGHT)


def most_memory(setting: Setting, store: Store, clients: int) -> float:
    """What the gateway has at the most while so many clients put 4 MiB each, all at once, in MiB."""
    store.empty()
    store.gateway.forget_most_resident()
    _put_together(setting, store, clients, FILE_OF_MANY, clients)
    return store.gateway.most_resident() / MIB


def _put_together(setting: Setting, store: Store, count: int, size: int, at_once: int) -> float:
    """Seconds."""
    bodies = [setting.new_body(size) for _ in range(count)]
    with Helper(put_all, store.address, bodies, store.door, at_once) as helper:
        result = helper.result()
    if result.failures:
        raise NotServed(f"{len(result.failures)} of {count} uploads failed, the first: {result.failures[0]}")
    return result.seconds
