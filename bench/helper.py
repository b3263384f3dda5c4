"""Work in another process, so that many clients and those who watch don't share one interpreter."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

CONTEXT = multiprocessing.get_context("spawn")
"""Makes processes, and the events that they understand."""


class HelperFailed(Exception):
    """The work ended with an error, or without a result."""


class Helper(Generic[T]):
    """`work(*args)` in a process of its own, while the block lasts; `result` waits for what it returns."""

    def __init__(self, work: Callable[..., T], *args: object) -> None:
        self._receiver, self._sender = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=_work, args=(self._sender, work, args), daemon=True)

    def __enter__(self) -> Helper[T]:
        self._process.start()
        # Else the end of the process would not be the end of the pipe.
        self._sender.close()
        return self

    def result(self) -> T:
        try:
            result, error = self._receiver.recv()
        except EOFError:
            self._process.join()
            raise HelperFailed(f"a helper ended with status {self._process.exitcode}") from None
        if error is not None:
            raise HelperFailed(error)
        value: T = result
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.join()
        self._process.close()
        self._receiver.close()


def _work(sender: Connection, work: Callable[..., T], args: tuple[object, ...]) -> None:
    # A client needs a descriptor for each connection.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        outcome = work(*args), None
    except Exception as error:
        sender.send((None, f"{type(error).__name__}: {error}"))
    else:
        sender.send(outcome)
