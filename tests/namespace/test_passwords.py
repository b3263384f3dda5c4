"""Passwords: how they are kept, and for how long it is remembered that one was right."""

from __future__ import annotations

import os

import pytest

from tahoeish.namespace.passwords import BadPassword, Passwords, Recollection, checked_password, generated

SECRET = "correct horse battery"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(os.urandom)


def test_a_hash_is_that_of_its_password_only(passwords: Passwords) -> None:
    kept = passwords.hashed(SECRET)
    assert passwords.match(SECRET, kept)
    assert not passwords.match(SECRET + " ", kept)


def test_a_hash_is_argon2id_salted_and_without_the_password(passwords: Passwords) -> None:
    one, other = passwords.hashed(SECRET), passwords.hashed(SECRET)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other and SECRET not in one


def test_an_umlaut_is_the_same_however_it_was_typed(passwords: Passwords) -> None:
    assert passwords.match("Ba\u0308renho\u0308hle", passwords.hashed("B\u00e4renh\u00f6hle"))


def test_nobody_has_a_password_and_it_is_as_costly_to_find_out(passwords: Passwords) -> None:
    assert not passwords.match(SECRET, None)
    # The same parameters and the same lengths make the same work.
    somebodys, nobodys = passwords.hashed(SECRET).split("$"), passwords._nobodys.split("$")
    assert somebodys[:4] == nobodys[:4]
    assert list(map(len, somebodys)) == list(map(len, nobodys))


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("short", "at least 8"),
        ("", "at least 8"),
        ("with\nline end", "control characters"),
        ("tahoeish_abcdefgh", "app tokens"),
        ("ä" * 600, "at most 1024 bytes"),
    ],
)
def test_what_nobody_may_have_is_refused_without_showing_it(password: str, told: str) -> None:
    with pytest.raises(BadPassword, match=told) as refused:
        checked_password(password)
    assert not password or password not in str(refused.value)


def test_a_generated_password_can_be_read_out() -> None:
    made = {generated(os.urandom) for _ in range(20)}
    assert len(made) == 20
    assert all([len(group) for group in password.split("-")] == [5, 5, 5] for password in made)
    assert not set("".join(made)) & set("lo01OI")
    assert all(checked_password(password) == password for password in made)


class TestRecollection:
    def setup_method(self) -> None:
        self.recollection = Recollection(b"k" * 32, seconds=300.0, most=10)

    def test_remembers_both_verdicts_for_a_while(self) -> None:
        right = self.recollection.digest("alice", SECRET, "hash")
        wrong = self.recollection.digest("alice", "guess", "hash")
        assert self.recollection.verdict(right, 0.0) is None
        self.recollection.remember(right, True, 0.0)
        self.recollection.remember(wrong, False, 0.0)
        assert self.recollection.verdict(right, 299.0) is True
        assert self.recollection.verdict(wrong, 299.0) is False
        assert self.recollection.verdict(right, 300.0) is None
        assert self.recollection.verdict(wrong, 300.0) is None

    def test_another_password_hash_is_another_claim(self) -> None:
        digests = {self.recollection.digest("alice", SECRET, kept) for kept in ("hash", "other", None)}
        assert len(digests) == 3

    def test_claims_cannot_be_cut_differently(self) -> None:
        assert self.recollection.digest("ab", "c", None) != self.recollection.digest("a", "bc", None)

    def test_digests_mean_nothing_under_another_key(self) -> None:
        other = Recollection(b"o" * 32)
        assert self.recollection.digest("alice", SECRET, "hash") != other.digest("alice", SECRET, "hash")

    def test_wrong_claims_do_not_push_out_right_ones(self) -> None:
        right = self.recollection.digest("alice", SECRET, "hash")
        self.recollection.remember(right, True, 0.0)
        for number in range(100):
            self.recollection.remember(self.recollection.digest("alice", str(number), "hash"), False, 0.0)
        assert self.recollection.verdict(right, 1.0) is True
        assert sum(map(len, self.recollection._until.values())) == 11
