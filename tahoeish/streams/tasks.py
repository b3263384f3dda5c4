"""Waiting for several coroutines at once, together with others, and for one that must not be interrupted."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from tahoeish.streams.threads import claimed

T = TypeVar("T")


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """
    The results of all of them, in order. Waits for the last one even when one fails; then the first failure is raised.

    Cancelling it cancels all.
    """
    outcomes = await DeferredList([Deferred.fromCoroutine(work) for work in works], consumeErrors=True)
    for _, outcome in outcomes:
        if isinstance(outcome, Failure):
            outcome.raiseException()
    return [result for _, result in outcomes]


async def share_of(common: Deferred[T]) -> T:
    """What `common` brings, for one of several who wait for it; that one may be cancelled without it."""
    share: Deferred[T] = Deferred()

    def pass_on(outcome: T | Failure) -> T | Failure:
        if not share.called:
            # A failure sets off errbacks here, too.
            share.callback(outcome)
        return outcome

    common.addBoth(pass_on)
    return await share


def to_the_end(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Whoever waits for it may be cancelled; the work goes on."""
    return claimed(Deferred.fromCoroutine(work), lambda _: None)
