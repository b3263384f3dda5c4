"""What `/uploads/ID/events` tells, as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.nodes import PATIENCE, NodeProcess


class Event(NamedTuple):
    name: str
    data: dict[str, Any]


def events(node: NodeProcess, location: str) -> Iterator[Event]:
    """One after the other, until there are no more."""
    connection = HTTPConnection(urlsplit(node.url).netloc, timeout=PATIENCE)
    try:
        connection.request("GET", f"{location}/events", headers={"Accept": "text/event-stream"})
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        name = ""
        for line in response:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield Event(name, json.loads(value))
    finally:
        connection.close()


def wait_until_received(node: NodeProcess, location: str, size: int) -> None:
    for event in events(node, location):
        if event.data.get("received") == size:
            return
    raise AssertionError("it ended before")
