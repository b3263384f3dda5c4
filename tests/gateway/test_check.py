"""`POST /uri/CAP?t=check`: checking, verifying and repairing over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tahoeish.chk import base32
from tahoeish.chk.caps import ReadCap, parse_cap
from tahoeish.storage.container import DATA_OFFSET
from tests.nodes import NodeProcess, content_of

CONTENT = content_of(300_000)


@pytest.fixture
def cap(node: NodeProcess) -> str:
    return node.put(CONTENT)


def check(node: NodeProcess, cap: str, **arguments: str) -> Any:
    """What the node says to programs."""
    query = "".join(f"&{name.replace('_', '-')}={value}" for name, value in arguments.items())
    answer = node.request("POST", f"/uri/{cap}?t=check&output=JSON{query}")
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    return answer.json()


def read_cap(text: str) -> ReadCap:
    cap = parse_cap(text)
    assert isinstance(cap, ReadCap)
    return cap


def damage(share: Path) -> None:
    with share.open("r+b") as file:
        file.seek(DATA_OFFSET + 1000)
        file.write(b"not what it was")


def test_a_healthy_file(node: NodeProcess, cap: str) -> None:
    result = check(node, cap)
    results = result["results"]
    (servers,) = [results["servers-responding"]]
    sharemap = results["sharemap"]
    assert sorted(sharemap) == ["0", "1", "2"]
    assert sorted(server for holders in sharemap.values() for server in holders) == sorted(servers)
    assert result == {
        "storage-index": base32.encode(read_cap(cap).storage_index),
        "summary": "Healthy",
        "results": {
            "count-happiness": 3,
            "count-shares-good": 3,
            "count-shares-needed": 2,
            "count-shares-expected": 3,
            "count-good-share-hosts": 3,
            "count-corrupt-shares": 0,
            "list-corrupt-shares": [],
            "servers-responding": servers,
            "sharemap": sharemap,
            "count-wrong-shares": 0,
            "count-recoverable-versions": 1,
            "count-unrecoverable-versions": 0,
            "healthy": True,
            "recoverable": True,
        },
        "problems": [],
    }


def test_lost_shares(node: NodeProcess, cap: str) -> None:
    for share in node.shares(cap)[:2]:
        share.unlink()
    result = check(node, cap)
    assert result["summary"] == "Not Healthy: 1 shares (enc 2-of-3)"
    results = result["results"]
    assert not results["healthy"] and not results["recoverable"]
    assert results["count-recoverable-versions"] == 0 and results["count-unrecoverable-versions"] == 1


def test_a_damaged_share_is_found_by_verifying_only(node: NodeProcess, cap: str) -> None:
    share = node.shares(cap)[0]
    damage(share)
    assert check(node, cap)["results"]["healthy"]
    result = check(node, cap, verify="true")
    assert not result["results"]["healthy"] and result["results"]["recoverable"]
    assert result["results"]["count-corrupt-shares"] == 1
    ((server, index, number),) = result["results"]["list-corrupt-shares"]
    assert server in result["results"]["servers-responding"]
    assert (index, str(number)) == (result["storage-index"], share.name)
    (problem,) = result["problems"]
    assert problem == f"{server}: share {number} is corrupt: its block 0 does not match its hash"


def test_a_verify_cap_is_enough(node: NodeProcess, cap: str) -> None:
    verify_cap = str(read_cap(cap).verify_cap)
    assert check(node, verify_cap, verify="true") == check(node, cap, verify="true")
    answer = node.request("POST", f"/uri/{verify_cap}?t=check&repair=true")
    assert answer.status == 400 and "read cap" in answer.text


def test_a_lease_is_renewed(node: NodeProcess, cap: str) -> None:
    (share, *_) = node.shares(cap)
    before = share.read_bytes()
    expiry = slice(len(before) - 4, len(before))
    # As if it had been made long ago.
    share.write_bytes(before[: expiry.start] + bytes(4))
    check(node, cap)
    assert share.read_bytes()[expiry] == bytes(4)
    check(node, cap, add_lease="true")
    assert share.read_bytes()[expiry] >= before[expiry]


class TestRepair:
    def test_a_lost_share_comes_back(self, node: NodeProcess, cap: str) -> None:
        (lost, *_) = node.shares(cap)
        before = lost.read_bytes()
        lost.unlink()
        result = check(node, cap, repair="true")
        assert result["repair-attempted"] and result["repair-successful"] and not result["problems"]
        assert result["storage-index"] == base32.encode(read_cap(cap).storage_index)
        assert not result["pre-repair-results"]["results"]["healthy"]
        assert result["post-repair-results"]["results"]["healthy"]
        assert {key: value for key, value in check(node, cap)["results"].items() if key != "servers-responding"} == {
            key: value for key, value in result["post-repair-results"]["results"].items() if key != "servers-responding"
        }
        # All but the lease, which tells the time.
        assert lost.read_bytes()[:-4] == before[:-4]

    def test_a_damaged_share_is_replaced_on_another_peer(self, node: NodeProcess, cap: str) -> None:
        damage(node.shares(cap)[1])
        result = check(node, cap, repair="true", verify="true")
        assert result["repair-successful"]
        assert len(node.shares(cap)) == 4
        assert check(node, cap, verify="true")["results"]["healthy"]
        assert node.get(f"/uri/{cap}").body == CONTENT

    def test_a_healthy_file_is_left_alone(self, node: NodeProcess, cap: str) -> None:
        result = check(node, cap, repair="true")
        assert not result["repair-attempted"] and not result["repair-successful"]
        assert result["post-repair-results"] == check(node, cap)

    def test_what_can_not_be_repaired_is_said(self, node: NodeProcess, cap: str) -> None:
        for share in node.shares(cap)[:2]:
            share.unlink()
        result = check(node, cap, repair="true")
        assert not result["repair-attempted"] and not result["repair-successful"]
        assert result["problems"] == ["1 of the file's shares are left, and it takes 2 to rebuild it"]


def test_a_small_file_is_its_own_cap(node: NodeProcess) -> None:
    healthy = {"storage-index": "", "results": {"healthy": True}}
    assert check(node, "URI:LIT:me") == healthy
    result = check(node, "URI:LIT:me", repair="true")
    assert not result["repair-attempted"]
    after = result["post-repair-results"]["results"]
    assert after["healthy"] and after["count-shares-good"] == after["count-shares-expected"] == 0


def test_a_directory_is_checked_as_the_file_it_is(node: NodeProcess) -> None:
    children = {f"a longer name {number}": ["filenode", {"ro_uri": "URI:LIT:me"}] for number in range(3)}
    made = node.request("POST", "/uri?t=mkdir-immutable", json.dumps(children).encode())
    assert made.text.startswith("URI:DIR2-CHK:")
    assert check(node, made.text, verify="true")["summary"] == "Healthy"


class TestPages:
    def test_a_person_gets_a_page(self, node: NodeProcess, cap: str) -> None:
        answer = node.request("POST", f"/uri/{cap}?t=check")
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/html")
        assert "<h2>Healthy</h2>" in answer.text and "Of 3 different shares there are 3, on 3 peers" in answer.text

    def test_what_is_missing_is_shown(self, node: NodeProcess, cap: str) -> None:
        node.shares(cap)[0].unlink()
        answer = node.request("POST", f"/uri/{cap}?t=check")
        assert "<h2>Not healthy</h2>" in answer.text and answer.text.count("missing</td>") == 1

    def test_a_repair_is_told_of(self, node: NodeProcess, cap: str) -> None:
        node.shares(cap)[0].unlink()
        answer = node.request("POST", f"/uri/{cap}?t=check&repair=true")
        assert "<h2>Healthy</h2>" in answer.text and "It has been repaired." in answer.text

    def test_a_small_file(self, node: NodeProcess) -> None:
        assert "no shares of it" in node.request("POST", "/uri/URI:LIT:me?t=check").text


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/uri/URI:LIT:me?t=other", "POST to file: bad t=other"),
        ("/uri/URI:LIT:me?t=check&verify=perhaps", "verify is true or false"),
        ("/uri/nonsense?t=check", "not a cap"),
        ("/uri?t=check", "t=check"),
    ],
)
def test_what_makes_no_sense_is_refused(node: NodeProcess, target: str, told: str) -> None:
    answer = node.request("POST", target)
    assert answer.status == 400 and told in answer.text
