"""Claims become viewers, cheaply where that is safe and slowly where it isn't."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tahoeish.gateway.accounts import Accounts
from tahoeish.gateway.authentication import Authenticator, TooManyAttempts, WrongCredentials
from tahoeish.gateway.credentials import Bearer, Password
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.passwords import Passwords
from tahoeish.namespace.throttle import Patience, Throttle
from tahoeish.namespace.tokens import Tokens
from tahoeish.namespace.users import Users
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.threads import direct
from tests.conftest import no_lost_failures

__all__ = ["no_lost_failures"]

T = TypeVar("T")

SECRET = "correct horse"
HOME, AWAY = "192.0.2.1", "198.51.100.7"
EPOCH = 1_800_000_000.0


class Hashers:
    """Threads that check passwords: counts how often, and holds them up on request."""

    def __init__(self) -> None:
        self.checks = 0
        self.held: list[Callable[[], object]] | None = None

    def __call__(self, work: Callable[..., T], /, *args: object) -> Deferred[T]:
        self.checks += 1
        if self.held is None:
            return direct(work, *args)
        done: Deferred[T] = Deferred()
        self.held.append(lambda: done.callback(work(*args)))
        return done


class Door:
    """An authenticator over a catalogue of its own, and the time there."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.hashers = Hashers()
        self.users = Users(database, self.now)
        self.tokens = Tokens(database, self.now, os.urandom)
        self.passwords = Passwords(os.urandom)
        self.accounts = Accounts(self.users, self.tokens, run_in_thread=direct, clock=self.clock, now=self.now)
        self.authenticator = Authenticator(
            self.accounts,
            self.passwords,
            hash_in_thread=self.hashers,
            clock=self.clock,
            random_bytes=os.urandom,
            throttle=Throttle(Patience(first_delay=1.0, free_per_user=0, free_per_address=3)),
        )

    def now(self) -> float:
        return EPOCH + self.clock.seconds()

    def ask(self, claim: Password | Bearer, address: str = HOME) -> Deferred[Viewer]:
        return Deferred.fromCoroutine(self.authenticator.viewer(claim, address))

    def login(self, user: str, password: str, address: str = HOME) -> Viewer | type[BaseException] | None:
        """Who it is, or the error; None if that isn't known yet."""
        return outcome(self.ask(Password(user, password), address))


def outcome(asked: Deferred[Viewer]) -> Viewer | type[BaseException] | None:
    seen: list[Viewer | type[BaseException]] = []
    asked.addCallbacks(seen.append, lambda failure: seen.append(failure.type))
    return seen[0] if seen else None


@pytest.fixture(scope="module")
def kept() -> str:
    """What is kept of the password, which takes its time to compute."""
    return Passwords(os.urandom).hashed(SECRET)


@pytest.fixture
def door(tmp_path: Path, kept: str) -> Iterator[Door]:
    database = Database.open(sqlite_url(tmp_path / "catalogue.sqlite"))
    door = Door(database)
    door.users.add("alice", kept)
    yield door
    database.close()


def test_right_and_wrong(door: Door) -> None:
    assert door.login("alice", SECRET) == Viewer("alice")
    assert door.login("alice", "wrong") is WrongCredentials


def test_an_unknown_user_costs_as_much_as_a_known_one_and_is_told_the_same(door: Door) -> None:
    told = []
    for user in ("alice", "nobody"):
        before = door.hashers.checks
        asked = door.ask(Password(user, "wrong"), f"address of {user}")
        asked.addErrback(lambda failure: told.append(str(failure.value)))
        assert door.hashers.checks == before + 1
    assert told[0] == told[1]


def test_a_removed_user_costs_as_much_and_is_told_the_same(door: Door) -> None:
    door.users.remove("alice", keep_files=True)
    assert door.login("alice", SECRET) is WrongCredentials
    assert door.hashers.checks == 1


def test_a_password_is_checked_once_and_then_remembered_for_a_while(door: Door) -> None:
    for _ in range(3):
        assert door.login("alice", SECRET, AWAY) == Viewer("alice")
    assert door.hashers.checks == 1
    door.clock.advance(301)
    assert door.login("alice", SECRET) == Viewer("alice")
    assert door.hashers.checks == 2


def test_another_password_counts_within_a_second(door: Door) -> None:
    assert door.login("alice", SECRET) == Viewer("alice")
    door.users.set_password("alice", door.passwords.hashed("another password"))
    door.clock.advance(1)
    assert door.login("alice", SECRET) is WrongCredentials
    assert door.login("alice", "another password") is None
    door.clock.advance(1)
    assert door.login("alice", "another password") == Viewer("alice")


def test_a_removed_user_is_out_within_a_second(door: Door) -> None:
    assert door.login("alice", SECRET) == Viewer("alice")
    door.users.remove("alice", keep_files=True)
    door.clock.advance(1)
    assert door.login("alice", SECRET) is WrongCredentials


def test_many_who_claim_the_same_at_once_are_checked_once(door: Door) -> None:
    door.hashers.held = []
    asked = [door.ask(Password("alice", SECRET)) for _ in range(20)]
    # One who leaves doesn't take the check away from the others.
    asked[0].cancel()
    asked[0].addErrback(lambda failure: None)
    [finish] = door.hashers.held
    finish()
    assert [outcome(each) for each in asked[1:]] == [Viewer("alice")] * 19


