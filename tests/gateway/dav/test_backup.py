"""Snapshots and restorations of folders, on a real node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory import Child, UnknownCap, pack_entry
from tests.gateway.dav.webdav import LOCKINFO, Folder
from tests.nodes import Answer, NodeProcess, content_of

CHECKSUMS = "{http://owncloud.org/ns}checksums"
LARGE = content_of(100_000)
SET = "<D:set><D:prop><x:{name} xmlns:x='urn:x' a='1'>{text}<x:in/></x:{name}></D:prop></D:set>"


def snapshot(folder: Folder, path: str = "") -> str:
    answer = folder.request("POST", f"{path}?t=snapshot")
    assert answer.status == 201, answer
    assert answer.headers["Location"] == "/uri/" + quote(answer.text, safe="")
    return answer.text


def restore(
    folder: Folder, path: str, cap: str, *, headers: Mapping[str, str] | None = None, query: str = ""
) -> Answer:
    return folder.request("POST", f"{path}?t=restore{query}", cap, {"Accept": "application/json", **(headers or {})})


def restored(folder: Folder, path: str, cap: str, query: str = "") -> dict[str, Any]:
    answer = restore(folder, path, cap, query=query)
    assert answer.status == 200, answer
    result: dict[str, Any] = answer.json()
    return result


def left_out(result: Mapping[str, Any]) -> dict[str, str]:
    assert result["left_out"] == len(result["reasons"])
    return {each["path"].rpartition("/")[2]: each["reason"] for each in result["reasons"]}


def directory_of(node: NodeProcess, table: bytes) -> str:
    """The cap of a directory that nobody in their right mind would write."""
    return node.put(table).replace("URI:", "URI:DIR2-")


def listing(node: NodeProcess, cap: str, path: str = "") -> dict[str, Any]:
    answer = node.get(f"/uri/{quote(cap)}/{quote(path)}?t=json")
    assert answer.status == 200, answer
    children: dict[str, Any] = answer.json()[1]["children"]
    return children


@pytest.fixture
def filled(folder: Folder) -> Folder:
    folder.make("a", "a/tiefe", "a/empty")
    folder.put("a/one", b"one", X_OC_Mtime="1234567890.5")
    folder.put("a/tiefe/gr%C3%B6%C3%9Fe%20%26.txt", LARGE, OC_Checksum=f"SHA256:{sha256(LARGE).hexdigest()}")
    folder.put("a/typed", content_of(500), Content_Type="image/png", X_OC_Mtime="1000000000")
    folder.patch("a/one", SET.format(name="colour", text="red &amp; green"))
    folder.patch("a/tiefe", SET.format(name="mood", text="good"))
    return folder


def facts(folder: Folder, path: str) -> dict[str, Any]:
    """All that a client can know of what is in a folder, whatever the folder is called."""
    found: dict[str, Any] = {}
    for name in folder.names(path):
        inner = f"{path}/{quote(name)}".rstrip("/")
        told = {key: ElementTree.tostring(each) for key, each in folder.properties(inner).items()}
        told |= {key: ElementTree.tostring(each) for key, each in folder.properties(inner, CHECKSUMS).items()}
        if name.endswith("/"):
            # Its own, whatever is in it.
            del told["{DAV:}getetag"]
        found[name] = (
            told,
            facts(folder, inner) if name.endswith("/") else folder.request("GET", f"{inner}?t=uri").text,
        )
    return found


def test_a_folder_comes_back_with_all_that_is_known_of_it(filled: Folder) -> None:
    cap = snapshot(filled, "a")
    shares = len(filled.node.shares())
    assert restored(filled, "b", cap) == {"folders": 2, "files": 3, "size": 100_503, "left_out": 0, "reasons": []}
    assert facts(filled, "b") == facts(filled, "a")
    assert filled.get("b/tiefe/gr%C3%B6%C3%9Fe%20%26.txt") == LARGE
    # No file was moved for it.
    assert len(filled.node.shares()) == shares
    # And it is the same snapshot again.
    assert snapshot(filled, "b") == cap


def test_it_is_a_directory_like_any_other(filled: Folder) -> None:
    cap = snapshot(filled, "a")
    children = listing(filled.node, cap)
    assert list(children) == ["empty", "one", "tiefe", "typed"]
    kind, typed = children["typed"]
    assert (kind, typed["size"]) == ("filenode", 500)
    assert typed["metadata"]["tahoe"]["linkmotime"] == 1000000000.0
    assert typed["metadata"]["tahoeish"] == {"type": "image/png"}
    assert children["tiefe"][0] == "dirnode" and len(children["tiefe"][1]["metadata"]["tahoeish"]["properties"]) == 1
    assert "tahoeish" not in children["empty"][1]["metadata"]
    assert list(listing(filled.node, cap, "empty")) == []
    assert filled.node.get(f"/uri/{quote(cap)}/tiefe/" + quote("größe &.txt")).body == LARGE


def test_a_folder_without_anything_in_it(folder: Folder) -> None:
    folder.make("nothing")
    assert snapshot(folder, "nothing") == "URI:DIR2-LIT:"
    assert restored(folder, "again", "URI:DIR2-LIT:")["folders"] == 0
    assert folder.names() == {"nothing/", "again/"}


def test_only_folders_on_the_way_to_a_change_are_stored_anew(filled: Folder) -> None:
    before = listing(filled.node, snapshot(filled, "a"))
    filled.put("a/empty/new", b"new")
    after = listing(filled.node, snapshot(filled, "a"))
    assert after["tiefe"] == before["tiefe"]
    assert after["empty"][1]["ro_uri"] != before["empty"][1]["ro_uri"]


def test_what_is_there_is_not_overwritten_unless_that_is_wanted(filled: Folder) -> None:
    cap = snapshot(filled, "a")
    filled.request("DELETE", "a/one")
    filled.put("a/later", b"later")
    answer = restore(filled, "a", cap)
    assert answer.status == 409 and "something in" in answer.json()["detail"]
    assert filled.names("a") == {"tiefe/", "empty/", "typed", "later"}
    restored(filled, "a", cap, "&overwrite=true")
    assert filled.names("a") == {"tiefe/", "empty/", "typed", "one"}
    # What has made way can be had back.
    versions = filled.request("GET", "a/later?versions").json()["versions"]
    assert filled.request("POST", f"a/later?restore={versions[0]['id']}").status == 201
    assert filled.get("a/later") == b"later"
    # And it can be repeated.
    restored(filled, "a", cap, "&overwrite=true")
    assert snapshot(filled, "a") == cap


def test_refusals(filled: Folder) -> None:
    cap = snapshot(filled, "a")
    assert filled.request("POST", "nowhere?t=snapshot").status == 404
    assert filled.request("POST", "a/one?t=snapshot").status == 409
    assert filled.request("POST", "a?t=nonsense").status == 400
    assert restore(filled, "a/one", cap).status == 409
    assert restore(filled, "nowhere/new", cap).status == 409
    file = filled.request("GET", "a/typed?t=uri").text
    for wrong in (
        "",
        "URI:DIR2-CHK:xyz",
        file,
        file.replace("URI:CHK", "URI:DIR2-CHK"),
        "URI:DIR2:abc:def",
        "x" * 9999,
    ):
        assert restore(filled, "new", wrong).status == 400, wrong
    assert filled.names() == {"a/"}


def test_a_directory_that_has_lost_its_shares_changes_nothing(filled: Folder) -> None:
    cap = snapshot(filled, "a")
    inner = listing(filled.node, cap)["tiefe"][1]["ro_uri"]
    for share in filled.node.shares(inner.replace("DIR2-", "")):
        share.unlink()
    answer = restore(filled, "b", cap)
    assert answer.status == 410 and answer.json()["detail"].startswith(
        f"{filled.address.removeprefix('/files')}/b/tiefe"
    )
    assert filled.names() == {"a/"}
    # To take it again stores it again.
    assert snapshot(filled, "a") == cap
    assert restored(filled, "b", cap)["left_out"] == 0


def test_locks_and_conditions_are_minded(filled: Folder) -> None:
    cap = snapshot(filled, "a")
    token = str(filled.request("LOCK", "a/tiefe", LOCKINFO.format(scope="exclusive")).headers["Lock-Token"])
    assert restore(filled, "a", cap, query="&overwrite=true").status == 423
    assert restore(filled, "a", cap, headers={"If": f"({token})"}, query="&overwrite=true").status == 412
    address = filled.at("a/tiefe")
    assert restore(filled, "a", cap, headers={"If": f"<{address}> ({token})"}, query="&overwrite=true").status == 200
    assert restore(filled, "new", cap, headers={"If-Match": "*"}).status == 412


def test_what_the_catalogue_can_not_hold_is_left_out_and_told(folder: Folder) -> None:
    small = Child(LiteralCap(b"small"))
    mutable = "URI:SSK-RO:" + "a" * 26 + ":" + "a" * 52

    def entry(name: bytes, cap: str) -> bytes:
        inner = b"".join(b"%d:%s," % (len(part), part) for part in (name, cap.encode(), b"", b"{}"))
        return b"%d:%s," % (len(inner), inner)

    table = b"".join(
        [
            pack_entry("good", small),
            pack_entry("line\nfeed", small),
            pack_entry("x" * 256, small),
            pack_entry("unknown", Child(UnknownCap("lafs://from_the_future"))),
            entry(b"mutable", mutable),
            entry(b"..", "URI:LIT:"),
            entry("de\u0301compose\u0301".encode(), "URI:LIT:nbswy3dp"),
            entry(b"", "URI:LIT:"),
            entry(b"damaged", "URI:CHK:damaged"),
            pack_entry("@somebody", small),
            pack_entry("endless", Child(ReadCap(bytes(16), bytes(32), 3, 10, 2**63))),
        ]
    )
    cap = directory_of(folder.node, table)
    result = restored(folder, "new", cap)
    assert folder.names("new") == {"good", "décomposé", "@somebody"}
    reasons = left_out(result)
    assert set(reasons) == {"line\nfeed", "x" * 256, "unknown", "mutable", "..", "", "damaged", "endless"}
    assert "control character" in reasons["line\nfeed"] and "255" in reasons["x" * 256]
    assert "can change" in reasons["mutable"] and "not known" in reasons["unknown"]
    text = folder.request("POST", "other?t=restore", cap).text
    assert text.startswith("0 folders and 3 files are back") and "/unknown: " in text


def test_directories_of_others_bring_what_metadata_they_have(folder: Folder) -> None:
    strange = {
        "tahoe": {"linkmotime": "yesterday", "linkcrtime": 1e300},
        "mtime": 1500000000,
        "ctime": True,
        "tahoeish": {
            "type": "text/javascript\r\nX: y",
            "checksums": "SHA1:xyz",
            "properties": [
                "<broken",
                "<D:getetag xmlns:D='DAV:'>x</D:getetag>",
                7,
                "<a xmlns='urn:a'>&lt;</a>",
                "\ud800",
            ],
        },
    }
    children = {
        "plain": ["filenode", {"ro_uri": "URI:LIT:nbswy3dp"}],
        "strange": ["filenode", {"ro_uri": "URI:LIT:nbswy3dp", "metadata": strange}],
        "stranger": ["filenode", {"ro_uri": "URI:LIT:nbswy3dp", "metadata": {"tahoe": 3, "tahoeish": []}}],
    }
    cap = folder.node.request("POST", "/uri?t=mkdir-immutable", json.dumps(children).encode()).text
    result = restored(folder, "new", cap)
    assert folder.names("new") == set(children)
    assert folder.property("new/strange", "{DAV:}getlastmodified") == "Fri, 14 Jul 2017 02:40:00 GMT"
    assert folder.property("new/strange", "{DAV:}creationdate") == "2017-07-14T02:40:00Z"
    assert folder.property("new/strange", "{urn:a}a") == "<"
    assert {each["path"].rpartition("/")[2] for each in result["reasons"]} == {"strange"}
    assert result["left_out"] == 6


def test_the_top_of_a_tree_takes_no_name_of_a_user(new_node: NodeProcess) -> None:
    new_node.start()
    everything = Folder(new_node, "/files")
    children = {name: ["filenode", {"ro_uri": "URI:LIT:nbswy3dp"}] for name in ("@bob", "bob")}
    cap = new_node.request("POST", "/uri?t=mkdir-immutable", json.dumps(children).encode()).text
    assert set(left_out(restored(everything, "", cap))) == {"@bob"}
    assert everything.names() == {"bob"}


def test_programs_are_told_how_far_it_is_in_lines(filled: Folder) -> None:
    lines = {"Accept": "application/x-ndjson"}
    answer = filled.request("POST", "a?t=snapshot", headers=lines)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-ndjson"
    *progress, last = map(json.loads, answer.text.splitlines())
    assert all(set(line) == {"done", "total"} for line in progress)
    assert last["result"].keys() == {"cap", "folders", "files", "size"}
    cap = last["result"]["cap"]
    assert cap == snapshot(filled, "a")

    done = filled.request("POST", "b?t=restore", cap, lines)
    assert json.loads(done.text.splitlines()[-1])["result"]["files"] == 3
    # What is known at once has a status; what comes later, a last line.
    assert filled.request("POST", "b?t=restore", cap, lines).status == 409
    for share in filled.node.shares(cap.replace("DIR2-", "")):
        share.unlink()
    failed = filled.request("POST", "c?t=restore", cap, lines)
    assert failed.status == 200
    assert json.loads(failed.text.splitlines()[-1])["problem"]["status"] == 410
