"""litmus, the test suite for WebDAV servers: no failure, no warning, nothing skipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients_real.grids import GRIDS
from tests.clients_real.programs import finished, program, said
from tests.nodes import NOT_DURABLE, content_of

pytestmark = pytest.mark.clients

SUITES = ("basic", "copymove", "props", "locks", "http")
_SUMMARY = re.compile(r"<- summary for `(\w+)': of (\d+) tests run: (\d+) passed, 0 failed")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_all_suites_pass_without_a_warning(
    database: str, grid: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    litmus = program("litmus", "litmus")
    settings = dict(NOT_DURABLE)
    if database == "postgresql":
        server = request.getfixturevalue("postgresql")
        name = f"litmus_{list(GRIDS).index(grid)}"
        server.execute(f"CREATE DATABASE {name}")
        settings["catalogue"] = {"database": server.url(name)}

    with GRIDS[grid](tmp_path, settings) as node:
        done = finished([litmus, "-k", f"{node.url}/files/"], environment={"TESTS": " ".join(SUITES)}, cwd=tmp_path)

        assert done.returncode == 0, said(done)
        suites = {name: (run, passed) for name, run, passed in _SUMMARY.findall(said(done))}
        assert set(suites) == set(SUITES), said(done)
        assert all(run == passed for run, passed in suites.values())
        # A redrawn line of a test that warned has both in it.
        assert not re.search("warning|skipped", said(done), re.IGNORECASE), said(done)
        assert "Traceback" not in node.said

        # All that litmus stores is so little that it goes into the catalogue.
        content = content_of(300_000)
        assert node.request("PUT", "/files/larger", content).status == 201
        assert node.request("MOVE", "/files/larger", headers={"Destination": "/files/moved"}).status == 201
        assert node.get("/files/moved").body == content
