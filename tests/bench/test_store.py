"""How stores are asked, and what is told of their processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.http import OURS, Door
from bench.process import Process
from bench.store import Cost

BUSY_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    popen = subprocess.Popen([sys.executable, "-c", BUSY_CHILD], start_new_session=True)
    try:
        yield popen
    finally:
        Process(popen.pid).resume()
        for child in Path(f"/proc/{popen.pid}/task/{popen.pid}/children").read_text().split():
            subprocess.run(["kill", child], check=False)
        popen.wait(30)


def test_ours_names_a_file_by_its_cap() -> None:
    assert OURS.put_head(5, "body-1").startswith(b"PUT /uri HTTP/1.1\r\n")
    assert OURS.file("body-1", "URI:CHK:abc") == "URI:CHK:abc"
    assert OURS.get_head("URI:CHK:abc").startswith(b"GET /uri/URI%3ACHK%3Aabc HTTP/1.1\r\n")


def test_where_the_client_names_files_the_answer_doesn_t() -> None:
    door = Door("/files/{name}", "/files/{file}", ("X-Auth-Token: secret",))
    head = door.put_head(None, "body-1")
    assert head.startswith(b"PUT /files/body-1 HTTP/1.1\r\n")
    assert b"\r\nX-Auth-Token: secret\r\nTransfer-Encoding: chunked\r\n\r\n" in head
    assert door.file("body-1", "Created") == "body-1"


def test_the_client_s_time_isn_t_what_it_takes_to_serve() -> None:
    assert Cost(gateway=1, storage_nodes=2, client=4).served == 3


def test_what_a_process_has_started_counts_as_its_own_and_is_paused_with_it(parent: subprocess.Popen[bytes]) -> None:
    process = Process(parent.pid)
    # The parent only waits, so all this time is its child's.
    while process.processor_seconds() < 0.3:
        assert parent.poll() is None
    process.pause()
    while any(state != "T" for state in states(parent.pid)):
        pass
    before = process.processor_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(2_000_000))"], check=True)
    assert process.processor_seconds() == before


def states(pid: int) -> list[str]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[0] for each in (str(pid), *children)]
