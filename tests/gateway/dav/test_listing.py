"""PROPFIND and PROPPATCH."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.dav.webdav import Folder, condition, responses
from tests.nodes import NOT_DURABLE, NodeProcess, head, running

D = "{DAV:}"


def test_the_root_of_the_server_leads_to_the_files(node: NodeProcess) -> None:
    found = responses(node.request("PROPFIND", "/", headers={"Depth": "1"}))
    assert list(found) == ["/", "/files/"]
    assert found["/files/"][200][f"{D}resourcetype"].find(f"{D}collection") is not None
    assert list(responses(node.request("PROPFIND", "/", headers={"Depth": "0"}))) == ["/"]
    assert condition(node.request("PROPFIND", "/")) == f"{D}propfind-finite-depth"


@pytest.mark.parametrize("target", ["/files", "/files/"])
def test_a_slash_at_the_end_makes_no_difference(node: NodeProcess, target: str) -> None:
    assert "/files/" in responses(node.request("PROPFIND", target, headers={"Depth": "0"}))


class TestDepth:
    @pytest.fixture
    def tree(self, folder: Folder) -> Folder:
        folder.make("a", "a/b")
        folder.put("a/b/deep")
        folder.put("a/1%20%C3%BC&%3C%3E%23%3F%25")
        return folder

    def listed(self, tree: Folder, depth: str | None) -> set[str]:
        headers = {} if depth is None else {"Depth": depth}
        return {href.removeprefix(tree.address) for href in responses(tree.request("PROPFIND", "a", headers=headers))}

    def test_says_how_far_down_to_look(self, tree: Folder) -> None:
        file = "/a/1%20%C3%BC&%3C%3E%23%3F%25"
        assert self.listed(tree, "0") == {"/a/"}
        assert self.listed(tree, "1") == {"/a/", "/a/b/", file}
        assert self.listed(tree, "infinity") == {"/a/", "/a/b/", "/a/b/deep", file}
        assert self.listed(tree, None) == self.listed(tree, "infinity")

    def test_is_0_1_or_infinity(self, tree: Folder) -> None:
        assert tree.request("PROPFIND", "a", headers={"Depth": "2"}).status == 400

    def test_is_bounded(self, tmp_path: Path) -> None:
        with running(tmp_path / "node", {**NOT_DURABLE, "files": {"propfind_limit": 3}}) as node:
            root = Folder(node, "/files")
            root.make("a")
            root.put("a/1")
            assert node.request("PROPFIND", "/files/").status == 207
            root.put("a/2")
            answer = node.request("PROPFIND", "/files/")
            assert answer.status == 403 and condition(answer) == f"{D}propfind-finite-depth"
            assert len(responses(node.request("PROPFIND", "/files/a", headers={"Depth": "1"}))) == 3


class TestLiveProperties:
    def test_of_a_file(self, folder: Folder) -> None:
        etag = folder.put("a%20b.txt", b"12345", X_OC_Mtime="1000000000").headers["ETag"]
        found = folder.properties("a%20b.txt")
        texts = {name.removeprefix(D): element.text for name, element in found.items()}
        created = texts.pop("creationdate")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created or "")
        assert texts == {
            "resourcetype": None,
            "displayname": "a b.txt",
            "getlastmodified": "Sun, 09 Sep 2001 01:46:40 GMT",
            "getcontentlength": "5",
            "getcontenttype": "text/plain; charset=utf-8",
            "getetag": etag,
            "supportedlock": None,
            "lockdiscovery": None,
        }

    def test_of_a_folder(self, folder: Folder) -> None:
        found = folder.properties("")
        assert found[f"{D}resourcetype"].find(f"{D}collection") is not None
        assert f"{D}getcontentlength" not in found and f"{D}getcontenttype" not in found

    def test_a_folder_s_tag_changes_with_what_is_in_it(self, folder: Folder) -> None:
        before = folder.property("", f"{D}getetag")
        folder.put("file")
        assert folder.property("", f"{D}getetag") != before

    def test_quotas_are_told_to_those_who_ask(self, folder: Folder) -> None:
        folder.put("file", b"x" * 1000)
        assert int(folder.property("", f"{D}quota-used-bytes") or 0) >= 1000
        assert f"{D}quota-used-bytes" not in folder.properties("")

    def test_missing_ones_are_told_apart(self, folder: Folder) -> None:
        folder.put("file")
        body = (
            "<propfind xmlns='DAV:'><prop><getetag/><nothing xmlns=''/><x:no xmlns:x='u:&amp;\"'/><bar:foo "
            "xmlns:bar='DAV:'/></prop></propfind>"
        )
        (found,) = responses(folder.request("PROPFIND", "file", body, {"Depth": "0"})).values()
        assert set(found[200]) == {f"{D}getetag"} and set(found[404]) == {"nothing", '{u:&"}no', f"{D}foo"}

    def test_names_without_values(self, folder: Folder) -> None:
        folder.put("file")
        folder.patch("file", "<D:set><D:prop><x xmlns='u'>1</x></D:prop></D:set>")
        body = "<propfind xmlns='DAV:'><propname/></propfind>"
        (found,) = responses(folder.request("PROPFIND", "file", body, {"Depth": "0"})).values()
        assert {"{u}x", f"{D}getetag"} <= set(found[200])
        assert all(element.text is None and not len(element) for element in found[200].values())

    def test_names_that_begin_with_xml_keep_their_prefix(self, folder: Folder) -> None:
        name = "{http://www.w3.org/XML/1998/namespace}foo"
        folder.put("file")
        asked = "<propfind xmlns='DAV:'><prop><xml:foo/></prop></propfind>"
        (found,) = responses(folder.request("PROPFIND", "file", asked, {"Depth": "0"})).values()
        assert set(found[404]) == {name}
        assert set(folder.patch("file", "<D:set><D:prop><xml:foo>1</xml:foo></D:prop></D:set>")[200]) == {name}
        assert folder.properties("file")[name].text == "1"
        (found,) = responses(
            folder.request("PROPFIND", "file", "<propfind xmlns='DAV:'><propname/></propfind>", {"Depth": "0"})
        ).values()
        assert name in found[200]

    def test_a_name_that_xml_cannot_write_spoils_nothing(self, folder: Folder) -> None:
        folder.put("%EF%BF%BF")
        found = responses(folder.request("PROPFIND", "", headers={"Depth": "1"}))
        assert f"{folder.address}/%EF%BF%BF" in found


class TestDeadProperties:
    def test_come_back_as_they_were_written(self, folder: Folder) -> None:
        folder.put("file")
        value = "<z:x xmlns:z='u:1' z:y='&lt;'>a<b xmlns=''/> &amp; ü\U00010000<z:c>z:d</z:c></z:x>"
        folder.patch("file", f"<D:set><D:prop xml:lang='de'>{value}</D:prop></D:set>")
        element = folder.properties("file", "{u:1}x")["{u:1}x"]
        assert element.attrib == {"{u:1}y": "<", "{http://www.w3.org/XML/1998/namespace}lang": "de"}
        assert "".join(element.itertext()) == "a & ü\U00010000z:d"
        assert [child.tag for child in element] == ["b", "{u:1}c"]
        assert "{u:1}x" in folder.properties("file")

    def test_are_changed_in_order(self, folder: Folder) -> None:
        one = "<D:set><D:prop><x xmlns='u'>1</x></D:prop></D:set>"
        none = "<D:remove><D:prop><x xmlns='u'/></D:prop></D:remove>"
        folder.put("file")
        assert set(folder.patch("file", none + one)) == {200} and folder.property("file", "{u}x") == "1"
        assert set(folder.patch("file", one + none)) == {200} and folder.property("file", "{u}x") is None

    def test_are_changed_all_or_none(self, folder: Folder) -> None:
        folder.put("file")
        found = folder.patch(
            "file",
            "<D:set><D:prop><x xmlns='u'>1</x><D:getetag>mine</D:getetag></D:prop></D:set>"
            "<D:remove><D:prop><D:resourcetype/><y xmlns='u'/></D:prop></D:remove>",
        )
        assert {status: set(names) for status, names in found.items()} == {
            403: {f"{D}getetag", f"{D}resourcetype"},
            424: {"{u}x", "{u}y"},
        }
        assert folder.property("file", "{u}x") is None

    def test_may_be_a_name_to_show(self, folder: Folder) -> None:
        folder.put("file")
        folder.patch("file", "<D:set><D:prop><D:displayname>Shown</D:displayname></D:prop></D:set>")
        assert folder.property("file", f"{D}displayname") == "Shown"
        assert folder.properties("file")[f"{D}displayname"].text == "Shown"

    def test_are_of_something(self, folder: Folder) -> None:
        answer = folder.request(
            "PROPPATCH", "no", "<propertyupdate xmlns='DAV:'><set><prop><a/></prop></set></propertyupdate>"
        )
        assert answer.status == 404


class TestTimes:
    MODIFIED = f"{D}getlastmodified"

    def test_are_set_as_rclone_does_it(self, folder: Folder) -> None:
        folder.put("file")
        change = "<D:set><D:prop><D:lastmodified>1000000000</D:lastmodified></D:prop></D:set>"
        assert set(folder.patch("file", change)) == {200}
        assert folder.property("file", self.MODIFIED) == "Sun, 09 Sep 2001 01:46:40 GMT"
        assert folder.property("file", f"{D}lastmodified") is None

    def test_are_numbers_there(self, folder: Folder) -> None:
        folder.put("file")
        change = "<D:set><D:prop><D:lastmodified>now</D:lastmodified><x xmlns='u'/></D:prop></D:set>"
        assert set(folder.patch("file", change)) == {409, 424}

    def test_are_set_as_windows_does_it(self, folder: Folder) -> None:
        folder.put("file")
        time = "Sun, 09 Sep 2001 01:46:40 GMT"
        folder.patch(
            "file",
            "<D:set><D:prop xmlns:Z='urn:schemas-microsoft-com:'>"
            f"<Z:Win32LastModifiedTime>{time}</Z:Win32LastModifiedTime>"
            "<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set>",
        )
        assert folder.property("file", self.MODIFIED) == time
        assert folder.property("file", "{urn:schemas-microsoft-com:}Win32LastModifiedTime") == time
        assert folder.property("file", "{urn:schemas-microsoft-com:}Win32FileAttributes") == "00000020"

    def test_are_otherwise_for_the_node_to_set(self, folder: Folder) -> None:
        folder.put("file")
        change = f"<D:set><D:prop><D:getlastmodified>{'x'}</D:getlastmodified></D:prop></D:set>"
        assert set(folder.patch("file", change)) == {403}


@pytest.mark.parametrize(
    "body",
    [
        "<D:propfind xmlns:D='DAV:'><D:allprop/>",
        "<D:propfind xmlns:D='DAV:'><D:prop><bar:foo xmlns:bar=''/></D:prop></D:propfind>",
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><D:propfind xmlns:D='DAV:'>&e;</D:propfind>",
        "<propfind/>",
    ],
)
def test_xml_that_is_none_for_us_is_refused(folder: Folder, body: str) -> None:
    for method in ("PROPFIND", "PROPPATCH", "LOCK"):
        assert folder.request(method, "", body, {"Depth": "0"}).status == 400


def test_a_body_has_a_bound(folder: Folder) -> None:
    for method in ("PROPFIND", "PROPPATCH", "LOCK"):
        assert folder.request(method, "", b" " * (1024 * 1024 + 1), {"Depth": "0"}).status == 413


class TestLargeFolder:
    """With more entries than one page has."""

    COUNT = 3_500

    @pytest.fixture(scope="class")
    @classmethod
    def node(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
        with running(tmp_path_factory.mktemp("large") / "node", NOT_DURABLE) as node:
            assert node.request("MKCOL", "/files/large").status == 201
            assert node.request("PUT", "/files/large/0000", b"x").status == 201
            fill(node, cls.COUNT)
            yield node

    def test_is_listed_whole(self, node: NodeProcess) -> None:
        found = responses(node.request("PROPFIND", "/files/large", headers={"Depth": "1"}))
        assert set(found) == {"/files/large/", *(f"/files/large/{number:04}" for number in range(self.COUNT))}

    def test_is_shown_whole(self, node: NodeProcess) -> None:
        page = node.get("/files/large/").text
        assert len(re.findall("<tr><td>", page)) == self.COUNT
        backwards = node.get("/files/large/?sort=-name").text
        assert backwards.index("/0001") > backwards.index(f"/{self.COUNT - 1}")

    def test_waits_for_a_slow_client(self, node: NodeProcess) -> None:
        with node.connect() as client:
            client.send(head("PROPFIND", "/files/large", {"Depth": "1", "Content-Length": "0"}))
            assert node.request("PROPFIND", "/files", headers={"Depth": "0"}).status == 207
            assert len(responses(client.answer())) == self.COUNT + 1


def fill(node: NodeProcess, count: int) -> None:
    """As many more files as that in the folder `large`, straight in the database, as one by one would take long."""
    with sqlite3.connect(node.directory / "catalogue.sqlite") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(entries)") if row[1] not in ("id", "name")]
        names = ", ".join(columns)
        database.executemany(
            f"INSERT INTO entries (name, {names}) SELECT ?, {names} FROM entries WHERE name = '0000'",
            [(f"{number:04}",) for number in range(1, count)],
        )
