"""
Uploads that go on over several requests, and over restarts of the node: what is known of each so far.

What an upload is for, in which dialect a client speaks of it, and how far its encoder came is the gateway's business:
here these are texts and bytes. Several nodes may share the table. Whoever carries an upload on claims it, and is the
only one who can save it until somebody else does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import AlreadyExists, NamespaceError, NoSuchUpload, Superseded, TooManyUploads
from tahoeish.namespace.schema import upload_records, uploads

_UNFINISHED = ("open", "finishing")
_EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class UploadRow:
    """
    Times are Unix seconds; without a `deadline`, it never expires.

    `id` can't be guessed. Clients that don't know it name the upload by its `key`: an owner has no two with the same.
    `target`, `notes` and `shares` are JSON: where the file is to go, what the dialect remembers, and where the
    unfinished shares are. `encoder` is the encoder's state at the last checkpoint, `segments` how many it had absorbed,
    `tail` the bytes behind. `epoch` tells who has claimed it last.
    """

    id: str
    owner: str
    key: str | None
    dialect: str
    target: str
    notes: str
    created: float
    deadline: float | None
    offset: int = 0
    length: int | None = None
    phase: str = "open"
    answer: bytes | None = field(default=None, repr=False)
    encoder: bytes | None = field(default=None, repr=False)
    shares: str | None = None
    tail: bytes = field(default=b"", repr=False)
    segments: int = 0
    epoch: int = 0


_NEVER_SAVED = ("id", "owner", "created", "epoch")
_SAVED = tuple(one.name for one in fields(UploadRow) if one.name not in _NEVER_SAVED)

# Whoever looks at a row looks often, and lists can be long.
_LOOKED_AT = [column for column in uploads.c if column.name != "tail"]
_LISTED = [column for column in _LOOKED_AT if column.name != "answer"]

MOST_UNFINISHED = 1000
"""Uploads that an owner may have under way: each takes room on the peers that no quota knows of yet."""


class UploadTable:
    """
    Every call is one transaction, and blocks.

    Only `claim` gives a row that can be saved. Others come without `tail`, and those in lists without `answer`, too, as
    if these were empty.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._database = database
        self._clock = clock

    def create(self, row: UploadRow) -> None:
        """Raises `AlreadyExists` if the owner has one with the same key, and `TooManyUploads`."""

        def work(connection: Connection) -> None:
            if _unfinished(connection, row.owner) >= MOST_UNFINISHED:
                raise TooManyUploads(MOST_UNFINISHED)
            if row.key is not None and _with_key(connection, row.owner, row.key) is not None:
                raise AlreadyExists((row.key,))
            connection.execute(insert(uploads).values({one.name: getattr(row, one.name) for one in fields(row)}))

        self._database.write(work)

    def find(self, id: str) -> UploadRow:
        """Raises `NoSuchUpload`."""
        query = select(*_LOOKED_AT).where(uploads.c.id == id)
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NoSuchUpload(id)
        return _upload(row)

    def find_by_key(self, owner: str, key: str) -> UploadRow | None:
        row = self._database.read(lambda connection: _with_key(connection, owner, key))
        return None if row is None else _upload(row)

    def claim(self, id: str) -> UploadRow:
        """From now on, only who has the epoch of the row that this returns can save it. Raises `NoSuchUpload`."""
        claiming = update(uploads).where(uploads.c.id == id).values(epoch=uploads.c.epoch + 1).returning(uploads)
        row = self._database.write(lambda connection: connection.execute(claiming).one_or_none())
        if row is None:
            raise NoSuchUpload(id)
        return _upload(row)

    def save(self, row: UploadRow, *, records: bytes = b"", first_segment: int = 0) -> None:
        """
        Keep all of the row but its `id`, `owner` and `created`.

        `records` are the hashes of the segments from `first_segment` up to `row.segments`, and take the place of those
        that an earlier attempt left from there on; `first_segment` is where one of the earlier saves ended, or 0.
        Raises `Superseded` if somebody else has claimed it since, and `NoSuchUpload`.
        """
        saving = (
            update(uploads)
            .where(uploads.c.id == row.id, uploads.c.epoch == row.epoch)
            .values({name: getattr(row, name) for name in _SAVED})
        )

        def work(connection: Connection) -> None:
            # First of all: in PostgreSQL, this holds the row until the end.
            if not connection.execute(saving).rowcount:
                raise _missing_or_superseded(connection, row.id)
            _forget_records(connection, row.id, first_segment if records else row.segments)
            if records:
                connection.execute(
                    insert(upload_records).values(upload=row.id, first_segment=first_segment, hashes=records)
                )

        self._database.write(work)

    def records(self, id: str) -> bytes:
        """Those of all segments that were absorbed up to the last checkpoint, one after the other."""
        query = (
            select(upload_records.c.hashes)
            .where(upload_records.c.upload == id)
            .order_by(upload_records.c.first_segment)
        )
        return b"".join(self._database.read(lambda connection: connection.execute(query).scalars().all()))

    def remove(self, id: str, epoch: int | None = None) -> None:
        """
        With its records; nothing if it is gone already.

        With an `epoch`, only if nobody else has claimed it since: else raises `Superseded`.
        """
        removing = delete(uploads).where(uploads.c.id == id)
        if epoch is not None:
            removing = removing.where(uploads.c.epoch == epoch)

        def work(connection: Connection) -> None:
            if not connection.execute(removing).rowcount and _is_there(connection, id):
                raise Superseded(id)

        self._database.write(work)

    def expired(self, limit: int = 100) -> list[UploadRow]:
        """Whose deadline has passed, the oldest deadline first; in whatever phase."""
        query = select(*_LISTED).where(uploads.c.deadline < self._clock()).order_by(uploads.c.deadline, uploads.c.id)
        return self._list(query.limit(limit))

    def of_owner(self, owner: str, limit: int = 1000) -> list[UploadRow]:
        """The oldest first; in whatever phase."""
        query = select(*_LISTED).where(uploads.c.owner == owner).order_by(uploads.c.created, uploads.c.id)
        return self._list(query.limit(limit))

    def everything_open(self, after: str = "", limit: int = 1000) -> list[UploadRow]:
        """Everybody's in the phases `open` and `finishing`, in the order of their ids, from behind `after` on."""
        query = select(*_LISTED).where(uploads.c.phase.in_(_UNFINISHED), uploads.c.id > after).order_by(uploads.c.id)
        return self._list(query.limit(limit))

    def _list(self, query: Select[Any]) -> list[UploadRow]:
        return self._database.read(lambda connection: [_upload(row) for row in connection.execute(query)])


