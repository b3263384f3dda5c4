"""
A streaming site with HTTPS as a program: `python -m tests.streams.http2.process KEY CERTIFICATE SECONDS`, which are its
patience with a client that does nothing. Prints its port.

`PUT /read...` is read, and `PUT /stuck` isn't before somebody asks for `/go/stuck`; both answer with the number of
bytes. `PUT /read-slowly` is answered long after a connection would be idle, `PUT /refused` with 413, `/talk` in several
steps, and `GET /bytes/N` with so many bytes. `GET /state` tells what is going on.
"""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.node.https import HttpsEndpoint
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tahoeish.streams.site import BodyLimits, StreamingSite
from tests.streams.resources import Fountain, Holder, Talker
from tests.streams.wire import Refuser, answer

IDLE_TIMEOUT = 1


@implementer(IStreamingResource)
class State(Resource):
    """Also lets go what is stuck."""

    isLeaf = True

    def __init__(self, holder: Holder) -> None:
        super().__init__()
        self._holder = holder

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        if request.path != b"/state":
            self._holder.go[request.path.removeprefix(b"/go")].callback(None)
        state = {
            "received": {path.decode(): body.received for path, body in self._holder.bodies.items()},
            "errors": {path.decode(): type(error).__name__ for path, error in self._holder.errors.items()},
            # Without this one.
            "transfers": len(request.site.transfers) - 1,
        }
        answer(request, 200, json.dumps(state).encode())


@implementer(IStreamingResource)
class Slow(Resource):
    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        size = len(await body.read_all(1000))
        await deferLater(request.site.reactor, 3 * IDLE_TIMEOUT, lambda: None)
        answer(request, 200, b"%d" % size)


class Root(Resource):
    def __init__(self) -> None:
        super().__init__()
        self._holder = Holder()
        state = State(self._holder)
        for name in (b"state", b"go"):
            self.putChild(name, state)
        self.putChild(b"read-slowly", Slow())
        self.putChild(b"refused", Refuser())
        self.putChild(b"talk", Talker())
        self.putChild(b"bytes", Fountain())

    def getChild(self, path: bytes, request: Any) -> Resource:
        return self._holder


def main() -> None:
    from twisted.internet import reactor as global_reactor

    reactor = cast(Any, global_reactor)
    key, certificate, patience = sys.argv[1:]
    site = StreamingSite(Root(), reactor=reactor, limits=BodyLimits(idle_timeout=float(patience)))
    https = HttpsEndpoint.parse(f"ssl:0:privateKey={key}:certKey={certificate}")
    assert https is not None
    port = reactor.listenTCP(0, https.secured(site, reactor), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
