"""Keys that sign addresses, and upload links, in each kind of database."""

from __future__ import annotations

import os
from itertools import islice

import pytest
from sqlalchemy import select

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import LinkOver, NoSuchLink, NoSuchUpload, NoSuchUser
from tahoeish.namespace.schema import arrivals
from tahoeish.namespace.upload_links import Bounds, Hook, UploadLink, UploadLinks, names_like
from tahoeish.namespace.uploads import UploadRow, UploadTable
from tahoeish.namespace.url_keys import NoSuchKey, TooManyKeys, UrlKeys
from tahoeish.namespace.users import Users
from tahoeish.namespace.viewer import Viewer
from tests.namespace.conftest import Clock

ALICE = Viewer("alice")


@pytest.fixture
def keys(database: Database, clock: Clock) -> UrlKeys:
    Users(database, clock).add("alice", None)
    return UrlKeys(database, clock, os.urandom)


@pytest.fixture
def links(database: Database, clock: Clock) -> UploadLinks:
    Users(database, clock).add("alice", None)
    return UploadLinks(database, clock, os.urandom)


class TestKeys:
    def test_of_each_place_there_are_two_and_the_newest_signs(self, keys: UrlKeys, clock: Clock) -> None:
        first = keys.add("alice")
        clock.advance(1)
        second, inbox = keys.add("alice"), keys.add("alice", ("inbox",))
        with pytest.raises(TooManyKeys):
            keys.add("alice")
        assert keys.of_user("alice")[-1] == first
        clock.advance(1)
        third = keys.rotate("alice")
        assert keys.of_user("alice")[0] == third and set(keys.all()) == {second, third, inbox}

    def test_are_good_below_their_folder(self, keys: UrlKeys) -> None:
        key = keys.add("alice", ("a", "b"))
        assert key.covers(("a", "b", "c")) and not key.covers(("a", "bc")) and not key.covers(("a",))

    def test_end(self, keys: UrlKeys, database: Database, clock: Clock) -> None:
        keys.remove(keys.add("alice").id)
        with pytest.raises(NoSuchKey):
            keys.remove("nothing")
        keys.add("alice")
        Users(database, clock).remove("alice", keep_files=True)
        assert keys.of_user("alice") == [] and len(keys.all()) == 1
        with pytest.raises(NoSuchUser):
            keys.add("alice")
        Users(database, clock).remove("alice", keep_files=False)
        assert keys.all() == []

    def test_are_not_shown(self, keys: UrlKeys) -> None:
        key = keys.add("alice")
        assert key.secret not in repr(key)


class TestLinks:
    def test_are_found_by_their_secret_as_long_as_they_are_good(self, links: UploadLinks, clock: Clock) -> None:
        link, secret = links.create("alice", ("inbox",), Bounds(expires=clock.now + 10), label="x")
        assert links.find(secret) == link == links.of_user("alice")[0]
        with pytest.raises(NoSuchLink):
            links.find(link.id)
        clock.advance(10)
        with pytest.raises(LinkOver, match="has expired"):
            links.find(secret)

    def test_end_with_a_user_who_cannot_come_in(self, links: UploadLinks, database: Database, clock: Clock) -> None:
        _, secret = links.create("alice", (), Bounds())
        Users(database, clock).remove("alice", keep_files=True)
        with pytest.raises(NoSuchLink):
            links.find(secret)
        with pytest.raises(NoSuchUser):
            links.create("alice", (), Bounds())

    def test_are_revoked_by_their_user(self, links: UploadLinks, catalogue: Catalogue) -> None:
        link, secret = links.create("alice", (), Bounds(), hook=Hook("https://app.example", "secret"))
        links.take_in(catalogue, link.id, ("f",), Content("URI:LIT:me", 1), None, lambda *_: "told")
        with pytest.raises(NoSuchLink):
            links.revoke("bob", link.id)
        assert [call.body for call in links.due_calls()] == ["told"]
        links.revoke("alice", link.id)
        with pytest.raises(NoSuchLink):
            links.find(secret)
        assert links.due_calls() == []

    def test_an_upload_that_is_completed_again_changes_nothing(
        self, links: UploadLinks, catalogue: Catalogue, database: Database, clock: Clock
    ) -> None:
        link, secret = links.create("alice", (), Bounds(max_files=1), hook=Hook("https://app.example", "secret"))
        begin_upload(database, clock, "upload")
        assert take_in(links, catalogue, link, "1", upload="upload") == "f"
        # Where its file is meanwhile is its owner's business.
        catalogue.move(ALICE, ("f",), ("elsewhere",), overwrite=False)
        # With a key of its own, the same bytes may have got another cap.
        for content in ("1", "2"):
            assert take_in(links, catalogue, link, content, upload="upload") == "f"
        assert [entry.name for entry in catalogue.children(ALICE, ())] == ["elsewhere"]
        assert links.look_up(secret).files == len(links.due_calls()) == 1

    def test_the_same_content_by_another_upload_is_another_file(
        self, links: UploadLinks, catalogue: Catalogue, database: Database, clock: Clock
    ) -> None:
        (link, secret), (other, _) = links.create("alice", (), Bounds(max_files=2)), links.create("alice", (), Bounds())
        for upload in ("first", "second"):
            begin_upload(database, clock, upload)
        assert take_in(links, catalogue, other, "1") == "f"
        assert take_in(links, catalogue, link, "1", upload="first") == "f (2)"
        assert take_in(links, catalogue, link, "1", upload="second") == "f (3)"
        assert links.look_up(secret).files == 2
        with pytest.raises(LinkOver, match="as often"):
            take_in(links, catalogue, link, "1")
        with pytest.raises(LinkOver):
            links.find(secret)

    def test_an_upload_that_was_cancelled_is_no_file(self, links: UploadLinks, catalogue: Catalogue) -> None:
        link, _ = links.create("alice", (), Bounds())
        with pytest.raises(NoSuchUpload):
            take_in(links, catalogue, link, "1", upload="cancelled")
        assert catalogue.children(ALICE, ()) == []

    def test_what_an_upload_was_called_is_forgotten_with_it(
        self, links: UploadLinks, catalogue: Catalogue, database: Database, clock: Clock
    ) -> None:
        link, _ = links.create("alice", (), Bounds())
        begin_upload(database, clock, "upload")
        take_in(links, catalogue, link, "1", upload="upload")
        UploadTable(database, clock).remove("upload")
        assert database.read(lambda connection: connection.execute(select(arrivals)).all()) == []


def begin_upload(database: Database, clock: Clock, id: str) -> None:
    UploadTable(database, clock).create(UploadRow(id, "alice", None, "tus", "{}", "{}", clock.now, None))


def take_in(links: UploadLinks, catalogue: Catalogue, link: UploadLink, content: str, upload: str | None = None) -> str:
    brought = Content(f"URI:LIT:{content}", len(content))
    return links.take_in(catalogue, link.id, ("f",), brought, None, lambda *_: "told", upload=upload)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("a.txt", ["a.txt", "a (2).txt", "a (3).txt"]),
        ("a", ["a", "a (2)", "a (3)"]),
        (".profile", [".profile", ".profile (2)", ".profile (3)"]),
        ("ü" * 127, ["ü" * 127, "ü" * 125 + " (2)", "ü" * 125 + " (3)"]),
    ],
)
def test_other_names_for_the_same(name: str, others: list[str]) -> None:
    assert list(islice(names_like(name), 3)) == others
    assert all(len(each.encode()) <= 255 for each in others)
