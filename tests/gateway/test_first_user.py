"""What becomes of those who were there before a node has users, and what it tells of its room."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from select import select

import pytest

from tests.nodes import PATIENCE, Answer, NodeProcess, RawClient, chunk, content_of, head, wait_until
from tests.people import add_user, basic

QUOTAS = (
    b'<propfind xmlns="DAV:"><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>',
    {"Depth": "0", "Content-Type": "application/xml"},
)


@pytest.fixture
def node(new_node: NodeProcess) -> NodeProcess:
    new_node.start()
    return new_node


def available(node: NodeProcess, headers: dict[str, str]) -> int:
    body, told = QUOTAS
    answer = node.request("PROPFIND", "/files/", body, {**told, **headers})
    assert answer.status == 207, answer
    found = re.search(r"<D:quota-available-bytes>(\d+)<", answer.text)
    assert found is not None, answer.text
    return int(found[1])


def test_an_upload_that_the_first_user_overtakes_is_refused_and_not_lost_somewhere(node: NodeProcess) -> None:
    with node.connect() as client:
        client.send(head("PUT", "/files/late", {"Transfer-Encoding": "chunked"}) + chunk(content_of(100_000)))
        wait_until(lambda: node.incoming(), "the upload has begun")
        add_user(node, "alice")
        client.send(chunk(b"the end") + chunk(b""))
        answer = client.answer("PUT")

    assert answer.status == 403
    assert "by now this node has users" in answer.text
    wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
    assert node.get("/files/late", dict(basic("alice"))).status == 404


def test_the_room_that_is_told_is_that_of_the_peers_and_of_the_quota(node: NodeProcess) -> None:
    disk = os.statvfs(node.directory)
    # Three peers on one disk, and two of their three shares rebuild a file.
    assert available(node, {}) == pytest.approx(disk.f_bavail * disk.f_frsize * 2 / 3, rel=0.1)
    add_user(node, "alice", "--quota", "1 GB")
    wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
    assert available(node, dict(basic("alice"))) == 1_000_000_000


def first_answer(clients: Sequence[RawClient], status: int) -> Answer:
    """The first one with this status, whoever gets it."""
    waiting = {client.socket: client for client in clients}
    while waiting:
        answered, _, _ = select(list(waiting), [], [], PATIENCE)
        for one in answered:
            answer = waiting.pop(one).answer("PROPFIND")
            if answer.status == status:
                return answer
        assert answered, "nobody is answered any more"
    raise AssertionError(f"nobody is answered by {status}")


def test_many_who_guess_at_once_are_told_to_come_later(node: NodeProcess) -> None:
    add_user(node, "alice")
    wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
    clients = [node.connect() for _ in range(40)]
    try:
        for number, client in enumerate(clients):
            client.send(head("PROPFIND", "/files/", {"Depth": "0", **basic("alice", f"guess {number}")}))
        # Those who find no place in the queue needn't wait. A few others don't either, before it grows slow.
        answer = first_answer(clients, 429)
    finally:
        for client in clients:
            client.close()
    assert answer.status == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "too many attempts" in answer.text


def test_those_who_start_a_node_are_told_of_its_folders_and_of_whom_it_serves(node: NodeProcess) -> None:
    wait_until(lambda: "Ctrl-C" in node.said, "the announcement")
    assert f"curl -T FILE {node.url}/files/" in node.said
    assert "this machine only, until there are users: tahoeish user add NAME" in node.said
    assert "/files/" in node.get("/").text
    page = node.get("/", {"Accept": "text/html"}).text
    assert "curl -T FILE http://node/files/" in page and 'href="/files/"' in page

    add_user(node, "alice")
    node.stop()
    before = len(node.said)
    node.start()
    wait_until(lambda: "Ctrl-C" in node.said[before:], "the announcement")
    assert "this machine only" not in node.said[before:]
