"""What is at `/` itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from tahoeish.gateway.dav import server_root
from tahoeish.gateway.dav.resource import announce
from tahoeish.gateway.errors import Refused, prefers_html, write_text
from tahoeish.gateway.page import PeerLine, WorkerLine, welcome
from tahoeish.gateway.pages import policy
from tahoeish.gateway.resource import AsyncResource, argument
from tahoeish.grid.peer import IStoragePeer, PeerError
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.tasks import together


class Welcome(AsyncResource):
    """A page for people; for tools that ask with `t=json`, the state of the grid; for WebDAV, the way to `/files`."""

    def __init__(
        self,
        peers: Callable[[], Sequence[IStoragePeer]],
        encoding: str,
        workers: Callable[[], Sequence[WorkerLine]],
        offer: Callable[[StreamingRequest], None],
    ) -> None:
        """`offer`: add what is offered to uploads, wherever they go."""
        super().__init__()
        self._offer = offer
        self._workers = workers
        self._peers = peers
        self._encoding = encoding

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        if request.method in (b"OPTIONS", b"PROPFIND"):
            announce(request, self.allowed_methods)
        if request.method == b"OPTIONS" and request.path == b"*":
            # Of the server as a whole.
            self._offer(request)
        await super().respond(request, body)

    async def on_PROPFIND(self, request: StreamingRequest, body: BodyStream) -> None:
        if request.postpath:
            raise Refused(404, "there is nothing at this address, which begins with two slashes")
        await server_root.propfind(request, body)

    async def on_GET(self, request: StreamingRequest, body: BodyStream) -> None:
        if request.postpath:
            raise Refused(404, "there is nothing at this address, which begins with two slashes")
        match argument(request, "t") or "":
            case "":
                await self._page(request)
            case "json":
                await self._state(request)
            case other:
                raise Refused(400, f"t is json here, not {other!r}")

    async def _page(self, request: StreamingRequest) -> None:
        host = (request.getHeader(b"Host") or b"127.0.0.1").decode("latin-1")
        url = f"{'https' if request.isSecure() else 'http'}://{host}"
        if not prefers_html(request):
            text = (
                f"This is a tahoeish node. Store a file with: curl -T FILE {url}/files/\n"
                f"or only for its cap: curl -T FILE {url}/uri\n"
            )
            write_text(request, 200, text)
            return
        # With no-referrer, a browser would hide from us, too, that its form comes from our own page.
        request.setHeader(b"Referrer-Policy", b"same-origin")
        lines = await together(self._line(peer) for peer in self._peers())
        request.setHeader(b"Content-Security-Policy", policy.SCRIPTED)
        write_text(request, 200, welcome(url, self._encoding, lines), "text/html; charset=utf-8")

    async def _line(self, peer: IStoragePeer) -> PeerLine:
        try:
            space = await peer.available_space()
        except PeerError as error:
            return PeerLine(peer.name, error.reason)
        return PeerLine(peer.name, "not said" if space is None else f"{space / 1e9:.1f} GB free")

    async def _state(self, request: StreamingRequest) -> None:
        servers = await together(self._server(peer) for peer in self._peers())
        workers = [asdict(worker) for worker in self._workers()]
        state = {"introducers": {"statuses": []}, "servers": servers, "workers": workers}
        write_text(request, 200, json.dumps(state, indent=1) + "\n")

    async def _server(self, peer: IStoragePeer) -> dict[str, object]:
        space: int | None = None
        try:
            space = await peer.available_space()
            status = "connected"
        except PeerError as error:
            status = error.reason
        return {
            "nodeid": peer.name,
            "nickname": peer.name,
            "connection_status": status,
            "available_space": space,
            "version": None,
            "last_received_data": None,
        }
