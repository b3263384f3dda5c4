"""A node, seen from a program: put a file and have its cap, get or check a file by its cap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from treq.client import HTTPClient
from twisted.internet.threads import deferToThreadPool
from twisted.web.iweb import UNKNOWN_LENGTH

from tahoeish.chk.caps import LiteralCap, ReadCap, VerifyCap, parse_cap
from tahoeish.chk.directory_caps import AnyCap, DirectoryCap, parse_any_cap
from tahoeish.chk.errors import BadCap
from tahoeish.client.backup import LINES, RestoreReport, SnapshotReport, TreeProgress, result_in
from tahoeish.client.connection import attentive_agent
from tahoeish.client.credentials import Credentials
from tahoeish.client.destination import address_of
from tahoeish.client.download import Download
from tahoeish.client.errors import NotAFile, NotAFolder, TransferBroken
from tahoeish.client.exchange import Exchange, Progress, text_of
from tahoeish.client.report import CheckReport
from tahoeish.client.source import Source, opened
from tahoeish.client.target import written
from tahoeish.streams.threads import ThreadRunner

T = TypeVar("T")

LONGEST_REPORT = 4 * 1024 * 1024
"""Where each of a file's shares lies, on a grid of many peers, takes less."""

CONTENT_TYPE = {"Content-Type": "application/octet-stream"}


