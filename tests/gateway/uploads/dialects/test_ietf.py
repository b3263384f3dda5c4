"""The IETF's resumable uploads, in the versions that clients speak."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.uploads.asked import Append, Cancel, Create, Fields, Limits, Options, Query, UploadRefused
from tahoeish.gateway.uploads.decisions import Continue, Reason, Refuse, Tell
from tahoeish.gateway.uploads.dialects import ietf
from tahoeish.gateway.uploads.dialects.ietf import Dialect

LIMITS = Limits(max_size=1000, min_append_size=5, max_age=60)
PARTIAL = {"content-type": "application/partial-upload"}
every_version = pytest.mark.parametrize("version", [3, 4, 5, 6, 7, 8, None])


def fields_of(version: int | None, *, completes: bool) -> dict[str, str]:
    if version is None:
        return {"upload-complete": f"?{completes:d}"}
    interop = {"upload-draft-interop-version": str(version)}
    return interop | (
        {"upload-incomplete": f"?{not completes:d}"} if version == 3 else {"upload-complete": f"?{completes:d}"}
    )


@every_version
@pytest.mark.parametrize("completes", [True, False])
def test_a_creation_in_every_version(version: int | None, completes: bool) -> None:
    read = ietf.read_creation(fields_of(version, completes=completes) | {"content-type": "image/png"}, None)
    assert read == (Dialect(version), Create(None, completes, None))
    assert Dialect(version).announces == (version is not None)


def test_the_length_is_said_or_follows() -> None:
    def length_of(fields: Fields, content_length: int | None) -> int | None:
        read = ietf.read_creation(fields, content_length)
        assert read is not None
        return read[1].length

    assert length_of({"upload-complete": "?1"}, 9) == 9
    assert length_of({"upload-complete": "?1"}, None) is None
    assert length_of({"upload-complete": "?0"}, 9) is None
    assert length_of({"upload-complete": "?0", "upload-length": "100"}, 9) == 100
    assert length_of({"upload-complete": "?0", "upload-length": "x"}, 9) is None


@pytest.mark.parametrize("fields", [{"upload-complete": "?1"}, {"upload-complete": "?0"}])
def test_lengths_that_contradict_each_other_are_a_problem_of_a_known_type(fields: dict[str, str]) -> None:
    with pytest.raises(UploadRefused) as caught:
        ietf.read_creation(fields | {"upload-length": "5"}, 9)
    assert (caught.value.status, caught.value.problem_type) == (400, ietf.INCONSISTENT_LENGTH)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"upload-complete": "yes"},
        {"upload-complete": "?1", "upload-draft-interop-version": "9"},
        {"upload-complete": "?1", "upload-draft-interop-version": "2"},
        {"upload-complete": "?1", "upload-draft-interop-version": "eight"},
        {"upload-draft-interop-version": "8"},
        {"upload-incomplete": "?0"},
    ],
)
def test_everything_else_is_an_ordinary_upload(fields: dict[str, str]) -> None:
    assert ietf.read_creation(fields, 9) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"upload-complete": "?0", "upload-draft-interop-version": "9"},
        {"upload-incomplete": "?1", "upload-draft-interop-version": "2"},
        {"upload-incomplete": "?1"},
        {"upload-incomplete": "?1", "upload-draft-interop-version": "8"},
    ],
)
def test_but_part_of_a_file_is_never_taken_for_the_whole(fields: dict[str, str]) -> None:
    with pytest.raises(UploadRefused, match="part of a file") as caught:
        ietf.read_creation(fields, 9)
    assert caught.value.status == 400


@every_version
def test_an_append_in_every_version(version: int | None) -> None:
    dialect = Dialect(version)
    fields = fields_of(version, completes=True) | {"upload-offset": "5"}
    assert ietf.dialect_of(fields) == dialect
    expected = Append(5, completes=True, content_length=7, excess_is_fatal=True)
    assert ietf.read_upload(dialect, "PATCH", fields | PARTIAL, 7) == expected
    if version is not None and version < 6:
        assert ietf.read_upload(dialect, "PATCH", fields, 7) == expected
    else:
        with pytest.raises(UploadRefused) as caught:
            ietf.read_upload(dialect, "PATCH", fields, 7)
        assert caught.value.status == 415


def test_other_requests() -> None:
    for method, asked in (("HEAD", Query()), ("GET", Query()), ("DELETE", Cancel()), ("OPTIONS", Options())):
        assert ietf.read_upload(ietf.FINAL, method, {}, 0) == asked
    with pytest.raises(UploadRefused) as caught:
        ietf.read_upload(ietf.FINAL, "PUT", {}, 0)
    assert caught.value.status == 405
    assert ietf.dialect_of({}) is None
    assert ietf.dialect_of({"upload-draft-interop-version": "9"}) == ietf.FINAL


@pytest.mark.parametrize("missing", ["upload-offset", "upload-complete"])
@pytest.mark.parametrize("instead", [{}, {"upload-offset": "-1", "upload-complete": "1"}])
def test_an_append_needs_both_headers(missing: str, instead: dict[str, str]) -> None:
    fields = PARTIAL | {"upload-offset": "5", "upload-complete": "?1"}
    del fields[missing]
    if missing in instead:
        fields[missing] = instead[missing]
    with pytest.raises(UploadRefused, match="needs the headers Upload-Offset, a number, and Upload-Complete") as caught:
        ietf.read_upload(ietf.FINAL, "PATCH", fields, 7)
    assert caught.value.status == 400


def test_an_append_may_have_a_digest_and_a_length() -> None:
    fields = PARTIAL | {"upload-offset": "5", "upload-complete": "?0", "upload-length": "20"}
    for more in ({"content-digest": "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"}, {"trailer": "Content-Digest"}):
        asked = ietf.read_upload(ietf.FINAL, "PATCH", fields | more, None)
        assert asked == Append(5, False, None, 20, verified=True, excess_is_fatal=True)


FIELDS = ["upload-draft-interop-version", "upload-complete", "upload-incomplete", "upload-offset", "upload-length"]
FIELDS += ["content-type", "content-digest", "trailer"]
VALUES = ["3", "5", "8", "9", "0", "?0", "?1", "?1;a", "100", "-1", PARTIAL["content-type"]]


@settings(deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]),
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES) | st.text(max_size=20)),
    st.none() | st.integers(0, 100),
)
def test_whatever_the_headers_are_they_are_understood_or_refused(
    method: str, fields: dict[str, str], content_length: int | None
) -> None:
    with suppress(UploadRefused):
        read = ietf.read_creation(fields, content_length)
        assert read is None or read[1].completes in (True, False)
    with suppress(UploadRefused):
        ietf.read_upload(ietf.dialect_of(fields) or ietf.FINAL, method, fields, content_length)


def test_interim_responses() -> None:
    assert ietf.announcement(Dialect(8), "/uploads/a", LIMITS) == {
        "Location": "/uploads/a",
        "Upload-Limit": "max-size=1000, min-append-size=5, max-age=60",
        "Upload-Draft-Interop-Version": "8",
    }
    assert ietf.announcement(Dialect(6), "/", LIMITS)["Upload-Limit"].endswith("expires=60")
    assert "Upload-Limit" not in ietf.announcement(Dialect(5), "/", LIMITS)
    assert ietf.progress(Dialect(8), 7) == {"Upload-Offset": "7", "Upload-Draft-Interop-Version": "8"}


@every_version
def test_the_flag_has_its_versions_name_and_sense(version: int | None) -> None:
    dialect = Dialect(version)
    name, (yes, no) = ("Upload-Incomplete", ("?0", "?1")) if version == 3 else ("Upload-Complete", ("?1", "?0"))
    created = ietf.created(dialect, "/uploads/a", Continue(1, 5), LIMITS)
    assert (created.status, created.headers[name], created.headers["Location"]) == (201, no, "/uploads/a")
    continued = ietf.continued(dialect, Continue(1, 5), LIMITS)
    assert (continued.status, continued.headers[name], continued.headers["Upload-Offset"]) == (204, no, "5")
    assert ietf.completed(dialect, 9)[name] == yes
    for complete, flag in ((True, yes), (False, no)):
        told = ietf.told(dialect, Tell(1, 5, 9, complete), LIMITS)
        assert (told.status, told.headers[name], told.headers["Upload-Length"]) == (204, flag, "9")
        assert told.headers["Cache-Control"] == "no-store"
        assert told.headers.get("Upload-Draft-Interop-Version") == (None if version is None else str(version))
    assert ietf.cancelled(dialect).status == 204


def test_limits_are_told_even_if_there_are_none() -> None:
    assert ietf.offers(Limits())["Upload-Limit"] == "min-size=0"


def test_a_mismatch_is_a_problem_of_a_known_type() -> None:
    error = ietf.refusal(Dialect(8), Refuse(1, Reason.MISMATCH, 12, 34), LIMITS)
    assert (error.status, error.problem_type) == (409, ietf.MISMATCHING_OFFSET)
    assert error.members == {"expected-offset": 12, "provided-offset": 34}
    assert (error.headers["Upload-Offset"], error.headers["Upload-Complete"]) == ("12", "?0")
