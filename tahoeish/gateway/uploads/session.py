"""
One upload over several requests.

Theory of operation. Whoever owns the session numbers the requests, and tells what happens: `ask` (a request is there),
`received` and `stored` (its bytes came, and are safe), `ended` (no more of them come), `finished` or `failed` (the file
was stored, or not). Each answers with decisions, which are to be carried out in order.

One request at a time brings bytes: the writer. Any other request stops it, because a client that asks again has most
likely lost its connection, and waits until what the writer has brought is safe. Bytes count when they are safe, never
earlier: `offset` is what every answer tells, and only grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tahoeish.gateway.uploads.asked import Append, Asked, Cancel, Limits, Query
from tahoeish.gateway.uploads.decisions import (
    Begin,
    Cancelled,
    Continue,
    Decision,
    Discard,
    Finish,
    Forget,
    Reason,
    Refuse,
    Replay,
    RollBack,
    Stop,
    Tell,
)


class Phase(Enum):
    OPEN = "open"
    FINISHING = "finishing"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What has to survive."""

    offset: int = 0
    length: int | None = None
    phase: Phase = Phase.OPEN
    deadline: float | None = None
    """When it expires, if nobody comes."""

    answer: bytes | None = None
    """The final one, as the owner has packed it."""


@dataclass(slots=True)
class _Writer:
    request: int
    append: Append
    reaches_length: bool
    """As much may come as the upload is long, and not only as much as is taken at once."""
    stopped: bool = False


