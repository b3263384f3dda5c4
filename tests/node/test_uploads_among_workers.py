"""Requests of one upload that reach different processes of a node."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from tests.nodes import NOT_DURABLE, Answer, NodeProcess, content_of, head, running

CONTENT = content_of(6_000_000)
PIECE = 500_000
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    settings = {**NOT_DURABLE, "gateway": {"workers": 2}}
    with running(tmp_path_factory.mktemp("crew") / "node", settings) as node:
        yield node
        assert node.stop() == 0 and "Traceback" not in node.said, node.said


def create(crew: NodeProcess) -> str:
    answer = crew.request("POST", "/uploads/", headers={**TUS, "Upload-Length": str(len(CONTENT))})
    return str(answer.headers["Location"])


def test_an_upload_goes_on_whoever_gets_its_next_piece(crew: NodeProcess) -> None:
    upload = create(crew)
    for start in range(0, len(CONTENT), PIECE):
        # A connection for each, so that any process may get it.
        answer = crew.request("PATCH", upload, CONTENT[start : start + PIECE], {**CHUNK, "Upload-Offset": str(start)})
        assert answer.status == 204, answer
        assert crew.request("HEAD", upload, headers=TUS).headers["Upload-Offset"] == str(start + PIECE)
    cap = quote(answer.headers["Tahoeish-Cap"], safe="")
    assert crew.get(f"/uri/{cap}").body == CONTENT


def offset_of(crew: NodeProcess, upload: str) -> int:
    answer = crew.request("HEAD", upload, headers=TUS)
    assert answer.status == 200, answer
    return int(answer.headers["Upload-Offset"])


def finished(crew: NodeProcess, upload: str) -> Answer:
    offset = offset_of(crew, upload)
    return crew.request("PATCH", upload, CONTENT[offset:], {**CHUNK, "Upload-Offset": str(offset)})


def test_a_connection_that_hangs_in_one_process_doesnt_hold_up_another(crew: NodeProcess) -> None:
    upload = create(crew)
    with ExitStack() as hanging:
        for _ in range(6):
            offset = offset_of(crew, upload)
            headers = {**CHUNK, "Upload-Offset": str(offset), "Content-Length": str(len(CONTENT) - offset)}
            client = hanging.enter_context(crew.connect())
            client.send(head("PATCH", upload, headers) + CONTENT[offset : offset + 300_000])
        # Heads that were on their way may be read later than those of newer requests, in the other process.
        while (last := finished(crew, upload)).status == 409:
            pass
    assert last.status == 204, last
    assert crew.get(f"/uri/{quote(last.headers['Tahoeish-Cap'], safe='')}").body == CONTENT


@pytest.mark.parametrize("dialect", ["tus", "ietf", "pieces"])
def test_whoever_asks_is_answered_though_another_process_is_asked_at_the_same_time(
    crew: NodeProcess, dialect: str
) -> None:
    if dialect == "pieces":
        answer = crew.request("PUT", "/uploads/", b"abc", {"Content-Range": "bytes 0-2/6", "X-Session-Id": "asked"})
        headers = {}
    else:
        headers = TUS if dialect == "tus" else {"Upload-Draft-Interop-Version": "8"}
        begun = {"Upload-Length": "6"} if dialect == "tus" else {"Upload-Complete": "?0"}
        answer = crew.request("POST", "/uploads/", headers={**headers, **begun})
    upload = str(answer.headers["Location"])

    def ask(_: int) -> int:
        return crew.request("HEAD", upload, headers=headers).status

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(ask, range(60))) <= {200, 204}
        ended = list(threads.map(lambda _: crew.request("DELETE", upload, headers=headers).status, range(6)))
    assert 204 in ended and set(ended) <= {204, 404, 410}


def test_chunks_that_reach_all_processes_at_once_are_put_in_order(crew: NodeProcess) -> None:
    there = "/remote.php/dav/uploads/local/among-workers"
    assert crew.request("MKCOL", there).status == 201

    def put(number: int) -> int:
        return crew.request("PUT", f"{there}/{number + 1:05}", CONTENT[number * PIECE : (number + 1) * PIECE]).status

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(put, range(len(CONTENT) // PIECE))) == {201}
    destination = "http://node/remote.php/dav/files/local/among-workers"
    assert crew.request("MOVE", f"{there}/.file", headers={"Destination": destination}).status == 201
    assert crew.get("/files/among-workers").body == CONTENT
