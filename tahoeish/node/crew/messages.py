"""What goes between the crew and its workers: one JSON object a line, over a pipe in each direction. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]
"""`kind` says what it is about."""

# From the crew.
BEGIN = "begin"
"""
`config`, as TOML; `log_level`; `number`, from 0, of so many `processes`; `crew`; `listeners`, pairs of an endpoint and
a descriptor.
"""
RELOAD = "reload"
REPORT = "report"
ELSEWHERE = "elsewhere"
"""`question`, as it was asked; `reports`, those of the other workers; `trouble`, what went wrong in all of them."""
STOP = "stop"
HURRY = "hurry"

# From a worker.
READY = "ready"
"""`nurl`, and `missing`, what is wrong with peers."""
RELOADED = "reloaded"
"""`missing`."""
REPORTED = "reported"
"""`report`, None before it is up."""
ASK = "ask"
"""`question`, a number of the worker's own: what do the others do?"""
FAILED = "failed"
"""`reason`, for the operator: it can't begin."""
LOG = "log"
"""`level`, `namespace`, `text`."""

COMMANDS, REPLIES, LOCK, BOARD, LISTENERS = 3, 4, 5, 6, 7
"""A worker's descriptors; those of the listeners begin with the last."""


def message(kind: str, **content: Any) -> bytes:
    return json.dumps({"kind": kind, **content}).encode() + b"\n"


class Messages:
    """Out of bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)
