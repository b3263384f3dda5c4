"""
What has to be written down of an unfinished share to go on with it in another process.

Whoever has the ticket of a share on a storage node may write to that share.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tahoeish.chk import base32


class BadTicket(ValueError):
    """This is no ticket, or one of another kind of peer."""

    def __init__(self) -> None:
        super().__init__("what was written down of the unfinished share isn't of its kind")


@dataclass(frozen=True, slots=True)
class FolderTicket:
    """Of a share in a folder."""

    size: int | None

    def dump(self) -> str:
        return json.dumps({"size": self.size})

    @classmethod
    def load(cls, text: str) -> FolderTicket:
        """Raises `BadTicket`."""
        match _parsed(text):
            case {"size": int() | None as size}:
                return cls(size)
        raise BadTicket


@dataclass(frozen=True, slots=True)
class UploadTicket:
    """Of a share on a storage node."""

    upload_secret: bytes = field(repr=False)
    allocated: int
    may_be_shorter: bool

    def dump(self) -> str:
        secret = base32.encode(self.upload_secret)
        return json.dumps({"upload-secret": secret, "allocated": self.allocated, "may-be-shorter": self.may_be_shorter})

    @classmethod
    def load(cls, text: str) -> UploadTicket:
        """Raises `BadTicket`."""
        match _parsed(text):
            case {"upload-secret": str(secret), "allocated": int(allocated), "may-be-shorter": bool(may_be_shorter)}:
                try:
                    return cls(base32.decode(secret), allocated, may_be_shorter)
                except ValueError as error:
                    raise BadTicket from error
        raise BadTicket


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadTicket from error
