"""Where a request comes from: this machine or another one, which address, and at whose instigation."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from twisted.internet.address import UNIXAddress

from tahoeish.gateway.dav.addresses import hosts_of
from tahoeish.streams.request import StreamingRequest

LONGEST_ADDRESS = 64


def is_from_here(request: StreamingRequest) -> bool:
    """The client runs on this machine. Of what a proxy passes on, nobody knows."""
    if any(request.getHeader(name) is not None for name in (b"Forwarded", b"X-Forwarded-For", b"Via")):
        return False
    return _peer_is_here(request)


def is_meant_for_here(request: StreamingRequest) -> bool:
    """
    The name in the address is one of this machine for itself, or one of a local network.

    Somebody's page can let a browser look the page's own name up anew and find this machine, and then read what the
    node answers. For that it needs a name with a dot in it, which isn't an address.
    """
    try:
        host = urlsplit("//" + (request.getHeader(b"Host") or b"").decode("latin-1").strip()).hostname or ""
    except ValueError:
        return False
    host = host.rstrip(".")
    return "." not in host or host.endswith(".localhost") or _parsed(host) is not None


def address_of(request: StreamingRequest) -> str:
    """Whom failures are counted for: the client's address, also behind a proxy on this machine."""
    host = getattr(request.getClientAddress(), "host", "here")
    if _peer_is_here(request):
        passed_on = request.requestHeaders.getRawHeaders(b"X-Forwarded-For") or []
        # The proxy adds to the end; what stands before that, anybody can have made up.
        host = b",".join(passed_on).decode("latin-1").rpartition(",")[2].strip() or host
    return _network(host)


def is_from_another_site(request: StreamingRequest) -> bool:
    """
    A browser sends it because a page from elsewhere says so.

    It would add the password that it knows for this site, or come from the machine that needs none.
    """
    site = request.getHeader(b"Sec-Fetch-Site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = request.getHeader(b"Origin")
    if origin is None:
        return False
    try:
        host = urlsplit(origin.decode("latin-1")).hostname
    except ValueError:
        host = None
    return host not in hosts_of(request, ())


def origin_of(request: StreamingRequest) -> str:
    """What stands before the path in the addresses that this client knows: `https://cloud.example`."""
    proxy = request.getHeader(b"X-Forwarded-Proto") or b""
    scheme = proxy.decode("latin-1").partition(",")[0].strip().lower()
    if scheme not in ("http", "https"):
        scheme = "https" if request.isSecure() else "http"
    host = request.getHeader(b"X-Forwarded-Host") or request.getHeader(b"Host") or b"127.0.0.1"
    return f"{scheme}://{host.decode('latin-1').partition(',')[0].strip()}"


def is_loopback(host: str) -> bool:
    """This machine's address for itself."""
    address = _parsed(host)
    return address is not None and address.is_loopback


def _peer_is_here(request: StreamingRequest) -> bool:
    """Whoever has connected, be it a proxy. Only this machine can by a socket in its file system."""
    address = request.getClientAddress()
    return isinstance(address, UNIXAddress) or is_loopback(getattr(address, "host", ""))


def _network(host: str) -> str:
    address = _parsed(host)
    if address is None:
        # From a proxy. It takes no more room than an address, however long it is.
        return host[:LONGEST_ADDRESS]
    if isinstance(address, IPv6Address):
        # Whoever has one of these has them all.
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


def _parsed(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address
