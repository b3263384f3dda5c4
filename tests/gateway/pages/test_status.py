"""What a node tells of what it is doing, and to whom."""

from __future__ import annotations

import shutil
from base64 import b64encode
from typing import Any

from tests.nodes import NodeProcess, content_of, head, wait_until
from tests.people import add_user, basic

TUS = {"Tus-Resumable": "1.0.0"}
HALF = content_of(300_000)


def facts(node: NodeProcess, user: str | None = None) -> Any:
    return node.get("/status?t=json", basic(user) if user else None).json()


def begin(node: NodeProcess, name: str, user: str | None = None) -> str:
    metadata = "filename " + b64encode(name.encode()).decode()
    headers = {**TUS, "Upload-Length": str(2 * len(HALF)), "Upload-Metadata": metadata, **(basic(user) if user else {})}
    location: str = node.request("POST", "/uploads/", headers=headers).headers["Location"]
    return location


def test_uploads_are_told_of_while_they_come(node: NodeProcess) -> None:
    with node.connect() as client:
        client.send(head("PUT", "/files/half", {"Content-Length": str(2 * len(HALF))}) + HALF)
        wait_until(lambda: [one["done"] for one in facts(node)["requests"]] == [len(HALF)], "half of it is there")
        (request,) = facts(node)["requests"]
        assert request == {"method": "PUT", "what": "/files/half", "done": len(HALF), "size": 2 * len(HALF)}
        client.send(HALF)
        assert client.answer().status == 201
    assert facts(node)["requests"] == []


def test_a_cap_is_not_told(node: NodeProcess) -> None:
    cap = node.put(content_of(20_000_000))
    with node.connect() as client:
        client.send(head("GET", f"/file/{cap}/@@named=/film.mkv", {}))
        wait_until(lambda: facts(node)["requests"], "it is on its way")
        page = node.get("/status", {"Accept": "text/html"}).text
        assert "film.mkv" in page and "URI:" not in page


def test_uploads_that_wait_for_their_client_are_told_of(new_node: NodeProcess) -> None:
    new_node.start()
    location = begin(new_node, "a <film>.mkv")
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert new_node.request("PATCH", location, HALF, headers).status == 204
    (upload,) = facts(new_node)["unfinished"]
    assert (upload["name"], upload["length"]) == ("a <film>.mkv", 2 * len(HALF))
    assert "a &lt;film&gt;.mkv" in new_node.get("/status").text
    assert new_node.request("DELETE", location, headers=TUS).status == 204
    assert facts(new_node)["unfinished"] == []


def test_everybody_sees_their_own_and_how_much_there_is_of_others(new_node: NodeProcess) -> None:
    for user in ("ann", "bob"):
        add_user(new_node, user)
    new_node.start()
    begin(new_node, "ann's", "ann")
    with new_node.connect() as client:
        client.send(head("PUT", "/files/half", {"Content-Length": str(2 * len(HALF)), **basic("ann")}) + HALF)
        wait_until(lambda: facts(new_node, "ann")["requests"], "it comes")
        assert [one["name"] for one in facts(new_node, "ann")["unfinished"]] == ["ann's"]
        seen = facts(new_node, "bob")
        assert (seen["requests"], seen["requests_of_others"], seen["unfinished"]) == ([], 1, [])
    assert new_node.get("/status").status == 401


def test_peers_and_memory_are_told_of(new_node: NodeProcess) -> None:
    shutil.rmtree(new_node.directory)
    new_node.directory.mkdir()
    (new_node.directory / "tahoeish.toml").write_text('[[grid.peers]]\ndirectory = "one"\n')
    new_node.start()
    seen = facts(new_node)
    (peer,) = seen["peers"]
    assert peer["problem"] == "" and peer["space"] > 0 and peer["seconds"] >= 0
    assert all(budget["used"] <= budget["capacity"] for budget in seen["memory"]) and len(seen["memory"]) == 3


def test_what_went_wrong_is_told_to_the_operator_only(new_node: NodeProcess) -> None:
    new_node.peers[0].parent.mkdir()
    new_node.peers[0].write_text("this is no folder")
    new_node.start()
    incidents = facts(new_node)["trouble"]
    assert any(one["level"] == "error" and "peers/1" in one["text"] for one in incidents)
    new_node.stop()
    add_user(new_node, "ann")
    new_node.start()
    seen = facts(new_node, "ann")
    assert seen["trouble"] == [] and seen["trouble_count"] > 0
