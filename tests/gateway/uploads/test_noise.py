"""Every dialect at a node that runs, with headers that nobody in their right mind would send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tahoeish.gateway.uploads.dialects import ietf, tus
from tests.gateway.uploads.watching import events
from tests.nodes import NodeProcess, RawClient, content_of, head

CONTENT = content_of(400_000)
DIALECTS = ["tus", "pieces", "3", "4", "5", "6", "7", "8", "final"]
OVER = {404, 410}

NAMES = ["Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Complete", "Upload-Incomplete", "Content-Range"]
NAMES += ["Upload-Draft-Interop-Version", "Content-Type", "Upload-Checksum", "Content-Digest", "Trailer"]
NAMES += ["X-HTTP-Method-Override", "Upload-Metadata", "Upload-Concat", "Upload-Defer-Length", "Content-Disposition"]
NAMES += [
    "Content-MD5",
    "Repr-Digest",
    "OC-Checksum",
    "If-Match",
    "X-Session-Id",
    "Content-Encoding",
    "Expect",
    "X-OC-Mtime",
]
VALUES = ["1.0.0", "0", "1", "10", "300", "?0", "?1", "3", "8", "bytes 0-9/20", "bytes */*", "bytes 0-9/*", "PATCH"]
VALUES += ["DELETE", "final;/uploads/x", "partial", "filename Zm9v", 'attachment; filename="a"', "gzip", "*", "-1"]
VALUES += [tus.CHUNK_TYPE, ietf.PARTIAL_UPLOAD, "application/octet-stream", "multipart/form-data; boundary=x"]
VALUES += ["sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha-256=:AAAA:", "Content-Digest", "SHA1:00", "9" * 30, "100-continue"]

written = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12).map(str.strip)
noise = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES) | written, max_size=3)

loud = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Step:
    """One request, and what is wrong with it."""

    method: str
    dialect: str
    size: int
    completes: bool
    breaks_off: bool
    noise: Mapping[str, str] = field(default_factory=dict)


steps = st.builds(
    Step,
    st.sampled_from(["PATCH", "PATCH", "PATCH", "HEAD", "POST", "PUT", "GET", "OPTIONS"]),
    st.sampled_from(DIALECTS),
    st.sampled_from([0, 1, 100, 150_000]),
    st.booleans(),
    st.sampled_from([False, False, True]),
    noise | st.just({}),
)


def creation(dialect: str) -> tuple[str, str, dict[str, str]]:
    """Method, target and headers; no content."""
    match dialect:
        case "tus":
            return "POST", "/uploads/", {"Tus-Resumable": "1.0.0", "Upload-Defer-Length": "1"}
        case "pieces":
            return "PATCH", "/uri", {"Content-Type": "application/octet-stream", "X-Session-Id": "noise"}
        case "final":
            return "PUT", "/uri", {"Upload-Complete": "?0"}
        case "3":
            return "PUT", "/uri", {"Upload-Incomplete": "?1", "Upload-Draft-Interop-Version": "3"}
    return "PUT", "/uri", {"Upload-Complete": "?0", "Upload-Draft-Interop-Version": dialect}


def sensible(step: Step, offset: int) -> dict[str, str]:
    """What a client in its right mind would send."""
    match step.dialect:
        case "tus":
            length = {"Upload-Length": str(offset + step.size)} if step.completes else {}
            return {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": tus.CHUNK_TYPE} | length
        case "pieces":
            total = str(offset + step.size) if step.completes else "*"
            return {"Content-Range": f"bytes {offset}-{offset + max(step.size, 1) - 1}/{total}"}
    _, _, headers = creation(step.dialect)
    flag = {"Upload-Incomplete": f"?{not step.completes:d}"} if step.dialect == "3" else {}
    flag = flag or {"Upload-Complete": f"?{step.completes:d}"}
    return headers | flag | {"Upload-Offset": str(offset), "Content-Type": ietf.PARTIAL_UPLOAD}


def sent(client: RawClient, step: Step, location: str, offset: int) -> int | None:
    """The answer's status; None for a request that broke off."""
    content = CONTENT[offset : offset + step.size]
    headers = {"Content-Length": str(len(content)), **sensible(step, offset), **step.noise}
    request = head(step.method, location, headers)
    if step.breaks_off and content:
        client.send(request + content[: len(content) // 2])
        client.reset()
        return None
    client.send(request + content)
    return client.answer(step.method).status


def finished_as(node: NodeProcess, location: str) -> bytes:
    """What a complete upload has become."""
    (cap,) = (event.data.get("cap") for event in events(node, location) if event.name == "end")
    return node.get(f"/uri/{cap}").body


@loud
@given(st.sampled_from(DIALECTS), st.lists(steps, max_size=8))
def test_no_noise_loses_what_was_acknowledged(node: NodeProcess, began_with: str, asked: list[Step]) -> None:
    method, target, headers = creation(began_with)
    location = node.request(method, target, b"", headers).headers["Location"]
    offset = late = 0
    for step in asked:
        with node.connect() as client:
            status = sent(client, step, location, offset)
        assert status != 500, node.said[-3000:]
        told = node.request("HEAD", location, headers={"Upload-Draft-Interop-Version": "8"})
        if told.status in OVER:
            break
        now = int(told.headers["Upload-Offset"])
        assert offset <= now <= offset + step.size + late
        # What came over a line that was cut may be read after the next connection's request.
        late += step.size if step.breaks_off else 0
        offset = now
        if told.headers["Upload-Complete"] == "?1":
            assert finished_as(node, location) == CONTENT[:offset]
    ending = node.request("DELETE", location, headers={"Upload-Draft-Interop-Version": "8"})
    assert ending.status == 204 or ending.status in OVER
    assert node.request("HEAD", location).status in OVER


@loud
@given(
    st.sampled_from(DIALECTS),
    st.sampled_from(["PUT", "POST", "PATCH", "OPTIONS"]),
    st.sampled_from(["/uri", "/files/noise", "/files/", "/uploads/"]),
    noise,
)
def test_no_noise_makes_an_upload_that_can_not_be_ended(
    node: NodeProcess, dialect: str, method: str, target: str, more: dict[str, str]
) -> None:
    _, _, headers = creation(dialect)
    with node.connect() as client:
        client.send(head(method, target, {"Content-Length": "10", **headers, **more}) + CONTENT[:10])
        while (answer := client.interim_or_final(method)).status < 200:
            assert answer.status in (100, 104)
    assert answer.status != 500, node.said[-3000:]
    location = answer.headers["Location"] or ""
    if location.startswith("/uploads/"):
        ended = node.request("DELETE", location, headers={"Upload-Draft-Interop-Version": "8"})
        assert ended.status == 204 or ended.status in OVER
