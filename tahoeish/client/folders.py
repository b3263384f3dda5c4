"""A node's folders: what is in them, and making them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import floor
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from tahoeish.client.address import FILES
from tahoeish.client.destination import address_of
from tahoeish.client.download import Download
from tahoeish.client.errors import NotAFolder, Refused, TransferBroken
from tahoeish.client.exchange import Exchange, text_of

FolderPath = tuple[str, ...]
"""The names from the top on, below `/files`."""

_DAV = "{DAV:}"
_MODIFIED = "{urn:tahoeish}modified"
_WANTED = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getlastmodified/>"
    b'<modified xmlns="urn:tahoeish"/></prop></propfind>'
)


@dataclass(frozen=True, slots=True)
class Listed:
    """
    What a name stands for: a file of this size and time, in seconds; or a folder, without a size.

    The time of a node that doesn't tell fractions of a second is not `exact`.
    """

    size: int | None
    modified: float | None
    exact: bool = True

    @property
    def is_folder(self) -> bool:
        return self.size is None

    def is_like(self, size: int, modified: float) -> bool:
        """Whether a file of this size and time is the same, as far as that tells."""
        return (self.size, self.modified) == (size, modified if self.exact else floor(modified))


class Folders:
    """Asked once; whoever has patience tries again."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._above = len([part for part in urlsplit(exchange.url).path.split("/") if part])

    async def list(self, path: FolderPath) -> dict[str, Listed] | None:
        """What is in a folder; None if there is no such folder. Raises `NotAFolder` for a file."""
        try:
            response = await self._exchange.request(
                "PROPFIND",
                _address(path),
                expected=(207,),
                headers={"Depth": "1", "Content-Type": "application/xml; charset=utf-8"},
                data=_WANTED,
            )
        except Refused as error:
            if error.status == 404:
                return None
            raise
        found: dict[str, Listed] = {}
        depth = len(path) + len(FILES.strip("/").split("/"))
        parser: XMLPullParser[Element] = XMLPullParser(("end",))
        async with Download(response) as download:
            try:
                async for piece in download:
                    parser.feed(piece)
                    for names, listed in _responses(parser):
                        # Behind a proxy, the node may or may not know of what comes before its own path.
                        if len(names) in (depth, depth + self._above) and names[-1:] == ("files", *path)[-1:]:
                            if not listed.is_folder:
                                raise NotAFolder(f"{address_of(path)} is a file, not a folder")
                        else:
                            found[names[-1]] = listed
            except ParseError as error:
                raise TransferBroken(f"what the node says of a folder can't be understood: {error}") from None
        return found

    async def make(self, path: FolderPath) -> None:
        """Make it, and the folders above, where they aren't there."""
        if not path:
            return
        try:
            await self._make(path)
        except Refused as error:
            if error.status != 409:
                raise
            await self.make(path[:-1])
            await self._make(path)

    async def _make(self, path: FolderPath) -> None:
        # 405: something is there already. If that isn't a folder, the first file for it is refused.
        response = await self._exchange.request("MKCOL", _address(path), expected=(201, 405))
        await text_of(response)


def _address(path: FolderPath) -> str:
    return address_of(path).rstrip("/") + "/"


def _responses(parser: XMLPullParser[Element]) -> Iterator[tuple[FolderPath, Listed]]:
    for event in parser.read_events():
        element = event[-1]
        if not isinstance(element, Element) or element.tag != f"{_DAV}response":
            continue
        href = element.findtext(f"{_DAV}href") or ""
        names = tuple(unquote(part) for part in urlsplit(href.strip()).path.split("/") if part)
        if names:
            yield names, _listed(element)
        element.clear()


def _listed(response: Element) -> Listed:
    values: dict[str, Element] = {}
    for propstat in response.iterfind(f"{_DAV}propstat"):
        if " 200 " in (propstat.findtext(f"{_DAV}status") or "") + " ":
            values |= {value.tag: value for properties in propstat.iterfind(f"{_DAV}prop") for value in properties}
    kind = values.get(f"{_DAV}resourcetype")
    if kind is not None and kind.find(f"{_DAV}collection") is not None:
        return Listed(None, None)
    try:
        size = int(_text(values, f"{_DAV}getcontentlength"))
    except ValueError:
        # Other than any that a file here has.
        size = -1
    try:
        return Listed(size, float(_text(values, _MODIFIED)))
    except ValueError:
        # It tells only what all tell.
        pass
    try:
        modified = int(parsedate_to_datetime(_text(values, f"{_DAV}getlastmodified")).timestamp())
    except (ValueError, TypeError, OverflowError):
        return Listed(size, None)
    return Listed(size, modified, exact=False)


def _text(values: dict[str, Element], name: str) -> str:
    element = values.get(name)
    return "" if element is None else element.text or ""
