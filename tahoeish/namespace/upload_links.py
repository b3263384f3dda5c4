"""Upload links: addresses to which whoever has one can bring files, and whom to tell when one has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ANY, Conditions
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content, Entry
from tahoeish.namespace.errors import LinkOver, NoSuchEntry, NoSuchLink, NoSuchUpload
from tahoeish.namespace.issuing import expect_user, in_base32, secret_hash
from tahoeish.namespace.names import LONGEST_NAME, Path, check_path
from tahoeish.namespace.schema import arrivals, hook_calls, upload_links, uploads, users
from tahoeish.namespace.viewer import Viewer

_ID_BYTES = 5
_SECRET_BYTES = 20


@dataclass(frozen=True, slots=True)
class Hook:
    """Where to tell that a file has come, and the secret that proves who tells it."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a link is good for; None for any number, or for ever. Times are Unix seconds."""

    expires: float | None = None
    max_size: int | None = None
    """Bytes of one file."""
    max_files: int | None = None
    content_types: tuple[str, ...] = ()
    """Patterns, of which one has to match; any type if there are none."""


@dataclass(frozen=True, slots=True)
class UploadLink:
    """The address itself is known only to whoever was given it."""

    id: str
    user: str
    folder: Path
    label: str
    created: float
    bounds: Bounds
    files: int
    """How many have come."""
    hook: Hook | None

    def expect_open(self, now: float) -> None:
        """Raises `LinkOver`."""
        if self.bounds.expires is not None and now >= self.bounds.expires:
            raise LinkOver("this link has expired; ask whoever gave it to you for another one")
        self.expect_more()

    def expect_more(self) -> None:
        """The same for a file that was begun before the link has expired."""
        if self.bounds.max_files is not None and self.files >= self.bounds.max_files:
            raise LinkOver("this link has been used as often as it may; ask whoever gave it to you for another one")

    @property
    def viewer(self) -> Viewer:
        """Who comes by it."""
        return Viewer(self.user, below=self.folder, by_link=True)


@dataclass(frozen=True, slots=True)
class HookCall:
    """Something that a hook is still to be told. `attempts` counts those that have failed."""

    id: int
    hook: Hook
    body: str
    attempts: int


