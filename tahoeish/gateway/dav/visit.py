"""One request to `/files`, understood as far as all methods need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, partial
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime

from tahoeish.gateway.dav.addresses import destination, hosts_of, path_of, tagged_path
from tahoeish.gateway.dav.aliases import expect_own, prefix_of
from tahoeish.gateway.dav.elements import MAX_BYTES
from tahoeish.gateway.dav.hrefs import PREFIX
from tahoeish.gateway.dav.if_header import parse_conditions
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.names import Path
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.together import Together

P = ParamSpec("P")
T = TypeVar("T")

_Call: TypeAlias = Callable[[Catalogue], Any]


@dataclass(frozen=True)
class FileOptions:
    """What an operator may decide about `/files`."""

    refuse: tuple[str, ...] = ()
    """Patterns, as those of a shell, of names that nothing new gets here."""
    propfind_limit: int = 10_000
    """How many entries a whole tree may have that is listed at once; 0 is for none."""
    public_names: tuple[str, ...] = ()
    """Host names by which clients know this server, beside the ones that they say."""


CONDITIONS = ("If", "If-Match", "If-None-Match", "If-Unmodified-Since")
"""Headers, in the order in which `parse_conditions` takes them."""

MOST_TOGETHER = 64
"""Questions, or changes, of which the first has to wait until the last has been seen to."""


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

    async def look(self, question: Callable[Concatenate[Catalogue, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what only looks and is quickly done, together with others. Many small files come so."""
        result: T = await self._looking(lambda catalogue: question(catalogue, *args, **kwargs))
        return result

    async def change(self, change: Callable[Concatenate[Catalogue, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what changes something."""
        result: T = await self._changing(lambda catalogue: change(catalogue, *args, **kwargs))
        return result

    @cached_property
    def _looking(self) -> Together[_Call]:
        return self._together(self.catalogue.look_together)

    @cached_property
    def _changing(self) -> Together[_Call]:
        return self._together(self.catalogue.change_together)

    def _together(self, make_calls: Callable[[Sequence[_Call]], list[Any]]) -> Together[_Call]:
        if self.catalogue.one_writer:
            return Together(self.run_in_thread, make_calls, most=MOST_TOGETHER, at_once=1)
        # With a writer for each connection, as PostgreSQL has, nobody needs to wait for others' work.
        return Together(self.run_in_thread, make_calls, most=1, at_once=MOST_TOGETHER)


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
    prefix: str = PREFIX
    """By what its client gets to the files."""
    max_size: int = 0
    """The most bytes of a file that it may bring, beside what is taken here at all; 0 for no such bound."""

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
        expect_own(urlsplit(header.strip()).path, self.viewer)
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
        *(_header(request, name) for name in CONDITIONS),
        path_of=lambda address: tagged_path(address, hosts),
    )
    prefix = prefix_of((request.path or b"").decode("latin-1")) or PREFIX
    return Visit(request, body, viewer, path_of(request), hosts, conditions, options, prefix)


def _header(request: StreamingRequest, name: str) -> str | None:
    lines = request.requestHeaders.getRawHeaders(name.encode())
    if lines is None:
        return None
    # The lists in If have no commas between them. Clients that send anything else than ASCII mean UTF-8.
    return (" " if name == "If" else ", ").join(line.decode("utf-8", "replace") for line in lines)
