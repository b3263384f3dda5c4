"""
Signed URLs, as OpenStack Swift's TempURL has them: who has the key makes them, and who has one may use it.

Beside what Swift knows, one may say how large a file can be, by `temp_url_max_size`. That is signed as well, in a line
of its own before all others.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from time import strptime
from unicodedata import normalize
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

from tahoeish.gateway.links.signatures import DIGESTS, Signature, parse_signature, sign

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")

ALSO_SIGNED_FOR = {"HEAD": ("HEAD", "GET", "POST", "PUT")}
"""A signature for one of these methods is good for the first one, too."""

ROOT = "/v1"

MOST_PARAMETERS = 50

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIZE = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_MOMENT_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SwiftPath:
    """
    `/v1/ACCOUNT/CONTAINER/OBJECT`: an account is a user, a container one of the user's folders, and what comes behind
    lies in it. For a file that lies in no folder there is no container.
    """

    account: str
    container: str
    object: str

    @classmethod
    def parse(cls, path: str) -> SwiftPath | None:
        """Of a percent-decoded path; None if it leads to no object."""
        match path.split("/", 4):
            case ["", "v1", account, container, object_] if account and container and object_:
                return cls(account, container, object_)
            case ["", "v1", account, object_] if account and object_:
                return cls(account, "", object_)
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """From the top of the user's files down. Nothing is known yet of what these names may be."""
        return (*([self.container] if self.container else []), *self.object.split("/"))

    def has_prefix(self, prefix: str) -> bool:
        """Also in the spelling in which names are kept."""
        return all(form(self.object).startswith(form(prefix)) for form in (str, _composed))


@dataclass(frozen=True, slots=True)
class TempUrl:
    """A request by a signed URL, of which nobody knows yet whether it is signed right."""

    method: str
    path: str
    """Percent-decoded."""
    place: SwiftPath
    expires: int
    signature: Signature
    prefix: str | None = None
    ip_range: str | None = None
    max_size: int | None = None
    filename: str | None = None
    inline: bool = False

    def is_good(self, keys: Collection[str], now: float, client: str) -> bool:
        """Now, for whoever asks from this address, with one of these keys."""
        signed = self.signature.is_of(self._messages(), keys)
        return signed and now <= self.expires and self._includes(client)

    def _messages(self) -> Iterator[bytes]:
        for method in ALSO_SIGNED_FOR.get(self.method, (self.method,)):
            yield message(
                method,
                self.expires,
                self.path
                if self.prefix is None
                else f"{ROOT}/{self.place.account}/{self.place.container}/{self.prefix}",
                is_prefix=self.prefix is not None,
                ip_range=self.ip_range,
                max_size=self.max_size,
            )

    def _includes(self, client: str) -> bool:
        if self.ip_range is None:
            return True
        try:
            address = ip_address(client.partition("%")[0])
            network = ip_network(self.ip_range)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address in network


def read(method: str, path: bytes, query: bytes, digests: Collection[str] = DIGESTS) -> TempUrl | None:
    """
    What a request says that came by a signed URL; None if it can't have been signed.

    `path` and `query` are as they came. Of a parameter that is there more than once, the first one counts.
    """
    try:
        decoded = unquote_to_bytes(path).decode()
        text = query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return None
    parameters = dict(reversed(pairs))
    place = SwiftPath.parse(decoded)
    signature = parse_signature(parameters.get("temp_url_sig", ""), digests)
    expires = parse_moment(parameters.get("temp_url_expires", ""))
    if method not in METHODS or place is None or signature is None or expires is None:
        return None
    prefix = parameters.get("temp_url_prefix")
    if prefix is not None and not (place.container and place.has_prefix(prefix)):
        return None
    max_size = parameters.get("temp_url_max_size")
    if max_size is not None and not _SIZE.fullmatch(max_size):
        return None
    return TempUrl(
        method,
        decoded,
        place,
        expires,
        signature,
        prefix,
        parameters.get("temp_url_ip_range"),
        None if max_size is None else int(max_size),
        parameters.get("filename"),
        "inline" in parameters,
    )


def message(
    method: str,
    expires: int,
    path: str,
    *,
    is_prefix: bool = False,
    ip_range: str | None = None,
    max_size: int | None = None,
) -> bytes:
    """What is signed. `path` is percent-decoded; it ends with the prefix, if it is one."""
    lines = [
        *([] if max_size is None else [f"max-size={max_size}"]),
        # Before the path, in which there can be line feeds.
        *([] if ip_range is None else [f"ip={ip_range}"]),
        method,
        str(expires),
        f"prefix:{path}" if is_prefix else path,
    ]
    return "\n".join(lines).encode()


def signed_address(
    key: str,
    method: str,
    expires: int,
    path: str,
    *,
    prefix: bool = False,
    ip_range: str | None = None,
    max_size: int | None = None,
    filename: str | None = None,
    inline: bool = False,
    digest: str = "sha256",
) -> str:
    """
    A path and a query for whoever is to use it; `path` is percent-decoded.

    `prefix`: it is good for everything whose path begins like that, and that is put in its place.
    """
    signed = message(method, expires, path, is_prefix=prefix, ip_range=ip_range, max_size=max_size)
    parameters = {"temp_url_sig": sign(key, signed, digest), "temp_url_expires": str(expires)}
    if prefix:
        parameters["temp_url_prefix"] = path.split("/", 4)[4]
    if ip_range is not None:
        parameters["temp_url_ip_range"] = ip_range
    if max_size is not None:
        parameters["temp_url_max_size"] = str(max_size)
    if filename is not None:
        parameters["filename"] = filename
    query = urlencode(parameters) + ("&inline" if inline else "")
    return f"{quote(path)}?{query}"


def disposition(url: TempUrl) -> str:
    """The `Content-Disposition` of a file that is read by a signed URL."""
    name = url.filename or ("" if url.inline else url.place.object.rstrip("/").rpartition("/")[2])
    kind = "inline" if url.inline else "attachment"
    if not name:
        return kind
    return f"{kind}; filename=\"{quote(name, safe=' /')}\"; filename*=UTF-8''{quote(name)}"


def parse_moment(text: str) -> int | None:
    """Unix seconds, which may be written as a date and a time of UTC, too."""
    if _SECONDS.fullmatch(text):
        return int(text)
    if not _MOMENT_FORM.fullmatch(text):
        return None
    try:
        return timegm(strptime(text, _MOMENT))
    except ValueError:
        return None


def _composed(text: str) -> str:
    return normalize("NFC", text)
