"""Which pages of other sites may use the node, and what their browsers have to be told for that (CORS)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK"

EXPOSED = (
    # Of files and folders.
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Location",
    "Content-Range",
    "DAV",
    "Date",
    "ETag",
    "Location",
    "Lock-Token",
    "OC-Checksum",
    "Repr-Digest",
    "Retry-After",
    "Tahoeish-Cap",
    "Tahoeish-Missing-Shares",
    "Tahoeish-Spooled",
    "X-OC-Mtime",
    # Of uploads over several requests: tus, and what is to become RFC.
    "Accept-Patch",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Expires",
    "Upload-Incomplete",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
)
"""What a page sees of an answer beside the few headers that it always sees. With credentials, `*` is no name."""

REMEMBERED_SECONDS = 7200
"""How long a browser need not ask again. None remembers it for longer."""

LONGEST_WISH = 4096

_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")


@dataclass(frozen=True)
class Verdict:
    """On one request."""

    headers: Mapping[str, str]
    """What its answer carries, a good or a bad one."""
    invited: bool = False
    """It comes from a page that may do what the node's own pages may."""
    is_preflight: bool = False
    """It only asks whether another request may come, and the headers are the answer to that."""


@dataclass(frozen=True)
class Policy:
    """Pages of these origins, such as `https://app.example`, may do what the node's own may."""

    origins: Collection[str] = ()

    def verdict(self, method: str, header: Callable[[str], str]) -> Verdict:
        """`header` gives a field of the request's head by its name, or an empty text."""
        if not self.origins:
            return Verdict({})
        # Caches between here and there have to keep apart what was answered to whom.
        headers = {"Vary": "Origin"}
        origin = header("Origin")
        if origin not in self.origins:
            return Verdict(headers)
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        if method == "OPTIONS" and header("Access-Control-Request-Method"):
            return Verdict(headers | _approval(header), invited=True, is_preflight=True)
        return Verdict(headers | {"Access-Control-Expose-Headers": ", ".join(EXPOSED)}, invited=True)


NO_PAGES = Policy()


def _approval(header: Callable[[str], str]) -> dict[str, str]:
    headers = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Max-Age": str(REMEMBERED_SECONDS)}
    wanted = header("Access-Control-Request-Headers").strip()
    if len(wanted) <= LONGEST_WISH and _NAMES.fullmatch(wanted):
        # All of them: what a header does is decided where it is read.
        headers["Access-Control-Allow-Headers"] = wanted
    if header("Access-Control-Request-Private-Network").strip().lower() == "true":
        # The page comes from the internet, and the node is in a local network.
        headers["Access-Control-Allow-Private-Network"] = "true"
    return headers
