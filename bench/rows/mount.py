"""A program that opens, writes and closes a file in a folder that rclone has mounted, with nothing kept on its side."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep

from bench.findings import Finding, not_measured
from bench.node import Node
from bench.rows.first_share import has_share_bytes
from bench.setting import Setting
from bench.sizes import MB, shown

FIRST_SHARE = 5
"""Percent."""
LONGEST_CLOSE = 1.0
"""Seconds."""
MOUNT_SECONDS = 30


def measure(setting: Setting) -> Iterator[Finding]:
    what = "a file written into a folder that rclone has mounted"
    rclone = os.environ.get("TAHOEISH_RCLONE") or shutil.which("rclone")
    if rclone is None or shutil.which("fusermount3") is None or os.getuid() != 0 or not Path("/dev/fuse").exists():
        yield not_measured(what, "this takes rclone, fuse3 and root")
        return
    size = setting.scale.throughput
    first, closing, rates = [], [], []
    with setting.node() as node, _mounted(rclone, node, setting.new_directory()) as folder:
        for number in range(setting.scale.runs):
            node.empty()
            body = setting.new_body(size)
            written: int | None = None
            begun = perf_counter()
            file = (folder / f"file-{number}").open("wb", buffering=0)
            sent = 0
            for piece in body:
                file.write(piece)
                sent += len(piece)
                if written is None and all(map(has_share_bytes, node.peers)):
                    written = sent
            last = perf_counter()
            file.close()
            closed = perf_counter()
            first.append(100 * (size if written is None else written) / size)
            closing.append(closed - last)
            rates.append(size / MB / (closed - begun))
    about = f"{shown(size)} through rclone mount"
    yield Finding(
        f"{about}: written when all peers have share bytes",
        f"under {FIRST_SHARE} %",
        first,
        "%",
        max(first) < FIRST_SHARE,
    )
    yield Finding(f"{about}: close()", f"under {LONGEST_CLOSE:g} s", closing, "s", max(closing) < LONGEST_CLOSE)
    yield Finding(f"{about}: rate", "to be stated", rates, "MB/s", None)


@contextmanager
def _mounted(rclone: str, node: Node, point: Path) -> Iterator[Path]:
    there = f":webdav,url='http://{node.address[0]}:{node.address[1]}/files',vendor=owncloud:"
    options = ["--config", "/dev/null", "--vfs-cache-mode", "off"]
    mounting = subprocess.Popen([rclone, "mount", *options, there, point])
    try:
        give_up_at = monotonic() + MOUNT_SECONDS
        while not point.is_mount():
            if mounting.poll() is not None or monotonic() > give_up_at:
                raise RuntimeError("rclone doesn't mount the folder")
            sleep(0.05)
        yield point
    finally:
        if point.is_mount():
            subprocess.run(["umount", point], check=True)
        mounting.terminate()
        mounting.wait()