class UploadLinks:
    """Every call is one transaction, and blocks."""

    def __init__(self, database: Database, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        """`clock`: Unix seconds."""
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    def create(
        self, user: str, folder: Path, bounds: Bounds, *, label: str = "", hook: Hook | None = None
    ) -> tuple[UploadLink, str]:
        """
        A new link and its secret, which nobody can tell later.

        Raises `NoSuchUser`, also for one who can't come in, and `BadName` for the folder, which needn't be there.
        """
        identity, secret = (in_base32(self._random_bytes(size)) for size in (_ID_BYTES, _SECRET_BYTES))
        link = UploadLink(identity, user, check_path(folder), label, self._clock(), bounds, 0, hook)

        def work(connection: Connection) -> None:
            expect_user(connection, user)
            connection.execute(
                insert(upload_links).values(
                    id=identity,
                    user=user,
                    folder="/".join(link.folder),
                    label=label,
                    secret_hash=secret_hash(secret),
                    created=link.created,
                    expires=bounds.expires,
                    max_size=bounds.max_size,
                    max_files=bounds.max_files,
                    files=0,
                    content_types=" ".join(bounds.content_types),
                    hook_url=hook and hook.url,
                    hook_secret=hook and hook.secret,
                )
            )

        self._database.write(work)
        return link, secret

    def find(self, secret: str) -> UploadLink:
        """One that is good now. Raises `NoSuchLink`, `LinkOver`."""
        link = self.look_up(secret)
        self.expect_open(link)
        return link

    def look_up(self, secret: str) -> UploadLink:
        """The same of one that may be over. Raises `NoSuchLink`."""
        return self._database.read(
            lambda connection: _find(connection, upload_links.c.secret_hash == secret_hash(secret))
        )

    def expect_open(self, link: UploadLink) -> None:
        """Raises `LinkOver`."""
        link.expect_open(self._clock())

    def of_user(self, user: str) -> list[UploadLink]:
        """The oldest first, also those that are over."""
        query = (
            select(upload_links).where(upload_links.c.user == user).order_by(upload_links.c.created, upload_links.c.id)
        )
        return self._database.read(lambda connection: [_link(row) for row in connection.execute(query)])

    def revoke(self, user: str, identity: str) -> None:
        """With all that its hook is still to be told. Raises `NoSuchLink`."""
        revoking = delete(upload_links).where(upload_links.c.user == user, upload_links.c.id == identity)

        def work(connection: Connection) -> None:
            if not connection.execute(revoking).rowcount:
                raise NoSuchLink

        self._database.write(work)

    def take_in(
        self,
        catalogue: Catalogue,
        identity: str,
        path: Path,
        content: Content,
        modified: float | None,
        told: Callable[[UploadLink, Entry], str],
        *,
        upload: str | None = None,
    ) -> str:
        """
        Let a file that has come by the link have a name in its folder, this one or one like it: nothing is replaced.
        Folders on its path are made. Gives the name.
        `told` says what its hook is to be told.

        `upload`: what it came by, if that can be completed again after a crash; then nothing is changed any more.
        Neither the content nor the name could tell that: anybody may bring the same, and the owner may move it away.
        Raises `NoSuchLink`, `LinkOver`, `NoSuchUpload`, and what `Catalogue.put` does.
        """

        def work(connection: Connection) -> str:
            this = upload_links.c.id == identity
            # First of all: in PostgreSQL, this holds the row until the end.
            connection.execute(select(upload_links.c.id).where(this).with_for_update())
            if upload is not None and (known := _arrived_as(connection, upload)) is not None:
                return known
            link = _find(connection, this)
            link.expect_more()
            entry = _put(catalogue.joining(connection), link, path, content, modified)
            if upload is not None:
                connection.execute(insert(arrivals).values(upload=upload, name=entry.name))
            connection.execute(update(upload_links).where(this).values(files=link.files + 1))
            if link.hook is not None:
                call = {"link": identity, "body": told(link, entry), "attempts": 0, "due": self._clock()}
                connection.execute(insert(hook_calls).values(call))
            return entry.name

        return self._database.write(work)

    # What hooks are told.

    def due_calls(self, limit: int = 100) -> list[HookCall]:
        """Those whose time has come, the oldest first."""
        query = (
            select(hook_calls, upload_links.c.hook_url, upload_links.c.hook_secret)
            .join(upload_links, upload_links.c.id == hook_calls.c.link)
            .where(hook_calls.c.due <= self._clock())
            .order_by(hook_calls.c.due, hook_calls.c.id)
            .limit(limit)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [HookCall(row.id, Hook(row.hook_url, row.hook_secret), row.body, row.attempts) for row in rows]

    def forget_call(self, call: HookCall) -> None:
        """It was told, or never will be."""
        forgetting = delete(hook_calls).where(hook_calls.c.id == call.id)
        self._database.write(lambda connection: connection.execute(forgetting).rowcount)

    def put_off_call(self, call: HookCall, seconds: float) -> None:
        """It is to be tried again in so many seconds."""
        later = (
            update(hook_calls)
            .where(hook_calls.c.id == call.id)
            .values(attempts=call.attempts + 1, due=self._clock() + seconds)
        )
        self._database.write(lambda connection: connection.execute(later).rowcount)


def names_like(name: str) -> Iterator[str]:
    """The name, and then others that tell the same: `a.txt`, `a (2).txt`, `a (3).txt`."""
    yield name
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    for number in count(2):
        tail = f" ({number}){dot}{ending}"
        shortened = stem.encode()[: LONGEST_NAME - len(tail.encode())].decode(errors="ignore")
        yield f"{shortened}{tail}"


def _arrived_as(connection: Connection, upload: str) -> str | None:
    """The name that the upload's file has got; None if it hasn't one yet. Raises `NoSuchUpload`."""
    query = select(arrivals.c.name).select_from(uploads.outerjoin(arrivals)).where(uploads.c.id == upload)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NoSuchUpload(upload)
    name: str | None = row.name
    return name


def _put(catalogue: Catalogue, link: UploadLink, brought: Path, content: Content, modified: float | None) -> Entry:
    folder = link.folder
    for name in brought[:-1]:
        folder = _folder_in(catalogue, link.viewer, folder, name)
    for candidate in names_like(brought[-1]):
        path = (*folder, candidate)
        try:
            catalogue.find(link.viewer, path)
        except NoSuchEntry:
            conditions = Conditions(if_none_match=(ANY,))
            return catalogue.put(link.viewer, path, content, modified=modified, conditions=conditions).entry
    raise AssertionError("there is always another name")


def _folder_in(catalogue: Catalogue, viewer: Viewer, above: Path, name: str) -> Path:
    """The one of this name, or of one like it where that is a file's; made if it isn't there."""
    for candidate in names_like(name):
        path = (*above, candidate)
        try:
            if catalogue.find(viewer, path).is_folder:
                return path
        except NoSuchEntry:
            catalogue.make_folder(viewer, path)
            return path
    raise AssertionError("there is always another name")


def _find(connection: Connection, which: ColumnElement[bool]) -> UploadLink:
    query = (
        select(upload_links).join(users, users.c.name == upload_links.c.user).where(which, users.c.disabled.is_(False))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NoSuchLink
    return _link(row)


def _link(row: Row[tuple[object, ...]]) -> UploadLink:
    bounds = Bounds(row.expires, row.max_size, row.max_files, tuple(row.content_types.split()))
    hook = Hook(row.hook_url, row.hook_secret) if row.hook_url else None
    folder = tuple(row.folder.split("/")) if row.folder else ()
    return UploadLink(row.id, row.user, folder, row.label, row.created, bounds, row.files, hook)
