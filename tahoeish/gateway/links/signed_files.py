"""`/v1/ACCOUNT/CONTAINER/OBJECT`: single files, for whoever has an address that a user's key has signed."""

from __future__ import annotations

from dataclasses import replace

from twisted.web.http import datetimeToString
from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.gateway.access import let_in
from tahoeish.gateway.dav.resource import FilesResource
from tahoeish.gateway.dav.visit import FileOptions, Names, Visit, visit_of
from tahoeish.gateway.errors import Refused, write_nothing, write_text
from tahoeish.gateway.links.means import LinkMeans
from tahoeish.gateway.links.signed_forms import SignedForms
from tahoeish.gateway.links.tempurl import METHODS, TempUrl, disposition, read
from tahoeish.gateway.uploads.asked import media_type
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import BadName
from tahoeish.namespace.names import Path, check_path
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest

POINTERS = (b"X-Object-Manifest", b"X-Symlink-Target")
"""With these, Swift would make something that stands for other data, which whoever signed hasn't thought of."""


@implementer(IStreamingResource)
class SignedFiles(Resource):
    """Whatever is wrong with an address, the answer is the same."""

    isLeaf = True

    def __init__(
        self, means: LinkMeans, names: Names, files: FilesResource, forms: SignedForms, options: FileOptions
    ) -> None:
        super().__init__()
        self._forms = forms
        self._means = means
        self._names = names
        self._files = files
        self._options = options

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        if request.method == b"OPTIONS":
            self._files.offer(request)
            request.setHeader(b"Allow", ", ".join(("OPTIONS", *METHODS)).encode())
            write_nothing(request, 200)
            return
        if request.method == b"POST" and is_form(request) and b"temp_url_sig" not in request.uri:
            await self._forms.post(request, body)
            return
        method = request.method.decode("ascii", "replace")
        url = read(method, request.path or b"", request.uri.partition(b"?")[2], self._means.digests)
        path = None if url is None else _path_of(url)
        if url is None or path is None or not await self._is_good(request, url, path):
            _refuse(request)
            return
        await self._serve(url, self._visit(request, body, url, path))

    async def _is_good(self, request: StreamingRequest, url: TempUrl, path: Path) -> bool:
        keys = await self._names.run_in_thread(self._means.keys.of_user, url.place.account)
        # Only who has connected: anybody can say that they pass something on for somebody else.
        client = getattr(request.getClientAddress(), "host", "")
        return url.is_good([key.secret for key in keys if key.covers(path)], self._names.now(), client)

    def _visit(self, request: StreamingRequest, body: BodyStream, url: TempUrl, path: Path) -> Visit:
        viewer = Viewer(url.place.account, below=path[:-1], by_link=True)
        let_in(request, viewer)
        # What else the address asks for was not signed.
        request.args, request.uri = {}, request.path or b""
        request.postpath = [name.encode() for name in path]
        return replace(visit_of(request, body, viewer, self._options), max_size=url.max_size or 0)

    async def _serve(self, url: TempUrl, visit: Visit) -> None:
        match url.method:
            case "GET" | "HEAD":
                await self._expect_file(visit)
                visit.request.setHeader(b"Content-Disposition", disposition(url).encode())
                visit.request.setHeader(b"Expires", datetimeToString(url.expires))
                await self._files.get_file(visit)
            case "DELETE":
                _expect_no_pointer(visit.request)
                await self._expect_file(visit)
                await self._files.delete_file(visit)
            case _:
                _expect_no_pointer(visit.request)
                if is_form(visit.request):
                    raise Refused(415, "this address takes a file as it is; a form is signed in its fields")
                await self._files.put_file(visit)

    async def _expect_file(self, visit: Visit) -> None:
        entry = await self._names.look(Catalogue.find, visit.viewer, visit.path)
        if entry.is_folder:
            raise Refused(404, "there is no file at this address, but a folder")


def is_form(request: StreamingRequest) -> bool:
    """Of a kind that can have files in it."""
    return media_type(fields_of(request)) == "multipart/form-data"


def _path_of(url: TempUrl) -> Path | None:
    """None for what no file can be called."""
    try:
        return check_path(url.place.names)
    except BadName:
        return None


def _expect_no_pointer(request: StreamingRequest) -> None:
    if any(request.requestHeaders.hasHeader(name) for name in POINTERS):
        raise Refused(400, "an address that is signed for a file makes nothing that stands for another one")


def _refuse(request: StreamingRequest) -> None:
    request.setHeader(b"WWW-Authenticate", b'Swift realm="tahoeish"')
    request.setHeader(b"Cache-Control", b"no-store")
    write_text(request, 401, "401 Unauthorized: Temp URL invalid\n")
