"""One request to `/files`, understood as far as all methods need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from twisted.internet.interfaces import IReactorTime

from tahoeish.gateway.dav.addresses import destination, hosts_of, path_of, tagged_path
from tahoeish.gateway.dav.elements import MAX_BYTES
from tahoeish.gateway.dav.if_header import parse_conditions
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.names import Path
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class FileOptions:
    """What an operator may decide about `/files`."""

    refuse: tuple[str, ...] = ()
    """Patterns, as those of a shell, of names that nothing new gets here."""
    propfind_limit: int = 10_000
    """How many entries a whole tree may have that is listed at once; 0 is for none."""
    public_names: tuple[str, ...] = ()
    """Host names by which clients know this server, beside the ones that they say."""


@dataclass(frozen=True)
class Names:
    """The catalogue, and where and when it is asked. `now` is in Unix seconds, `clock` the reactor's."""

    catalogue: Catalogue
    run_in_thread: ThreadRunner
    now: Callable[[], float]
    clock: IReactorTime
    idle_timeout: float

    async def ask(self, question: Callable[Concatenate[Catalogue, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`await names.ask(Catalogue.find, viewer, path)`: in a thread, since it blocks."""
        return await self.run_in_thread(partial(question, self.catalogue, *args, **kwargs))


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks, about what, and what has to be so for it."""

    request: StreamingRequest
    body: BodyStream
    viewer: Viewer
    path: Path
    hosts: frozenset[str]
    conditions: Conditions
    options: FileOptions

    def header(self, name: str) -> str | None:
        """The header's lines as one; None if there is none."""
        return _header(self.request, name)

    async def xml(self) -> bytes:
        """The body, where it is a document."""
        return await self.body.read_all(MAX_BYTES)

    def destination(self) -> Path:
        """Raises `Refused`, also for a name that isn't wanted here."""
        header = self.header("Destination")
        if header is None:
            raise Refused(400, "where to? There is no Destination header")
        path = destination(header, self.hosts)
        self.expect_wanted(path)
        return path

    def expect_wanted(self, path: Path) -> None:
        """Raises `Refused` for a new name that the operator doesn't want."""
        if path and any(fnmatchcase(path[-1], pattern) for pattern in self.options.refuse):
            raise Refused(403, f"files called like {path[-1]!r} are not wanted here")


def visit_of(request: StreamingRequest, body: BodyStream, viewer: Viewer, options: FileOptions) -> Visit:
    """Raises `Refused` for a path or conditions that can't be understood."""
    hosts = frozenset(hosts_of(request, options.public_names))
    conditions = parse_conditions(
        _header(request, "If"),
        _header(request, "If-Match"),
        _header(request, "If-None-Match"),
        path_of=lambda address: tagged_path(address, hosts),
    )
    return Visit(request, body, viewer, path_of(request), hosts, conditions, options)


def _header(request: StreamingRequest, name: str) -> str | None:
    lines = request.requestHeaders.getRawHeaders(name.encode())
    if lines is None:
        return None
    # The lists in If have no commas between them. Clients that send anything else than ASCII mean UTF-8.
    return (" " if name == "If" else ", ").join(line.decode("utf-8", "replace") for line in lines)
