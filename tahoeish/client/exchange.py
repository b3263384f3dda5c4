"""Requests to one node, as whoever we are there; what goes wrong with them is said in our errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from treq.client import HTTPClient
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from tahoeish.client.credentials import Credentials, without_credentials
from tahoeish.client.download import Download
from tahoeish.client.errors import CredentialsRefused, Refused, TransferBroken
from tahoeish.client.translation import translated
from tahoeish.streams.producer import StreamProducer

if TYPE_CHECKING:
    from typing_extensions import Buffer

Progress: TypeAlias = Callable[[int, int | None], object]
"""
Is told how many bytes are through, and how many there will be if that is known.

It is called from within the transfer, so it can't cancel that: nothing that runs can be cancelled.
"""

LONGEST_ANSWER = 64 * 1024
"""A cap, or why there is none, takes less."""

_ACCEPT = "application/problem+json, text/plain;q=0.9, */*;q=0.8"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request's answer, and how many bytes had gone into the request."""

    response: IResponse
    size: int


class Exchange:
    """`reached`: the node has answered something, so its URL is a good one."""

    def __init__(self, url: str, http: HTTPClient, credentials: Credentials | None = None) -> None:
        """The URL may have `user:password@` in it, in place of `credentials`."""
        bare, said = without_credentials(url)
        self.url = bare.rstrip("/")
        self.reached = False
        self._http = http
        self._credentials = credentials or said

    async def request(
        self,
        method: str,
        target: str,
        *,
        expected: tuple[int, ...],
        headers: Mapping[str, str] | None = None,
        data: bytes | StreamProducer | None = None,
    ) -> IResponse:
        """`target` is what comes behind the node's URL. Raises `Refused` for all answers but those `expected`."""
        with translated(self.url, answered_before=self.reached):
            response: IResponse = await self._http.request(
                method,
                self.url + target,
                data=data,
                headers=self._headers(headers or {}),
                allow_redirects=False,
                unbuffered=True,
            )
        self.reached = True
        if response.code not in expected:
            raise await _refusal(response)
        return response

    async def send(
        self,
        method: str,
        target: str,
        stream: AsyncIterable[Buffer],
        length: int | None,
        *,
        expected: tuple[int, ...],
        headers: Mapping[str, str],
        progress: Progress | None = None,
    ) -> Sent:
        """The same with a body that comes from a stream."""
        passing = _Passing(stream, length, progress)
        producer = StreamProducer(passing, length)
        try:
            response = await self.request(method, target, expected=expected, headers=headers, data=producer)
        finally:
            # An answer that came before the end leaves the producer waiting.
            producer.stopProducing()
        return Sent(response, passing.passed)

    def _headers(self, more: Mapping[str, str]) -> Headers:
        headers = Headers({"Accept": [_ACCEPT]})
        for name, value in more.items():
            headers.setRawHeaders(name, [value])
        if self._credentials is not None:
            headers.setRawHeaders("Authorization", [self._credentials.authorization])
        return headers


async def text_of(response: IResponse, longest: int = LONGEST_ANSWER) -> str:
    content = bytearray()
    async with Download(response) as download:
        async for piece in download:
            content += piece
            if len(content) > longest:
                break
    return bytes(content[:longest]).decode("utf-8", "replace").strip()


def header_of(response: IResponse, name: str) -> str | None:
    values: Sequence[str] = response.headers.getRawHeaders(name) or ()
    return values[0] if values else None


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


async def _refusal(response: IResponse) -> Refused:
    """What the node says about why, as far as it is meant for reading."""
    try:
        text = await text_of(response)
    except TransferBroken:
        text = ""
    title, detail = response.phrase.decode("ascii", "replace"), ""
    kind = (header_of(response, "content-type") or "").partition(";")[0].strip().lower()
    if kind == "application/problem+json":
        try:
            problem = json.loads(text)
            title, detail = str(problem.get("title") or title), str(problem.get("detail") or "")
        except (ValueError, AttributeError):
            pass
    elif kind == "text/plain":
        detail = text
    refused = CredentialsRefused if response.code == 401 else Refused
    refusal = refused(response.code, title, detail)
    wait = header_of(response, "retry-after") or ""
    refusal.retry_after = float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 7 else None
    refusal.stands_at = header_of(response, "upload-offset")
    return refusal
