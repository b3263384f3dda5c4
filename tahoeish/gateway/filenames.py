"""What a file's name says about how to serve it."""

from __future__ import annotations

import mimetypes
import re
from urllib.parse import quote

# Python's own table leaves these out before 3.14, and a browser shows what is none of them as a page of text. To it,
# scripts were no text before 3.12.
_MORE = {
    ".7z": "application/x-7z-compressed",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".iso": "application/octet-stream",
    ".js": "text/javascript",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".mka": "audio/matroska",
    ".mjs": "text/javascript",
    ".mkv": "video/matroska",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zst": "application/zstd",
}


def _types() -> mimetypes.MimeTypes:
    """The table that comes with Python, and what it lacks; not what this machine's files add to it."""
    table = mimetypes.MimeTypes()
    for ending, kind in _MORE.items():
        table.add_type(kind, ending)
    return table


_TYPES = _types()
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


def served_type(name: str | None, told: str | None) -> str:
    """
    The type of a file: what the client said that has sent it, or else what its name says.

    Text of which nobody has said more is UTF-8, as nearly all is that is written today; without a word about it,
    browsers take it for what it was in the nineties. They believe a byte order mark before this. But HTML and XML tell
    their encoding themselves, and what is said here would override it.
    """
    kind = told or content_type(name)
    if kind.startswith("text/") and ";" not in kind and not is_active(kind):
        return f"{kind}; charset=utf-8"
    return kind


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
