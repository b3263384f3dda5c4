"""Why the grid can't do what it was asked. Each error names the peers, and what each of them said."""

from __future__ import annotations

from collections.abc import Mapping


class GridError(Exception):
    """Base of all that can go wrong between this node and its peers."""

    def __init__(self, summary: str, reasons: Mapping[str, str]) -> None:
        details = "".join(f"; {peer}: {reason}" for peer, reason in reasons.items())
        super().__init__(summary + details)
        self.summary = summary
        self.reasons = dict(reasons)
        """What each peer said, by its name."""


class FileTooLarge(Exception):
    """The format can't express a file of this size."""


class SpoolOverflow(FileTooLarge):
    """A file that had to be kept before it could be sent on, and is longer than may be kept."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"more than {limit} bytes came, which is all that is kept of a file whose length the peers or the key "
            "depend on; send it with a Content-Length, or say ?size-hint=BYTES"
        )


class UploadUnhappy(GridError):
    """The shares would lie, or would have lain, on too few different peers."""

    def __init__(self, happiness: int, wanted: int, total: int, reasons: Mapping[str, str]) -> None:
        super().__init__(
            f"the file's {total} shares could be spread over {happiness} peers only, {wanted} are wanted",
            reasons,
        )
        self.happiness = happiness


class GridFull(UploadUnhappy):
    """The same, because peers have no room left."""


class LengthNeeded(UploadUnhappy):
    """The same, because peers want to know the length of a file beforehand, and it isn't known."""


class SharesForgotten(GridError):
    """An upload that was put aside can't go on, because its peers have given up too many of its unfinished shares."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("the peers have given up what they had of this upload; begin a new one", reasons)


class NothingStored(GridError):
    """A file that lacks shares still lacks all of them, since no peer took any."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("none of the missing shares could be stored", reasons)


class OtherEncoding(Exception):
    """A file, encoded again, doesn't get the cap it has."""

    def __init__(self) -> None:
        super().__init__(
            "encoded again, the file gets another cap, so no new shares would fit the ones it has: whatever program "
            "has stored it encodes differently; to have a whole file, store it anew"
        )


class NotEnoughShares(GridError):
    """Fewer different shares can be had than it takes to rebuild the file."""

    def __init__(self, found: Mapping[int, list[str]], needed: int, reasons: Mapping[str, str]) -> None:
        where = ", ".join(f"{number} on {' and '.join(peers)}" for number, peers in sorted(found.items()))
        if found:
            summary = f"{needed} different shares are needed, {len(found)} found: {where}"
        else:
            summary = f"{needed} different shares are needed, none was found"
        super().__init__(summary, reasons)
        self.found = dict(found)
        self.needed = needed
