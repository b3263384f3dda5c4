"""What is inside of failures, and what they hold."""

from __future__ import annotations

from twisted.python.failure import Failure


def innermost(failure: Failure) -> BaseException:
    """Twisted's web client wraps the cause of a failure into one or two layers of `reasons`."""
    while nested := getattr(failure.value, "reasons", None):
        failure = nested[0]
    assert failure.value is not None
    return failure.value


def forget_frames(error: BaseException | None) -> None:
    """
    Of an error that has been told, and of those before it. Whatever was at hand where it was raised, pieces of content
    above all, would otherwise stay as long as somebody keeps the error, or until the collector comes.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
