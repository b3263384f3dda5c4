"""`/links`: where a user, or a web application with a token, makes and ends upload links."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.errors import Refused, write_nothing, write_text
from tahoeish.gateway.links.drop import DROP
from tahoeish.gateway.links.hooks import new_secret
from tahoeish.gateway.links.means import LinkMeans
from tahoeish.gateway.resource import AsyncResource
from tahoeish.gateway.whence import origin_of
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import NoSuchLink
from tahoeish.namespace.names import Path, check_path
from tahoeish.namespace.upload_links import Bounds, Hook, UploadLink
from tahoeish.namespace.viewer import LOCAL, Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest

LINKS = "/links"
MAX_BODY = 64 * 1024
USUAL_LIFETIME = 7 * 86400.0
LONGEST_LABEL = 200
MOST_TYPES = 50

_FIELDS = {"folder", "label", "expires_in", "max_size", "max_files", "content_types", "hook"}


@dataclass(frozen=True)
class Wish:
    """What somebody wants a link to be."""

    folder: Path
    label: str
    lifetime: float | None
    max_size: int | None
    max_files: int | None
    content_types: tuple[str, ...]
    hook: str | None


class LinksResource(AsyncResource):
    """Each user sees their own, and nobody the secrets again."""

    def __init__(self, means: LinkMeans, viewer_of: Callable[[StreamingRequest], Viewer]) -> None:
        super().__init__()
        self._means = means
        self._links = means.arrivals.links
        self._names = means.arrivals.names
        self._viewer_of = viewer_of

    async def on_POST(self, request: StreamingRequest, body: BodyStream) -> None:
        viewer = self._viewer_of(request)
        if _id_in(request) is not None:
            raise Refused(405, f"links are made by POST to {LINKS}")
        if viewer.user == LOCAL:
            raise Refused(403, "a link is a user's, and this node has no users yet: `tahoeish user add NAME`")
        wish = parse_wish(await body.read_all(MAX_BODY))
        self._expect_allowed(viewer, wish)
        folder = await self._names.look(Catalogue.find, viewer, wish.folder)
        if not folder.is_folder:
            raise Refused(409, f"{href(wish.folder, folder=False)} is a file; files are brought into a folder")
        expires = None if wish.lifetime is None else self._names.now() + wish.lifetime
        bounds = Bounds(expires, wish.max_size, wish.max_files, wish.content_types)
        hook = None if wish.hook is None else Hook(wish.hook, new_secret(self._means.random_bytes))
        link, secret = await self._names.run_in_thread(
            lambda: self._links.create(viewer.user, wish.folder, bounds, label=wish.label, hook=hook)
        )
        told = {**description(link), "url": f"{origin_of(request)}{DROP}/{secret}"}
        if hook is not None:
            told["hook_secret"] = hook.secret
        request.setHeader(b"Location", f"{LINKS}/{link.id}".encode())
        request.setHeader(b"Cache-Control", b"no-store")
        _write_json(request, 201, told)

    async def on_GET(self, request: StreamingRequest, body: BodyStream) -> None:
        links = await self._links_of(self._viewer_of(request))
        id_ = _id_in(request)
        if id_ is None:
            _write_json(request, 200, {"links": [description(link) for link in links]})
            return
        _write_json(request, 200, description(_with_id(links, id_)))

    async def on_DELETE(self, request: StreamingRequest, body: BodyStream) -> None:
        viewer, id_ = self._viewer_of(request), _id_in(request)
        if id_ is None:
            raise Refused(405, f"a link is ended by DELETE of {LINKS}/ID")
        link = _with_id(await self._links_of(viewer), id_)
        await self._names.run_in_thread(self._links.revoke, viewer.user, link.id)
        write_nothing(request, 204)

    async def _links_of(self, viewer: Viewer) -> list[UploadLink]:
        links = await self._names.run_in_thread(self._links.of_user, viewer.user)
        return [link for link in links if _is_within(link.folder, viewer)]

    def _expect_allowed(self, viewer: Viewer, wish: Wish) -> None:
        if not _is_within(wish.folder, viewer):
            raise Refused(403, f"this token is only for {href(viewer.below, folder=False)}")
        if wish.hook is not None and _origin(wish.hook) not in self._means.hook_origins:
            raise Refused(403, "this node tells no hooks of that site; its operator lists them in hook_origins")


def description(link: UploadLink) -> dict[str, Any]:
    """What may be told of a link, which isn't its secret."""
    return {
        "id": link.id,
        "folder": href(link.folder, folder=True),
        "label": link.label,
        "created": link.created,
        "expires": link.bounds.expires,
        "max_size": link.bounds.max_size,
        "max_files": link.bounds.max_files,
        "files": link.files,
        "content_types": list(link.bounds.content_types),
        "hook": None if link.hook is None else link.hook.url,
    }


