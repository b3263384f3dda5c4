"""The command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from twisted.internet.threads import deferToThread


class Command:
    """`tahoeish` with some arguments, running."""

    def __init__(
        self,
        *arguments: str | Path,
        url: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
    ) -> None:
        environment = {**os.environ, "TAHOEISH_NODE_URL": url}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tahoeish.node.main", *map(str, arguments)],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
        )

    async def ended(self) -> tuple[int, bytes, str]:
        """Its exit status and its outputs, where they are pipes."""
        out, err = await deferToThread(self.process.communicate)
        return self.process.returncode, out, (err or b"").decode()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: Any) -> None:
        with self.process:
            # Only a test that has failed leaves it running.
            self.process.kill()
