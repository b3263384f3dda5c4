"""Uploads that can be resumed: the client's side of tus 1.0.0."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tahoeish.client.errors import Refused, TransferBroken
from tahoeish.client.exchange import Exchange, Progress, header_of, text_of

UPLOADS = "/uploads/"
"""Where files go that get no name."""

_VERSION = {"Tus-Resumable": "1.0.0"}
_NOT_OFFERED = {404, 405, 501}
_GONE = {404, 410}


class NotOffered(Exception):
    """The node knows no uploads that can be resumed, or not there."""


class SessionGone(Exception):
    """The node has no such upload, or not any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """So much of the file is there; its cap, if that is all of it, and the node tells."""

    offset: int
    cap: str | None = None


class TusUploads:
    """Each upload has an address, relative to the node's URL."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def node_is_there(self) -> bool:
        """It has answered something."""
        return self._exchange.reached

    async def create(self, collection: str, length: int, metadata: Mapping[str, str]) -> str:
        """Gives its address. Raises `NotOffered`."""
        pairs = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
        headers = {**_VERSION, "Upload-Length": str(length), **({"Upload-Metadata": pairs} if pairs else {})}
        try:
            response = await self._exchange.request("POST", collection, expected=(201,), headers=headers, data=b"")
        except Refused as error:
            if error.status in _NOT_OFFERED:
                raise NotOffered from error
            raise
        await text_of(response)
        return _address(self._exchange.url, header_of(response, "location") or "")

    async def ask(self, address: str, length: int) -> Standing:
        """How much is there? Raises `SessionGone`."""
        with _GoneTranslated():
            response = await self._exchange.request("HEAD", address, expected=(200, 204), headers=_VERSION)
        await text_of(response)
        if header_of(response, "upload-length") not in (None, str(length)):
            raise SessionGone
        return Standing(_offset(header_of(response, "upload-offset"), length))

    async def append(
        self, address: str, offset: int, rest: AsyncIterable[bytes], length: int, progress: Progress
    ) -> Standing:
        """
        Send all that is missing. Raises `SessionGone`.

        With nothing missing, it gets the last answer once more.
        """
        headers = {**_VERSION, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        with _GoneTranslated():
            sent = await self._exchange.send(
                "PATCH",
                address,
                rest,
                length - offset,
                expected=(200, 201, 204),
                headers=headers,
                progress=lambda done, _: progress(offset + done, length),
            )
        await text_of(sent.response)
        stands_at = header_of(sent.response, "upload-offset")
        return Standing(_offset(stands_at, length), header_of(sent.response, "tahoeish-cap"))

    async def discard(self, address: str) -> None:
        with _GoneTranslated():
            await text_of(await self._exchange.request("DELETE", address, expected=(200, 204), headers=_VERSION))


class _GoneTranslated:
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Refused) and error.status in _GONE:
            raise SessionGone from error


def _offset(header: str | None, length: int) -> int:
    if header is None or not (header.isascii() and header.isdecimal()) or int(header) > length:
        raise TransferBroken(f"the node says that of {length} bytes it has {str(header)[:40]!r}")
    return int(header)


def _address(url: str, location: str) -> str:
    """
    What comes behind the node's URL. Only there do our credentials go, whatever the node says.
    """
    node, said = urlsplit(url), urlsplit(location)
    elsewhere = said.netloc and (said.scheme, said.netloc) != (node.scheme, node.netloc)
    if elsewhere or not said.path.startswith("/"):
        raise TransferBroken(f"the node says that the upload is at {location[:200]!r}, which is somewhere else")
    path = said.path.removeprefix(node.path) if said.path.startswith(node.path + "/") else said.path
    return path + (f"?{said.query}" if said.query else "")
