"""LOCK and UNLOCK, and what locks keep others from."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests.gateway.dav.webdav import LOCKINFO, Folder, condition
from tests.nodes import NodeProcess

D = "{DAV:}"


def held(token: str) -> dict[str, str]:
    return {"If": f"({token})"}


def test_the_answer_describes_the_lock(folder: Folder) -> None:
    folder.put("file")
    answer = folder.request("LOCK", "file", LOCKINFO.format(scope="exclusive"), {"Depth": "0", "Timeout": "Second-60"})
    lock = ET.fromstring(answer.body).find(f"{D}lockdiscovery/{D}activelock")
    assert answer.status == 200 and lock is not None
    assert lock.find(f"{D}lockscope/{D}exclusive") is not None and lock.find(f"{D}locktype/{D}write") is not None
    assert lock.findtext(f"{D}depth") == "0" and lock.findtext(f"{D}owner") == "somebody"
    assert lock.findtext(f"{D}timeout") == "Second-60"
    assert lock.findtext(f"{D}lockroot/{D}href") == folder.at("file")
    assert f"<{lock.findtext(f'{D}locktoken/{D}href')}>" == answer.headers["Lock-Token"]
    assert re.fullmatch("<urn:uuid:.*>", answer.headers["Lock-Token"])


@pytest.mark.parametrize("timeout", ["Infinite, Second-4100000000", "Second-4100000000", "Infinite", "nonsense"])
def test_every_wish_for_a_time_is_answered_with_a_bounded_one(folder: Folder, timeout: str) -> None:
    folder.lock("file", Timeout=timeout)
    seconds = re.search(r"Second-(\d+)", folder.property("file", f"{D}lockdiscovery") or "")
    assert seconds is not None and 3590 <= int(seconds[1]) <= 3600


def test_a_name_that_is_free_gets_an_empty_file(folder: Folder) -> None:
    answer = folder.request("LOCK", "new", LOCKINFO.format(scope="exclusive"))
    assert answer.status == 201
    assert folder.names() == {"new"} and folder.get("new") == b""
    assert folder.request("UNLOCK", "new", headers={"Lock-Token": answer.headers["Lock-Token"]}).status == 204
    assert folder.get("new") == b""
    assert folder.request("LOCK", "no/where", LOCKINFO.format(scope="exclusive")).status == 409


def test_only_the_holder_changes_what_is_locked(folder: Folder) -> None:
    folder.put("file", b"old")
    folder.put("other")
    token = folder.lock("file")
    attempts = [
        ("PUT", "file", b"new", {}),
        ("DELETE", "file", b"", {}),
        ("MOVE", "file", b"", {"Destination": folder.at("moved")}),
        ("MOVE", "other", b"", {"Destination": folder.at("file")}),
        ("COPY", "other", b"", {"Destination": folder.at("file")}),
        ("PROPPATCH", "file", b"<propertyupdate xmlns='DAV:'><set><prop><a/></prop></set></propertyupdate>", {}),
    ]
    for method, path, body, headers in attempts:
        answer = folder.request(method, path, body, headers)
        assert answer.status == 423 and condition(answer) == f"{D}lock-token-submitted", method
        assert folder.at("file") in answer.text
    assert folder.request("PUT", "file", b"new", held(token)).status == 204
    assert folder.request("DELETE", "file", headers=held(token)).status == 204


def test_everybody_reads_what_is_locked(folder: Folder) -> None:
    folder.put("file")
    folder.lock("file")
    assert folder.get("file") == b"content"
    assert folder.request("PROPFIND", "file", headers={"Depth": "0"}).status == 207
    assert folder.transfer("COPY", "file", "copy").status == 201
    assert folder.property("copy", f"{D}lockdiscovery") == ""


def test_exclusive_locks_stand_against_all_others(folder: Folder) -> None:
    folder.put("file")
    folder.lock("file", "shared")
    folder.lock("file", "shared")
    assert len(folder.properties("file")[f"{D}lockdiscovery"]) == 2
    answer = folder.request("LOCK", "file", LOCKINFO.format(scope="exclusive"))
    assert answer.status == 423 and condition(answer) == f"{D}no-conflicting-lock"


def test_a_lock_on_a_folder_covers_what_comes_into_it(folder: Folder) -> None:
    folder.make("a")
    token = folder.lock("a", Depth="infinity")
    assert folder.request("PUT", "a/file", b"x").status == 423
    assert folder.request("PUT", "a/file", b"x", {"If": f"<{folder.at('a/')}> ({token})"}).status == 201
    lock = folder.properties("a/file")[f"{D}lockdiscovery"][0]
    assert lock.findtext(f"{D}lockroot/{D}href") == folder.at("a/")
    assert folder.request("LOCK", "a/file", headers={"If": f"({token})"}).status == 200


def test_a_lock_on_the_folder_itself_leaves_its_files_free(folder: Folder) -> None:
    folder.make("a")
    folder.put("a/file")
    folder.lock("a", Depth="0")
    assert folder.request("PUT", "a/file", b"x").status == 204
    assert folder.request("PUT", "a/new", b"x").status == 423
    assert folder.request("LOCK", "a", LOCKINFO.format(scope="shared"), {"Depth": "1"}).status == 400


def test_a_lock_is_renewed_without_a_body(folder: Folder) -> None:
    folder.put("file")
    token = folder.lock("file", Timeout="Second-60")
    answer = folder.request("LOCK", "file", headers={**held(token), "Timeout": "Second-600"})
    assert answer.status == 200 and answer.headers["Lock-Token"] is None and "Second-600" in answer.text
    assert folder.request("LOCK", "file", headers=held("<urn:uuid:other>")).status == 412
    assert folder.request("LOCK", "file").status == 400


def test_unlocking_takes_the_token(folder: Folder) -> None:
    folder.put("file")
    token = folder.lock("file")
    assert folder.request("UNLOCK", "file").status == 400
    answer = folder.request("UNLOCK", "file", headers={"Lock-Token": "<urn:uuid:other>"})
    assert answer.status == 409 and condition(answer) == f"{D}lock-token-matches-request-uri"
    # Windows may leave out the brackets.
    assert folder.request("UNLOCK", "file", headers={"Lock-Token": token.strip("<>")}).status == 204
    assert folder.request("PUT", "file", b"x").status == 204


def test_locks_do_not_move_and_end_with_what_they_are_on(folder: Folder) -> None:
    folder.put("file")
    token = folder.lock("file")
    assert folder.transfer("MOVE", "file", "moved", **held(token)).status == 201
    assert folder.request("PUT", "moved", b"x").status == 204
    assert folder.request("PUT", "file", b"x").status == 201


def test_locks_and_properties_survive_a_restart(new_node: NodeProcess) -> None:
    new_node.start()
    root = Folder(new_node, "/files")
    root.put("file", b"kept")
    root.patch("file", "<D:set><D:prop><x xmlns='u'>kept</x></D:prop></D:set>")
    token = root.lock("file")
    new_node.stop()
    new_node.start()
    assert root.get("file") == b"kept" and root.property("file", "{u}x") == "kept"
    assert root.request("PUT", "file", b"x").status == 423
    assert root.request("PUT", "file", b"x", held(token)).status == 204
    assert new_node.stop() == 0
    assert "Traceback" not in new_node.said
