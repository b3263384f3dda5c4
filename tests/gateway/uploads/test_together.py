"""A session with its dialects on top: whatever clients send, in whatever order, each request gets a sensible answer."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.uploads.asked import Answer, Asked, Fields, Limits, Options, UploadRefused
from tahoeish.gateway.uploads.decisions import (
    Begin,
    Cancelled,
    Continue,
    Decision,
    Discard,
    Finish,
    Forget,
    Refuse,
    Replay,
    RollBack,
    Tell,
)
from tahoeish.gateway.uploads.dialects import ietf, pieces, tus
from tahoeish.gateway.uploads.dialects.ietf import Dialect
from tahoeish.gateway.uploads.session import Phase, Session

CONTENT = bytes(range(256))
LIMITS = Limits(max_size=200)
FINAL_ANSWER = b"201"


class Upload:
    """One client after the other, with a body that may break off; segments of ten bytes are safe, and the tail is."""

    def __init__(self) -> None:
        self.session = Session(LIMITS)
        self.stored = bytearray()
        self.requests = 0
        self.acknowledged = 0

    def respond(self, method: str, fields: Fields, body: bytes, *, breaks_off: bool) -> int | None:
        """The status; None for a client that is gone before its answer."""
        length = None if fields.get("transfer-encoding") else len(body)
        try:
            dialect, asked = self.read(method, fields, length)
        except UploadRefused as refused:
            return refused.status
        if isinstance(asked, Options):
            return 204
        self.requests += 1
        decisions = self.session.ask(self.requests, asked)
        answer = None
        while decisions:
            decision = decisions.pop(0)
            if isinstance(decision, Begin):
                decisions += self.bring(decision, body, breaks_off)
            elif isinstance(decision, Finish):
                assert decision.length == len(self.stored)
                assert self.stored == CONTENT[: decision.length]
                decisions += self.session.finished(FINAL_ANSWER)
            elif not isinstance(decision, RollBack | Discard | Forget):
                assert answer is None
                answer = self.answer(dialect, decision)
        return None if answer is None else answer.status

    def read(self, method: str, fields: Fields, length: int | None) -> tuple[Dialect | str, Asked | Options]:
        if tus.speaks(fields):
            return "tus", tus.read_upload(method, fields, length)
        if pieces.is_piece(fields):
            return "pieces", pieces.read_piece(fields, length)
        dialect = ietf.dialect_of(fields) or ietf.FINAL
        return dialect, ietf.read_upload(dialect, method, fields, length)

    def bring(self, begin: Begin, body: bytes, breaks_off: bool) -> list[Decision]:
        assert begin.offset == self.session.offset == len(self.stored)
        if begin.most is not None and len(body) > begin.most:
            return self.session.exceeded(begin.request)
        taken = body[: len(body) // 2] if breaks_off else body
        self.session.received_more(len(taken))
        if begin.verified and breaks_off:
            return self.session.ended(begin.request, whole=False)
        self.stored += taken
        self.session.stored(len(self.stored))
        return self.session.ended(begin.request, whole=not breaks_off)

    def answer(self, dialect: Dialect | str, decision: Decision) -> Answer | UploadRefused:
        match decision:
            case Tell(_, offset) | Continue(_, offset) | Refuse(_, _, offset):
                assert offset >= self.acknowledged
                assert offset == len(self.stored)
                self.acknowledged = offset
        match decision, dialect:
            case Replay(), _:
                return Answer(201)
            case Cancelled(), _:
                return tus.cancelled()
            case Tell(), "tus":
                return tus.told(decision, "", "", None)
            case Tell(), "pieces":
                return pieces.told(decision)
            case Tell(), Dialect():
                return ietf.told(dialect, decision, LIMITS)
            case Continue(), "tus":
                return tus.continued(decision, None)
            case Continue(), "pieces":
                return pieces.continued(decision)
            case Continue(), Dialect():
                return ietf.continued(dialect, decision, LIMITS)
            case Refuse(), "tus":
                return tus.refusal(decision)
            case Refuse(), "pieces":
                return pieces.refusal(decision)
            case Refuse(), Dialect():
                return ietf.refusal(dialect, decision, LIMITS)
        raise AssertionError(decision)


def right_fields(dialect: str, offset: int, size: int, completes: bool) -> dict[str, str]:
    """What a client of ours would send."""
    match dialect:
        case "tus":
            length = {"upload-length": str(offset + size)} if completes else {}
            content_type = {"content-type": tus.CHUNK_TYPE}
            return {"tus-resumable": "1.0.0", "upload-offset": str(offset)} | content_type | length
        case "pieces":
            total = str(offset + size) if completes else "*"
            return {"content-range": f"bytes {offset}-{offset + size - 1}/{total}"}
    flag = {"upload-incomplete": f"?{not completes:d}"} if dialect == "3" else {"upload-complete": f"?{completes:d}"}
    version = {} if dialect == "final" else {"upload-draft-interop-version": dialect}
    return flag | version | {"upload-offset": str(offset), "content-type": ietf.PARTIAL_UPLOAD}


NAMES = ["tus-resumable", "upload-offset", "upload-length", "upload-complete", "upload-incomplete", "content-range"]
NAMES += ["upload-draft-interop-version", "content-type", "upload-checksum", "content-digest", "trailer"]
NAMES += ["transfer-encoding", "x-http-method-override"]
VALUES = ["1.0.0", "0", "10", "300", "?0", "?1", "3", "8", "bytes 0-9/20", "bytes */*", "chunked", "PATCH", "DELETE"]
VALUES += [tus.CHUNK_TYPE, ietf.PARTIAL_UPLOAD, "upload-checksum", "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="]

requests = st.tuples(
    st.sampled_from(["PATCH", "PATCH", "PATCH", "PATCH", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
    st.sampled_from(["tus", "pieces", "3", "4", "5", "6", "7", "8", "final"]),
    st.integers(1, 90),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, True]),
    st.none() | st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=12), max_size=3),
)


@settings(deadline=None)
@given(st.lists(requests, max_size=15))
def test_no_request_is_answered_with_nonsense(
    asked: list[tuple[str, str, int, bool, bool, dict[str, str] | None]],
) -> None:
    upload = Upload()
    for method, dialect, size, completes, breaks_off, noise in asked:
        offset = upload.session.offset
        fields = right_fields(dialect, offset, size, completes) | (noise or {})
        before = upload.session.phase
        status = upload.respond(method, fields, CONTENT[offset : offset + size], breaks_off=breaks_off)
        if status is None:
            assert breaks_off
        else:
            assert status in {200, 201, 202, 204, 400, 405, 409, 410, 412, 413, 415, 460}
        if method == "PATCH" and not noise and not breaks_off and before is Phase.OPEN and offset + size <= 200:
            known = upload.session.length
            assert status in {201, 202, 204} or known not in (None, offset + size)
    with suppress(UploadRefused):
        assert upload.respond("DELETE", {"tus-resumable": "1.0.0"}, b"", breaks_off=False) in {204, 410}


def test_three_clients_bring_one_file() -> None:
    upload = Upload()
    for dialect, size, completes, status in (("tus", 50, False, 204), ("8", 30, False, 204), ("pieces", 20, True, 201)):
        offset = upload.session.offset
        fields = right_fields(dialect, offset, size, completes)
        assert upload.respond("PATCH", fields, CONTENT[offset : offset + size], breaks_off=False) == status
    assert upload.stored == CONTENT[:100]


def test_a_tus_client_comes_through_a_bad_line() -> None:
    upload = Upload()
    sent = 0
    while upload.session.phase is Phase.OPEN:
        offset = upload.session.offset
        fields = right_fields("tus", offset, 200 - offset, completes=True)
        sent += 200 - offset
        upload.respond("PATCH", fields, CONTENT[offset:200], breaks_off=sent < 390)
    assert upload.stored == CONTENT[:200]
