"""Files that get their names at the end of an upload over several requests, perhaps more than once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.gateway.dav.naming import NameTarget
from tahoeish.gateway.dav.visit import Names
from tahoeish.grid.upload import Uploaded
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ANY, Conditions
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.errors import ConditionFailed
from tahoeish.namespace.viewer import LOCAL, Viewer
from tahoeish.streams.threads import direct
from tests.grid.gridtools import failure_of, succeeded
from tests.namespace.conftest import Clock as Time

OWNER = Viewer(LOCAL)
STORED = Uploaded(ReadCap(bytes(16), bytes(32), 3, 10, 1000))


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    database = Database.open(sqlite_url(tmp_path / "catalogue.sqlite"))
    try:
        yield Names(Catalogue(database, Time()), direct, Time(), Clock(), 60.0)
    finally:
        database.close()


def target(names: Names) -> NameTarget:
    return NameTarget(names, OWNER, ("a",), None, None, Conditions(if_none_match=(ANY,)), ())


def test_what_got_its_name_before_a_crash_keeps_it(names: Names) -> None:
    once = succeeded(target(names).complete(STORED))
    again = succeeded(target(names).complete(STORED))
    assert once.status == again.status == 201 and once.headers == again.headers
    assert succeeded(names.ask(Catalogue.versions, OWNER, ("a",))) == []


def test_what_has_the_name_for_another_reason_stays(names: Names) -> None:
    small = Uploaded(LiteralCap(b"abc"))
    succeeded(target(names).complete(small))
    # The cap of what is so small is the same for everybody who has it.
    for uploaded in (small, STORED):
        assert type(failure_of(target(names).complete(uploaded))) is ConditionFailed
