"""WebDAV's own headers, and addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.gateway.dav.addresses import destination, tagged_path
from tahoeish.gateway.dav.headers import (
    Depth,
    parse_depth,
    parse_lock_token,
    parse_mtime,
    parse_overwrite,
    parse_timeout,
)
from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.errors import BadName
from tahoeish.namespace.names import check_name

HOSTS = {"node", "files.example.net"}


def status_of(call: object, *arguments: object) -> int:
    assert callable(call)
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.status


def test_depth() -> None:
    assert [parse_depth(header) for header in ("0", "1", "Infinity", None)] == [
        Depth.ZERO,
        Depth.ONE,
        Depth.INFINITY,
        Depth.INFINITY,
    ]
    assert status_of(parse_depth, "2") == 400


def test_overwrite() -> None:
    assert [parse_overwrite(header) for header in (None, "T", "t", "F", " f")] == [True, True, True, False, False]
    assert status_of(parse_overwrite, "maybe") == 400


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("Infinite, Second-4100000000", None),
        ("Second-4100000000", 4_100_000_000),
        ("second-180", 180),
        ("Extend, Second-60", 60),
        ("Second-0", 1),
        ("Second-1.5", None),
        ("nonsense", None),
        ("Second-99999999999999999999", 99_999_999_999_999_999_999),
    ],
)
def test_a_timeout_is_never_an_error(header: str | None, seconds: int | None) -> None:
    assert parse_timeout(header) == seconds


def test_a_lock_token_needs_no_brackets() -> None:
    assert {parse_lock_token(header) for header in ("<urn:uuid:1>", " urn:uuid:1 ")} == {"urn:uuid:1"}
    for header in (None, "", "<>", "<a", "<a> <b>"):
        assert status_of(parse_lock_token, header) == 400


def test_times() -> None:
    assert [parse_mtime(header) for header in (None, "0", "-5", "1700000000.25")] == [None, 0, -5, 1700000000.25]
    for header in ("", "now", "1e9", "nan", "999999999999", "-999999999999", "१"):
        assert status_of(parse_mtime, header) == 400


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("http://node/files/a", ("a",)),
        ("https://NODE:8443/files/a/", ("a",)),
        ("http://user@files.example.net/files/a%2Cb/c", ("a,b", "c")),
        ("/files/a%20b/%C3%BC", ("a b", "ü")),
        ("/files", ()),
        ("/files/", ()),
        ("/files/u%CC%88", ("ü",)),
    ],
)
def test_a_destination_is_an_address_or_the_path_of_one(header: str, path: tuple[str, ...]) -> None:
    assert destination(header, HOSTS) == path


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("http://elsewhere/files/a", 502),
        ("//elsewhere/files/a", 502),
        ("http://node/uri/a", 502),
        ("/filesystem/a", 502),
        ("/", 502),
        ("a", 400),
        ("", 400),
        ("http://[::1/files/a", 400),
        ("/files/a?b", 400),
        ("/files/a#b", 400),
        ("/files/%FF", 400),
        ("/files/a%2Fb", 400),
        ("/files/../x", 400),
        ("/files/a/%2e%2E/b", 400),
        ("/files/./a", 400),
        ("/files/a//b", 400),
        ("/files/a%00", 400),
        ("/files/" + "a" * 256, 400),
    ],
)
def test_other_destinations_are_refused(header: str, status: int) -> None:
    assert status_of(destination, header, HOSTS) == status
    assert tagged_path(header, HOSTS) is None


def is_name(text: str) -> bool:
    try:
        return check_name(text) == text
    except (BadName, UnicodeEncodeError):
        return False


@given(st.lists(st.text(max_size=20).filter(is_name), max_size=4), st.booleans())
def test_every_address_leads_back_to_its_path(names: list[str], folder: bool) -> None:
    assert destination(href(tuple(names), folder=folder), HOSTS) == tuple(names)
