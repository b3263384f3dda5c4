"""What can be read of a body that isn't whole."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tahoeish.streams.body import (
    BodyError,
    BodyMalformed,
    BodyOverdue,
    BodyStream,
    BodyTruncated,
    ClientGone,
    Piece,
)
from tests.grid.gridtools import failure_of, succeeded


class Line:
    """A connection that has nothing to do."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def invite(self) -> None: ...

    def abort(self) -> None: ...


def begun() -> BodyStream:
    return BodyStream(Line(), Clock(), length=6, idle_timeout=0)


@pytest.mark.parametrize("kind", [ClientGone, BodyTruncated])
@pytest.mark.parametrize("is_awaited", [True, False])
def test_what_came_before_the_client_was_lost_is_read_before_the_error(kind: type[BodyError], is_awaited: bool) -> None:
    body = begun()
    reading: Deferred[Piece] | None = body.read() if is_awaited else None
    body.arrived(b"abc")
    body.fail(kind("lost"))
    assert succeeded(reading or body.read()) == b"abc"
    for _ in range(2):
        assert type(failure_of(body.read())) is kind


@pytest.mark.parametrize("kind", [BodyMalformed, BodyOverdue])
def test_nothing_is_read_of_what_the_node_does_not_want(kind: type[BodyError]) -> None:
    body = begun()
    body.arrived(b"abc")
    body.fail(kind("no"))
    assert type(failure_of(body.read())) is kind
