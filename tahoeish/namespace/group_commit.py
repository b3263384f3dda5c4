"""
One commit for many writers.

SQLite has one writer at a time, and a commit waits for the disk. Whoever comes while a commit is under way waits for
it, and all who waited then share the next one: the first of them runs the work of all, commits once, and wakes the
others. When some of the work fails, all of it is undone and done again, each in a savepoint of its own, so that nobody
pays for others' failures. As a rule none does, and savepoints would cost as much as the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class GroupCommit:
    def __init__(self, engine: Engine) -> None:
        """`engine`'s transactions must be able to write from their beginning."""
        self._engine = engine
        self._guard = Lock()
        self._waiting: list[_Job[Any]] = []
        self._led = False

    @property
    def waiting(self) -> int:
        """How many wait while a commit is under way."""
        return len(self._waiting)

    def write(self, work: Callable[[Connection], T]) -> T:
        """The result of the work, once that is safe on disk; or what the work or the commit raised."""
        job = _Job(work)
        self._write([job])
        return job.result()

    def write_together(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        """Of each its result or what it raised, in one commit for all."""
        jobs = [_Job(work) for work in works]
        self._write(jobs)
        return [job.outcome() for job in jobs]

    def _write(self, jobs: Sequence[_Job[Any]]) -> None:
        with self._guard:
            self._waiting += jobs
            leads = not self._led
            self._led = True
        # What is added together is taken together.
        if not leads:
            jobs[0].woken.wait()
        if not jobs[0].ended:
            self._lead()

    def _lead(self) -> None:
        with self._guard:
            jobs, self._waiting = self._waiting, []
        try:
            self._run(jobs)
        finally:
            with self._guard:
                next_leader = self._waiting[0] if self._waiting else None
                self._led = next_leader is not None
            if next_leader is not None:
                next_leader.woken.set()
            for job in jobs:
                job.woken.set()

    def _run(self, jobs: list[_Job[Any]]) -> None:
        try:
            if not self._all_well(jobs):
                with self._engine.begin() as connection:
                    for job in jobs:
                        job.run(connection)
        except BaseException as error:
            for job in jobs:
                job.lose(error)
        finally:
            for job in jobs:
                job.ended = True

    def _all_well(self, jobs: list[_Job[Any]]) -> bool:
        """Whether all of it could be done; otherwise nothing has been."""
        try:
            with self._engine.begin() as connection:
                for job in jobs:
                    job.run_plainly(connection)
        except _WorkFailed as failed:
            if len(jobs) == 1:
                raise failed.error from None
            return False
        return True


class _WorkFailed(Exception):
    """Not the transaction around it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: BaseException | None = None
        self.woken = Event()
        # False when it is woken: it is to lead.
        self.ended = False

    def run_plainly(self, connection: Connection) -> None:
        """Do the work. Raises `_WorkFailed`, and leaves it to the caller to undo it."""
        try:
            self._result = self._work(connection)
        except BaseException as error:
            raise _WorkFailed(error) from None

    def run(self, connection: Connection) -> None:
        """Do the work or, if it fails, undo it. Raises only what concerns the whole transaction."""
        try:
            with connection.begin_nested():
                self._result = self._work(connection)
        except BaseException as error:
            self._error = error
            # When the disk is full, for one, SQLite gives up the whole transaction. A savepoint would begin another.
            if not cast(Any, connection.connection.dbapi_connection).in_transaction:
                raise

    def lose(self, error: BaseException) -> None:
        """What was done could not be committed."""
        if self._error is None:
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            try:
                raise self._error
            finally:
                # An error holds the frames it went through, and those hold this job.
                self._error = None
        return cast(T, self._result)

    def outcome(self) -> T | BaseException:
        """The same, without raising it."""
        if self._error is None:
            return cast(T, self._result)
        error, self._error = self._error, None
        return error
