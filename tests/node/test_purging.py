"""What was replaced too long ago goes away by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import CatalogueUnavailable
from tahoeish.namespace.viewer import LOCAL, Viewer
from tahoeish.node.purging import REST_SECONDS, STEP_SECONDS, Purging
from tahoeish.streams.threads import direct

VIEWER = Viewer(LOCAL)
KEPT = 100.0


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(1_000_000)
    return clock


@pytest.fixture
def catalogue(tmp_path: Path, clock: Clock) -> Iterator[Catalogue]:
    database = Database.open(sqlite_url(tmp_path / "catalogue.sqlite"))
    yield Catalogue(database, clock.seconds)
    database.close()


@pytest.fixture
def purging(catalogue: Catalogue, clock: Clock) -> Purging:
    return Purging(catalogue, KEPT, run_in_thread=direct, clock=clock, now=clock.seconds)


def versions(catalogue: Catalogue) -> int:
    return len(catalogue.versions(VIEWER, ("file",)))


@pytest_twisted.ensureDeferred
async def test_versions_are_kept_for_as_long_as_is_said(catalogue: Catalogue, clock: Clock, purging: Purging) -> None:
    catalogue.put(VIEWER, ("file",), Content("URI:LIT:me", 1))
    catalogue.put(VIEWER, ("file",), Content("URI:LIT:mi", 1))
    purging.start()
    clock.advance(STEP_SECONDS)
    assert versions(catalogue) == 1

    clock.advance(max(KEPT, REST_SECONDS) + STEP_SECONDS)
    clock.advance(STEP_SECONDS)

    assert versions(catalogue) == 0
    assert catalogue.find(VIEWER, ("file",)).content == Content("URI:LIT:mi", 1)
    await purging.stop()
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_away_is_asked_again_later(
    catalogue: Catalogue, clock: Clock, purging: Purging, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.put(VIEWER, ("file",), Content("URI:LIT:me", 1))
    catalogue.remove(VIEWER, ("file",))
    clock.advance(KEPT + 1)
    purge, failures = catalogue.purge, iter([True])

    def away_once(older_than: float, limit: int = 1000) -> int:
        if next(failures, False):
            raise CatalogueUnavailable("the catalogue's database: connection refused")
        return purge(older_than, limit)

    monkeypatch.setattr(catalogue, "purge", away_once)
    purging.start()
    clock.advance(STEP_SECONDS)
    assert versions(catalogue) == 1
    clock.advance(REST_SECONDS + STEP_SECONDS)
    assert versions(catalogue) == 0
    await purging.stop()
