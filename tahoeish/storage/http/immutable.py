"""Shares that never change: the endpoints below `/storage/v1/immutable`, and leases."""

from __future__ import annotations

from collections.abc import Sequence

from tahoeish.storage.http.answers import Refused, answer, answer_message
from tahoeish.storage.http.reading import ShareSender
from tahoeish.storage.http.receiving import ShareReceiver
from tahoeish.storage.http.routing import LEASE_SECRETS, Call, Endpoint
from tahoeish.storage.ranges import Range
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.undoing import NoSuchUpload
from tahoeish.storage.uploads import Uploads
from tahoeish.storage.wire import (
    MAX_ALLOCATION_BODY,
    MAX_CORRUPTION_BODY,
    BadMessage,
    Secret,
    dump_allocation,
    dump_required,
    dump_share_numbers,
    load_allocation_request,
    load_corruption,
    parse_content_range,
)
from tahoeish.streams.threads import ThreadRunner


class ImmutableShares:
    """
    Serves a store, and takes uploads for it.

    Where the protocol's first implementation is at a loss (status 500), this one says what is wrong: a range beyond
    the end is a 416, and of a body that is shorter than its range, a 400.
    """

    def __init__(
        self,
        store: ShareStore,
        uploads: Uploads,
        receiver: ShareReceiver,
        sender: ShareSender,
        *,
        run_in_thread: ThreadRunner,
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._receiver = receiver
        self._sender = sender
        self._run_in_thread = run_in_thread

    def endpoints(self) -> Sequence[Endpoint]:
        path, share = "/storage/v1/immutable/:si", "/storage/v1/immutable/:si/:n"
        upload = (Secret.UPLOAD,)
        return (
            Endpoint("POST", path, self.allocate, (*LEASE_SECRETS, Secret.UPLOAD)),
            Endpoint("GET", f"{path}/shares", self.share_numbers),
            Endpoint("GET", share, self.read),
            Endpoint("PATCH", share, self.write, upload),
            Endpoint("PUT", f"{share}/abort", self.abort, upload),
            Endpoint("POST", f"{share}/corrupt", self.report_corruption),
        )

    async def allocate(self, call: Call) -> None:
        await allocate(call, self._uploads)

    async def write(self, call: Call) -> None:
        target = _target(call)
        upload = await self._uploads.find(call.storage_index, call.number, call.secrets[Secret.UPLOAD])
        length = target.end - target.begin
        if target.end > upload.size:
            raise Refused(416, f"the share was allocated with {upload.size} bytes, and has no byte {target.end - 1}")
        if call.body.length is not None and call.body.length < length:
            raise Refused(400, f"the body has {call.body.length} bytes, its range {length}")
        if await self._receiver.receive(call.body, upload, target) < target.end:
            raise Refused(400, f"the body is shorter than its range, which has {length} bytes")
        answer_message(call.request, 201 if upload.complete else 200, dump_required(upload.required))

    async def abort(self, call: Call) -> None:
        try:
            upload = await self._uploads.find(call.storage_index, call.number, call.secrets[Secret.UPLOAD])
        except NoSuchUpload:
            if call.number in await self._run_in_thread(self._store.share_numbers, call.storage_index):
                raise Refused(405, "Method Not Allowed", {"Allow": "GET, HEAD"}) from None
            raise
        await upload.give_up()
        answer(call.request, 200)

    async def share_numbers(self, call: Call) -> None:
        numbers = await self._run_in_thread(self._store.share_numbers, call.storage_index)
        answer_message(call.request, 200, dump_share_numbers(numbers))

    async def read(self, call: Call) -> None:
        await self._sender.send_finished(call, self._store.open)

    async def report_corruption(self, call: Call) -> None:
        reason = load_corruption(await call.message(MAX_CORRUPTION_BODY))
        await self._run_in_thread(self._store.report_corruption, call.storage_index, call.number, reason)
        answer(call.request, 200)


async def allocate(call: Call, uploads: Uploads, *, lasting: bool = False) -> None:
    """Answer a request to begin uploads."""
    asked = load_allocation_request(await call.message(MAX_ALLOCATION_BODY))
    secret = call.secrets[Secret.UPLOAD]
    allocation = await uploads.allocate(
        call.storage_index, asked.share_numbers, asked.size, secret, call.lease, lasting=lasting
    )
    answer_message(call.request, 200, dump_allocation(allocation))


def _target(call: Call) -> Range:
    try:
        return parse_content_range(call.request.getHeader("Content-Range") or "")
    except BadMessage as error:
        raise Refused(416, str(error)) from error
