"""What WebDAV sees at `/`. Windows walks up to there before it believes in `/files`."""

from __future__ import annotations

from tahoeish.gateway.dav.answers import write_xml
from tahoeish.gateway.dav.bodies import Wanted, parse_propfind
from tahoeish.gateway.dav.elements import MAX_BYTES
from tahoeish.gateway.dav.headers import Depth, parse_depth
from tahoeish.gateway.dav.hrefs import PREFIX
from tahoeish.gateway.dav.multistatus import response, whole
from tahoeish.gateway.dav.properties import Subject, statuses
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.entries import VIRTUAL, Entry, Kind
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest


async def propfind(request: StreamingRequest, body: BodyStream) -> None:
    """A folder with nothing but `files/` in it. It tells nothing of what is in there, so anybody may look."""
    header = request.getHeader(b"Depth")
    depth = parse_depth(None if header is None else header.decode("latin-1"))
    wanted = parse_propfind(await body.read_all(MAX_BYTES))
    if depth is Depth.INFINITY:
        raise Refused(403, "the whole server isn't listed at once", condition="<D:propfind-finite-depth/>")
    responses = [_response("/", "", wanted)]
    if depth is Depth.ONE:
        responses.append(_response(PREFIX + "/", PREFIX.strip("/"), wanted))
    write_xml(request, 207, whole(responses))


def _response(address: str, name: str, wanted: Wanted) -> str:
    folder = Entry(
        id=VIRTUAL, parent=None, name=name, owner="", kind=Kind.FOLDER, content=None, size=0,
        created=0.0, modified=0.0, changes=0, path=(name,), place=(),
    )  # fmt: skip
    return response(address, statuses(Subject(folder, 0.0, {}, (), None), wanted))
