"""
The tables, one schema for both databases.

Migrations make them (`migrations/`); a test compares the two. Times are Unix seconds.
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
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    false,
)

from tahoeish.namespace.column_types import ROW_ID, TEXT

# The migration that makes the schema as it stands below.
REVISION = "0006"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
# A file or a folder. Without a parent: the top of a user's tree, or what a version stands for. `size` counts the bytes
# of a file or of all files below a folder, so what a user takes up is the size of the tree's top. `changes` counts the
# changes of a folder's direct members. Numbers aren't used again: a folder's entity tag rests on that.
entries = Table(
    "entries",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("parent", ROW_ID, ForeignKey("entries.id")),
    Column("name", TEXT, nullable=False),
    Column("folder", Boolean, nullable=False),
    Column("cap", TEXT),
    Column("size", BigInteger, nullable=False),
    Column("content_type", TEXT),
    Column("checksums", TEXT),
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
    Column("owner", TEXT, primary_key=True),
    Column("root", ROW_ID, ForeignKey("entries.id"), nullable=False, unique=True),
)

properties = Table(
    "properties",
    metadata,
    Column("entry", ROW_ID, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("namespace", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

# What the name in the folder stood for before. Without a folder it can't be reached any more, and waits for the purge.
versions = Table(
    "versions",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("folder", ROW_ID, ForeignKey("entries.id", ondelete="SET NULL")),
    Column("name", TEXT, nullable=False),
    Column("entry", ROW_ID, ForeignKey("entries.id"), nullable=False, unique=True),
    Column("replaced", Double, nullable=False),
    Index(None, "folder", "name"),
    Index(None, "replaced"),
    sqlite_autoincrement=True,
)

# `path` is in the owner's tree, names joined by slashes: a lock is on a place, and ends when what lies there goes away.
locks = Table(
    "locks",
    metadata,
    Column("token", TEXT, primary_key=True),
    Column("owner", TEXT, nullable=False),
    Column("path", TEXT, nullable=False),
    Column("holder", TEXT, nullable=False),
    Column("scope", TEXT, nullable=False),
    Column("depth", TEXT, nullable=False),
    Column("owner_xml", TEXT),
    Column("seconds", Integer, nullable=False),
    Column("expires", Double, nullable=False),
    Index(None, "owner", "path"),
    Index(None, "holder"),
    Index(None, "expires"),
)

users = Table(
    "users",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("password_hash", TEXT),
    Column("created", Double, nullable=False),
    Column("quota", BigInteger),
    Column("disabled", Boolean, nullable=False),
    Column("operator", Boolean, nullable=False, server_default=false()),
)

# `below_path`: the names joined by slashes; None for no limit.
tokens = Table(
    "tokens",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("user", TEXT, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("label", TEXT, nullable=False),
    Column("secret_hash", TEXT, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("last_used", Double),
    Column("read_only", Boolean, nullable=False),
    Column("below_path", TEXT),
)

shares = Table(
    "shares",
    metadata,
    Column("owner", TEXT, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("with_user", TEXT, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("folder", ROW_ID, ForeignKey("entries.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("writable", Boolean, nullable=False),
    Index(None, "with_user"),
)

# What signs addresses. Unlike a token's secret it has to be kept as it is: whoever checks a signature makes it again.
url_keys = Table(
    "url_keys",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("user", TEXT, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("below_path", TEXT),
    Column("secret", TEXT, nullable=False),
    Column("created", Double, nullable=False),
)

# `folder`: its names joined by slashes. `content_types`: patterns with spaces between. `files`: how many have come.
upload_links = Table(
    "upload_links",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("user", TEXT, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("folder", TEXT, nullable=False),
    Column("label", TEXT, nullable=False),
    Column("secret_hash", TEXT, nullable=False, unique=True),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("max_size", BigInteger),
    Column("max_files", BigInteger),
    Column("files", BigInteger, nullable=False),
    Column("content_types", TEXT, nullable=False),
    Column("hook_url", TEXT),
    Column("hook_secret", TEXT),
)

# What a web hook is still to be told.
hook_calls = Table(
    "hook_calls",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("link", TEXT, ForeignKey("upload_links.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("body", TEXT, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Double, nullable=False, index=True),
    sqlite_autoincrement=True,
)

# The owner is `local` as long as there are no users. What is large comes last: SQLite reads a row from its beginning.
uploads = Table(
    "uploads",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("owner", TEXT, nullable=False),
    Column("key", TEXT),
    Column("dialect", TEXT, nullable=False),
    Column("target", TEXT, nullable=False),
    Column("notes", TEXT, nullable=False),
    Column("created", Double, nullable=False),
    Column("deadline", Double),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger),
    Column("phase", TEXT, nullable=False),
    Column("shares", TEXT),
    Column("segments", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("encoder", LargeBinary),
    Column("answer", LargeBinary),
    Column("tail", LargeBinary, nullable=False),
    UniqueConstraint("owner", "key"),
    Index(None, "deadline"),
)

# What an upload that came by a link is called as a file. It is forgotten with the upload, as nobody can complete that
# again then.
arrivals = Table(
    "arrivals",
    metadata,
    Column("upload", TEXT, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("name", TEXT, nullable=False),
)

# Hashes of segments, which only get more. Each row has those of the segments from its first to the next row's.
upload_records = Table(
    "upload_records",
    metadata,
    Column("upload", TEXT, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("first_segment", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