def hand_over(connection: Connection, old: str, new: str) -> None:
    """Give all uploads of `old` to `new`, who has none yet."""
    connection.execute(update(uploads).where(uploads.c.owner == old).values(owner=new))


def discard(connection: Connection, owner: str) -> None:
    """Forget all uploads of somebody who is leaving; those that have shares somewhere, when these have been removed."""
    connection.execute(delete(uploads).where(uploads.c.owner == owner, uploads.c.shares.is_(None)))
    ending = update(uploads).where(uploads.c.owner == owner)
    connection.execute(ending.values(phase=_EXPIRED, deadline=0.0, key=None, epoch=uploads.c.epoch + 1))


def _upload(row: Row[Any]) -> UploadRow:
    return UploadRow(**row._mapping)


def _with_key(connection: Connection, owner: str, key: str) -> Row[Any] | None:
    query = select(*_LOOKED_AT).where(uploads.c.owner == owner, uploads.c.key == key)
    return connection.execute(query).one_or_none()


def _unfinished(connection: Connection, owner: str) -> int:
    counting = select(func.count()).where(uploads.c.owner == owner, uploads.c.phase.in_(_UNFINISHED))
    return connection.execute(counting).scalar_one()


def _is_there(connection: Connection, id: str) -> bool:
    return connection.execute(select(uploads.c.id).where(uploads.c.id == id)).first() is not None


def _missing_or_superseded(connection: Connection, id: str) -> NamespaceError:
    return Superseded(id) if _is_there(connection, id) else NoSuchUpload(id)


def _forget_records(connection: Connection, id: str, first_segment: int) -> None:
    """Those from this segment on."""
    connection.execute(
        delete(upload_records).where(upload_records.c.upload == id, upload_records.c.first_segment >= first_segment)
    )
