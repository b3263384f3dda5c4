"""Users: who may come in, and who is there at all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, select, update

from tahoeish.namespace import uploads
from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import NamespaceError, NoSuchUser
from tahoeish.namespace.schema import entries, tokens, trees, users
from tahoeish.namespace.trees import discard, find, hand_over, make_root
from tahoeish.namespace.viewer import LOCAL

LONGEST_NAME = 64

_NAME = re.compile(r"\w[\w.@+-]*")
"""Neither a slash, as it becomes the name of a folder, nor what separates it from passwords and domains."""


class BadUserName(NamespaceError):
    """Nobody can be called so."""


class UserExists(NamespaceError):
    """There is a user by this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a user {name} already; `tahoeish user passwd {name}` gives another password")


class HasFiles(NamespaceError):
    """Nobody has said what is to become of a user's files."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(
            f"{name} has files of {size} bytes; say --keep-files, so that only {name} can't come in any more,"
            " or --delete-files"
        )
        self.size = size


@dataclass(frozen=True, slots=True)
class User:
    """
    Somebody with a tree of their own. `quota` and `used` are in bytes, without a quota there is no bound.

    Whoever is `disabled` can't come in, but what they have stays, also for those with whom it is shared. An `operator`
    sees what everybody does.
    """

    name: str
    password_hash: str | None = field(repr=False)
    created: float
    quota: int | None
    disabled: bool
    operator: bool
    used: int = 0


class Users:
    """Every call is one transaction, and blocks."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._database = database
        self._clock = clock

    def there_are_any(self) -> bool:
        """Also if none of them may come in: whoever shuts everybody out doesn't mean to let everybody in."""
        return self._database.read(lambda connection: _first(connection) is not None)

    def find(self, name: str) -> User | None:
        return self._database.read(lambda connection: _find(connection, name))

    def is_operator(self, name: str) -> bool:
        """Without users, everybody is: they are on the node's own machine."""
        flagged = select(users.c.operator).where(users.c.name == name, _enabled())
        return name == LOCAL or bool(self._database.read(lambda connection: connection.execute(flagged).scalar()))

    def all(self) -> list[User]:
        """In the order of their names."""
        query = _select().order_by(users.c.name)
        return self._database.read(lambda connection: [_user(row) for row in connection.execute(query)])

    def add(self, name: str, password_hash: str | None, quota: int | None = None, *, operator: bool = False) -> bool:
        """
        Let somebody in. The first one takes over what was stored while there were no users; returns whether this was
        the first one. Somebody who was removed and whose files were kept has them again.

        Raises `UserExists`.
        """
        now = self._clock()

        def work(connection: Connection) -> bool:
            first = _first(connection) is None
            before = _find(connection, name)
            if before is not None and not before.disabled:
                raise UserExists(name)
            if before is not None:
                changed = {"password_hash": password_hash, "quota": quota, "disabled": False, "operator": operator}
                connection.execute(update(users).where(users.c.name == name).values(changed))
                return False
            connection.execute(
                insert(users).values(
                    name=name,
                    password_hash=password_hash,
                    created=now,
                    quota=quota,
                    disabled=False,
                    operator=operator,
                )
            )
            if first:
                if find(connection, LOCAL) is None:
                    # Whoever is just making it waits, and sees then that there are users.
                    make_root(connection, LOCAL, now)
                hand_over(connection, LOCAL, name)
                uploads.hand_over(connection, LOCAL, name)
            return first

        return self._database.write(work)

    def set_password(self, name: str, password_hash: str) -> None:
        """Raises `NoSuchUser`, also for somebody who can't come in."""
        self._change(name, password_hash=password_hash)

    def set_operator(self, name: str, operator: bool) -> None:
        """Raises `NoSuchUser`, also for somebody who can't come in."""
        self._change(name, operator=operator)

    def _change(self, name: str, **values: object) -> None:
        changing = update(users).where(users.c.name == name, _enabled()).values(values)

        def work(connection: Connection) -> None:
            if not connection.execute(changing).rowcount:
                raise NoSuchUser(name)

        self._database.write(work)

    def remove(self, name: str, *, keep_files: bool | None = None) -> bool:
        """
        Let somebody in no longer, neither by password nor by token. Returns whether there are users left.

        Without a word on the files, only somebody who has none is removed. Raises `HasFiles`, `NoSuchUser`.
        """

        def work(connection: Connection) -> bool:
            user = _find(connection, name)
            if user is None:
                raise NoSuchUser(name)
            if keep_files is None and _has_entries(connection, name):
                raise HasFiles(name, user.used)
            if keep_files:
                connection.execute(delete(tokens).where(tokens.c.user == name))
                connection.execute(update(users).where(users.c.name == name).values(password_hash=None, disabled=True))
            else:
                discard(connection, name)
                uploads.discard(connection, name)
                connection.execute(delete(users).where(users.c.name == name))
            return _first(connection) is not None

        return self._database.write(work)


def checked_name(text: str) -> str:
    """A user's name in normal form C. Raises `BadUserName`."""
    name = unicodedata.normalize("NFC", text)
    if len(name) > LONGEST_NAME:
        raise BadUserName(f"a user's name has at most {LONGEST_NAME} characters")
    if not _NAME.fullmatch(name):
        raise BadUserName(
            f"{name!a} can't be a user's name: it begins with a letter or digit, and has only letters, digits"
            " and . _ @ + - in it"
        )
    if name == LOCAL:
        raise BadUserName(f"{LOCAL} is who everybody is as long as there are no users; choose another name")
    return name


def _select() -> Select[tuple[object, ...]]:
    used = (
        select(entries.c.size)
        .join(trees, trees.c.root == entries.c.id)
        .where(trees.c.owner == users.c.name)
        .scalar_subquery()
    )
    return select(users, used.label("used")).where(users.c.name != LOCAL)


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(row.name, row.password_hash, row.created, row.quota, row.disabled, row.operator, row.used or 0)


def _find(connection: Connection, name: str) -> User | None:
    row = connection.execute(_select().where(users.c.name == name)).one_or_none()
    return None if row is None else _user(row)


def _has_entries(connection: Connection, name: str) -> bool:
    members = select(entries.c.id).join(trees, trees.c.root == entries.c.parent).where(trees.c.owner == name)
    return connection.execute(members.limit(1)).first() is not None


def _first(connection: Connection) -> str | None:
    return connection.execute(select(users.c.name).where(users.c.name != LOCAL).limit(1)).scalar()


def _enabled() -> ColumnElement[bool]:
    return users.c.disabled.is_(False)
