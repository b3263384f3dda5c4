"""What a session wants done. Each decision that names a request is about that one, and only `Begin` isn't its last."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Reason(Enum):
    """Why a request is refused."""

    MISMATCH = "the bytes don't belong where the upload stands"
    INCONSISTENT_LENGTH = "what is said of the upload's length doesn't agree"
    TOO_LARGE = "the upload, or what comes at once, is larger than may be"
    TOO_SMALL = "the upload, or what comes at once, is smaller than may be"
    TOO_LONG = "more comes than the upload's length"
    PREEMPTED = "a newer request has taken over"
    COMPLETE = "the upload is complete"
    GONE = "the upload was cancelled, or has expired, or has failed"


@dataclass(frozen=True, slots=True)
class Begin:
    """Let the request's content in: it belongs at `offset`, and `most` bytes of it may come, None for any number."""

    request: int
    offset: int
    most: int | None
    verified: bool
    """Tell of nothing as stored before all of it has been verified."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Read no more of the request's content; make durable what it has brought, and then say that it has ended."""

    request: int


@dataclass(frozen=True, slots=True)
class RollBack:
    """What came after `offset` wasn't what the client had sent: the encoder goes back to its checkpoint there."""

    offset: int


@dataclass(frozen=True, slots=True)
class Tell:
    """How far the upload is."""

    request: int
    offset: int
    length: int | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Continue:
    """The request's content is in, and more is to come."""

    request: int
    offset: int


@dataclass(frozen=True, slots=True)
class Refuse:
    request: int
    reason: Reason
    offset: int
    """Where the upload really stands."""

    given: int | None = None
    """Where the request's bytes would belong."""


@dataclass(frozen=True, slots=True)
class Finish:
    """All `length` bytes are there: store the file, under its name if it has one, and say how that went."""

    length: int


@dataclass(frozen=True, slots=True)
class Replay:
    """The upload's one and final answer."""

    request: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nothing is left of the upload, as the request wanted."""

    request: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Give up what is on the peers, and what was kept here."""


@dataclass(frozen=True, slots=True)
class Forget:
    """There is nothing to give up any more, but nobody needs to know of the upload, either."""


Decision: TypeAlias = (
    Begin | Stop | RollBack | Tell | Continue | Refuse | Finish | Replay | Cancelled | Discard | Forget
)
