"""
The tables, one schema for both databases.

Migrations make them (`migrations/`); a test compares the two. Texts compare and sort by their UTF-8 bytes, in SQLite as
in PostgreSQL, whatever the language of the database is. Times are Unix seconds.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

# The migration that makes the schema as it stands below.
REVISION = "0001"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
_Text = Text().with_variant(Text(collation="C"), "postgresql")
# Only an INTEGER PRIMARY KEY is SQLite's own row number. Numbers aren't used again: a folder's entity tag rests on
# that.
_Id = BigInteger().with_variant(Integer(), "sqlite")

# A file or a folder. Without a parent: the top of a user's tree, or what a version stands for. `size` counts the bytes
# of a file or of all files below a folder, so what a user takes up is the size of the tree's top. `changes` counts the
# changes of a folder's direct members.
entries = Table(
    "entries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("parent", _Id, ForeignKey("entries.id")),
    Column("name", _Text, nullable=False),
    Column("folder", Boolean, nullable=False),
    Column("cap", _Text),
    Column("size", BigInteger, nullable=False),
    Column("content_type", _Text),
    Column("checksums", _Text),
    Column("created", Double, nullable=False),
    Column("modified", Double, nullable=False),
    Column("changes", BigInteger, nullable=False),
    UniqueConstraint("parent", "name"),
    sqlite_autoincrement=True,
)

# The top of each user's tree. Whoever changes anything in a tree holds this row.
trees = Table(
    "trees",
    metadata,
    Column("owner", _Text, primary_key=True),
    Column("root", _Id, ForeignKey("entries.id"), nullable=False, unique=True),
)

properties = Table(
    "properties",
    metadata,
    Column("entry", _Id, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("namespace", _Text, primary_key=True),
    Column("name", _Text, primary_key=True),
    Column("value", _Text, nullable=False),
)

# What the name in the folder stood for before. Without a folder it can't be reached any more, and waits for the purge.
versions = Table(
    "versions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("folder", _Id, ForeignKey("entries.id", ondelete="SET NULL")),
    Column("name", _Text, nullable=False),
    Column("entry", _Id, ForeignKey("entries.id"), nullable=False, unique=True),
    Column("replaced", Double, nullable=False),
    Index(None, "folder", "name"),
    Index(None, "replaced"),
    sqlite_autoincrement=True,
)

# `path` is in the owner's tree, names joined by slashes: a lock is on a place, and ends when what lies there goes away.
locks = Table(
    "locks",
    metadata,
    Column("token", _Text, primary_key=True),
    Column("owner", _Text, nullable=False),
    Column("path", _Text, nullable=False),
    Column("holder", _Text, nullable=False),
    Column("scope", _Text, nullable=False),
    Column("depth", _Text, nullable=False),
    Column("owner_xml", _Text),
    Column("seconds", Integer, nullable=False),
    Column("expires", Double, nullable=False),
    Index(None, "owner", "path"),
    Index(None, "holder"),
    Index(None, "expires"),
)

users = Table(
    "users",
    metadata,
    Column("name", _Text, primary_key=True),
    Column("password_hash", _Text),
    Column("created", Double, nullable=False),
    Column("quota", BigInteger),
    Column("disabled", Boolean, nullable=False),
)

# `below_path`: the names joined by slashes; None for no limit.
tokens = Table(
    "tokens",
    metadata,
    Column("id", _Text, primary_key=True),
    Column("user", _Text, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("label", _Text, nullable=False),
    Column("secret_hash", _Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("last_used", Double),
    Column("read_only", Boolean, nullable=False),
    Column("below_path", _Text),
)

shares = Table(
    "shares",
    metadata,
    Column("owner", _Text, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("with_user", _Text, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("name", _Text, primary_key=True),
    Column("folder", _Id, ForeignKey("entries.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("writable", Boolean, nullable=False),
    Index(None, "with_user"),
)
