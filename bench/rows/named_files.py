"""Many small files, by several clients, to names, with everything safe on disk before each answer."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bench.dav import Address, DavClient, put_files
from bench.findings import Finding
from bench.helper import Helper
from bench.setting import EIGHT, SMALL_FILE, Setting
from bench.sizes import shown

AT_LEAST = 150
"""Files a second."""

WARM_UP = 32
"""Files."""


def measure(setting: Setting) -> Iterator[Finding]:
    count = setting.scale.small_files
    rates, costs = [], []
    with setting.node() as node:
        client = DavClient(node.address)
        client.ask("MKCOL", "/files/warm")
        _put(setting, node.address, "/files/warm", WARM_UP)
        for run in range(setting.scale.runs):
            client.ask("MKCOL", f"/files/{run}")
            # Earlier files stay: ext4 makes new ones slowly for minutes where it has just removed many.
            os.sync()
            before = node.process.processor_seconds()
            rates.append(count / _put(setting, node.address, f"/files/{run}", count))
            costs.append((node.process.processor_seconds() - before) / count)
        client.close()
    what = f"{count} files of {shown(SMALL_FILE)} by {EIGHT} clients to /files"
    yield Finding(f"{what}: rate", f"{AT_LEAST} files/s or more", rates, "files/s", min(rates) >= AT_LEAST)
    milliseconds = [1000 * cost for cost in costs]
    yield Finding(f"{what}: the node's processor time", "to be stated", milliseconds, "ms/file", None)


def _put(setting: Setting, address: Address, folder: str, count: int) -> float:
    files = [(f"{folder}/{number}", setting.new_body(SMALL_FILE)) for number in range(count)]
    with Helper(put_files, address, files, EIGHT) as helper:
        return helper.result()