class Client:
    """
    One node, by its URL.

    All methods may be cancelled, and then drop the connection: the node keeps nothing of an upload that
    wasn't whole, and no file is left here of a download that wasn't.

    They raise a `ClientError`, `BadCap` for a cap that isn't one, the `OSError` of a local file, or what the stream
    that is to be sent has raised.
    """

    def __init__(
        self, url: str, http: HTTPClient, run_in_thread: ThreadRunner, credentials: Credentials | None = None
    ) -> None:
        """The URL may have `user:password@` in it, in place of `credentials`."""
        self.exchange = Exchange(url, http, credentials)
        self.run_in_thread = run_in_thread

    @property
    def url(self) -> str:
        return self.exchange.url

    @classmethod
    def connect(cls, reactor: Any, url: str, credentials: Credentials | None = None) -> Client:
        """A client over real connections, which reads and writes files in the reactor's threads."""
        run_in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
        return cls(url, HTTPClient(attentive_agent(reactor)), run_in_thread, credentials)

    async def put(self, source: Source, *, length: int | None = None, progress: Progress | None = None) -> str:
        """
        Store a file and return its cap.

        The length of a path's file, of bytes and of a seekable file object need not be given. All else is sent
        without announcing one, which costs nothing but the percentage. A length that proves wrong is a `FileChanged`,
        or of a stream a `SourceLengthMismatch`.

        Files are read in a thread, which can't be called back from a pipe that stalls: for that, give a
        `DescriptorReader`.
        """
        async with opened(source, length, self.run_in_thread) as body:
            sent = await self.exchange.send(
                "PUT",
                "/uri",
                body.stream,
                body.length,
                expected=(200, 201),
                headers=CONTENT_TYPE,
                progress=progress,
            )
            return checked_cap(await text_of(sent.response), sent.size)

    async def put_as(
        self, source: Source, name: tuple[str, ...], *, length: int | None = None, progress: Progress | None = None
    ) -> None:
        """The same, but the file gets a name: its path below `/files`, in a folder that is there."""
        async with opened(source, length, self.run_in_thread) as body:
            sent = await self.exchange.send(
                "PUT",
                address_of(name),
                body.stream,
                body.length,
                expected=(200, 201, 204),
                headers=CONTENT_TYPE,
                progress=progress,
            )
            await text_of(sent.response)

    async def get(
        self,
        cap: str,
        *,
        start: int | None = None,
        end: int | None = None,
        progress: Progress | None = None,
    ) -> Download:
        """Begin to get a file, or its part from `start` to before `end`. Iterate over what is returned."""
        size = parse_cap(cap).size
        headers: dict[str, str] = {}
        length, expected = size, 200
        if start is not None or end is not None:
            first, behind = start or 0, size if end is None else min(end, size)
            if not 0 <= first < behind:
                raise ValueError(f"there are no bytes from {first} to {behind} in a file of {size}")
            headers["Range"] = f"bytes={first}-{behind - 1}"
            length, expected = behind - first, 206
        response = await self.exchange.request("GET", f"/uri/{cap}", expected=(expected,), headers=headers)
        download = Download(response, length, progress)
        if response.length is not UNKNOWN_LENGTH and response.length != length:
            download.close()
            raise TransferBroken(f"the node offers {response.length} bytes, but there should be {length}")
        return download

    async def get_to_file(self, cap: str, target: Path | BinaryIO, *, progress: Progress | None = None) -> None:
        """
        Get a file into another. Under a path it appears when all of it is there and durable; a file object
        gets the bytes as they come.
        """
        async with (
            await self.get(cap, progress=progress) as download,
            written(target, self.run_in_thread) as write,
        ):
            while pieces := await download.batch():
                await write(pieces)

    async def file_in(self, directory: str, path: Sequence[str]) -> str:
        """The cap of a file in an immutable directory, of whose cap on `path` leads to it. Raises also `NotAFile`."""
        found = await self._found(directory, path)
        if not isinstance(found, ReadCap | LiteralCap | VerifyCap):
            raise NotAFile(f"{'/'.join(path)} is a folder, not a file")
        return str(found)

    async def directory_in(self, directory: str, path: Sequence[str]) -> str:
        """The same for a directory. Raises also `NotAFolder`."""
        found = await self._found(directory, path)
        if not isinstance(found, DirectoryCap):
            raise NotAFolder(f"{'/'.join(path)} is a file, not a folder")
        return str(found)

    async def _found(self, directory: str, path: Sequence[str]) -> AnyCap:
        address = "/".join(["/uri", directory, *(quote(name, safe="") for name in path)])
        response = await self.exchange.request("GET", f"{address}?t=uri", expected=(200,))
        return _answered(parse_any_cap, await text_of(response))

    async def check(self, cap: str, *, verify: bool = False, repair: bool = False) -> CheckReport:
        """
        Whether all shares of a file are there. With `verify` every one of them is read, which takes its time; with
        `repair` what is missing is stored again.
        """
        parse_cap(cap)
        wanted = "".join(f"&{name}=true" for name, said in (("verify", verify), ("repair", repair)) if said)
        response = await self.exchange.request("POST", f"/uri/{cap}?t=check&output=JSON{wanted}", expected=(200,))
        return CheckReport.parse(await text_of(response, LONGEST_REPORT))

    async def snapshot(self, folder: str, *, progress: TreeProgress | None = None) -> SnapshotReport:
        """
        Store the names in a folder, such as `/photos/2026`, as a directory, by whose cap they can be had again.
        """
        result = await self._lines(f"{_files(folder)}?t=snapshot", b"", progress)
        return SnapshotReport.parse(result)

    async def restore(
        self, cap: str, folder: str, *, overwrite: bool = False, progress: TreeProgress | None = None
    ) -> RestoreReport:
        """
        Bring what is in a directory into a folder: one that isn't there yet, or is empty, or may be overwritten.
        """
        query = "?t=restore&overwrite=true" if overwrite else "?t=restore"
        result = await self._lines(_files(folder) + query, cap.encode(), progress)
        return RestoreReport.parse(result)

    async def _lines(self, target: str, body: bytes, progress: TreeProgress | None) -> Mapping[str, Any]:
        """Ask for what may take long, and listen until it has come to an end."""
        response = await self.exchange.request(
            "POST",
            target,
            expected=(200,),
            headers={"Accept": f"{LINES}, application/problem+json"},
            data=body,
        )
        async with Download(response) as download:
            return await result_in(download, progress)


def _files(folder: str) -> str:
    """The address of a folder."""
    return "/files" + "".join("/" + quote(name, safe="") for name in folder.split("/") if name)


def checked_cap(cap: str, sent: int) -> str:
    """A cap tells how long its file is, so a node that has kept less can't hide it."""
    size = _answered(parse_cap, cap).size
    if size != sent:
        raise TransferBroken(f"the node has stored {size} bytes, but {sent} were sent")
    return cap


def _answered(parse: Callable[[str], T], cap: str) -> T:
    try:
        return parse(cap)
    except BadCap as error:
        raise TransferBroken(f"what was answered is not a cap, so this is not a storage node: {error}") from None
