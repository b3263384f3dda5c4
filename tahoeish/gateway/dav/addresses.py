"""Addresses below `/files` and the paths that they stand for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from tahoeish.gateway.dav.aliases import prefix_of
from tahoeish.gateway.dav.hrefs import PREFIX
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.errors import BadName
from tahoeish.namespace.names import Path, check_name
from tahoeish.streams.request import StreamingRequest


def path_of(request: StreamingRequest) -> Path:
    """
    Where the request leads. A slash at the end is as good as none; see `is_folder_address`.

    Raises `Refused`, also for names that can't be.
    """
    if b"#" in request.uri:
        raise Refused(400, "the address has a fragment, a part behind '#', which doesn't belong into a request")
    return _path(request.postpath or [])


def is_folder_address(request: StreamingRequest) -> bool:
    """It ends in a slash."""
    return (request.path or b"").endswith(b"/")


def destination(header: str, hosts: Collection[str]) -> Path:
    """
    Where a `Destination` leads: an address, or the path of one.

    Raises `Refused` with 502 for other servers than `hosts`. Neither scheme nor port are compared: a proxy before this
    node may have others.
    """
    parts = _split(header)
    if parts.query or parts.fragment:
        raise Refused(400, "the destination is an address with a query or a fragment, which names nothing here")
    if parts.netloc and (parts.hostname or "").lower() not in hosts:
        raise Refused(
            502, f"the destination is on another server, {parts.hostname}, to which nothing is sent from here"
        )
    prefix = prefix_of(parts.path)
    if prefix is None:
        if not parts.path.startswith("/"):
            raise Refused(400, "the destination is an address, or the path of one that begins with a slash")
        raise Refused(502, f"the destination is outside of {PREFIX}")
    return _path([unquote_to_bytes(part) for part in parts.path.removeprefix(prefix)[1:].split("/")])


def tagged_path(address: str, hosts: Collection[str]) -> Path | None:
    """What an address in an `If` header stands for; None for anything that isn't here."""
    try:
        return destination(address, hosts)
    except Refused:
        return None


def hosts_of(request: StreamingRequest, public_names: Collection[str]) -> set[str]:
    """The names by which a client may know this server."""
    # The second one is a proxy's; whoever else sends it can only mislead itself.
    lines = (request.requestHeaders.getRawHeaders(name) or [] for name in (b"Host", b"X-Forwarded-Host"))
    named = b",".join(line for each in lines for line in each).decode("latin-1").split(",")
    hosts = {(_split(f"//{name.strip()}").hostname or "").lower() for name in named}
    return {*hosts, *(name.lower() for name in public_names)} - {""}


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address.strip())
    except ValueError as error:
        raise Refused(400, f"{address[:200]!r} is no address: {error}") from None


def _path(parts: Sequence[bytes]) -> Path:
    if parts and not parts[-1]:
        parts = parts[:-1]
    try:
        return tuple(check_name(part.decode()) for part in parts)
    except UnicodeDecodeError:
        raise Refused(400, "a name in an address is UTF-8, percent-encoded, and this one isn't") from None
    except BadName as error:
        raise Refused(400, str(error)) from None
