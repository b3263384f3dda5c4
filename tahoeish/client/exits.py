"""How a command ends, as the shell sees it."""

from __future__ import annotations

import os

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_SIGNAL = 128
"""To which the signal's number is added."""
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""What a shell says of a program that SIGPIPE has ended, as it ends most of them."""


def drop_output() -> None:
    """For when standard output has failed: the interpreter would try it again when it exits, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