class TestGuessing:
    def test_each_wrong_guess_makes_the_next_one_wait_longer(self, door: Door) -> None:
        guesses = (Password("alice", f"guess {number}") for number in count())
        assert outcome(door.ask(next(guesses))) is WrongCredentials
        for delay in (1.0, 2.0, 4.0):
            asked = door.ask(next(guesses))
            checks = door.hashers.checks
            door.clock.advance(delay - 0.01)
            assert door.hashers.checks == checks
            door.clock.advance(0.01)
            assert door.hashers.checks == checks + 1
            assert outcome(asked) is WrongCredentials

    def test_the_right_password_waits_too_but_not_for_ever(self, door: Door) -> None:
        for number in range(20):
            door.ask(Password("alice", f"guess {number}"), AWAY).addErrback(lambda failure: None)
            door.clock.advance(30)
        asked = door.ask(Password("alice", SECRET), HOME)
        door.clock.advance(30)
        assert outcome(asked) == Viewer("alice")

    def test_whoever_is_in_stays_in(self, door: Door) -> None:
        assert door.login("alice", SECRET) == Viewer("alice")
        for number in range(30):
            door.ask(Password("alice", f"guess {number}"), AWAY).addErrback(lambda failure: None)
        assert door.login("alice", SECRET) == Viewer("alice")
        # Also when it has to be checked again.
        door.clock.advance(301)
        for number in range(30):
            door.ask(Password("alice", f"other guess {number}"), AWAY).addErrback(lambda failure: None)
        assert door.login("alice", SECRET) == Viewer("alice")

    def test_a_client_that_was_left_with_an_old_password_keeps_nobody_out(self, door: Door) -> None:
        for _ in range(100):
            assert door.login("alice", "the old one") is WrongCredentials
            door.clock.advance(0.1)
        assert door.hashers.checks == 1
        assert door.login("alice", SECRET, AWAY) == Viewer("alice")

    def test_who_would_wait_too_long_or_with_too_many_is_told_when_to_come_again(self, door: Door) -> None:
        asked = [door.ask(Password("alice", f"guess {number}")) for number in range(40)]
        refusals: list[object] = []
        for each in asked:
            each.addErrback(lambda failure: refusals.append(failure.value))
        full = [error for error in refusals if isinstance(error, TooManyAttempts)]
        assert len(full) == 40 - 1 - 16
        assert full[0].status == 429 and full[0].headers["Retry-After"] == "30"
        door.clock.pump([1.0] * 40)
        # Those who had to wait too long have gone as well: nobody waits for ever.
        assert len(refusals) == 40
        assert door.hashers.checks < 10

    def test_the_log_tells_where_from_but_nothing_that_was_typed(self, door: Door) -> None:
        with capturedLogs() as logged:
            door.login("hunter2-typed-as-name", "hunter3")
            door.ask(Bearer("hunter4")).addErrback(lambda failure: None)
        said = [formatEvent(event) for event in logged]
        assert [HOME in line for line in said] == [True, True]
        assert "hunter" not in repr(logged)


class TestTokens:
    def test_a_token_says_itself_whose_it_is_and_what_for(self, door: Door) -> None:
        _, secret = door.tokens.create("alice", read_only=True, below=("photos", "2026"))
        viewer = Viewer("alice", read_only=True, below=("photos", "2026"))
        assert outcome(door.ask(Bearer(secret))) == viewer
        assert door.login("alice", secret) == viewer
        assert door.login("", secret) == viewer
        assert door.hashers.checks == 0

    def test_a_token_is_not_good_for_another_name(self, door: Door) -> None:
        _, secret = door.tokens.create("alice")
        assert door.login("bob", secret) is WrongCredentials

    def test_a_password_is_not_a_bearer_token(self, door: Door) -> None:
        assert outcome(door.ask(Bearer(SECRET))) is WrongCredentials

    def test_a_token_expires(self, door: Door) -> None:
        _, secret = door.tokens.create("alice", expires=EPOCH + 10)
        door.clock.advance(9.5)
        assert outcome(door.ask(Bearer(secret))) == Viewer("alice")
        door.clock.advance(0.5)
        assert outcome(door.ask(Bearer(secret))) is WrongCredentials

    def test_a_revoked_token_is_out_within_a_second(self, door: Door) -> None:
        token, secret = door.tokens.create("alice")
        assert outcome(door.ask(Bearer(secret))) == Viewer("alice")
        door.tokens.revoke(token.id)
        door.clock.advance(1)
        assert outcome(door.ask(Bearer(secret))) is WrongCredentials

    def test_its_last_use_is_noted_now_and_then(self, door: Door) -> None:
        token, secret = door.tokens.create("alice")
        for _ in range(30):
            door.ask(Bearer(secret))
            door.clock.advance(30)
        [listed] = door.tokens.all("alice")
        assert listed.id == token.id and listed.last_used == EPOCH + 600

    def test_wrong_tokens_make_new_wrong_ones_wait_but_no_right_one(self, door: Door) -> None:
        _, secret = door.tokens.create("alice")
        _, other = door.tokens.create("alice")
        wrong = [Bearer(f"{secret[:-3]}{number:03}") for number in range(200, 210)]
        answered = [outcome(door.ask(claim)) for claim in wrong]
        assert answered == [WrongCredentials] * 4 + [None] * 6
        assert outcome(door.ask(wrong[0])) is WrongCredentials
        assert outcome(door.ask(Bearer(other))) == Viewer("alice")
        door.clock.pump([1.0] * 60)
