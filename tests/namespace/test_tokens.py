"""App tokens: shown once, kept as a hash, and good only for what they were made for."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import select

from tahoeish.namespace import schema
from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import BadName, NoSuchUser
from tahoeish.namespace.passwords import BadPassword, checked_password
from tahoeish.namespace.tokens import NoSuchToken, Tokens, looks_like_token
from tahoeish.namespace.users import Users
from tests.namespace.conftest import Clock


@pytest.fixture
def tokens(database: Database, clock: Clock) -> Tokens:
    users = Users(database, clock)
    users.add("alice", None)
    users.add("bob", None)
    return Tokens(database, clock, os.urandom)


def test_a_secret_leads_to_its_token(tokens: Tokens, clock: Clock) -> None:
    made, secret = tokens.create("alice", label="phone", read_only=True, below=("a", "b"), expires=clock() + 5)
    found = tokens.find(secret)
    assert found == made
    assert (made.user, made.label, made.read_only, made.below) == ("alice", "phone", True, ("a", "b"))
    assert (made.created, made.expires, made.last_used) == (clock(), clock() + 5, None)


def test_without_limits_it_is_good_for_everything_and_for_ever(tokens: Tokens, clock: Clock) -> None:
    _, secret = tokens.create("alice")
    found = tokens.find(secret)
    assert found is not None and not found.read_only and found.below == () and found.expires is None
    assert found.is_valid(clock() + 1e9)


def test_it_expires_to_the_moment(tokens: Tokens, clock: Clock) -> None:
    token, _ = tokens.create("alice", expires=clock() + 5)
    assert token.is_valid(clock() + 4.999) and not token.is_valid(clock() + 5)


def test_nothing_but_the_whole_secret_will_do(tokens: Tokens) -> None:
    token, secret = tokens.create("alice")
    _, other = tokens.create("alice")
    head, _, tail = secret.rpartition("_")
    wrong = [
        head,
        f"{head}_",
        f"{head}_{other.rpartition('_')[2]}",
        secret + "a",
        secret[:-1],
        secret.upper(),
        token.id,
    ]
    assert [tokens.find(each) for each in [*wrong, f"tahoeish_{tail}", ""]] == [None] * 9


def test_the_secret_is_not_kept(tokens: Tokens, database: Database) -> None:
    token, secret = tokens.create("alice")
    rows = database.read(lambda connection: connection.execute(select(schema.tokens)).all())
    assert token.id in repr(rows)
    assert secret.rpartition("_")[2] not in repr(rows) and secret not in repr(token)


def test_secrets_are_long_and_told_apart_from_passwords(tokens: Tokens) -> None:
    _, secret = tokens.create("alice")
    assert looks_like_token(secret)
    # 5 bits a letter.
    assert len(secret.rpartition("_")[2]) * 5 == 160
    with pytest.raises(BadPassword):
        checked_password(secret)


def test_all_are_listed_by_user(tokens: Tokens, clock: Clock) -> None:
    made = []
    for user in ("bob", "alice", "alice"):
        made.append(tokens.create(user)[0])
        clock.advance(1)
    assert tokens.all() == [made[1], made[2], made[0]]
    assert tokens.all("bob") == [made[0]]


def test_a_revoked_one_is_gone_and_the_others_are_not(tokens: Tokens) -> None:
    (token, secret), (_, other) = tokens.create("alice"), tokens.create("alice")
    tokens.revoke(token.id)
    assert tokens.find(secret) is None and tokens.find(other) is not None
    with pytest.raises(NoSuchToken, match="token list"):
        tokens.revoke(token.id)


def test_its_last_use_is_noted(tokens: Tokens, clock: Clock) -> None:
    token, secret = tokens.create("alice")
    tokens.note_use(token.id, clock() + 7)
    found = tokens.find(secret)
    assert found is not None and found.last_used == clock() + 7
    tokens.revoke(token.id)
    tokens.note_use(token.id, clock())


def test_there_are_none_for_nobody(tokens: Tokens) -> None:
    with pytest.raises(NoSuchUser):
        tokens.create("nobody")


@pytest.mark.parametrize("below", [("a", ".."), ("a/b",), ("",)])
def test_the_folder_is_one_that_can_be(tokens: Tokens, below: tuple[str, ...]) -> None:
    with pytest.raises(BadName):
        tokens.create("alice", below=below)


@pytest.mark.parametrize("keep_files", [True, False])
def test_with_the_user_go_the_tokens(tokens: Tokens, database: Database, clock: Clock, keep_files: bool) -> None:
    _, secret = tokens.create("alice")
    users = Users(database, clock)
    users.remove("alice", keep_files=keep_files)
    assert tokens.find(secret) is None
    with pytest.raises(NoSuchUser):
        tokens.create("alice")
    users.add("alice", None)
    assert tokens.find(secret) is None
