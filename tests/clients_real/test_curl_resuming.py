"""curl, with which every version of the resumable uploads can be spoken by hand: cut in the middle, gone on with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.nodes import NodeProcess, content_of, curl

pytestmark = pytest.mark.clients

CONTENT = content_of(6_000_000)


def flag(version: int | None, *, complete: bool) -> list[str]:
    """The header that says whether this is the end, and the one with the version; None is the form without one."""
    if version == 3:
        return ["-H", f"Upload-Incomplete: ?{not complete:d}", "-H", "Upload-Draft-Interop-Version: 3"]
    stamp = [] if version is None else ["-H", f"Upload-Draft-Interop-Version: {version}"]
    return ["-H", f"Upload-Complete: ?{complete:d}", *stamp]


def told(wire: str, name: str) -> str:
    """A header of the last answer that has it."""
    return str(re.findall(rf"^< {name}: (.*?)\r?$", wire, re.MULTILINE)[-1])


@pytest.mark.parametrize("version", [3, 4, 5, 6, 7, 8])
def test_an_upload_that_curl_gives_up_is_gone_on_with(node: NodeProcess, tmp_path: Path, version: int) -> None:
    file, rest = tmp_path / "file", tmp_path / "rest"
    file.write_bytes(CONTENT)
    target = f"{node.url}/files/curl-{version}"
    cut = curl("-T", str(file), "--limit-rate", "2M", "--max-time", "1", *flag(version, complete=True), target)
    assert cut.status == 28, "curl has had no time to bring all of it"
    assert "< HTTP/1.1 104" in cut.wire
    location = node.url + told(cut.wire, "Location")

    asked = curl("-I", *flag(version, complete=False)[-2:], location)
    offset = int(told(asked.wire, "Upload-Offset"))
    assert 0 < offset < len(CONTENT)
    rest.write_bytes(CONTENT[offset:])
    partial = ["-H", "Content-Type: application/partial-upload", "-H", f"Upload-Offset: {offset}"]
    done = curl("-X", "PATCH", "-T", str(rest), *partial, *flag(version, complete=True), location)
    assert "< HTTP/1.1 201" in done.wire, done.wire
    assert node.get(f"/files/curl-{version}").body == CONTENT


@pytest.mark.parametrize("version", [3, 4, 5, 6, 7, 8, None])
def test_a_careful_creation_and_a_stream(node: NodeProcess, version: int | None) -> None:
    target = f"{node.url}/files/careful-{version}"
    created = curl("-X", "POST", *flag(version, complete=False), "-H", "Content-Length: 0", target)
    assert "< HTTP/1.1 201" in created.wire
    location = node.url + told(created.wire, "Location")
    partial = ["-X", "PATCH", "-T", "-", "-H", "Content-Type: application/partial-upload"]
    half = len(CONTENT) // 2
    first = curl(*partial, "-H", "Upload-Offset: 0", *flag(version, complete=False), location, stdin=CONTENT[:half])
    assert told(first.wire, "Upload-Offset") == str(half)
    second = curl(
        *partial, "-H", f"Upload-Offset: {half}", *flag(version, complete=True), location, stdin=CONTENT[half:]
    )
    assert "< HTTP/1.1 201" in second.wire
    assert node.get(f"/files/careful-{version}").body == CONTENT


def test_pieces_by_their_ranges(node: NodeProcess) -> None:
    target, size = f"{node.url}/files/ranges", 2_500_000
    for first in range(0, len(CONTENT), size):
        content = CONTENT[first : first + size]
        reach = f"Content-Range: bytes {first}-{first + len(content) - 1}/{len(CONTENT)}"
        done = curl("-T", "-", "-H", reach, "-w", "%{http_code}", target, stdin=content)
        assert done.output == (b"201" if first + size >= len(CONTENT) else b"202")
    assert node.get("/files/ranges").body == CONTENT


def test_a_form_in_pieces(node: NodeProcess, tmp_path: Path) -> None:
    piece = tmp_path / "form.bin"
    half = len(CONTENT) // 2
    for first, content, status in ((0, CONTENT[:half], b"202"), (half, CONTENT[half:], b"201")):
        piece.write_bytes(content)
        reach = f"Content-Range: bytes {first}-{first + len(content) - 1}/{len(CONTENT)}"
        done = curl("-F", f"files[]=@{piece}", "-H", reach, "-w", "%{http_code}", f"{node.url}/files/")
        assert done.output == status
    assert node.get("/files/form.bin").body == CONTENT
