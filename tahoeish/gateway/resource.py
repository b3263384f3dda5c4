"""Resources that are asked when the head of a request is in: one coroutine per method."""

from __future__ import annotations

from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.gateway.errors import Refused, write_text
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest


@implementer(IStreamingResource)
class AsyncResource(Resource):
    """
    Answers `GET` with its method `on_GET(request, body)`, and so on; HEAD is a GET whose body twisted.web leaves out,
    unless there is an `on_HEAD`.
    """

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        method = request.method.decode("ascii", "replace")
        handler = getattr(self, f"on_{method}", None)
        if handler is None and method == "HEAD":
            handler = getattr(self, "on_GET", None)
        if handler is not None:
            await handler(request, body)
            return
        request.setHeader(b"Allow", ", ".join(self.allowed_methods).encode())
        if method == "OPTIONS":
            write_text(request, 200, "")
        else:
            raise Refused(405, f"{method} is not possible here, only {', '.join(self.allowed_methods)}")

    @property
    def allowed_methods(self) -> list[str]:
        own = {name.removeprefix("on_") for name in dir(self) if name.startswith("on_")}
        return sorted(own | {"OPTIONS"} | ({"HEAD"} if "GET" in own else set()))


class NotFound(AsyncResource):
    """Where there is nothing."""

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        raise Refused(404, "there is nothing at this address")


def argument(request: StreamingRequest, name: str) -> str | None:
    """The value of a query argument, the last one if there are several; None when there is none."""
    values = (request.args or {}).get(name.encode())
    return values[-1].decode("utf-8", "replace") if values else None


def asks(request: StreamingRequest, word: str) -> bool:
    """Whether a query argument is there, with or without a value, as in `?word`."""
    query = request.uri.partition(b"?")[2]
    return word.encode() in (part.partition(b"=")[0] for part in query.split(b"&"))


def flag(text: str | None, name: str) -> bool:
    """A query argument that means yes or no; absent means no."""
    match (text or "").lower():
        case "true" | "t" | "1" | "on":
            return True
        case "false" | "f" | "0" | "off" | "":
            return False
    raise Refused(400, f"{name} is true or false, not {text!r}")