def parse_wish(body: bytes) -> Wish:
    """Raises `Refused`, and `BadName` for the folder."""
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"a link is described in JSON, and this is none: {error}") from None
    if not isinstance(wish, dict):
        raise Refused(400, "a link is described by a JSON object")
    unknown = sorted(set(wish) - _FIELDS)
    if unknown:
        raise Refused(400, f"a link has no {unknown[0][:40]}; what there is: {', '.join(sorted(_FIELDS))}")
    hook = wish.get("hook")
    if hook is not None and not (isinstance(hook, str) and hook.isascii() and hook.isprintable()):
        raise Refused(400, "hook is the address of a web hook, in ASCII")
    lifetime = wish.get("expires_in", USUAL_LIFETIME)
    if lifetime is not None and not (_is_number(lifetime) and 0 < lifetime < 1e10):
        raise Refused(400, "expires_in is a number of seconds, or null for never")
    label = wish.get("label", "")
    if not (isinstance(label, str) and len(label) <= LONGEST_LABEL and label.isprintable()):
        raise Refused(400, f"label is a text of at most {LONGEST_LABEL} characters")
    return Wish(
        _folder_in(wish),
        label,
        lifetime,
        _whole_number(wish, "max_size"),
        _whole_number(wish, "max_files"),
        _types_in(wish),
        hook,
    )


def _folder_in(wish: Mapping[str, Any]) -> Path:
    folder = wish.get("folder")
    if not isinstance(folder, str) or not f"{folder}/".startswith("/files/"):
        raise Refused(400, 'folder is where the files are to go, such as "/files/inbox/"')
    return check_path(tuple(unquote(name) for name in folder.removeprefix("/files").split("/") if name))


def _types_in(wish: Mapping[str, Any]) -> tuple[str, ...]:
    types = wish.get("content_types", [])
    well_formed = isinstance(types, list) and len(types) <= MOST_TYPES
    if not well_formed or not all(isinstance(each, str) and each.isascii() and each.count("/") == 1 for each in types):
        raise Refused(400, 'content_types is a list of types and patterns, such as ["image/*", "application/pdf"]')
    if any(character.isspace() for each in types for character in each):
        raise Refused(400, "a content type has no spaces in it here")
    return tuple(each.lower() for each in types)


def _whole_number(wish: Mapping[str, Any], name: str) -> int | None:
    value = wish.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**62:
        raise Refused(400, f"{name} is a whole number greater than 0")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # With a name and a password, it would lead elsewhere than it seems to.
    return "" if "@" in parts.netloc or "\\" in url else f"{parts.scheme}://{parts.netloc}".lower()


def _is_within(folder: Path, viewer: Viewer) -> bool:
    return folder[: len(viewer.below)] == viewer.below


def _with_id(links: Collection[UploadLink], id_: str) -> UploadLink:
    link = next((link for link in links if link.id == id_), None)
    if link is None:
        raise NoSuchLink
    return link


def _id_in(request: StreamingRequest) -> str | None:
    match [part.decode("utf-8", "replace") for part in request.postpath or []]:
        case [] | [""]:
            return None
        case [id_] | [id_, ""]:
            return id_
    raise Refused(404, f"there is nothing at this address; a link's is {LINKS}/ID")


def _write_json(request: StreamingRequest, status: int, told: object) -> None:
    write_text(request, status, json.dumps(told, indent=1) + "\n", "application/json")
