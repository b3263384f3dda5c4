"""App tokens: secrets for programs, which can be limited and revoked one by one."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Row, delete, insert, select, update

from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import NamespaceError
from tahoeish.namespace.issuing import expect_user, in_base32, secret_hash
from tahoeish.namespace.names import Path, check_path
from tahoeish.namespace.schema import tokens, users

_ID_BYTES = 5
_SECRET_BYTES = 20
_PREFIX = "tahoeish"
_SECRET = re.compile(r"tahoeish_([a-z2-7]{8})_[a-z2-7]{32}")
"""Its own prefix lets tools that look for secrets in what people publish find it."""


class NoSuchToken(NamespaceError):
    """There is no token with this number."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"there is no token {identity}; `tahoeish token list` tells which there are")


@dataclass(frozen=True, slots=True)
class Token:
    """
    What a token is good for. The secret itself is known only to whoever was given it.

    `below` is the folder of the user's tree to which it is limited, `()` if it isn't. Times are Unix seconds; `expires`
    is None for never.
    """

    id: str
    user: str
    label: str
    created: float
    expires: float | None
    last_used: float | None
    read_only: bool
    below: Path

    def is_valid(self, now: float) -> bool:
        return self.expires is None or now < self.expires

    def used(self, now: float) -> Token:
        """The same, used now."""
        return replace(self, last_used=now)


class Tokens:
    """Every call is one transaction, and blocks."""

    def __init__(self, database: Database, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        """`clock`: Unix seconds."""
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    def create(
        self,
        user: str,
        *,
        label: str = "",
        read_only: bool = False,
        below: Path = (),
        expires: float | None = None,
    ) -> tuple[Token, str]:
        """
        A new token and its secret, which nobody can tell later.

        Raises `NoSuchUser`, also for one who can't come in, and `BadName` for the folder, which needn't be there.
        """
        identity = in_base32(self._random_bytes(_ID_BYTES))
        secret = f"{_PREFIX}_{identity}_{in_base32(self._random_bytes(_SECRET_BYTES))}"
        token = Token(identity, user, label, self._clock(), expires, None, read_only, check_path(below))

        def work(connection: Connection) -> None:
            expect_user(connection, user)
            connection.execute(
                insert(tokens).values(
                    id=token.id,
                    user=token.user,
                    label=token.label,
                    secret_hash=secret_hash(secret),
                    created=token.created,
                    expires=token.expires,
                    read_only=token.read_only,
                    below_path="/".join(token.below) or None,
                )
            )

        self._database.write(work)
        return token, secret

    def find(self, secret: str) -> Token | None:
        """The token with this secret, also if it has expired. None if its user can't come in."""
        parts = _SECRET.fullmatch(secret)
        if parts is None:
            return None
        query = (
            select(tokens)
            .join(users, users.c.name == tokens.c.user)
            .where(tokens.c.id == parts[1], users.c.disabled.is_(False))
        )
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None or not hmac.compare_digest(row.secret_hash, secret_hash(secret)):
            return None
        return _token(row)

    def all(self, user: str | None = None) -> list[Token]:
        """Of one user or of all, the oldest first."""
        query = select(tokens).order_by(tokens.c.user, tokens.c.created, tokens.c.id)
        if user is not None:
            query = query.where(tokens.c.user == user)
        return self._database.read(lambda connection: [_token(row) for row in connection.execute(query)])

    def revoke(self, identity: str) -> None:
        """Let nobody in by it any more. Raises `NoSuchToken`."""

        def work(connection: Connection) -> None:
            if not connection.execute(delete(tokens).where(tokens.c.id == identity)).rowcount:
                raise NoSuchToken(identity)

        self._database.write(work)

    def note_use(self, identity: str, when: float) -> None:
        """It was used; nothing if it has been revoked since."""
        noting = update(tokens).where(tokens.c.id == identity).values(last_used=when)
        self._database.write(lambda connection: connection.execute(noting).rowcount)


def looks_like_token(secret: str) -> bool:
    """It is written like one; no password is."""
    return secret.startswith(f"{_PREFIX}_")


def _token(row: Row[tuple[object, ...]]) -> Token:
    below = tuple(row.below_path.split("/")) if row.below_path else ()
    return Token(row.id, row.user, row.label, row.created, row.expires, row.last_used, row.read_only, below)
