"""A node, seen from a program: put a file and have its cap, get or check a file by its cap."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.parse import quote

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError, TimeoutError
from twisted.internet.threads import deferToThreadPool
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse

from tahoeish.chk.caps import parse_cap
from tahoeish.chk.errors import BadCap
from tahoeish.client.backup import LINES, RestoreReport, SnapshotReport, TreeProgress, result_in
from tahoeish.client.connection import attentive_agent
from tahoeish.client.credentials import Credentials, without_credentials
from tahoeish.client.download import Download
from tahoeish.client.errors import CredentialsRefused, NodeUnreachable, Refused, TransferBroken
from tahoeish.client.report import CheckReport
from tahoeish.client.source import Source, opened
from tahoeish.client.target import written
from tahoeish.streams.answer import innermost
from tahoeish.streams.producer import StreamProducer
from tahoeish.streams.threads import ThreadRunner

if TYPE_CHECKING:
    from typing_extensions import Buffer

Progress: TypeAlias = Callable[[int, int | None], object]
"""
Is told how many bytes are through, and how many there will be if that is known.

It is called from within the transfer, so it can't cancel that: nothing that runs can be cancelled.
"""

LONGEST_ANSWER = 64 * 1024
"""A cap, or why there is none, takes less."""

LONGEST_REPORT = 4 * 1024 * 1024
"""Where each of a file's shares lies, on a grid of many peers, takes less."""

_ACCEPT = "application/problem+json, text/plain;q=0.9, */*;q=0.8"


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
        bare, said = without_credentials(url)
        self.url = bare.rstrip("/")
        self._http = http
        self._run_in_thread = run_in_thread
        self._credentials = credentials or said

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
        async with opened(source, length, self._run_in_thread) as body:
            passing = _Passing(body.stream, body.length, progress)
            producer = StreamProducer(passing, body.length)
            try:
                with _translated(self.url):
                    response = await self._http.put(
                        f"{self.url}/uri",
                        data=producer,
                        headers=self._headers({"Content-Type": ["application/octet-stream"]}),
                        allow_redirects=False,
                        unbuffered=True,
                    )
                cap = await _answer(response, expected=(200, 201))
            finally:
                # An answer that came before the end leaves the producer waiting.
                producer.stopProducing()
        return _checked(cap, passing.passed)

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
        headers = self._headers()
        length, expected = size, 200
        if start is not None or end is not None:
            first, behind = start or 0, size if end is None else min(end, size)
            if not 0 <= first < behind:
                raise ValueError(f"there are no bytes from {first} to {behind} in a file of {size}")
            headers.setRawHeaders("Range", [f"bytes={first}-{behind - 1}"])
            length, expected = behind - first, 206
        with _translated(self.url):
            response = await self._http.get(
                f"{self.url}/uri/{cap}", headers=headers, allow_redirects=False, unbuffered=True
            )
        if response.code != expected:
            raise await _refusal(response)
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
            written(target, self._run_in_thread) as write,
        ):
            while pieces := await download.batch():
                await write(pieces)

    async def check(self, cap: str, *, verify: bool = False, repair: bool = False) -> CheckReport:
        """
        Whether all shares of a file are there. With `verify` every one of them is read, which takes its time; with
        `repair` what is missing is stored again.
        """
        parse_cap(cap)
        wanted = "".join(f"&{name}=true" for name, said in (("verify", verify), ("repair", repair)) if said)
        with _translated(self.url):
            response = await self._http.post(
                f"{self.url}/uri/{cap}?t=check&output=JSON{wanted}",
                headers=self._headers(),
                allow_redirects=False,
                unbuffered=True,
            )
        return CheckReport.parse(await _answer(response, expected=(200,), longest=LONGEST_REPORT))

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
        with _translated(self.url):
            response = await self._http.post(
                self.url + target,
                data=body,
                headers=self._headers({"Accept": [f"{LINES}, application/problem+json"]}),
                allow_redirects=False,
                unbuffered=True,
            )
        if response.code != 200:
            raise await _refusal(response)
        async with Download(response) as download:
            return await result_in(download, progress)

    def _headers(self, more: Mapping[str, Sequence[str]] | None = None) -> Headers:
        headers = Headers({"Accept": [_ACCEPT], **(more or {})})
        if self._credentials is not None:
            headers.setRawHeaders("Authorization", [self._credentials.authorization])
        return headers


def _files(folder: str) -> str:
    """The address of a folder."""
    return "/files" + "".join("/" + quote(name, safe="") for name in folder.split("/") if name)


class _Passing:
    """Counts what a stream gives. A buffer counts when the next one is asked for: then it is on its way."""

    def __init__(self, stream: AsyncIterable[Buffer], length: int | None, progress: Progress | None) -> None:
        self.passed = 0
        self._iterator = aiter(stream)
        self._length = length
        self._progress = progress

    def __aiter__(self) -> _Passing:
        return self

    async def __anext__(self) -> Buffer:
        if self._progress is not None:
            self._progress(self.passed, self._length)
        buffer = await anext(self._iterator)
        self.passed += memoryview(buffer).nbytes
        return buffer

    async def aclose(self) -> None:
        if (close := getattr(self._iterator, "aclose", None)) is not None:
            await close()


async def _answer(response: IResponse, expected: tuple[int, ...], longest: int = LONGEST_ANSWER) -> str:
    if response.code not in expected:
        raise await _refusal(response)
    return (await _content(response, longest)).decode("utf-8", "replace").strip()


async def _content(response: IResponse, longest: int) -> bytes:
    content = bytearray()
    async with Download(response) as download:
        async for piece in download:
            content += piece
            if len(content) > longest:
                break
    return bytes(content[:longest])


async def _refusal(response: IResponse) -> Refused:
    """What the node says about why, as far as it is meant for reading."""
    refused = CredentialsRefused if response.code == 401 else Refused
    phrase = response.phrase.decode("ascii", "replace")
    kind = (response.headers.getRawHeaders("content-type") or [""])[0].partition(";")[0].strip().lower()
    try:
        text = (await _content(response, LONGEST_ANSWER)).decode("utf-8", "replace").strip()
    except TransferBroken:
        text = ""
    if kind == "application/problem+json":
        try:
            problem = json.loads(text)
            return refused(response.code, str(problem.get("title") or phrase), str(problem.get("detail") or ""))
        except (ValueError, AttributeError):
            return refused(response.code, phrase)
    return refused(response.code, phrase, text if kind == "text/plain" else "")


def _checked(cap: str, sent: int) -> str:
    """A cap tells how long its file is, so a node that has kept less can't hide it."""
    try:
        size = parse_cap(cap).size
    except BadCap as error:
        raise TransferBroken(f"what was answered is not a cap, so this is not a storage node: {error}") from None
    if size != sent:
        raise TransferBroken(f"the node has stored {size} bytes, but {sent} were sent")
    return cap


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Twisted's errors, said in ours."""
    try:
        yield
    except ConnectingCancelledError:
        raise CancelledError() from None
    except (ConnectError, DNSLookupError, TimeoutError) as error:
        number = getattr(error, "osError", None)
        raise NodeUnreachable(url, os.strerror(number) if number else str(error).rstrip(".")) from error
    except (
        RequestGenerationFailed,
        RequestTransmissionFailed,
        ResponseNeverReceived,
        ResponseFailed,
    ) as error:
        cause = innermost(error.reasons[0])
        # What the source of the body has raised isn't about the connection.
        if isinstance(error, RequestGenerationFailed) or isinstance(cause, CancelledError):
            raise cause from None
        raise TransferBroken(f"the connection to {url} broke: {cause}") from error
