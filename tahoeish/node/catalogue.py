"""Where a node's catalogue is."""

from __future__ import annotations

from pathlib import Path

from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.errors import CatalogueUnavailable, SchemaTooNew
from tahoeish.node.config import Config
from tahoeish.node.directory import NodeDirectoryError


def open_database(config: Config, path: Path) -> Database:
    """
    The database of the node in the folder `path`, its schema up to date. Blocks.

    Raises `NodeDirectoryError`.
    """
    try:
        return Database.open(config.catalogue.database or sqlite_url(path / "catalogue.sqlite"))
    except (CatalogueUnavailable, SchemaTooNew) as error:
        raise NodeDirectoryError(str(error)) from error
