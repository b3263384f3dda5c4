"""The tree of resources."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource

from tahoeish.gateway.backup.restoration import Restorations
from tahoeish.gateway.backup.server import BackupServer
from tahoeish.gateway.backup.snapshot import Snapshots
from tahoeish.gateway.check import CheckServer
from tahoeish.gateway.dav import server_root
from tahoeish.gateway.dav.aliases import REMOTE
from tahoeish.gateway.dav.chunked_uploads import ChunkedUploads
from tahoeish.gateway.dav.folder_uploads import FolderUploads
from tahoeish.gateway.dav.hrefs import PREFIX
from tahoeish.gateway.dav.resource import FilesResource, announce
from tahoeish.gateway.dav.visit import FileOptions, Names
from tahoeish.gateway.delivery import Deliveries
from tahoeish.gateway.directory import DirectoryServer
from tahoeish.gateway.errors import Refused, prefers_html, write_text
from tahoeish.gateway.file import FileResource, FileServer
from tahoeish.gateway.links.drop import DROP, Drop
from tahoeish.gateway.links.means import LinkMeans
from tahoeish.gateway.links.signed_files import SignedFiles
from tahoeish.gateway.links.signed_forms import SignedForms
from tahoeish.gateway.links.tempurl import ROOT as SWIFT_ROOT
from tahoeish.gateway.links.upload_links import LINKS, LinksResource
from tahoeish.gateway.page import PeerLine, WorkerLine, welcome
from tahoeish.gateway.pages import assets, policy
from tahoeish.gateway.pages.assets import Assets
from tahoeish.gateway.pages.status import Sources, Status
from tahoeish.gateway.pages.status_page import Memory
from tahoeish.gateway.pages.trouble import Trouble
from tahoeish.gateway.resource import AsyncResource, NotFound, argument
from tahoeish.gateway.upload import Receiver
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.gateway.uploads.resource import UploadsResource
from tahoeish.gateway.uploads.services import UPLOADS, Services
from tahoeish.gateway.uploads.tus_server import TusServer
from tahoeish.gateway.uri import UriResource
from tahoeish.grid.check import Checker
from tahoeish.grid.directories import Directories
from tahoeish.grid.download import Downloader
from tahoeish.grid.peer import IStoragePeer, PeerError
from tahoeish.grid.repair import Repairer
from tahoeish.grid.room import GridRoom
from tahoeish.grid.upload import Uploader
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.tasks import together

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # A cap in an address is a secret, which a link from a page must not carry to where it leads.
    "Referrer-Policy": "no-referrer",
}
"""What every answer of a gateway carries."""


class Root(Resource):
    """`/` itself is the welcome page, everything else hangs below."""

    def __init__(self, welcome_page: IResource) -> None:
        super().__init__()
        self.putChild(b"", welcome_page)

    def getChild(self, path: bytes, request: StreamingRequest) -> IResource:
        return NotFound()


class Welcome(AsyncResource):
    """A page for people; for tools that ask with `t=json`, the state of the grid; for WebDAV, the way to `/files`."""

    def __init__(
        self,
        peers: Callable[[], Sequence[IStoragePeer]],
        encoding: str,
        workers: Callable[[], Sequence[WorkerLine]],
    ) -> None:
        super().__init__()
        self._workers = workers
        self._peers = peers
        self._encoding = encoding

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        # Also for "OPTIONS *", which asks about the server as a whole.
        if request.method in (b"OPTIONS", b"PROPFIND"):
            announce(request, self.allowed_methods)
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


def gateway_root(
    *,
    peers: Callable[[], Sequence[IStoragePeer]],
    workers: Callable[[], Sequence[WorkerLine]],
    uploader: Uploader,
    downloader: Downloader,
    clock: IReactorTime,
    idle_timeout: float,
    max_upload_size: int,
    convergence_secret: bytes,
    names: Names,
    viewer_of: Callable[[StreamingRequest], Viewer],
    file_options: FileOptions,
    uploads: Services,
    unpacking: ByteBudget,
    links: LinkMeans,
    trouble: Trouble,
) -> IResource:
    """Everything that a gateway serves. `unpacking` is the memory for bodies that come packed."""
    files = FileServer(downloader, clock, idle_timeout)
    encoding = f"{uploader.encoding.needed} of {uploader.encoding.total}"
    root = Root(Welcome(peers, encoding, workers))
    directories = Directories(uploader, downloader)
    deliveries = Deliveries(downloader.run_in_thread, unpacking)
    directory_server = DirectoryServer(
        directories, files, deliveries, downloader.run_in_thread, clock, idle_timeout, max_upload_size
    )
    scratch = uploader.spool_room.directory
    backups = BackupServer(
        names,
        Snapshots(names, directories, convergence_secret, scratch),
        Restorations(names, directories, scratch),
    )
    checker = Checker(
        peers, downloader.budget, downloader.run_in_thread, downloader.clock, stall_timeout=downloader.stall_timeout
    )
    checks = CheckServer(Repairer(checker, downloader, uploader))
    receiver = Receiver(uploader, deliveries, max_upload_size, convergence_secret)
    intake = Intake(uploads)
    uri = UriResource(receiver, directory_server, checks, intake)
    for name in (b"uri", b"cap"):
        root.putChild(name, uri)
    for name in (b"file", b"named"):
        root.putChild(name, FileResource(files))
    tus_uploads = FolderUploads(names, TusServer(uploads))
    room = GridRoom(peers, lambda: uploader.encoding, clock)
    names_of_files = FilesResource(names, viewer_of, file_options, receiver, files, backups, intake, room, tus_uploads)
    root.putChild(PREFIX.strip("/").encode(), names_of_files)
    forms = SignedForms(links, names, receiver, file_options)
    root.putChild(SWIFT_ROOT.strip("/").encode(), SignedFiles(links, names, names_of_files, forms, file_options))
    root.putChild(LINKS.strip("/").encode(), LinksResource(links, viewer_of))
    root.putChild(DROP.strip("/").encode(), Drop(links.arrivals, receiver, intake, TusServer(uploads)))
    root.putChild(REMOTE.encode(), ChunkedUploads(names, viewer_of, file_options, uploads, uploader.spool_room, clock))

    def memory() -> list[Memory]:
        work, reading, allowance = uploader.budget, downloader.budget, uploader.allowance
        return [
            Memory("uploads on their way", work.used, work.capacity, work.waiting),
            Memory("what waits for clients", allowance.promised, allowance.capacity, 0),
            Memory("downloads", reading.used, reading.capacity, reading.waiting),
        ]

    sources = Sources(peers, workers, uploads.keeper, uploader.kept_waiting, memory, trouble, clock)
    root.putChild(b"status", Status(sources))
    root.putChild(assets.ADDRESS.strip("/").encode(), Assets())
    root.putChild(UPLOADS.strip("/").encode(), UploadsResource(uploads))
    return root
