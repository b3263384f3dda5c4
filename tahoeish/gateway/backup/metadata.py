"""
What a directory says of a child beside its name and cap.

Times are where Tahoe-LAFS has them, so that its tools show them. What only the catalogue knows is under a key of its
own, and left out where there is nothing to say:

    {"tahoe": {"linkcrtime": CREATED, "linkmotime": MODIFIED},
     "tahoeish": {"type": "text/plain", "checksums": "SHA1:...", "properties": ["<element xmlns=...>"]}}

Reading takes nothing for granted: whoever has made the directory may have written anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tahoeish.chk.directory import Metadata
from tahoeish.gateway.checksums import Checksums, checksums_of, checksums_text, parse_checksums
from tahoeish.gateway.dav.bodies import MAX_NAMES
from tahoeish.gateway.dav.elements import BadDocument, parse, standalone
from tahoeish.gateway.dav.headers import is_calendar_time
from tahoeish.gateway.dav.properties import is_protected
from tahoeish.gateway.filenames import told_type
from tahoeish.namespace.entries import Content
from tahoeish.namespace.properties import PropertyName
from tahoeish.namespace.snapshots import Item
from tahoeish.streams.digests import BadDigest

OWN = "tahoeish"
_LONGEST_TEXT = 1000

Complain = Callable[[str], object]
"""Is told what of the metadata could not be used."""


def metadata_of(item: Item) -> dict[str, Any]:
    """The same for the same item, down to the order."""
    metadata: dict[str, Any] = {"tahoe": {"linkcrtime": item.created, "linkmotime": item.modified}}
    own: dict[str, Any] = {}
    if item.content is not None and item.content.content_type is not None:
        own["type"] = item.content.content_type
    if item.content is not None and item.content.checksums:
        own["checksums"] = checksums_text(item.content.checksums)
    if item.properties:
        own["properties"] = [text for _, text in sorted(item.properties.items())]
    if own:
        metadata[OWN] = own
    return metadata


def item_of(name: str, file: tuple[str, int] | None, metadata: Metadata, now: float, complain: Complain) -> Item:
    """`file`: its cap and size; None for a folder. What has no times is from `now`."""
    modified = _first_time(metadata, "linkmotime", "mtime")
    created = _first_time(metadata, "linkcrtime", "ctime")
    own = _object(metadata.get(OWN))
    content = None if file is None else Content(*file, _type(own, complain), _checksums(own, complain))
    return Item(
        name,
        content,
        created=created if created is not None else modified if modified is not None else now,
        modified=modified if modified is not None else now,
        properties=dict(_properties(own, complain)),
    )


def _first_time(metadata: Metadata, system_key: str, key: str) -> float | None:
    for value in (_object(metadata.get("tahoe")).get(system_key), metadata.get(key)):
        # Also an integer too large for a float is only compared; true and false are integers to Python.
        if isinstance(value, int | float) and not isinstance(value, bool) and is_calendar_time(value):
            return float(value)
    return None


def _type(own: Metadata, complain: Complain) -> str | None:
    text = own.get("type")
    if text is None:
        return None
    told = told_type(text) if isinstance(text, str) and len(text) <= _LONGEST_TEXT else None
    if told is None:
        complain("its type is none that is known here")
    return told


def _checksums(own: Metadata, complain: Complain) -> Checksums:
    text = own.get("checksums", "")
    try:
        if isinstance(text, str) and len(text) <= _LONGEST_TEXT:
            return checksums_of(parse_checksums(text))
    except BadDigest:
        pass
    complain("its checksums can't be understood")
    return ()


def _properties(own: Metadata, complain: Complain) -> Iterator[tuple[PropertyName, str]]:
    texts = own.get("properties", [])
    if not isinstance(texts, list) or len(texts) > MAX_NAMES:
        complain("its properties can't be understood")
        return
    for text in texts:
        try:
            element = parse(text.encode()) if isinstance(text, str) else None
        except (BadDocument, UnicodeEncodeError):
            element = None
        if element is None or is_protected(element.name):
            complain("one of its properties can't be understood")
        else:
            # As written anew, because it goes into other documents, and mustn't break out there.
            yield element.name, standalone(element)


def _object(value: Any) -> Metadata:
    return value if isinstance(value, dict) else {}
