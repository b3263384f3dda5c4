"""What a file's name says about how to serve it."""

from __future__ import annotations

import mimetypes
import re
from urllib.parse import quote

# The table that comes with Python, not what this machine's files add to it.
_TYPES = mimetypes.MimeTypes()
_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_ACTIVE = {"text/html", "text/xml", "application/xml"}
_KNOWN = {kind for types in _TYPES.types_map for kind in types.values()} | set(_PACKED.values())
# What programs say that don't know: curl and others.
_SAYING_NOTHING = {"application/octet-stream", "application/x-www-form-urlencoded", "binary/octet-stream"}
_CONTENT_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*(?:;\s*charset=\"?([\w.:-]+)\"?\s*)?", re.ASCII | re.IGNORECASE)


def content_type(name: str | None) -> str:
    """
    By the name's ending; plain text when that says nothing.

    A packed file is what it is, `application/gzip`, not what is in it: a client that unpacked it by itself would not
    get the bytes that were stored.
    """
    # guess_type takes addresses, too, and believes what "data:TEXT/HTML,x" says of itself. This is none.
    kind, packing = _TYPES.guess_type(f"./{name or ''}", strict=False)
    if packing is not None:
        return _PACKED.get(packing, "application/octet-stream")
    return kind or "text/plain"


def told_type(header: str | None) -> str | None:
    """
    What a client says of the type of what it sends, in short; None when that says nothing.

    Only types are believed that a name could have, too: what a browser does with others, nobody knows.
    """
    match = _CONTENT_TYPE.fullmatch(header or "")
    if match is None:
        return None
    kind, charset = match[1].lower(), match[2]
    if kind in _SAYING_NOTHING or kind not in _KNOWN:
        return None
    return f"{kind}; charset={charset.lower()}" if charset else kind


def served_type(name: str, told: str | None) -> str:
    """The type of a file: what the client said that has sent it, or else what its name says."""
    return told or content_type(name)


def is_active(kind: str) -> bool:
    """A browser would run what is in it, with all that this node's pages may do."""
    kind = kind.partition(";")[0]
    return kind in _ACTIVE or kind.endswith("+xml")


def attachment(name: str | None) -> str:
    """A `Content-Disposition` that saves the file under this name, whatever characters it has (RFC 6266)."""
    if not name:
        return "attachment"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
