"""Who asks, and may they: decided for every request of a gateway at one door, when its head is in."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import IResource, Resource, getChildForRequest
from zope.interface import Interface, implementer

from tahoeish.gateway.accounts import Accounts
from tahoeish.gateway.authentication import Authenticator, WrongCredentials
from tahoeish.gateway.cors import NO_PAGES, Policy
from tahoeish.gateway.credentials import Unreadable, claim_in
from tahoeish.gateway.dav.addresses import path_of
from tahoeish.gateway.dav.aliases import REMOTE, expect_own, resolve
from tahoeish.gateway.errors import Refused, write_nothing
from tahoeish.gateway.pages import assets
from tahoeish.gateway.whence import address_of, is_from_another_site, is_from_here, is_meant_for_here
from tahoeish.namespace.errors import NoSuchUpload
from tahoeish.namespace.viewer import LOCAL, Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest

CHALLENGES = (b'Basic realm="tahoeish", charset="UTF-8"', b"Bearer")

READING = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PROPFIND"})
"""The methods that change nothing; whatever isn't listed is taken for one that does."""

_OF_THE_FOLDER_ITSELF = frozenset({b"DELETE", b"MOVE"})
"""What a token that is limited to a folder may do with all that is in it, but not with the folder."""

ON_THEIR_OWN = frozenset({b"v1", b"drop"})
"""Places that find out for themselves who may do what: by the address, not by who asks."""

NOBODY = Viewer("", by_link=True)

_BY_CAP = frozenset({b"uri", b"cap", b"file", b"named"})

NO_USERS = (
    "this node has no users yet, and as long as that is so it serves only the machine that it runs on;"
    " there, `tahoeish user add NAME` makes the first one"
)


class _IAsker(Interface):
    """What a request knows its viewer by."""


def viewer_of(request: StreamingRequest) -> Viewer:
    """Who asks. Raises `Refused` where that didn't matter, as for an OPTIONS."""
    viewer = known_viewer(request)
    if viewer is None:
        raise _who_are_you(request, "give a user and a password, or an app token")
    return viewer


def known_viewer(request: StreamingRequest) -> Viewer | None:
    """The same as far as that is known."""
    viewer = request.getComponent(_IAsker)
    assert viewer is None or isinstance(viewer, Viewer)
    return viewer


