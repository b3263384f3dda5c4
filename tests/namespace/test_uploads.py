"""What is known of uploads that go on over several requests, and who may say so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import func, select

from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import AlreadyExists, NoSuchUpload, Superseded, TooManyUploads
from tahoeish.namespace.schema import upload_records
from tahoeish.namespace.uploads import UploadRow, UploadTable
from tahoeish.namespace.users import Users
from tahoeish.namespace.viewer import LOCAL
from tests.namespace.conftest import Clock

THREADS = 4


@pytest.fixture
def table(database: Database, clock: Clock) -> UploadTable:
    return UploadTable(database, clock)


@pytest.fixture
def people(database: Database, clock: Clock) -> Users:
    return Users(database, clock)


def upload(id: str, owner: str = "ann", key: str | None = None, deadline: float | None = None) -> UploadRow:
    return UploadRow(id, owner, key, "tus", '{"path": "/ä"}', "{}", 1.5, deadline)


def moved_on(row: UploadRow) -> UploadRow:
    """With something else in everything that can change."""
    return replace(
        row,
        key="other",
        dialect="ietf",
        target="[1]",
        notes="[2]",
        deadline=7.25,
        offset=2**40,
        length=2**41,
        phase="finishing",
        answer=b"\x00\xff",
        encoder=bytes(range(256)),
        shares="[3]",
        tail=b"tail\x00",
        segments=2**23,
    )


def there_are_records(database: Database) -> bool:
    count = select(func.count()).select_from(upload_records)
    return database.read(lambda connection: connection.execute(count).scalar_one()) > 0


def ids(rows: list[UploadRow]) -> list[str]:
    return [row.id for row in rows]


# Making and finding


def test_what_was_made_is_found(table: UploadTable) -> None:
    table.create(upload("1", key="photo.jpg"))
    assert table.find("1") == upload("1", key="photo.jpg")
    assert table.find_by_key("ann", "photo.jpg") == upload("1", key="photo.jpg")
    assert table.records("1") == b""


def test_every_field_can_be_given_at_once(table: UploadTable) -> None:
    row = moved_on(replace(upload("1"), epoch=3))
    table.create(row)
    assert table.claim("1") == replace(row, epoch=4)


def test_what_is_not_there_is_not_found(table: UploadTable) -> None:
    table.create(upload("1", key="a"))
    with pytest.raises(NoSuchUpload):
        table.find("2")
    assert table.find_by_key("ann", "b") is None
    assert table.find_by_key("bob", "a") is None


def test_a_key_names_one_upload_of_an_owner(table: UploadTable) -> None:
    table.create(upload("1", key="a"))
    with pytest.raises(AlreadyExists):
        table.create(upload("2", key="a"))
    table.create(upload("3", "bob", key="a"))
    assert ids(table.of_owner("ann")) == ["1"]
    table.remove("1")
    table.create(upload("2", key="a"))
    assert ids(table.of_owner("ann")) == ["2"]


def test_there_can_be_many_without_a_key(table: UploadTable) -> None:
    table.create(upload("1"))
    table.create(upload("2"))
    assert ids(table.of_owner("ann")) == ["1", "2"]


def test_of_those_who_take_a_key_at_the_same_time_one_has_it(table: UploadTable) -> None:
    together = Barrier(THREADS)

    def create(number: int) -> bool:
        together.wait(10)
        try:
            table.create(upload(str(number), key="a"))
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as threads:
        made = list(threads.map(create, range(THREADS)))
    assert made.count(True) == 1
    assert ids(table.of_owner("ann")) == [str(made.index(True))]


def test_nobody_has_any_number_under_way(table: UploadTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tahoeish.namespace.uploads.MOST_UNFINISHED", 2)
    for id, phase in [("1", "open"), ("2", "complete"), ("3", "finishing")]:
        table.create(replace(upload(id), phase=phase))
    with pytest.raises(TooManyUploads):
        table.create(upload("4"))
    table.create(upload("5", "bob"))
    table.remove("1")
    table.create(upload("4"))


# Claiming and saving


def test_what_was_saved_is_found(table: UploadTable) -> None:
    table.create(upload("1"))
    row = moved_on(table.claim("1"))
    table.save(row)
    assert row.epoch == 1
    assert table.claim("1") == replace(row, epoch=2)


def test_what_is_only_looked_at_comes_without_its_tail(table: UploadTable) -> None:
    row = moved_on(upload("1"))
    table.create(row)
    assert row.key is not None
    assert table.find("1") == table.find_by_key("ann", row.key) == replace(row, tail=b"")


def test_what_it_was_made_with_stays(table: UploadTable) -> None:
    table.create(upload("1"))
    table.save(replace(upload("1"), owner="bob", created=9.0))
    assert table.find("1") == upload("1")


def test_who_has_not_claimed_it_can_save_it_until_somebody_does(table: UploadTable) -> None:
    first = upload("1")
    table.create(first)
    table.save(replace(first, offset=1))
    second = table.claim("1")
    assert (second.offset, second.epoch) == (1, 1)
    with pytest.raises(Superseded):
        table.save(replace(first, offset=2), records=b"first", first_segment=0)
    third = table.claim("1")
    with pytest.raises(Superseded):
        table.save(replace(second, offset=2))
    table.save(replace(third, offset=3))
    assert table.find("1") == replace(first, offset=3, epoch=2)
    assert table.records("1") == b""


def test_what_is_gone_can_be_neither_claimed_nor_saved(table: UploadTable) -> None:
    with pytest.raises(NoSuchUpload):
        table.claim("1")
    with pytest.raises(NoSuchUpload):
        table.save(upload("1"), records=b"a")
    table.create(upload("1"))
    row = table.claim("1")
    table.remove("1")
    with pytest.raises(NoSuchUpload):
        table.save(row)


def test_an_old_epoch_never_overwrites_a_newer_one(table: UploadTable) -> None:
    """Everybody signs what they save with their epoch."""
    table.create(replace(upload("1"), notes="0", segments=1))
    together = Barrier(THREADS)
    claimed: list[UploadRow] = []
    superseded: list[int] = []

    def carry_on(_: int) -> None:
        together.wait(10)
        for _ in range(10):
            row = table.claim("1")
            claimed.append(row)
            signed = replace(row, notes=str(row.epoch))
            try:
                for _ in range(3):
                    table.save(signed, records=signed.notes.encode())
                    found = table.find("1")
                    assert found.notes == signed.notes or found.epoch > row.epoch
            except Superseded:
                superseded.append(row.epoch)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(carry_on, range(THREADS)))

    claimed.sort(key=lambda row: row.epoch)
    assert [row.epoch for row in claimed] == list(range(1, 10 * THREADS + 1))
    signatures = [int(row.notes) for row in claimed]
    assert signatures == sorted(signatures)
    assert all(signature < row.epoch for signature, row in zip(signatures, claimed, strict=True))
    assert superseded
    assert len(claimed) not in superseded
    assert table.find("1").notes == str(len(claimed))
    assert table.records("1") == str(len(claimed)).encode()


# Records


def test_records_are_joined_in_the_order_of_their_segments(table: UploadTable) -> None:
    row = upload("1")
    table.create(row)
    for first, last, records in [(0, 2, b"aabb"), (2, 9, b"cc..ii"), (9, 10, b"jj"), (10, 11, b"\x00\xff")]:
        row = replace(row, segments=last)
        table.save(row, records=records, first_segment=first)
    assert table.records("1") == b"aabbcc..iijj\x00\xff"


def test_a_save_without_records_keeps_those_that_are_there(table: UploadTable) -> None:
    row = replace(upload("1"), segments=2)
    table.create(row)
    table.save(row, records=b"aabb")
    table.save(replace(row, offset=5))
    assert table.records("1") == b"aabb"


def test_records_take_the_place_of_those_of_an_earlier_attempt(table: UploadTable) -> None:
    row = upload("1")
    table.create(row)
    table.save(replace(row, segments=1), records=b"a")
    table.save(replace(row, segments=2), records=b"b", first_segment=1)
    table.save(replace(row, segments=3), records=b"c", first_segment=2)
    table.save(replace(row, segments=2), records=b"B", first_segment=1)
    assert table.records("1") == b"aB"
    table.save(replace(row, segments=4), records=b"wxyz")
    assert table.records("1") == b"wxyz"


def test_there_are_no_records_from_behind_the_checkpoint(table: UploadTable, database: Database) -> None:
    row = upload("1")
    table.create(row)
    table.save(replace(row, segments=1), records=b"a")
    table.save(replace(row, segments=2), records=b"b", first_segment=1)
    table.save(replace(row, segments=1))
    assert table.records("1") == b"a"
    table.save(replace(row, segments=0))
    assert not there_are_records(database)


def test_records_are_of_one_upload(table: UploadTable) -> None:
    for id in ("1", "2"):
        table.create(upload(id))
        table.save(replace(upload(id), segments=1), records=id.encode())
    table.save(replace(upload("1"), segments=0))
    assert (table.records("1"), table.records("2")) == (b"", b"2")


# Ending


def test_what_was_removed_is_gone_with_its_records(table: UploadTable, database: Database) -> None:
    row = replace(upload("1"), segments=1)
    table.create(row)
    table.save(row, records=b"a")
    table.remove("1")
    with pytest.raises(NoSuchUpload):
        table.find("1")
    assert not there_are_records(database)


@pytest.mark.parametrize("epoch", [None, 0, 5])
def test_what_is_gone_can_be_removed(table: UploadTable, epoch: int | None) -> None:
    table.remove("1", epoch)


def test_only_who_has_claimed_it_last_removes_it_by_epoch(table: UploadTable) -> None:
    table.create(upload("1"))
    old, new = table.claim("1"), table.claim("1")
    with pytest.raises(Superseded):
        table.remove("1", old.epoch)
    assert table.find("1") == new
    table.remove("1", new.epoch)
    assert table.of_owner("ann") == []


def test_what_has_expired_is_listed_with_the_oldest_first(table: UploadTable, clock: Clock) -> None:
    now = clock()
    table.create(upload("never"))
    table.create(upload("later", deadline=now + 10))
    table.create(upload("second", deadline=now - 1))
    table.create(replace(upload("first", deadline=now - 2), phase="complete"))
    assert ids(table.expired()) == ["first", "second"]
    assert ids(table.expired(limit=1)) == ["first"]
    clock.advance(11)
    assert ids(table.expired()) == ["first", "second", "later"]


# Lists


def test_those_of_an_owner_are_listed_with_the_oldest_first(table: UploadTable) -> None:
    for id, created in [("b", 3.0), ("c", 1.0), ("a", 2.0)]:
        table.create(replace(upload(id), created=created, phase="complete"))
    table.create(upload("d", "bob"))
    assert ids(table.of_owner("ann")) == ["c", "a", "b"]
    assert ids(table.of_owner("ann", limit=2)) == ["c", "a"]


def test_those_that_are_not_finished_are_listed_page_by_page(table: UploadTable) -> None:
    phases = {"a": "open", "B": "finishing", "c": "complete", "D": "open", "e": "failed", "ä": "open"}
    for id, phase in phases.items():
        table.create(replace(upload(id, "ann" if id > "b" else "bob"), phase=phase))
    assert ids(table.everything_open()) == ["B", "D", "a", "ä"]
    assert ids(table.everything_open(limit=2)) == ["B", "D"]
    assert ids(table.everything_open(after="D", limit=2)) == ["a", "ä"]
    assert table.everything_open(after="ä") == []


@pytest.mark.parametrize(
    "rows",
    [UploadTable.expired, UploadTable.everything_open, lambda table: table.of_owner("ann")],
    ids=["expired", "open", "owner"],
)
def test_lists_leave_out_what_is_large(table: UploadTable, rows: Callable[[UploadTable], list[UploadRow]]) -> None:
    row = moved_on(upload("1"))
    table.create(row)
    assert rows(table) == [replace(row, answer=None, tail=b"")]


# Users come and go


def test_the_first_user_takes_over_the_uploads_too(table: UploadTable, people: Users) -> None:
    table.create(upload("1", LOCAL, key="a"))
    row = table.claim("1")
    people.add("ann", None)
    assert table.find_by_key("ann", "a") == replace(row, owner="ann")
    table.save(replace(row, offset=5))
    assert table.find("1") == replace(row, owner="ann", offset=5)
    people.add("bob", None)
    assert table.of_owner(LOCAL) == [] == table.of_owner("bob")


def test_the_uploads_of_who_is_removed_go_too(table: UploadTable, people: Users, database: Database) -> None:
    for name in ("ann", "bob"):
        people.add(name, None)
        table.create(upload(name, name))
    table.save(replace(upload("ann"), segments=1), records=b"a")
    people.remove("ann")
    assert ids(table.everything_open()) == ["bob"]
    assert table.of_owner("ann") == [] and not there_are_records(database)


def test_what_is_left_of_them_on_peers_is_removed_first(table: UploadTable, people: Users) -> None:
    people.add("ann", None)
    table.create(replace(upload("1", key="a"), shares="[1]"))
    being_brought = table.claim("1")
    people.remove("ann")
    with pytest.raises(Superseded):
        table.save(being_brought)
    (left,) = table.expired()
    assert (left.phase, left.shares, left.key) == ("expired", "[1]", None)


def test_the_uploads_of_who_comes_back_to_kept_files_are_kept(table: UploadTable, people: Users) -> None:
    people.add("ann", None)
    table.create(upload("1"))
    people.remove("ann", keep_files=True)
    people.add("ann", None)
    assert ids(table.of_owner("ann")) == ["1"]
