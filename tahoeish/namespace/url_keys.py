"""Keys that sign addresses: shared secrets of a user and of the programs that make addresses for others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select

from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import NamespaceError
from tahoeish.namespace.issuing import expect_user, in_base32
from tahoeish.namespace.names import Path, check_path
from tahoeish.namespace.schema import url_keys, users

MOST_FOR_ONE_PLACE = 2
"""The one that signs, and the one before it, whose addresses are still about."""

_ID_BYTES = 5
_SECRET_BYTES = 20


class NoSuchKey(NamespaceError):
    """There is no such key."""


class TooManyKeys(NamespaceError):
    """There are two keys for this place already."""


@dataclass(frozen=True, slots=True)
class UrlKey:
    """`below` is the folder of the user's tree that it is good for, `()` for all of it. Times are Unix seconds."""

    id: str
    user: str
    below: Path
    secret: str = field(repr=False)
    created: float

    def covers(self, path: Path) -> bool:
        return path[: len(self.below)] == self.below


class UrlKeys:
    """Every call is one transaction, and blocks."""

    def __init__(self, database: Database, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        """`clock`: Unix seconds."""
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    def add(self, user: str, below: Path = ()) -> UrlKey:
        """
        A new key beside the one that there may be.

        Raises `NoSuchUser`, also for one who can't come in, `TooManyKeys`, and `BadName` for the folder, which needn't
        be there.
        """
        return self._add(user, below, replaces_oldest=False)

    def rotate(self, user: str, below: Path = ()) -> UrlKey:
        """The same; of two that there are, the older one ends, and with it all addresses that it has signed."""
        return self._add(user, below, replaces_oldest=True)

    def of_user(self, user: str) -> list[UrlKey]:
        """Nobody's who can't come in. Those that sign come first: of each place, the newest."""
        query = (
            select(url_keys)
            .join(users, users.c.name == url_keys.c.user)
            .where(url_keys.c.user == user, users.c.disabled.is_(False))
            .order_by(url_keys.c.created.desc(), url_keys.c.id)
        )
        return self._database.read(lambda connection: [_key(row) for row in connection.execute(query)])

    def all(self, user: str | None = None) -> list[UrlKey]:
        """Of one user or of all, the oldest first."""
        query = select(url_keys).order_by(url_keys.c.user, url_keys.c.created, url_keys.c.id)
        if user is not None:
            query = query.where(url_keys.c.user == user)
        return self._database.read(lambda connection: [_key(row) for row in connection.execute(query)])

    def remove(self, identity: str) -> None:
        """With it end all addresses that it has signed. Raises `NoSuchKey`."""
        removing = delete(url_keys).where(url_keys.c.id == identity)

        def work(connection: Connection) -> None:
            if not connection.execute(removing).rowcount:
                raise NoSuchKey(f"there is no key {identity}; `tahoeish url key list` tells which there are")

        self._database.write(work)

    def _add(self, user: str, below: Path, *, replaces_oldest: bool) -> UrlKey:
        identity, secret = (in_base32(self._random_bytes(size)) for size in (_ID_BYTES, _SECRET_BYTES))
        key = UrlKey(identity, user, check_path(below), secret, self._clock())

        def work(connection: Connection) -> None:
            # Whoever adds another key at the same time waits, so that there are never too many.
            expect_user(connection, user, hold=True)
            query = select(url_keys).where(_same_place(key)).order_by(url_keys.c.created, url_keys.c.id)
            present = connection.execute(query).all()
            if len(present) >= MOST_FOR_ONE_PLACE:
                if not replaces_oldest:
                    raise TooManyKeys(
                        f"there are {len(present)} keys already for /{'/'.join(key.below)} of {user}; `tahoeish url key"
                        f" rotate {user}` puts a new one in the place of the oldest"
                    )
                connection.execute(delete(url_keys).where(url_keys.c.id == present[0].id))
            connection.execute(
                insert(url_keys).values(
                    id=key.id, user=user, below_path=_written(key.below), secret=secret, created=key.created
                )
            )

        self._database.write(work)
        return key


def _same_place(key: UrlKey) -> ColumnElement[bool]:
    return (url_keys.c.user == key.user) & url_keys.c.below_path.is_not_distinct_from(_written(key.below))


def _written(below: Path) -> str | None:
    return "/".join(below) or None


def _key(row: Row[tuple[object, ...]]) -> UrlKey:
    below = tuple(row.below_path.split("/")) if row.below_path else ()
    return UrlKey(row.id, row.user, below, row.secret, row.created)
