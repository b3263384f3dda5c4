"""Watching an upload, which doesn't notice."""

from __future__ import annotations

from tahoeish.gateway.uploads.dialects.ietf import PARTIAL_UPLOAD
from tests.gateway.uploads.watching import events, wait_until_received
from tests.nodes import NodeProcess, content_of, head

CONTENT = content_of(3_000_000)
BEGINS = {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?0"}
ENDS = {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?1", "Content-Type": PARTIAL_UPLOAD}


def test_a_watcher_sees_it_grow_and_end(node: NodeProcess) -> None:
    location = str(node.request("PUT", "/uri", b"", {"Upload-Length": str(len(CONTENT)), **BEGINS}).headers["Location"])
    watching = events(node, location)
    name, data = next(watching)
    assert (name, data["phase"], data["received"], data["length"]) == ("progress", "open", 0, len(CONTENT))
    with node.connect() as client:
        client.send(head("PATCH", location, {"Content-Length": str(len(CONTENT)), "Upload-Offset": "0", **ENDS}))
        client.send(CONTENT[:2_000_000])
        growing = next(event.data for event in watching if event.data["received"] == 2_000_000)
        assert growing["confirmed"] <= growing["sealed"] <= growing["received"]
        assert growing["peers"] == 3
        client.send(CONTENT[2_000_000:])
        answer = client.answer("PATCH")
    *_, whole, last = watching
    assert (whole.name, whole.data["phase"], whole.data["peers"]) == ("progress", "complete", 3)
    assert last.name == "end"
    assert last.data == {"phase": "complete", "status": 201, "cap": answer.text}


def test_a_watcher_learns_that_it_was_given_up(node: NodeProcess) -> None:
    location = str(node.request("PUT", "/uri", b"", BEGINS).headers["Location"])
    watching = events(node, location)
    assert next(watching).data["phase"] == "open"
    assert node.request("DELETE", location, headers=BEGINS).status == 204
    *_, last = watching
    assert (last.name, last.data["phase"]) == ("end", "cancelled")


def test_what_has_ended_is_told_at_once_and_only_once(node: NodeProcess) -> None:
    location = str(node.request("PUT", "/uri", b"", BEGINS).headers["Location"])
    assert node.request("PATCH", location, b"abc", {"Upload-Offset": "0", **ENDS}).status == 201
    assert [event.name for event in events(node, location)] == ["progress", "end"]
    assert node.get(f"{location}/events", {"Last-Event-ID": "2"}).status == 204


def test_nothing_to_watch(node: NodeProcess) -> None:
    assert node.get("/uploads/nothing/events").status == 404
    assert node.request("PUT", "/uploads/nothing/events").status == 405


def test_a_watcher_does_not_keep_a_node_from_stopping(new_node: NodeProcess) -> None:
    new_node.start()
    location = str(new_node.request("PUT", "/uri", b"", BEGINS).headers["Location"])
    watching = events(new_node, location)
    next(watching)
    assert new_node.stop() == 0
    assert list(watching) == []
    assert "aborting" not in new_node.said and "Traceback" not in new_node.said, new_node.said


def test_a_watcher_that_goes_away_is_not_missed(new_node: NodeProcess) -> None:
    new_node.start()
    location = str(new_node.request("PUT", "/uri", b"", BEGINS).headers["Location"])
    watching = events(new_node, location)
    next(watching)
    watching.close()  # type: ignore[attr-defined]
    with new_node.connect() as client:
        client.send(head("PATCH", location, {"Content-Length": "3", "Upload-Offset": "0", **ENDS}) + b"ab")
        wait_until_received(new_node, location, 2)
        client.send(b"c")
        assert client.answer("PATCH").status == 201
    assert new_node.stop() == 0
    assert "Traceback" not in new_node.said, new_node.said
