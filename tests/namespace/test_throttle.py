"""Whoever guesses has to wait; everybody else hardly notices."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tahoeish.namespace.throttle import Patience, Throttle

PATIENCE = Patience(
    first_delay=1.0, longest_delay=30.0, forgotten_after=900.0, free_per_user=2, free_per_address=5, most_remembered=100
)
HOME, AWAY = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def throttle() -> Throttle:
    return Throttle(PATIENCE)


def fail_at_once(throttle: Throttle, address: str, user: str, now: float) -> float:
    """Begin an attempt as soon as that is possible, and let it fail. Gives when it began."""
    while wait := throttle.begin(address, user, now):
        now += wait
    return now


def test_the_first_attempts_need_not_wait(throttle: Throttle) -> None:
    assert [throttle.begin(HOME, "alice", 0.0) for _ in range(2)] == [0.0, 0.0]


def test_each_failure_doubles_the_delay_up_to_the_longest(throttle: Throttle) -> None:
    begun = [0.0]
    for _ in range(10):
        begun.append(fail_at_once(throttle, HOME, "alice", begun[-1]))
    delays = [after - before for before, after in pairwise(begun)]
    assert delays == [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]


def test_guessing_at_one_user_from_many_addresses_is_as_slow(throttle: Throttle) -> None:
    now = 0.0
    for number in range(7):
        now = fail_at_once(throttle, f"203.0.113.{number}", "alice", now)
    assert throttle.begin(AWAY, "alice", now) == 16.0


def test_guessing_at_many_users_from_one_address_is_slow_too(throttle: Throttle) -> None:
    now = 0.0
    for number in range(8):
        now = fail_at_once(throttle, HOME, f"user{number}", now)
    assert throttle.begin(HOME, "another", now) == 4.0


def test_many_attempts_at_the_same_time_get_no_further_than_one_after_the_other(throttle: Throttle) -> None:
    waits = [throttle.begin(HOME, "alice", 0.0) for _ in range(50)]
    assert waits.count(0.0) == 3


def test_a_success_is_not_held_against_anybody(throttle: Throttle) -> None:
    for number in range(100):
        assert throttle.begin(HOME, f"user{number}", 0.0) == 0.0
        throttle.succeeded(HOME, f"user{number}")


def test_a_success_forgives_what_was_mistyped_before(throttle: Throttle) -> None:
    now = 0.0
    for _ in range(4):
        now = fail_at_once(throttle, HOME, "alice", now)
    now += throttle.begin(HOME, "alice", now)
    assert throttle.begin(HOME, "alice", now) == 0.0
    throttle.succeeded(HOME, "alice")
    assert throttle.begin(AWAY, "alice", now) == 0.0


def test_who_has_an_account_cannot_wipe_out_guesses_at_another(throttle: Throttle) -> None:
    now = 0.0
    for number in range(8):
        now = fail_at_once(throttle, HOME, f"user{number}", now)
    throttle.succeeded(HOME, "mallory")
    assert throttle.begin(HOME, "alice", now) > 0.0


def test_guessing_locks_nobody_out_of_where_they_work(throttle: Throttle) -> None:
    throttle.begin(HOME, "alice", 0.0)
    throttle.succeeded(HOME, "alice")
    now = 0.0
    for _ in range(20):
        now = fail_at_once(throttle, AWAY, "alice", now)
    for number in range(20):
        now = fail_at_once(throttle, HOME, f"user{number}", now)
    assert throttle.begin(HOME, "alice", now) == 0.0


def test_where_somebody_works_guesses_are_slow_as_well(throttle: Throttle) -> None:
    throttle.begin(HOME, "alice", 0.0)
    throttle.succeeded(HOME, "alice")
    waits = [throttle.begin(HOME, "alice", 0.0) for _ in range(10)]
    assert waits.count(0.0) == 3


def test_failures_are_forgotten_after_a_while(throttle: Throttle) -> None:
    now = 0.0
    for _ in range(10):
        now = fail_at_once(throttle, HOME, "alice", now)
    assert throttle.begin(HOME, "alice", now + 899.0) == 0.0
    assert throttle.begin(HOME, "alice", now + 899.0) == 30.0
    assert [throttle.begin(HOME, "alice", now + 2000.0) for _ in range(2)] == [0.0, 0.0]


def test_without_a_user_only_the_address_counts(throttle: Throttle) -> None:
    for _ in range(6):
        assert throttle.begin(HOME, None, 0.0) == 0.0
    assert throttle.begin(HOME, None, 0.0) == 1.0
    assert throttle.begin(AWAY, None, 0.0) == 0.0


def test_memory_is_bounded(throttle: Throttle) -> None:
    for number in range(1000):
        throttle.begin(f"address {number}", f"user {number}", 0.0)
        throttle.succeeded(f"address {number}", f"user {number}")
        throttle.begin(f"bad address {number}", f"bad user {number}", 0.0)
    assert len(throttle._failures) <= 100 and len(throttle._welcome) <= 100