@implementer(IStreamingResource)
class Guard(Resource):
    """
    Stands before all resources of a gateway. Before it lets a request through nothing of the body is read.

    Without users, everybody on this machine is let in, and nobody else.
    """

    isLeaf = True

    def __init__(
        self,
        root: IResource,
        accounts: Accounts,
        authenticator: Authenticator,
        *,
        open_caps: bool = False,
        cors: Policy = NO_PAGES,
    ) -> None:
        """
        `open_caps`: whoever has a cap may read what it stands for, and need not say who they are. `cors`: whose pages
        are let in.
        """
        super().__init__()
        self._root = root
        self._accounts = accounts
        self._authenticator = authenticator
        self._open_caps = open_caps
        self._cors = cors

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        method = request.method.decode("ascii", "replace")
        verdict = self._cors.verdict(method, lambda name: (request.getHeader(name.encode()) or b"").decode("latin-1"))
        for name, value in verdict.headers.items():
            request.setHeader(name, value)
        if verdict.is_preflight:
            write_nothing(request, 204)
            return
        resolve(request)
        place = (request.postpath or [b""])[0]
        if place in ON_THEIR_OWN:
            # They take nothing that a browser would add by itself, so it doesn't matter whose page sends it.
            await self._resource(request).respond(request, body)
            return
        if request.method not in READING and not verdict.invited and is_from_another_site(request):
            raise Refused(403, "a page of another site may not change anything here")
        viewer = await self._viewer(request)
        if viewer is not None:
            let_in(request, viewer)
        resource = self._resource(request)
        if viewer is not None:
            expect_own((request.path or b"").decode("latin-1"), viewer)
            _check_limits(viewer, request, place)
        try:
            await resource.respond(request, body)
        except NoSuchUpload:
            if viewer == NOBODY:
                raise _who_are_you(request, "give a user and a password, or an app token") from None
            raise

    def _resource(self, request: StreamingRequest) -> Any:
        resource = getChildForRequest(self._root, request)
        if not IStreamingResource.providedBy(resource):
            raise TypeError(f"{resource!r} behind the guard doesn't stream")
        return resource

    async def _viewer(self, request: StreamingRequest) -> Viewer | None:
        """None if it doesn't matter who asks."""
        if not await self._accounts.there_are_users():
            if not is_from_here(request):
                raise Refused(403, NO_USERS)
            if not is_meant_for_here(request):
                raise Refused(403, "without users this node answers only to addresses such as http://localhost:3456")
            return Viewer(LOCAL)
        if self._is_free(request):
            return None
        is_upload = (request.postpath or [])[:1] == [b"uploads"] and any((request.postpath or [])[1:2])
        try:
            claim = claim_in(request.getHeader(b"Authorization"))
            if claim is None and is_upload:
                # One that was begun by a link is found by its address alone.
                return NOBODY
            if claim is None:
                # Clients ask without first, to see whether they have to tell.
                raise _who_are_you(request, "give a user and a password, or an app token")
            return await self._authenticator.viewer(claim, address_of(request))
        except (Unreadable, WrongCredentials) as error:
            raise _who_are_you(request, str(error)) from None

    def _is_free(self, request: StreamingRequest) -> bool:
        if request.method == b"OPTIONS":
            # WebDAV clients and browsers probe with it, and don't understand being asked who they are.
            return True
        if request.path.startswith(assets.ADDRESS.encode()):
            return True
        names_cap = len(request.postpath or []) > 1 and (request.postpath or [])[0] in _BY_CAP
        return self._open_caps and names_cap and request.method in (b"GET", b"HEAD")


def let_in(request: StreamingRequest, viewer: Viewer) -> None:
    """From now on, this is who asks."""
    request.setComponent(_IAsker, viewer)


def _check_limits(viewer: Viewer, request: StreamingRequest, place: bytes) -> None:
    """Raises `Refused` if the viewer's token isn't good for this. What the user may do is for the catalogue to say."""
    method = request.method
    if viewer.read_only and method not in READING:
        raise Refused(403, f"this token is for reading only, and {method.decode('ascii', 'replace')} changes something")
    if not viewer.below:
        return
    folder = "/files/" + "/".join(viewer.below)
    if not place and method == b"PROPFIND":
        # Windows walks up to the top of the server, which has no secrets.
        return
    if place == b"uploads" and any(request.postpath or []):
        # Each upload knows for itself who may reach it.
        return
    if place == REMOTE.encode() or (place == b"uploads" and any(request.postpath or ())):
        # Uploads are only found by those who may do all that who has begun them may.
        return
    if place == b"links":
        # Links into another folder aren't made, nor shown.
        return
    if place != b"files":
        raise Refused(403, f"this token is only for {folder}")
    path = path_of(request)
    inside = path[: len(viewer.below)] == viewer.below
    on_the_way = viewer.below[: len(path)] == path
    if path == viewer.below and method in _OF_THE_FOLDER_ITSELF:
        raise Refused(403, f"this token is for what is in {folder}, not for the folder itself")
    if not inside and not (on_the_way and method in READING):
        raise Refused(403, f"this token is only for {folder}")


def _who_are_you(request: StreamingRequest, text: str) -> Refused:
    request.responseHeaders.removeHeader(b"WWW-Authenticate")
    for challenge in CHALLENGES:
        # A line each: there are clients that read only the first challenge of a line.
        request.responseHeaders.addRawHeader(b"WWW-Authenticate", challenge)
    return Refused(401, text)
