"""MKCOL, DELETE, COPY and MOVE; and what names can't be."""

from __future__ import annotations

import pytest

from tests.gateway.dav.webdav import Folder
from tests.nodes import NodeProcess


def test_methods_are_announced_everywhere(node: NodeProcess) -> None:
    for target in ("/", "*", "/files", "/files/", "/files/nothing/there"):
        answer = node.request("OPTIONS", target)
        assert answer.status == 200 and answer.headers["Content-Length"] == "0"
        assert answer.headers["DAV"] == "1, 2, 3" and answer.headers["MS-Author-Via"] == "DAV"
        assert "PROPFIND" in answer.headers["Allow"]
    assert "LOCK" in node.request("OPTIONS", "/files").headers["Allow"].split(", ")


def test_what_is_not_possible_says_what_is(folder: Folder) -> None:
    for method in ("REPORT", "MKWORKSPACE"):
        answer = folder.request(method, "file")
        assert answer.status == 405 and "PUT" in answer.headers["Allow"]


class TestFolders:
    def test_are_made_once(self, folder: Folder) -> None:
        assert folder.request("MKCOL", "a").status == 201
        assert folder.request("MKCOL", "b/").status == 201
        assert folder.request("MKCOL", "a/").status == 405
        assert folder.request("MKCOL", "no/where").status == 409
        assert folder.names() == {"a/", "b/"}

    def test_are_not_made_where_a_file_is(self, folder: Folder) -> None:
        folder.put("file")
        assert folder.request("MKCOL", "file").status == 405
        assert folder.request("MKCOL", "file/below").status == 409

    def test_are_made_without_a_body(self, folder: Folder) -> None:
        assert folder.request("MKCOL", "a", b"<mkcol/>", {"Content-Type": "application/xml"}).status == 415
        assert folder.names() == set()

    def test_are_removed_with_all_that_is_in_them(self, folder: Folder) -> None:
        folder.make("a", "a/b")
        folder.put("a/b/file")
        assert folder.request("DELETE", "a", headers={"Depth": "0"}).status == 400
        assert folder.request("DELETE", "a").status == 204
        assert folder.request("DELETE", "a").status == 404
        assert folder.names() == set()


@pytest.mark.parametrize("depth", ["0", "1", "infinity"])
def test_a_file_has_only_one_depth(folder: Folder, depth: str) -> None:
    folder.put("file", b"content")
    assert folder.transfer("COPY", "file", "copied", Depth=depth).status == 201
    assert folder.transfer("MOVE", "copied", "moved", Depth=depth).status == 201
    assert folder.get("moved") == b"content"
    assert folder.request("DELETE", "file", headers={"Depth": depth}).status == 204
    assert folder.request("DELETE", "file", headers={"Depth": depth}).status == 404
    assert folder.names() == {"moved"}


