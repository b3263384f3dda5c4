"""What a node tells of what it is doing, and to whom."""

from __future__ import annotations

import shutil
from base64 import b64encode
from typing import Any

from tahoeish.gateway.pages.report import Memory, Report, Request, Standing, together
from tahoeish.gateway.pages.status_page import MOST_LISTED, Facts, status_page
from tests.nodes import NodeProcess, content_of, head, wait_until
from tests.people import add_user, administered, basic

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
        assert request == {
            "user": "local",
            "method": "PUT",
            "what": "/files/half",
            "done": len(HALF),
            "size": 2 * len(HALF),
        }
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


def test_an_operator_sees_what_everybody_does(new_node: NodeProcess) -> None:
    add_user(new_node, "ann")
    add_user(new_node, "olga", "--operator")
    new_node.start()
    begin(new_node, "ann's", "ann")
    with new_node.connect() as client:
        client.send(head("PUT", "/files/half", {"Content-Length": str(2 * len(HALF)), **basic("ann")}) + HALF)
        wait_until(lambda: facts(new_node, "olga")["requests"], "it comes")
        seen = facts(new_node, "olga")
        assert [(one["user"], one["what"]) for one in seen["requests"]] == [("ann", "/files/half")]
        assert [(one["user"], one["name"]) for one in seen["unfinished"]] == [("ann", "ann's")]
        assert seen["operator"] and seen["requests_of_others"] == 0
        page = new_node.get("/status", basic("olga")).text
        assert "ann" in page and "you see what everybody does" in page
    administered(new_node, "user", "operator", "olga", "off")
    assert not facts(new_node, "olga")["operator"] and facts(new_node, "olga")["unfinished"] == []


def test_a_long_list_is_cut_off() -> None:
    requests = [Request("ann", "GET", f"/files/{number}", 0, None) for number in range(MOST_LISTED + 7)]
    told = status_page(Facts("olga", True, [], 0, requests, 0, [], [], [], [], 0))
    assert f"/files/{MOST_LISTED - 1}<" in told and f"/files/{MOST_LISTED}<" not in told and "7 more." in told


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
    add_user(new_node, "olga", "--operator")
    new_node.start()
    seen = facts(new_node, "ann")
    assert seen["trouble"] == [] and seen["trouble_count"] > 0
    assert any("peers/1" in one["text"] for one in facts(new_node, "olga")["trouble"])


def test_what_several_processes_do_is_told_as_one() -> None:
    first = Report(
        [Request("ann", "GET", "/files/a", 1, 2)],
        {"moved": Standing(10, 3), "own": Standing(1, 3)},
        {"peer": 1},
        [Memory("downloads", 1, 8, 0)],
    )
    second = Report([], {"moved": Standing(20, 3)}, {"peer": 2, "other": 1}, [Memory("downloads", 2, 8, 5)])
    assert Report.of_json(first.as_json()) == first
    assert together([first, second]) == Report(
        first.requests,
        {"moved": Standing(20, 3), "own": Standing(1, 3)},
        {"peer": 3, "other": 1},
        [Memory("downloads", 3, 16, 5)],
    )
