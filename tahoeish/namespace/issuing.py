"""What tokens, keys and upload links have in common: each is made for a user, with a secret that nobody can guess."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256

from sqlalchemy import Connection, select

from tahoeish.namespace.errors import NoSuchUser
from tahoeish.namespace.schema import users


def in_base32(random: bytes) -> str:
    """Random bytes as a person can copy them and any address can hold them."""
    return b32encode(random).decode().lower()


def secret_hash(secret: str) -> str:
    # Nobody can try all secrets of 160 bits, so it needn't be slow.
    return sha256(secret.encode()).hexdigest()


def expect_user(connection: Connection, name: str, *, hold: bool = False) -> None:
    """
    Raises `NoSuchUser`, also for one who can't come in.

    `hold`: in PostgreSQL, nobody else who asks for that gets on with this user until the transaction ends.
    """
    known = select(users.c.name).where(users.c.name == name, users.c.disabled.is_(False))
    if connection.execute(known.with_for_update() if hold else known).scalar() is None:
        raise NoSuchUser(name)
