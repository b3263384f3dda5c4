"""What a catalogue holds, in a form that tests compare; and what must be so at any time."""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import Connection, func, insert, select

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content
from tahoeish.namespace.names import Path
from tahoeish.namespace.schema import entries, trees, users, versions
from tahoeish.namespace.viewer import Viewer

ANN = Viewer("ann")
BOB = Viewer("bob")
CAROL = Viewer("carol")

# The cap of a file, or what is in a folder.
Tree: TypeAlias = "dict[str, str | Tree]"


def add_users(database: Database, *names: str) -> None:
    rows = [{"name": name, "password_hash": None, "created": 1.0, "disabled": False} for name in names]
    database.write(lambda connection: connection.execute(insert(users), rows))


def content(name: str, size: int = 100) -> Content:
    return Content(f"URI:CHK:{name}", size, "text/plain", (("SHA1", "ab"), ("MD5", "cd")))


def tree(catalogue: Catalogue, viewer: Viewer, path: Path = ()) -> Tree:
    """All that the viewer finds below a path. Pages are short, so that there are many."""
    found: Tree = {}
    after = None
    while page := catalogue.children(viewer, path, after, limit=3):
        for entry in page:
            assert entry.name not in found
            content = entry.content
            found[entry.name] = tree(catalogue, viewer, entry.path) if content is None else content.cap
        after = page[-1].name
    return found


def assert_sound(database: Database) -> None:
    """
    Every folder's size is that of its members, and every record is in a tree, or kept by a version.

    Except for folders that are being purged, and that nobody can reach.
    """
    database.read(_assert_sound)


def _assert_sound(connection: Connection) -> None:
    members = entries.alias()
    sums = (
        select(entries.c.id, entries.c.size, func.coalesce(func.sum(members.c.size), 0))
        .outerjoin(members, members.c.parent == entries.c.id)
        .where(entries.c.folder, entries.c.id.not_in(select(versions.c.entry).where(versions.c.folder.is_(None))))
        .group_by(entries.c.id, entries.c.size)
    )
    wrong = [tuple(row) for row in connection.execute(sums) if row[1] != row[2]]
    assert not wrong
    loose = select(entries.c.id).where(
        entries.c.parent.is_(None),
        entries.c.id.not_in(select(trees.c.root)),
        entries.c.id.not_in(select(versions.c.entry)),
    )
    assert connection.execute(loose).scalars().all() == []