def test_a_fragment_removes_nothing(folder: Folder) -> None:
    folder.make("a")
    assert folder.request("DELETE", "a/#fragment").status == 400
    assert folder.names() == {"a/"}


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
class TestTransfers:
    def test_to_a_new_name_and_an_old_one(self, folder: Folder, method: str) -> None:
        folder.put("a", b"first")
        folder.put("b", b"second")
        assert folder.transfer(method, "a", "c").status == 201
        assert folder.transfer(method, "b", "c").status == 204
        assert folder.get("c") == b"second"
        assert folder.names() == ({"a", "b", "c"} if method == "COPY" else {"c"})

    def test_overwrite_only_if_that_is_wanted(self, folder: Folder, method: str) -> None:
        folder.put("a", b"first")
        folder.put("b", b"second")
        assert folder.transfer(method, "a", "b", Overwrite="F").status == 412
        assert folder.get("b") == b"second"

    def test_replace_folders_and_do_not_merge_them(self, folder: Folder, method: str) -> None:
        folder.make("a", "b")
        folder.put("a/new")
        folder.put("b/old")
        folder.put("file")
        assert folder.transfer(method, "a", "b").status == 204
        assert folder.names("b") == {"new"}
        assert folder.transfer(method, "b", "file").status == 204
        assert folder.names("file") == {"new"}

    def test_need_a_folder_to_go_to(self, folder: Folder, method: str) -> None:
        folder.put("a")
        assert folder.transfer(method, "a", "no/where").status == 409
        assert folder.transfer(method, "nothing", "b").status == 404
        assert folder.request(method, "a").status == 400

    def test_do_not_lead_into_themselves(self, folder: Folder, method: str) -> None:
        folder.make("a", "a/b")
        assert folder.transfer(method, "a", "a").status == 403
        assert folder.transfer(method, "a", "a/").status == 403
        assert folder.transfer(method, "a", "a/b/c").status == 403
        assert folder.names("a") == {"b/"}

    def test_do_not_leave_this_server(self, folder: Folder, method: str) -> None:
        folder.put("a")
        answer = folder.request(method, "a", headers={"Destination": "http://elsewhere/files/b"})
        assert answer.status == 502 and "elsewhere" in answer.text
        assert folder.request(method, "a", headers={"Destination": "/uri/b"}).status == 502

    def test_know_this_server_behind_a_proxy(self, folder: Folder, method: str) -> None:
        folder.put("a")
        headers = {"Destination": f"https://files.example.net:8443{folder.at('b')}"}
        assert folder.request(method, "a", headers=headers).status == 502
        assert folder.request(method, "a", headers={**headers, "X-Forwarded-Host": "files.example.net"}).status == 201

    def test_carry_properties_and_times(self, folder: Folder, method: str) -> None:
        folder.put("a", X_OC_Mtime="1000000000")
        folder.patch("a", "<D:set><D:prop><x xmlns='u'>kept</x></D:prop></D:set>")
        folder.transfer(method, "a", "b")
        assert folder.property("b", "{u}x") == "kept"
        assert folder.property("b", "{DAV:}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"

    def test_set_a_time_if_they_are_told_to(self, folder: Folder, method: str) -> None:
        folder.put("a")
        answer = folder.transfer(method, "a", "b", **{"X-OC-Mtime": "1000000000"})
        assert answer.headers["X-OC-Mtime"] == "accepted"
        assert folder.property("b", "{DAV:}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"

    def test_go_down_all_the_way(self, folder: Folder, method: str) -> None:
        folder.make("a", "a/b")
        folder.put("a/b/file", b"deep")
        assert folder.transfer(method, "a", "c", Depth="1").status == 400
        assert folder.transfer(method, "a/", "c/", Depth="infinity").status == 201
        assert folder.get("c/b/file") == b"deep"


def test_a_shallow_copy_is_of_the_folder_only(folder: Folder) -> None:
    folder.make("a")
    folder.put("a/file")
    folder.patch("a", "<D:set><D:prop><x xmlns='u'>kept</x></D:prop></D:set>")
    assert folder.transfer("COPY", "a", "b", Depth="0").status == 201
    assert folder.names("b") == set() and folder.property("b", "{u}x") == "kept"
    assert folder.transfer("MOVE", "a", "c", Depth="0").status == 400


@pytest.mark.parametrize(
    "target",
    [
        "/files/../uri",
        "/files/%2e%2e/uri",
        "/files/a/%2E./%2e%2e/b",
        "/files/..%2f..%2fetc",
        "/files/a%2fb",
        "/files/%00",
        "/files/a%0d%0aX: y".replace(" ", "%20"),
        "/files/%ff%fe",
        "/files/a//b",
        "/files/%c0%ae%c0%ae/x",
        "/files/" + "x" * 256,
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "MKCOL", "DELETE", "PROPFIND"])
def test_what_no_name_can_be_is_refused_with_the_reason(node: NodeProcess, method: str, target: str) -> None:
    answer = node.request(method, target)
    assert answer.status == 400 and answer.text


def test_two_spellings_are_one_name(folder: Folder) -> None:
    folder.put("u%CC%88", b"composed")
    assert folder.names() == {"ü"} and folder.get("%C3%BC") == b"composed"


@pytest.mark.parametrize(
    "probe", [".metadata_never_index", "._.", ".DS_Store", ".Spotlight-V100", ".ql_disablethumbnails"]
)
def test_probes_of_macos_find_nothing(node: NodeProcess, probe: str) -> None:
    assert node.get(f"/{probe}").status == 404
    assert node.get(f"/files/{probe}").status == 404
    assert node.request("PROPFIND", f"/files/{probe}", headers={"Depth": "0"}).status == 404
