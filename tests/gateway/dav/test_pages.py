"""Folders as people see them, and what was there before."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given

from tahoeish.gateway.dav import folder_page
from tahoeish.gateway.dav.folder_page import Order, parse_order
from tahoeish.gateway.pages import names
from tahoeish.gateway.pages.sizes import bound_in_words
from tahoeish.namespace.entries import Content, Entry, Kind, Version
from tests.gateway.dav.webdav import Folder
from tests.gateway.test_page import NASTY, TEXTS, Seen
from tests.nodes import content_of

BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def entry(name: str, **facts: Any) -> Entry:
    known: dict[str, Any] = {"size": 5, "created": 0.0, "modified": 1e9, "content": Content("URI:LIT:", 5)}
    known |= facts
    kind = Kind.FILE if known["content"] is not None else Kind.FOLDER
    return Entry(1, 0, name, "ann", kind, changes=0, path=("a", name), place=("a", name), **known)


def version(name: str, content: Content | None = None) -> Version:
    return Version(7, name, Kind.FOLDER if content is None else Kind.FILE, content, 5, 0.0, 1e9)


class TestMarkup:
    @given(TEXTS.filter(bool))
    def test_names_are_text(self, name: str) -> None:
        for make in (
            lambda name: folder_page.rows([entry(name), entry(name, content=None)]),
            lambda name: folder_page.head((name, name), Order(), name),
            lambda name: folder_page.versions_page((name,), [version(name)], [version(name)], is_folder=True),
        ):
            seen, plain = Seen(make(name)), Seen(make("plain"))
            assert [tag for tag, _ in seen.tags] == [tag for tag, _ in plain.tags]
            assert names.plain(name) in seen.text

    def test_a_program_does_not_look_like_a_picture(self) -> None:
        name = "\u202egpj.exe"
        for page in (
            folder_page.head((name, name), Order()),
            folder_page.rows([entry(name), entry(name, content=None)]),
            folder_page.versions_page((name,), [version(name)], [version(name)], is_folder=True),
        ):
            assert "\u202e" not in page and "<bdi>\N{REPLACEMENT CHARACTER}gpj.exe</bdi>" in page
        assert 'href="/files/a/%E2%80%AEgpj.exe"' in folder_page.rows([entry(name)])

    def test_nothing_of_somebody_else_s_is_run_or_fetched(self) -> None:
        page = folder_page.head((NASTY,), Order()) + folder_page.rows([entry(NASTY)]) + folder_page.foot((), empty=True)
        assert "style=" not in page and "<style" not in page
        assert re.findall(r"<script(?! type=\"module\" src=\"/assets/[a-z]+\.js\"></script>)", page) == []
        assert re.findall(r'(?:src|href)="(?!/files/|/assets/|/status"|/"|\?)', page) == []

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_550_000, "1.6 MB"), (999_600, "1.0 MB"), (10**8, "100 MB"),
            (10**16, "10 PB"), (10**19, "10000 PB"),
        ],
    )  # fmt: skip
    def test_sizes_are_short(self, size: int, text: str) -> None:
        assert f'title="{size} bytes">{text}<' in folder_page.rows([entry("a", size=size)])

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (0, "0 B"), (1, "1 B"), (1000, "1 kB"), (1024, "1 KiB"), (60 * 2**20, "60 MiB"), (2 * 10**9, "2 GB"),
            (10**15, "1000 TB"), (1_500_000, "1500 kB"), (62_914_561, "63 MB (62914561 bytes)"),
        ],
    )  # fmt: skip
    def test_bounds_are_told_as_they_were_set(self, size: int, text: str) -> None:
        assert bound_in_words(size) == text

    def test_times_are_told_as_far_as_there_are_calendars(self) -> None:
        assert ">2001-09-09 01:46<" in folder_page.rows([entry("a")])
        assert "<time" not in folder_page.rows([entry("a", modified=1e30)])


class TestOrder:
    ENTRIES = (entry("b", size=1, modified=3.0), entry("A", size=2, modified=2.0), entry("c", size=3, modified=1.0))

    @pytest.mark.parametrize(
        ("text", "names"),
        [("name", "Abc"), ("-name", "cbA"), ("size", "bAc"), ("-size", "cAb"), ("date", "cAb"), ("-date", "bAc")],
    )
    def test_is_by_a_column(self, text: str, names: str) -> None:
        assert "".join(each.name for each in parse_order(text).sorted(self.ENTRIES)) == names

    def test_of_nothing_known_is_by_name(self) -> None:
        assert {parse_order(text) for text in (None, "", "colour", "-", "__class__")} == {Order()}

    def test_is_turned_around_by_a_second_click(self) -> None:
        assert 'aria-sort="ascending"><a href="?sort=-size"' in folder_page.head((), Order("size"))
        assert 'aria-sort="descending"><a href="?sort=size"' in folder_page.head((), Order("size", descending=True))


class TestFolderPage:
    def test_links_to_what_is_in_it_and_to_what_it_is_in(self, folder: Folder) -> None:
        folder.make("a")
        folder.make("a/b%20%26")
        folder.put("a/c%23.txt", b"hello")
        answer = folder.request("GET", "a", headers=BROWSER)
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
        links = {dict(attributes).get("href") for tag, attributes in Seen(answer.text).tags if tag == "a"}
        base = folder.at("a/")
        assert {
            "/files/",
            f"{folder.address}/",
            f"{base}b%20&/",
            f"{base}c%23.txt",
            f"{base}c%23.txt?save=true",
            "/",
            "/status",
        } <= links

    def test_is_kept_to_itself(self, folder: Folder) -> None:
        policy = folder.request("GET", "").headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "style-src 'self'" in policy and "unsafe" not in policy

    def test_says_when_it_is_empty(self, folder: Folder) -> None:
        assert "This folder is empty" in folder.request("GET", "").text

    def test_has_a_head(self, folder: Folder) -> None:
        answer = folder.request("HEAD", "")
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"

    def test_files_are_saved_by_their_name(self, folder: Folder) -> None:
        folder.put("%C3%BC.txt")
        answer = folder.request("GET", "%C3%BC.txt?save=true")
        assert answer.headers["Content-Disposition"] == "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt"


class TestVersions:
    @pytest.fixture
    def replaced(self, folder: Folder) -> Folder:
        folder.put("file", content_of(100_000))
        folder.put("file", b"second")
        folder.put("file", b"third")
        return folder

    def versions(self, folder: Folder, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = folder.request("GET", f"{path}?versions").json()["versions"]
        return found

    def test_tell_what_a_name_stood_for(self, replaced: Folder) -> None:
        sizes = [each["size"] for each in self.versions(replaced, "file")]
        assert sizes == [len(b"second"), 100_000]

    def test_are_read(self, replaced: Folder) -> None:
        first = self.versions(replaced, "file")[-1]["id"]
        assert replaced.get(f"file?version={first}") == content_of(100_000)
        assert replaced.request("GET", f"file?version={first + 10_000}").status == 404
        assert replaced.request("GET", "file?version=first").status == 400

    def test_are_brought_back(self, replaced: Folder) -> None:
        first = self.versions(replaced, "file")[-1]["id"]
        assert replaced.request("POST", f"file?restore={first}").status == 204
        assert replaced.get("file") == content_of(100_000)
        assert self.versions(replaced, "file")[0]["size"] == len(b"third")
        assert replaced.request("POST", "file?restore=999999").status == 404
        assert replaced.request("POST", "file").status == 400

    def test_are_there_after_the_name_has_gone(self, replaced: Folder) -> None:
        replaced.request("DELETE", "file")
        removed = replaced.request("GET", "?versions").json()["removed"]
        assert [each["name"] for each in removed] == ["file"]
        assert replaced.request("POST", f"file?restore={removed[0]['id']}").status == 201
        assert replaced.get("file") == b"third"

    def test_of_a_folder_have_all_that_was_in_it(self, folder: Folder) -> None:
        folder.make("a", "a/b")
        folder.put("a/b/file", b"deep")
        folder.request("DELETE", "a")
        (removed,) = folder.request("GET", "?versions").json()["removed"]
        assert folder.request("POST", f"a?restore={removed['id']}").status == 201
        assert folder.get("a/b/file") == b"deep"

    def test_are_shown_to_people(self, replaced: Folder) -> None:
        page = replaced.request("GET", "file?versions", headers=BROWSER)
        assert page.text.count("<button>Restore</button>") == 2
        first = self.versions(replaced, "file")[-1]["id"]
        back = replaced.request("POST", f"file?restore={first}", headers=BROWSER)
        assert back.status == 303 and back.headers["Location"] == replaced.address + "/"

    def test_are_not_restored_for_a_page_of_another_site(self, replaced: Folder) -> None:
        first = self.versions(replaced, "file")[-1]["id"]
        answer = replaced.request("POST", f"file?restore={first}", headers={"Origin": "http://elsewhere"})
        assert answer.status == 403 and replaced.get("file") == b"third"
