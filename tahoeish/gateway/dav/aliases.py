"""Where Nextcloud has what is at `/files` here. Whoever comes by such an address is told others of the same kind."""

from __future__ import annotations

import re
from urllib.parse import unquote

from tahoeish.gateway.dav.hrefs import PREFIX
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.viewer import LOCAL, Viewer
from tahoeish.streams.request import StreamingRequest

REMOTE = "remote.php"

_FILES = re.compile(rf"{PREFIX}(?=/|$)|/{re.escape(REMOTE)}/(?:webdav|dav/(?:files|uploads)/(?P<user>[^/]+))(?=/|$)")


def prefix_of(path: str) -> str | None:
    """What leads to the top of somebody's files in the path of an address, None if they aren't there."""
    match = _FILES.match(path)
    return None if match is None or "/dav/uploads/" in match[0] else match[0]


def resolve(request: StreamingRequest) -> None:
    """Let a request for an alias lead to what it stands for. What the client has asked for stays in `request.path`."""
    match request.postpath:
        case [b"remote.php", b"webdav", *rest] | [b"remote.php", b"dav", b"files", _, *rest]:
            request.postpath = [PREFIX.strip("/").encode(), *rest]


def expect_own(path: str, viewer: Viewer) -> None:
    """Raises `Refused` if the path of an address is that of somebody else's files."""
    match = _FILES.match(path)
    user = None if match is None or match["user"] is None else unquote(match["user"])
    if user is not None and viewer.user not in (LOCAL, user):
        raise Refused(403, f"these would be {user[:80]}'s files, and you are {viewer.user}")
