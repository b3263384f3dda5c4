"""`/assets/`: style sheets and scripts, the same for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from tahoeish.gateway.conditions import not_modified
from tahoeish.gateway.errors import Refused, write_text
from tahoeish.gateway.resource import AsyncResource
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest

ADDRESS = "/assets/"
STYLE = f"{ADDRESS}style.css"

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class _Asset:
    text: str
    content_type: str
    etag: str


class Assets(AsyncResource):
    """Knows the files that lie beside this module."""

    async def on_GET(self, request: StreamingRequest, body: BodyStream) -> None:
        name = b"/".join(request.postpath or []).decode("utf-8", "replace")
        asset = _assets().get(name)
        if asset is None:
            raise Refused(404, "there is nothing at this address")
        # Asked for again each time, since a script must not be older than the page that it works on.
        request.setHeader(b"Cache-Control", b"no-cache")
        if not not_modified(request, asset.etag):
            write_text(request, 200, asset.text, asset.content_type)


def style_link() -> str:
    """For the head of a page."""
    return f'<link rel="stylesheet" href="{STYLE}">'


def script(name: str) -> str:
    """The same for one of the scripts."""
    return f'<script type="module" src="{ADDRESS}{name}"></script>'


@cache
def _assets() -> Mapping[str, _Asset]:
    assets = {}
    for file in files(__package__).iterdir():
        content_type = _TYPES.get(file.name[file.name.rfind(".") :])
        if content_type is not None:
            text = file.read_text(encoding="utf-8")
            assets[file.name] = _Asset(text, content_type, f'"{sha256(text.encode()).hexdigest()[:16]}"')
    return assets
