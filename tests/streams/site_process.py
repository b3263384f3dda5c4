"""
A streaming site as a program: `python -m tests.streams.site_process`. Prints its port.

`PUT /held` isn't read before somebody asks for `/go`; `/received` tells how much of it has come in all the same.
`PUT /refused` is answered with 413.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tahoeish.streams.site import BodyLimits, StreamingSite
from tests.streams.wire import Refuser, answer

IDLE_TIMEOUT = 1


@implementer(IStreamingResource)
class Held(Resource):
    """Holds bodies back."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.body: BodyStream | None = None
        self.go: Deferred[None] | None = None

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        match request.path:
            case b"/received":
                answer(request, 200, b"%d" % (self.body.received if self.body is not None else 0))
            case b"/go":
                assert self.go is not None
                self.go.callback(None)
                answer(request, 200, b"")
            case _:
                self.body, self.go = body, Deferred()
                await self.go
                size = 0
                async for piece in body:
                    size += len(piece)
                answer(request, 200, b"%d" % size)


def main() -> None:
    from twisted.internet import reactor as global_reactor

    reactor = cast(Any, global_reactor)
    root = Resource()
    held = Held()
    for name in (b"held", b"received", b"go"):
        root.putChild(name, held)
    root.putChild(b"refused", Refuser())
    site = StreamingSite(root, reactor=reactor, limits=BodyLimits(idle_timeout=IDLE_TIMEOUT))
    port = reactor.listenTCP(0, site, interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
