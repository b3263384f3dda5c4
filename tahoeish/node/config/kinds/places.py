"""Where something is: on this machine, in the network, or in the web."""

import re
from dataclasses import dataclass
from pathlib import Path

from tahoeish.storage.nurl import BadNurl, Nurl

from ..problems import shown
from .kind import BadValue, Kind, ListOfTexts, Text, write_string

_ENDPOINT_EXAMPLE = '"tcp:3456:interface=127.0.0.1"'
_ENDPOINT_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*")
_HOST = re.compile(r"[^\s@/:?#\[\]]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?", re.ASCII)
_UNESCAPED_COLON = re.compile(r"(?<!\\):")
_WITH_PORT = ("tcp", "tcp6", "ssl")


@dataclass(frozen=True, slots=True)
class Directory(Kind[Path]):
    """A folder's path, still as it was written: a relative one counts from a place that the caller knows."""

    def read(self, value: object) -> Path:
        if not isinstance(value, str) or not value or not value.isprintable():
            raise BadValue(f'must be the path of a folder, such as "peers/1", not {shown(value)}')
        if value.startswith("~"):
            raise BadValue(f'must be written in full: "~" has no meaning here, in {shown(value)}')
        return Path(value)

    def write(self, value: Path) -> str:
        return write_string(str(value))

    def describe(self) -> str:
        return "path of a folder"


@dataclass(frozen=True, slots=True)
class Location(Text):
    """A host and a port, as others reach them. Empty stands for "none given"."""

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise BadValue(f'must be a host and a port such as "storage.example.net:3457", not {shown(value)}')
        host, _, port = value.rpartition(":")
        if value and not (_HOST.fullmatch(host) and _is_port(port)):
            raise BadValue(f'{shown(value)} is no host and port; write it like "storage.example.net:3457"')
        return value

    def describe(self) -> str:
        return "host:port"


@dataclass(frozen=True, slots=True)
class NurlText(Kind[Nurl]):
    """A storage node's NURL. Whoever reads it can use the storage node, so messages don't show it."""

    def read(self, value: object) -> Nurl:
        if not isinstance(value, str):
            raise BadValue("must be the text that `tahoeish storage nurl` prints")
        try:
            return Nurl.parse(value)
        except BadNurl as error:
            raise BadValue(f"is no NURL: {error}") from error

    def write(self, value: Nurl) -> str:
        return write_string(str(value))

    def describe(self) -> str:
        return "NURL"


@dataclass(frozen=True, slots=True)
class DatabaseUrl(Text):
    """A PostgreSQL database, perhaps with a password, so messages don't show it. Empty stands for "none given"."""

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not (value == "" or value.startswith("postgresql://")):
            raise BadValue('must be a database such as "postgresql://user:password@host/name", or empty')
        return value

    def describe(self) -> str:
        return "URL of a PostgreSQL database"


@dataclass(frozen=True, slots=True)
class Origins(ListOfTexts):
    """A list of web origins, each as a browser writes it: a scheme, a host, and a port if it isn't the usual one."""

    def fault(self, item: object) -> str | None:
        if isinstance(item, str) and _ORIGIN.fullmatch(item):
            return None
        return (
            f'must be the origin of a site such as "https://app.example", without a slash at the end, not {shown(item)}'
        )

    def describe(self) -> str:
        return "origin such as `https://app.example`, or a list of them"


@dataclass(frozen=True, slots=True)
class Endpoints(ListOfTexts):
    """
    Twisted's server endpoint strings, one or a list.

    Checked by their form only. Twisted's own parser opens certificates and needs the reactor; what it refuses
    comes up when the node starts to listen.
    """

    def read(self, value: object) -> tuple[str, ...]:
        if value == []:
            raise BadValue(f"must name at least one endpoint, such as {_ENDPOINT_EXAMPLE}")
        # With slots, a dataclass is another class than the one that a plain `super()` would look for.
        return ListOfTexts.read(self, value)

    def fault(self, item: object) -> str | None:
        if not isinstance(item, str):
            return f"must be an endpoint such as {_ENDPOINT_EXAMPLE}, not {shown(item)}"
        kind, *arguments = _UNESCAPED_COLON.split(item)
        if not _ENDPOINT_KIND.fullmatch(kind) or not arguments or kind in ("http", "https", "localhost"):
            return f"{shown(item)} is no endpoint; write it like {_ENDPOINT_EXAMPLE}"
        port = next((text.removeprefix("port=") for text in arguments if text.startswith("port=")), arguments[0])
        if kind in _WITH_PORT and not _is_port(port):
            return f"{shown(item)}: after {kind}: comes a port, 0 to 65535"
        return None

    def describe(self) -> str:
        return "Twisted endpoint string, or a list of them"


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and int(text) <= 65535
