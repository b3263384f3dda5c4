"""Several who wait for the same thing."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from tahoeish.streams.tasks import share_of


@pytest_twisted.ensureDeferred
async def test_all_who_share_get_the_same_and_a_failure_too() -> None:
    common: Deferred[int] = Deferred()
    shares = [Deferred.fromCoroutine(share_of(common)) for _ in range(2)]
    common.callback(5)
    assert [await share for share in shares] == [5, 5] and await share_of(common) == 5

    common = Deferred()
    share = Deferred.fromCoroutine(share_of(common))
    common.errback(ValueError("bad"))
    for failing in (share, common):
        with pytest.raises(ValueError, match="bad"):
            await failing


@pytest_twisted.ensureDeferred
async def test_one_who_is_cancelled_takes_nothing_from_the_others() -> None:
    common: Deferred[int] = Deferred()
    leaving, staying = (Deferred.fromCoroutine(share_of(common)) for _ in range(2))
    leaving.cancel()
    with pytest.raises(CancelledError):
        await leaving
    assert not common.called
    common.callback(5)
    assert await staying == 5
