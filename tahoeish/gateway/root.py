"""The tree of resources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource

from tahoeish.gateway.backup.restoration import Restorations
from tahoeish.gateway.backup.server import BackupServer
from tahoeish.gateway.backup.snapshot import Snapshots
from tahoeish.gateway.check import CheckServer
from tahoeish.gateway.dav.aliases import REMOTE
from tahoeish.gateway.dav.chunked_uploads import ChunkedUploads
from tahoeish.gateway.dav.folder_uploads import FolderUploads
from tahoeish.gateway.dav.hrefs import PREFIX
from tahoeish.gateway.dav.resource import FilesResource
from tahoeish.gateway.dav.visit import FileOptions, Names
from tahoeish.gateway.delivery import Deliveries
from tahoeish.gateway.directory import DirectoryServer
from tahoeish.gateway.file import FileResource, FileServer
from tahoeish.gateway.links.drop import DROP, Drop
from tahoeish.gateway.links.means import LinkMeans
from tahoeish.gateway.links.signed_files import SignedFiles
from tahoeish.gateway.links.signed_forms import SignedForms
from tahoeish.gateway.links.tempurl import ROOT as SWIFT_ROOT
from tahoeish.gateway.links.upload_links import LINKS, LinksResource
from tahoeish.gateway.page import WorkerLine
from tahoeish.gateway.pages import assets
from tahoeish.gateway.pages.assets import Assets
from tahoeish.gateway.pages.report import Elsewhere, Reporter
from tahoeish.gateway.pages.status import Sources, Status
from tahoeish.gateway.pages.trouble import Trouble
from tahoeish.gateway.resource import NotFound
from tahoeish.gateway.upload import Receiver
from tahoeish.gateway.uploads.dialects.tus_server import TusServer
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.gateway.uploads.resource import UploadsResource
from tahoeish.gateway.uploads.services import UPLOADS, Services
from tahoeish.gateway.uri import UriResource
from tahoeish.gateway.welcome import Welcome
from tahoeish.grid.check import Checker
from tahoeish.grid.directories import Directories
from tahoeish.grid.download import Downloader
from tahoeish.grid.peer import IStoragePeer
from tahoeish.grid.repair import Repairer
from tahoeish.grid.room import GridRoom
from tahoeish.grid.upload import Uploader
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.request import StreamingRequest

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # A cap in an address is a secret, which a link from a page must not carry to where it leads.
    "Referrer-Policy": "no-referrer",
}
"""What every answer of a gateway carries."""


class Root(Resource):
    """`/` itself is the welcome page, everything else hangs below."""

    def __init__(self, welcome_page: IResource, children: Mapping[str, IResource]) -> None:
        super().__init__()
        self.putChild(b"", welcome_page)
        for address, child in children.items():
            self.putChild(address.strip("/").encode(), child)

    def getChild(self, path: bytes, request: StreamingRequest) -> IResource:
        return NotFound()


@dataclass(frozen=True, kw_only=True)
class GatewayMeans:
    """What a gateway serves from. `unpacking` is the memory for bodies that come packed."""

    peers: Callable[[], Sequence[IStoragePeer]]
    workers: Callable[[], Sequence[WorkerLine]]
    uploader: Uploader
    downloader: Downloader
    clock: IReactorTime
    idle_timeout: float
    max_upload_size: int
    convergence_secret: bytes
    names: Names
    viewer_of: Callable[[StreamingRequest], Viewer]
    file_options: FileOptions
    uploads: Services
    unpacking: ByteBudget
    links: LinkMeans
    trouble: Trouble
    reporter: Reporter
    elsewhere: Callable[[], Awaitable[Elsewhere]]
    is_operator: Callable[[str], Awaitable[bool]]


def gateway_root(means: GatewayMeans) -> IResource:
    """Everything that a gateway serves."""
    encoding = means.uploader.encoding
    areas = _Areas(means)
    return Root(
        Welcome(means.peers, f"{encoding.needed} of {encoding.total}", means.workers, areas.intake.offer),
        areas.all(),
    )


class _Areas:
    """What hangs below the root, and what several of those share."""

    def __init__(self, means: GatewayMeans) -> None:
        downloader, uploader = means.downloader, means.uploader
        self._means = means
        self._files = FileServer(downloader, means.clock, means.idle_timeout)
        self._directories = Directories(uploader, downloader)
        self._deliveries = Deliveries(downloader.run_in_thread, means.unpacking)
        self._receiver = Receiver(uploader, self._deliveries, means.max_upload_size, means.convergence_secret)
        self.intake = Intake(means.uploads)
        self._tus = TusServer(means.uploads)

    def all(self) -> dict[str, IResource]:
        return {**self._of_caps(), **self._of_names(), **self._of_uploads(), **self._of_people()}

    def _of_caps(self) -> dict[str, IResource]:
        means, downloader = self._means, self._means.downloader
        checker = Checker(
            means.peers,
            downloader.budget,
            downloader.run_in_thread,
            downloader.clock,
            stall_timeout=downloader.stall_timeout,
        )
        directory_server = DirectoryServer(
            self._directories,
            self._files,
            self._deliveries,
            downloader.run_in_thread,
            means.clock,
            means.idle_timeout,
            means.max_upload_size,
        )
        checks = CheckServer(Repairer(checker, downloader, means.uploader))
        uri = UriResource(self._receiver, directory_server, checks, self.intake)
        file = FileResource(self._files)
        return {"uri": uri, "cap": uri, "file": file, "named": file}

    def _of_names(self) -> dict[str, IResource]:
        means, names, uploader = self._means, self._means.names, self._means.uploader
        scratch = uploader.spool_room.directory
        files = FilesResource(
            names,
            means.viewer_of,
            means.file_options,
            self._receiver,
            self._files,
            BackupServer(
                names,
                Snapshots(names, self._directories, means.convergence_secret, scratch),
                Restorations(names, self._directories, scratch),
            ),
            self.intake,
            GridRoom(means.peers, lambda: uploader.encoding, means.clock),
            FolderUploads(names, self._tus),
        )
        forms = SignedForms(means.links, names, self._receiver, means.file_options)
        signed = SignedFiles(means.links, names, files, forms, means.file_options)
        return {PREFIX: files, SWIFT_ROOT: signed}

    def _of_uploads(self) -> dict[str, IResource]:
        means = self._means
        chunked = ChunkedUploads(
            means.names, means.viewer_of, means.file_options, means.uploads, means.uploader.spool_room, means.clock
        )
        return {
            UPLOADS: UploadsResource(means.uploads),
            REMOTE: chunked,
            LINKS: LinksResource(means.links, means.viewer_of),
            DROP: Drop(means.links.arrivals, self._receiver, self.intake, self._tus),
        }

    def _of_people(self) -> dict[str, IResource]:
        means = self._means
        sources = Sources(
            means.peers,
            means.workers,
            means.reporter,
            means.elsewhere,
            means.is_operator,
            means.trouble,
            means.clock,
        )
        return {"status": Status(sources), assets.ADDRESS: Assets()}
