"""
What the grid asks of a peer: a place that keeps shares, be it a folder or a storage node far away.

All methods wait for the peer. All of them may be cancelled, and all of them fail with a `PeerError` and no
other error for whatever is the peer's fault.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from zope.interface import Attribute, Interface

from tahoeish.chk.buffers import Buffer


class PeerError(Exception):
    """A peer couldn't do what it was asked."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer}: {reason}")
        self.peer = peer
        self.reason = reason


class PeerFull(PeerError):
    """The peer has no room for more."""


class PeerUnavailable(PeerError):
    """The peer doesn't answer: switched off, not reachable, its disk not mounted. Later it may."""


class ShareMissing(PeerError):
    """The peer doesn't hold this share, or no longer, or not all of it yet."""


class NeedsLength(PeerError):
    """The peer takes a share only with its length, which nobody knows yet."""


class IShareSource(Interface):
    """A finished share, open for reading."""

    number: int = Attribute("The share's number.")

    async def read(offset: int, length: int) -> Buffer:
        """
        The share's bytes from `offset` on.

        Fewer than `length`, or none, if the share ends there. Several reads may be under way at once. They
        are as trustworthy as the peer: not at all.
        """

    async def close() -> None:
        """Needed once, after the last read."""


class IShareWriter(Interface):
    """
    A share on its way to a peer.

    `write` as often as needed, up to `parallel_writes` at a time; then `prepare`, then `commit`, each when everything
    before has ended. `abort` at any time, also while one of the others is under way or has just been cancelled. After
    an error nothing but `abort` or `forget` makes sense.
    """

    number: int = Attribute("The share's number.")
    parallel_writes: int = Attribute("How many writes at a time are of use.")
    ticket: str | None = Attribute(
        "What `IStoragePeer.reopen` needs, in whatever process, to go on with the share; None where that can't be."
    )

    async def write(offset: int, buffers: Sequence[Buffer]) -> None:
        """
        Put the buffers, one after the other, at `offset` of the share.

        Returns when the peer has them. They belong to the writer until then; if the write is cancelled, until
        `abort` has returned.
        """

    async def secure() -> None:
        """Returns when what has been written outlives this process, and as much else as the peer sees to."""

    async def forget() -> None:
        """Instead of `abort`: let go of a lasting share, which stays as it is, for `IStoragePeer.reopen`."""

    async def prepare() -> None:
        """
        Returns when the whole share is safe with the peer, but nobody sees it yet.

        So that of many shares either all are committed or none is.
        """

    async def commit() -> None:
        """Returns when the share can be seen and not even a crash of the peer would lose it."""

    async def abort() -> None:
        """
        Leave nothing of the share on the peer. May be called again.

        After `commit` it removes the share from peers that let us do that, and leaves it on those that don't.
        """


@dataclass(frozen=True, slots=True)
class Allocation:
    """
    A peer's answer to a request for room.

    A number that was asked for and is in neither `existing` nor `writers` is refused; `refusal` says why.
    """

    existing: frozenset[int] = frozenset()
    """All the finished shares that the peer holds already, asked for or not."""
    writers: Mapping[int, IShareWriter] = field(default_factory=dict)
    refusal: str | None = None


class IStoragePeer(Interface):
    """A place that keeps shares."""

    name: str = Attribute("What errors and the status page call it.")
    permutation_seed: bytes = Attribute("Decides where the peer stands in the ring of a storage index.")
    disk: object = Attribute("The same for peers whose free space is the same; None for one that shares it with none.")

    async def share_numbers(storage_index: bytes) -> set[int]:
        """The numbers of the finished shares that the peer holds."""

    async def allocate(
        storage_index: bytes, numbers: Collection[int], size: int | None, *, lasting: bool = False
    ) -> Allocation:
        """
        Ask for room for shares of `size` bytes each, or of a length that isn't known yet, which some peers refuse with
        `NeedsLength`.

        Every writer that comes back has to be committed or aborted in the end; those of `lasting` shares, which have to
        begin as the format has it, may also be forgotten, for `reopen`. The shares that the peer has already get a
        lease, or a longer one.
        """

    async def reopen(storage_index: bytes, number: int, ticket: str) -> IShareWriter:
        """
        Go on with an unfinished share that was begun as `lasting`, perhaps by a process that is gone. What was secure
        is there; what was written since then may be, and if it is written again, must be the same. Where the length
        isn't known, what is written from now on must reach to the end. Raises `ShareMissing`, too.
        """

    async def keep_alive(storage_index: bytes, number: int, ticket: str) -> None:
        """
        See to it that the peer doesn't give a lasting share up because nobody writes to it. Storage nodes do that after
        a while, those of Tahoe-LAFS after half an hour. May be called whether somebody writes to it or not. Raises
        `ShareMissing`, too.
        """

    async def allocate_whole(storage_index: bytes, numbers: Collection[int], size: int) -> Allocation:
        """
        The same for shares that are written at once, from the beginning to the end, with one `write`, whose buffers the
        writer keeps until it is committed or aborted.

        Only for a storage index that nobody has used before: what the peer has of it may not be told, and whether it
        has room may show only in the end. Where nothing else is possible, such shares can be seen one after the other
        from the beginning of `commit` on.
        """

    async def open_share(storage_index: bytes, number: int) -> IShareSource:
        """Raises `ShareMissing`, too."""

    async def report_corruption(storage_index: bytes, number: int, reason: str) -> None:
        """Tell the peer's operator that a finished share isn't what it was. Raises `ShareMissing`, too."""

    async def available_space() -> int | None:
        """The bytes that new shares may take, or None if the peer doesn't say."""
