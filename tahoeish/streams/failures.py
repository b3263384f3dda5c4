"""What is inside of Twisted's failures."""

from __future__ import annotations

from twisted.python.failure import Failure


def innermost(failure: Failure) -> BaseException:
    """Twisted's web client wraps the cause of a failure into one or two layers of `reasons`."""
    while nested := getattr(failure.value, "reasons", None):
        failure = nested[0]
    assert failure.value is not None
    return failure.value
