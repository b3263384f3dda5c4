"""Bringing the schema up to date when a database is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from tahoeish.namespace import schema
from tahoeish.namespace.errors import SchemaTooNew

_MIGRATIONS = Path(__file__).parent / "migrations"

# Any number, so long as everybody takes the same.
_POSTGRESQL_LOCK = 0x7461686F65697368


def bring_up_to_date(engine: Engine) -> None:
    """
    All migrations that are missing, in one transaction. If another process is at it, wait until it is done.

    SQLite's transactions exclude each other from their beginning; in PostgreSQL it takes a lock.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})
        revision = current_revision(connection)
        if revision != schema.REVISION:
            _migrate(connection, revision)


def current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision


def _migrate(connection: Connection, revision: str | None) -> None:
    # Alembic takes a while to import, and a start without anything to migrate doesn't need it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaTooNew(
            f"the catalogue's database has the schema {revision}, and this release knows only those up to "
            f"{schema.REVISION}: a newer release has used it; run that one, or restore the database from a backup"
        )
    command.upgrade(config, "head")
