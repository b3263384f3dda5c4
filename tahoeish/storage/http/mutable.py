"""Shares that change: the endpoints below `/storage/v1/mutable`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tahoeish.storage.http.answers import Refused, answer, answer_message
from tahoeish.storage.http.reading import ShareSender
from tahoeish.storage.http.routing import LEASE_SECRETS, Call, Endpoint
from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.vectors import ShareChange
from tahoeish.storage.wire import (
    MAX_CORRUPTION_BODY,
    Secret,
    dump_read_test_write_answer,
    dump_share_numbers,
    load_corruption,
    load_read_test_write,
)
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.threads import ThreadRunner


class MutableShares:
    """
    Serves the mutable files' shares.

    What is to become of them comes in one message, which is only understood when it is whole: at most `max_body`
    bytes of each, and of all together no more than `memory` has.
    """

    def __init__(
        self,
        mutables: MutableStore,
        store: ShareStore,
        sender: ShareSender,
        *,
        run_in_thread: ThreadRunner,
        memory: ByteBudget,
        max_body: int,
        max_share_size: int,
        read_only: bool = False,
    ) -> None:
        self._mutables = mutables
        self._store = store
        self._sender = sender
        self._run_in_thread = run_in_thread
        self._memory = memory
        self._max_body = max_body
        self._max_share_size = max_share_size
        self._read_only = read_only

    def endpoints(self) -> Sequence[Endpoint]:
        path = "/storage/v1/mutable/:si"
        return (
            Endpoint("POST", f"{path}/read-test-write", self.read_test_write, (Secret.WRITE_ENABLER, *LEASE_SECRETS)),
            Endpoint("GET", f"{path}/shares", self.share_numbers),
            Endpoint("GET", f"{path}/:n", self.read),
            Endpoint("POST", f"{path}/:n/corrupt", self.report_corruption),
        )

    async def read_test_write(self, call: Call) -> None:
        call.body.limit_to(self._max_body)
        length = call.body.length
        with await self._memory.lease(self._max_body if length is None else length):
            changes, read_vector = load_read_test_write(await call.message(self._max_body))
            self._expect_allowed(changes.values())
            enabler = call.secrets[Secret.WRITE_ENABLER]
            success, found = await self._run_in_thread(
                self._mutables.read_test_write, call.storage_index, enabler, call.lease, changes, read_vector
            )
        answer_message(call.request, 200, dump_read_test_write_answer(success, found))

    async def share_numbers(self, call: Call) -> None:
        numbers = await self._run_in_thread(self._mutables.share_numbers, call.storage_index)
        answer_message(call.request, 200, dump_share_numbers(numbers))

    async def read(self, call: Call) -> None:
        await self._sender.send(call, self._mutables.open)

    async def report_corruption(self, call: Call) -> None:
        reason = load_corruption(await call.message(MAX_CORRUPTION_BODY))
        await self._run_in_thread(self._store.report_corruption, call.storage_index, call.number, reason)
        answer(call.request, 200)

    def _expect_allowed(self, changes: Iterable[ShareChange]) -> None:
        for change in changes:
            if self._read_only and (change.writes or change.new_length is not None):
                raise Refused(403, "this storage node is read-only")
            if change.length_after(0) > self._max_share_size:
                raise Refused(413, f"a share can have at most {self._max_share_size} bytes")
