"""tus: what its requests ask, and what its answers say."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.uploads.asked import Append, Cancel, Create, Options, Query, UploadRefused
from tahoeish.gateway.uploads.decisions import Continue, Tell
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.streams.digests import DigestError, claims_of

TUS = {"tus-resumable": "1.0.0"}
CHUNK = {"content-type": "application/offset+octet-stream"}
PATCH = TUS | CHUNK | {"upload-offset": "5"}
SHA1 = "sha1 " + base64.b64encode(bytes(20)).decode()


def refusal_of(call: Callable[[], object]) -> UploadRefused:
    with pytest.raises(UploadRefused) as caught:
        call()
    assert caught.value.headers["Tus-Resumable"] == "1.0.0"
    return caught.value


def created(fields: dict[str, str], content_length: int | None = 0) -> tus.CreateOne:
    creation = tus.read_creation(TUS | fields, content_length)
    assert isinstance(creation, tus.CreateOne)
    return creation


def test_a_creation_of_known_length() -> None:
    creation = created({"upload-length": "100", "upload-metadata": "filename YS50eHQ=,empty,also "})
    assert creation.create == Create(100, None, 0)
    assert creation.metadata.values == {"filename": b"a.txt", "empty": b"", "also": b""}
    assert (creation.metadata.name(), creation.is_part, creation.verified) == ("a.txt", False, False)


def test_a_creation_of_unknown_length_and_one_with_content() -> None:
    assert created({"upload-defer-length": "1"}).create == Create(None, None, 0)
    assert created(CHUNK | {"upload-length": "9"}, 5).create == Create(9, None, 5)
    assert created(CHUNK | {"upload-length": "9"}, None).create.first() == Append(0, None, None, 9)
    # Some clients can't but send a content type, and with it a body that is none.
    assert created({"upload-length": "9", "content-type": "text/plain"}, 3).create == Create(9, None, 0)
    assert created(CHUNK | {"upload-length": "9", "upload-checksum": SHA1}, 9).verified


def test_a_part_and_a_file_of_parts() -> None:
    assert created({"upload-length": "9", "upload-concat": "partial"}).is_part
    creation = tus.read_creation(TUS | {"upload-concat": "final;/uploads/a https://n/uploads/b /uploads/a"}, 0)
    assert isinstance(creation, tus.CreateFromParts)
    assert [tus.upload_id(part, "/uploads/") for part in creation.parts] == ["a", "b", "a"]
    assert creation.text == "final;/uploads/a https://n/uploads/b /uploads/a"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/uploads/a", "a"),
        ("a", "a"),
        ("http://elsewhere:80/uploads/a/", "a"),
        ("/uploads/a?b#c", "a"),
        ("/uploads/", None),
        ("", None),
        ("/files/a", None),
        ("/uploads/a/b", None),
        ("http://[::1/uploads/a", None),
    ],
)
def test_addresses_of_uploads(address: str, name: str | None) -> None:
    assert tus.upload_id(address, "/uploads/") == name


@pytest.mark.parametrize(
    ("fields", "content_length", "words"),
    [
        ({}, 0, "either Upload-Length, or Upload-Defer-Length"),
        ({"upload-length": "5", "upload-defer-length": "1"}, 0, "either"),
        ({"upload-defer-length": "2"}, 0, "is 1 or isn't there"),
        ({"upload-length": "-1"}, 0, "is a number of bytes, not '-1'"),
        ({"upload-length": "5, 5"}, 0, "is a number"),
        ({"upload-length": "१"}, 0, "is a number"),
        ({"upload-length": "9" * 30}, 0, "is a number"),
        ({"upload-length": "5", "upload-metadata": "name ?"}, 0, "values in base64, and name hasn't"),
        ({"upload-length": "5", "upload-metadata": "a YQ==,a YQ=="}, 0, "each once"),
        ({"upload-length": "5", "upload-metadata": "schlüssel YQ=="}, 0, "plain characters"),
        ({"upload-length": "5", "upload-concat": "whole"}, 0, "is partial, or final"),
        ({"upload-concat": "final; "}, 0, "needs the addresses"),
        ({"upload-concat": "final;/a", "upload-length": "5"}, 0, "has no Upload-Length"),
        ({"upload-concat": "final;/a", **CHUNK}, 5, "and no content"),
        ({"upload-length": "5", "upload-checksum": "sha9 AA=="} | CHUNK, 5, "Upload-Checksum is one of"),
    ],
)
def test_creations_that_make_no_sense(fields: dict[str, str], content_length: int, words: str) -> None:
    error = refusal_of(lambda: tus.read_creation(TUS | fields, content_length))
    assert error.status == 400
    assert words in str(error)


def test_what_is_asked_of_an_upload() -> None:
    assert tus.read_upload("PATCH", PATCH, 7) == Append(5, None, 7)
    assert tus.read_upload("PATCH", PATCH | {"upload-length": "12"}, None) == Append(5, None, None, 12)
    for more in ({"upload-checksum": SHA1}, {"trailer": "Upload-Checksum"}):
        assert tus.read_upload("PATCH", PATCH | more, 7) == Append(5, None, 7, verified=True)
    assert tus.read_upload("HEAD", {}, 0) == tus.read_upload("GET", {}, 0) == Query()
    assert tus.read_upload("DELETE", TUS, 0) == Cancel()
    assert tus.read_upload("OPTIONS", {}, 0) == Options()


def test_the_method_may_be_said_in_a_header() -> None:
    for method, asked in (("patch", Append(5, None, 7)), ("DELETE", Cancel()), ("HEAD", Query())):
        assert tus.read_upload("POST", PATCH | {"x-http-method-override": method}, 7) == asked
    assert tus.method_of("GET", {"x-http-method-override": "DELETE"}) == "GET"
    assert tus.method_of("POST", {"x-http-method-override": "PUT"}) == "POST"


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [
        ("PATCH", PATCH | {"tus-resumable": "0.2.2"}, 412),
        ("PATCH", CHUNK | {"upload-offset": "5"}, 412),
        ("DELETE", {}, 412),
        ("PATCH", PATCH | {"content-type": "text/plain"}, 415),
        ("PATCH", TUS | {"upload-offset": "5"}, 415),
        ("PATCH", TUS | CHUNK, 400),
        ("PATCH", PATCH | {"upload-offset": "five"}, 400),
        ("PATCH", PATCH | {"upload-length": "5.0"}, 400),
        ("PATCH", PATCH | {"upload-checksum": "sha1"}, 400),
        ("PUT", TUS, 405),
    ],
)
def test_requests_that_are_refused(method: str, fields: dict[str, str], status: int) -> None:
    error = refusal_of(lambda: tus.read_upload(method, fields, 7))
    assert error.status == status
    assert (status == 412) == ("Tus-Version" in error.headers)


FIELDS = ["tus-resumable", "upload-offset", "upload-length", "upload-defer-length", "upload-metadata", "upload-concat"]
FIELDS += ["upload-checksum", "content-type", "x-http-method-override", "trailer"]
VALUES = [
    "1.0.0",
    "0",
    "1",
    "5",
    "partial",
    "final;/a /b",
    "name YQ==,b",
    SHA1,
    CHUNK["content-type"],
    "PATCH",
    "DELETE",
]


@settings(deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]),
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES) | st.text(max_size=30)),
    st.none() | st.integers(0, 100),
)
def test_whatever_the_headers_are_it_is_understood_or_refused(
    method: str, fields: dict[str, str], content_length: int | None
) -> None:
    with suppress(UploadRefused):
        assert isinstance(tus.read_upload(method, fields, content_length), Append | Query | Cancel | Options)
    with suppress(UploadRefused):
        tus.read_creation(fields, content_length)


def test_answers() -> None:
    assert tus.created("/uploads/a", 5, 0.0).headers == {
        "Tus-Resumable": "1.0.0",
        "Location": "/uploads/a",
        "Upload-Offset": "5",
        "Upload-Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    }
    answer = tus.continued(Continue(1, 7), None)
    assert (answer.status, answer.headers) == (204, {"Tus-Resumable": "1.0.0", "Upload-Offset": "7"})
    assert tus.completed(9).headers["Upload-Offset"] == "9"
    assert (tus.created("/", None, None).status, tus.cancelled().status) == (201, 204)


def test_an_upload_tells_what_it_was_told() -> None:
    told = tus.told(Tell(1, 0, None, complete=False), "name YQ==", "partial", 60.0).headers
    assert told == {
        "Tus-Resumable": "1.0.0",
        "Cache-Control": "no-store",
        "Upload-Offset": "0",
        "Upload-Defer-Length": "1",
        "Upload-Metadata": "name YQ==",
        "Upload-Concat": "partial",
        "Upload-Expires": "Thu, 01 Jan 1970 00:01:00 GMT",
    }
    told = tus.told(Tell(1, 9, 9, complete=True), "", "", 60.0).headers
    assert told.keys() == {"Tus-Resumable", "Cache-Control", "Upload-Offset", "Upload-Length"}


def test_what_there_is_to_be_had() -> None:
    assert "Tus-Max-Size" not in tus.offers(0).headers
    headers = tus.offers(500).headers
    assert (headers["Tus-Max-Size"], headers["Tus-Checksum-Algorithm"]) == ("500", "sha1,md5,sha256,sha512,crc32")


def test_a_final_upload_is_not_written_to() -> None:
    assert tus.modifies_final().status == 403


def test_damage_has_a_status_of_its_own() -> None:
    with pytest.raises(DigestError) as caught:
        claims_of({"upload-checksum": "sha1 AA=="})
    assert tus.of_digest(caught.value).status == 400
    assert tus.of_digest(DigestError("damaged")).status == 460
    assert tus.stamped(UploadRefused(507, "full")).headers == TUS_STAMP


TUS_STAMP = {"Tus-Resumable": "1.0.0"}