class Session:
    def __init__(self, limits: Limits, record: SessionRecord | None = None) -> None:
        """With a `record`: as it was then; `revive` says what has to be done."""
        record = record or SessionRecord()
        self._limits = limits
        self.offset = record.offset
        self.received = record.offset
        """What has come so far, safe or not."""
        self.length = record.length
        self.phase = record.phase
        self.deadline = record.deadline
        self._answer = record.answer
        self._was_whole = False
        """All bytes were there already when what became of them failed; the client may ask for that again."""
        self._writer: _Writer | None = None
        self._verified = record.offset
        self._waiting: list[tuple[int, Asked]] = []
        self._joined: list[int] = []

    @property
    def writer(self) -> int | None:
        """The request that brings bytes."""
        return None if self._writer is None else self._writer.request

    def record(self) -> SessionRecord:
        return SessionRecord(self.offset, self.length, self.phase, self.deadline, self._answer)

    # Requests.

    def ask(self, request: int, asked: Asked) -> list[Decision]:
        """`request`: a number that no other one has had."""
        if self._writer is not None:
            return self._wait_for_writer(request, asked)
        match asked:
            case Query():
                return [self._tell(request)]
            case Cancel():
                return self._cancel(request)
            case Append():
                return self._append(request, asked)

    def left(self, request: int) -> list[Decision]:
        """Its client went away while it waited for an answer. The writer isn't one of those: it ends."""
        self._waiting = [(number, asked) for number, asked in self._waiting if number != request]
        self._joined = [number for number in self._joined if number != request]
        return []

    # What becomes of the bytes.

    def received_more(self, size: int) -> None:
        self.received += size

    def stored(self, offset: int) -> None:
        """All before `offset` is safe now. Told late, or twice, it does no harm."""
        if self._writer is None or not self._writer.append.verified:
            self.offset = max(self.offset, min(offset, self.received))
        else:
            self._verified = max(self._verified, min(offset, self.received))

    def ended(self, request: int, *, whole: bool) -> list[Decision]:
        """
        The writer's content has ended, and all of it that could be made safe is; `whole`: as the client wanted it, and
        verified if that was asked for. Who isn't whole gets no answer by this, unless something newer has stopped it.
        """
        writer = self._take_writer(request)
        if writer is None:
            return []
        decisions: list[Decision] = []
        if writer.append.verified and whole:
            self.offset = max(self.offset, self._verified)
        elif writer.append.verified and self.received > self.offset:
            decisions.append(RollBack(self.offset))
        all_safe = self.offset == self.received
        self.received = self._verified = self.offset
        if self.phase is not Phase.OPEN:
            decisions.append(Refuse(request, Reason.GONE, self.offset))
        elif whole:
            decisions += self._arrived(writer, all_safe)
        elif writer.stopped:
            cancelled = any(isinstance(asked, Cancel) for _, asked in self._waiting)
            decisions.append(Refuse(request, Reason.GONE if cancelled else Reason.PREEMPTED, self.offset))
        return decisions + self._after_writer()

    def exceeded(self, request: int) -> list[Decision]:
        """Instead of `ended`: more came than `Begin` has allowed, of which nothing was let in."""
        writer = self._writer
        if writer is None or writer.request != request:
            return []
        too_long = writer.reaches_length
        fatal = too_long and writer.append.excess_is_fatal and self.phase is Phase.OPEN
        refusal = Refuse(request, Reason.TOO_LONG if too_long else Reason.TOO_LARGE, self.offset, writer.append.offset)
        writer.stopped = False
        if fatal:
            self._take_writer(request)
            self.phase = Phase.FAILED
            self.received = self._verified = self.offset
            return [refusal, Discard(), *self._after_writer()]
        # Where it isn't open any more, ending is a refusal by itself. What waits behind this may end it only now.
        was_open = self.phase is Phase.OPEN
        after = self.ended(request, whole=False)
        return [refusal, *after] if was_open else after

    # What becomes of the whole.

    def finished(self, answer: bytes) -> list[Decision]:
        """The file is stored; `answer` is what everybody gets from now on who asks to complete it."""
        return self._settled(Phase.COMPLETE, answer)

    def failed(self, answer: bytes, *, lasting: bool) -> list[Decision]:
        """It couldn't be stored. Unless that is `lasting`, the client may try to complete it again."""
        if not lasting:
            joined, self._joined = self._joined, []
            if self.phase is Phase.FINISHING:
                self.phase = Phase.OPEN
                self._was_whole = True
            return [Replay(request, answer) for request in joined]
        return [*self._settled(Phase.FAILED, answer), Discard()]

    def lost(self, answer: bytes) -> list[Decision]:
        """What was safe isn't any more: better no upload than a wrong one."""
        if self.phase not in (Phase.OPEN, Phase.FINISHING):
            return []
        stopping: list[Decision] = [] if self._writer is None or self._writer.stopped else [Stop(self._writer.request)]
        if self._writer is not None:
            self._writer.stopped = True
        return [*stopping, *self.failed(answer, lasting=True)]

    def expire(self, now: float) -> list[Decision]:
        """What is being written to, or stored, or has come to an end, doesn't expire any more."""
        if self.deadline is None or now < self.deadline or self._writer is not None or self.phase is not Phase.OPEN:
            return []
        self.phase = Phase.EXPIRED
        return [Discard()]

    def revive(self, *, ends_with_length: bool) -> list[Decision]:
        """After a restart: what was going on. `ends_with_length`: when all bytes are there, nothing else is missing."""
        if ends_with_length and self.phase is Phase.OPEN and self.offset == self.length:
            # The last bytes were written down, but not that they were the last.
            self.phase = Phase.FINISHING
        if self.phase is Phase.FINISHING and self.length is not None:
            return [Finish(self.length)]
        return []

    # Deciding.

    def _wait_for_writer(self, request: int, asked: Asked) -> list[Decision]:
        assert self._writer is not None
        # Whoever would write is stopped by what comes after it, so it needn't begin.
        older = [number for number, waiting in self._waiting if isinstance(waiting, Append)]
        decisions: list[Decision] = [Refuse(number, Reason.PREEMPTED, self.offset) for number in older]
        self._waiting = [entry for entry in self._waiting if entry[0] not in older]
        self._waiting.append((request, asked))
        if not self._writer.stopped:
            self._writer.stopped = True
            decisions.append(Stop(self._writer.request))
        return decisions

    def _after_writer(self) -> list[Decision]:
        decisions: list[Decision] = []
        waiting, self._waiting = self._waiting, []
        for request, asked in waiting:
            decisions += self.ask(request, asked)
        return decisions

    def _tell(self, request: int) -> Decision:
        if self.phase in (Phase.CANCELLED, Phase.EXPIRED, Phase.FAILED):
            return Refuse(request, Reason.GONE, self.offset)
        return Tell(request, self.offset, self.length, self.phase is Phase.COMPLETE)

    def _cancel(self, request: int) -> list[Decision]:
        if self.phase in (Phase.CANCELLED, Phase.EXPIRED):
            return [Refuse(request, Reason.GONE, self.offset)]
        # What is complete is a file by now, and none of the session's business.
        discarding: Decision = Discard() if self.phase in (Phase.OPEN, Phase.FINISHING) else Forget()
        joined, self._joined = self._joined, []
        self.phase = Phase.CANCELLED
        self._answer = None
        return [discarding, *(Refuse(number, Reason.GONE, self.offset) for number in joined), Cancelled(request)]

    def _append(self, request: int, append: Append) -> list[Decision]:
        match self.phase:
            case Phase.CANCELLED | Phase.EXPIRED:
                return [Refuse(request, Reason.GONE, self.offset)]
            case Phase.COMPLETE | Phase.FAILED if self._answer is not None and self._repeats_the_end(append):
                return [Replay(request, self._answer)]
            case Phase.FAILED:
                return [Refuse(request, Reason.GONE, self.offset)]
            case Phase.COMPLETE:
                return [Refuse(request, Reason.COMPLETE, self.offset, append.offset)]
            case Phase.FINISHING if self._repeats_the_end(append):
                self._joined.append(request)
                return []
            case Phase.OPEN if self._was_whole and self._repeats_the_end(append):
                self.phase = Phase.FINISHING
                self._joined.append(request)
                return [Finish(self.offset)]
            case Phase.FINISHING:
                return [Refuse(request, Reason.COMPLETE, self.offset, append.offset)]
        if append.offset is not None and append.offset != self.offset:
            return [Refuse(request, Reason.MISMATCH, self.offset, append.offset)]
        reason = self._objection(append)
        if reason is not None:
            fatal = append.excess_is_fatal and reason is Reason.TOO_LONG
            if fatal:
                self.phase = Phase.FAILED
            return [Refuse(request, reason, self.offset, append.offset), *([Discard()] if fatal else [])]
        self.length = self._length_with(append)
        most = self._most()
        self._writer = _Writer(request, append, self.length is not None and most == self.length - self.offset)
        return [Begin(request, self.offset, most, append.verified)]

    def _repeats_the_end(self, append: Append) -> bool:
        """The client hasn't got the answer to its last request, and asks again."""
        if append.completes is None:
            return append.offset is None or append.offset == self.offset
        return append.completes and (append.offset is None or append.offset <= self.offset)

    def _objection(self, append: Append) -> Reason | None:
        limits, size = self._limits, append.content_length
        lengths = {length for length in (self.length, append.length) if length is not None}
        if self.length is None and append.length is not None and append.length < self.offset:
            return Reason.INCONSISTENT_LENGTH
        if len(lengths) > 1:
            return Reason.INCONSISTENT_LENGTH
        length = self._length_with(append)
        if size is not None and length is not None and self.offset + size > length:
            return Reason.TOO_LONG
        if append.completes and size is not None and length is not None and self.offset + size != length:
            return Reason.INCONSISTENT_LENGTH
        if limits.max_size and max(length or 0, self.offset + (size or 0)) > limits.max_size:
            return Reason.TOO_LARGE
        if limits.min_size and length is not None and length < limits.min_size:
            return Reason.TOO_SMALL
        if limits.max_append_size and size is not None and size > limits.max_append_size:
            return Reason.TOO_LARGE
        return Reason.TOO_SMALL if self._is_too_little(append, length) else None

    def _is_too_little(self, append: Append, length: int | None) -> bool:
        size, least = append.content_length, self._limits.min_append_size
        if not least or size is None or size >= least or append.completes:
            return False
        # An empty one brings news of the length, or nothing; the last one is as large as what is left.
        return size > 0 and (append.completes is False or length is None or self.offset + size < length)

    def _length_with(self, append: Append) -> int | None:
        if self.length is not None:
            return self.length
        if append.length is not None:
            return append.length
        if append.completes and append.content_length is not None:
            return self.offset + append.content_length
        return None

    def _most(self) -> int | None:
        limits = self._limits
        bounds = [
            self.length - self.offset if self.length is not None else None,
            limits.max_size - self.offset if limits.max_size else None,
            limits.max_append_size or None,
        ]
        return min((bound for bound in bounds if bound is not None), default=None)

    def _take_writer(self, request: int) -> _Writer | None:
        writer = self._writer
        if writer is None or writer.request != request:
            return None
        self._writer = None
        return writer

    def _arrived(self, writer: _Writer, all_safe: bool) -> list[Decision]:
        """All of a request's content has come."""
        if not all_safe:
            return [Refuse(writer.request, Reason.MISMATCH, self.offset, writer.append.offset)]
        completes = writer.append.completes
        if completes is None:
            completes = self.offset == self.length
        if not completes:
            return [Continue(writer.request, self.offset)]
        if self.length is not None and self.offset != self.length:
            return [Refuse(writer.request, Reason.INCONSISTENT_LENGTH, self.offset, writer.append.offset)]
        if self.offset < self._limits.min_size:
            return [Refuse(writer.request, Reason.TOO_SMALL, self.offset, writer.append.offset)]
        self.phase = Phase.FINISHING
        self.length = self.offset
        self._joined.append(writer.request)
        return [Finish(self.offset)]

    def _settled(self, phase: Phase, answer: bytes) -> list[Decision]:
        if self.phase in (Phase.OPEN, Phase.FINISHING):
            self.phase = phase
            self._answer = answer
        joined, self._joined = self._joined, []
        return [Replay(request, answer) for request in joined]


def length_of_all(parts: Sequence[SessionRecord]) -> int | None:
    """Of a file made of these uploads, one behind the other; None unless all of them are complete."""
    if any(part.phase is not Phase.COMPLETE for part in parts):
        return None
    return sum(part.offset for part in parts)
