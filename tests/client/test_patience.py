"""When something is tried again, and how long after."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tahoeish.client.errors import (
    CertificateRefused,
    ClientError,
    CredentialsRefused,
    FileChanged,
    GivenUp,
    NodeUnreachable,
    Refused,
    TransferBroken,
)
from tahoeish.client.patience import LONGEST_ASKED_FOR, Patience, Retries, may_pass

BROKEN = TransferBroken("broken")
UNREACHABLE = NodeUnreachable("http://node", "Connection refused")


def new_retries(clock: Clock, waited: list[float], retries: int = 12, chance: float = 0.5) -> Retries:
    patience = Patience(clock, retries, random=lambda: chance)
    return patience.begin(lambda seconds, error: waited.append(seconds), there=lambda: True)


def pause(clock: Clock, retries: Retries, error: ClientError) -> Deferred[None]:
    pausing = Deferred.fromCoroutine(retries.pause(error))
    clock.advance(10_000)
    return pausing


def refused(status: int, retry_after: float | None = None, stands_at: str | None = None) -> Refused:
    refusal = Refused(status, "No")
    refusal.retry_after, refusal.stands_at = retry_after, stands_at
    return refusal


@pytest.mark.parametrize("status", [408, 423, 429, 500, 502, 503, 504])
def test_a_busy_node_is_asked_again(status: int) -> None:
    assert may_pass(refused(status))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 413, 507])
def test_what_the_node_does_not_want_is_not_sent_again(status: int) -> None:
    assert not may_pass(refused(status))


def test_a_node_that_has_more_or_less_than_we_thought_is_asked_again() -> None:
    assert may_pass(refused(409, stands_at="17"))


def test_what_is_wrong_on_this_side_does_not_pass() -> None:
    assert not may_pass(CredentialsRefused(401, "Who?"))
    assert not may_pass(FileChanged("changed"))
    assert not may_pass(CertificateRefused("https://node", "isn't trusted"))


def test_pauses_grow_up_to_a_minute() -> None:
    clock, waited = Clock(), list[float]()
    retries = new_retries(clock, waited)
    for _ in range(10):
        pause(clock, retries, BROKEN)
    assert waited == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 0.375), (0.999, 0.62475)])
def test_not_all_clients_come_back_at_once(chance: float, seconds: float) -> None:
    clock, waited = Clock(), list[float]()
    pause(clock, new_retries(clock, waited, chance=chance), BROKEN)
    assert waited == [pytest.approx(seconds)]


def test_a_node_may_ask_for_longer_pauses_within_reason() -> None:
    clock, waited = Clock(), list[float]()
    retries = new_retries(clock, waited)
    pause(clock, retries, refused(503, retry_after=120))
    pause(clock, retries, refused(503, retry_after=999_999))
    assert waited == [120, LONGEST_ASKED_FOR]


def test_after_some_tries_in_vain_it_is_given_up_and_what_gets_on_counts_anew() -> None:
    clock, waited = Clock(), list[float]()
    retries = new_retries(clock, waited, retries=2)
    pause(clock, retries, BROKEN)
    pause(clock, retries, BROKEN)
    retries.got_on()
    pause(clock, retries, BROKEN)
    pause(clock, retries, BROKEN)
    error = error_of(pause(clock, retries, BROKEN))
    assert isinstance(error, GivenUp) and str(error) == "broken; given up after 3 tries"
    assert waited == [0.5, 1, 0.5, 1]


def test_a_fault_in_the_node_is_not_waited_out() -> None:
    clock, waited = Clock(), list[float]()
    retries = new_retries(clock, waited, retries=30)
    while not (errors := errors_of(pause(clock, retries, refused(500)))):
        pass
    assert isinstance(errors[0], GivenUp)
    assert len(waited) == 4


def test_what_does_not_pass_is_raised_as_it_is() -> None:
    clock, waited = Clock(), list[float]()
    error = refused(413)
    assert error_of(pause(clock, new_retries(clock, waited), error)) is error
    assert waited == []


@pytest.mark.parametrize("error", [UNREACHABLE, BROKEN])
def test_a_node_that_has_never_answered_is_not_waited_for(error: ClientError) -> None:
    clock = Clock()
    retries = Patience(clock).begin(lambda seconds, error: None, there=lambda: False)
    assert error_of(pause(clock, retries, error)) is error


def test_work_that_moves_is_waited_for_and_work_that_does_not_is_broken_off() -> None:
    clock, moved = Clock(), list[None]()
    never: Deferred[None] = Deferred()

    async def work() -> None:
        await never

    working = Deferred.fromCoroutine(Patience(clock, silence=10).unless_silent(work(), moved=lambda: len(moved)))
    for _ in range(5):
        moved.append(None)
        clock.advance(9)
    assert not working.called
    clock.pump([10, 10])
    assert str(error_of(working)) == "nothing has moved for 10 seconds"
    assert clock.getDelayedCalls() == []


def errors_of(deferred: Deferred[None]) -> list[BaseException]:
    errors: list[BaseException] = []

    def failed(failure: Failure) -> None:
        assert failure.value is not None
        errors.append(failure.value)

    deferred.addErrback(failed)
    return errors


def error_of(deferred: Deferred[None]) -> BaseException:
    [error] = errors_of(deferred)
    return error
