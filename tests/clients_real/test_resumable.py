"""Programs that resume uploads, over lines that break and to a node that is killed: the file is the one they sent."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.clients_real.cutting import cutting
from tests.clients_real.installation import javascript_clients, python_clients
from tests.clients_real.programs import run
from tests.nodes import NodeProcess, content_of

pytestmark = pytest.mark.clients

SIZE = 30_000_000
CONTENT = content_of(SIZE)
CUTS = (4_000_000, 9_000_000, 5_500_000)
PIECE = 4 * 1024 * 1024

Upload = Callable[[str, Path], str]
"""Sends a file to a node at this address; gives the path of the upload."""


def with_javascript(options: dict[str, object], place: str = "/uploads/") -> Upload:
    def upload(url: str, file: Path) -> str:
        script = Path(__file__).with_name("tus_upload.js")
        said = run("node", script, javascript_clients(), url + place, file, json.dumps(options))
        return urlsplit(said.strip().splitlines()[-1]).path

    return upload


def with_python(**options: object) -> Upload:
    def upload(url: str, file: Path) -> str:
        code = (
            "import json, sys; from tusclient.client import TusClient;"
            "url, file, options = sys.argv[1:];"
            "uploader = TusClient(url).uploader(file, retries=60, retry_delay=0.25, **json.loads(options));"
            "uploader.upload(); print(uploader.url)"
        )
        said = run(python_clients() / "python", "-c", code, url + "/uploads/", file, json.dumps(options))
        return urlsplit(said.strip().splitlines()[-1]).path

    return upload


CLIENTS = {
    "tus-js-client": with_javascript({}),
    "tus-js-client, in pieces": with_javascript({"chunkSize": PIECE}),
    "tus-js-client, data with the creation": with_javascript({"chunkSize": PIECE, "uploadDataDuringCreation": True}),
    "tus-js-client, length unknown": with_javascript(
        {"chunkSize": PIECE, "uploadLengthDeferred": True, "uploadSize": None}
    ),
    "tus-js-client, IETF draft 03": with_javascript({"protocol": "ietf-draft-03", "chunkSize": PIECE}),
    "tus-js-client, IETF draft 05": with_javascript({"protocol": "ietf-draft-05", "chunkSize": PIECE}),
    "tuspy": with_python(chunk_size=PIECE),
    "tuspy, with checksums": with_python(chunk_size=PIECE, upload_checksum=True),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("name", CLIENTS)
def test_an_upload_over_a_bad_line(node: NodeProcess, file: Path, name: str) -> None:
    with cutting(lambda: node.url, CUTS) as line:
        upload = CLIENTS[name](line.url, file)
        assert line.left == 0
    assert stored(node, upload) == CONTENT


@pytest.mark.parametrize("name", ["tus-js-client", "tus-js-client, IETF draft 05", "tuspy"])
def test_an_upload_to_a_node_that_is_killed(new_node: NodeProcess, file: Path, name: str) -> None:
    def kill() -> None:
        new_node.stop(signal.SIGKILL)
        new_node.start()

    new_node.start()
    with cutting(lambda: new_node.url, CUTS, then=kill) as line:
        upload = CLIENTS[name](line.url, file)
    assert stored(new_node, upload) == CONTENT
    assert "Traceback" not in new_node.said, new_node.said


def test_parts_that_are_sent_at_once(node: NodeProcess, file: Path) -> None:
    upload = with_javascript({"parallelUploads": 3})(node.url, file)
    assert stored(node, upload) == CONTENT


def stored(node: NodeProcess, upload: str) -> bytes:
    """Of what is complete, the upload's address tells the cap."""
    answer = node.request("HEAD", upload, headers={"Tus-Resumable": "1.0.0"})
    assert answer.status == 200 and answer.headers["Upload-Offset"] == str(SIZE), answer
    return node.get(f"/uri/{quote(answer.headers['Tahoeish-Cap'], safe='')}").body
