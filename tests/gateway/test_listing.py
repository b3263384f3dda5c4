"""What is in a directory never becomes markup."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given

from tahoeish.chk.caps import LiteralCap
from tahoeish.chk.directory import Child, UnknownCap
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.gateway.listing import listing
from tahoeish.gateway.pages import names
from tests.gateway.test_page import NASTY, TEXTS, Seen

CAP = DirectoryCap(LiteralCap(b""))
FILE = LiteralCap(b"hello")


def page_of(name: str, child: Child) -> Seen:
    return Seen(listing(None, CAP, {name: child}))


@given(TEXTS)
def test_a_child_s_name_is_text(name: str) -> None:
    for cap in (FILE, CAP, UnknownCap("x")):
        seen, plain = page_of(name, Child(cap)), page_of("plain", Child(cap))
        assert [tag for tag, _ in seen.tags] == [tag for tag, _ in plain.tags]
        assert names.plain(name) in seen.text


@given(TEXTS)
def test_a_link_carries_the_whole_name(name: str) -> None:
    links = [dict(attributes)["href"] for tag, attributes in page_of(name, Child(FILE)).tags if tag == "a"]
    [link] = [link or "" for link in links if (link or "").startswith("/file/")]
    assert unquote(link) == f"/file/URI:LIT:nbswy3dp/@@named=/{name}"
    assert link.count("/") == 4


def test_the_directory_s_own_name_is_text() -> None:
    assert NASTY in Seen(listing(NASTY, CAP, {})).text
    assert "<script" not in listing(NASTY, CAP, {})


def test_a_cap_that_nobody_knows_is_no_link() -> None:
    assert "javascript" not in listing(None, CAP, {"a": Child(UnknownCap("javascript:alert()"))})


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"tahoe": {"linkmotime": 1.7e9}}, "2023-11-14 22:13 UTC"),
        ({"tahoe": {"linkmotime": 0}, "mtime": 1.7e9}, "1970-01-01 00:00 UTC"),
        ({"mtime": 1700000000}, "2023-11-14 22:13 UTC"),
        ({"tahoe": {}, "mtime": 1.7e9}, "2023-11-14 22:13 UTC"),
        ({"tahoe": [], "mtime": 1.7e9}, "2023-11-14 22:13 UTC"),
        ({}, ""),
        ({"mtime": NASTY}, ""),
        ({"mtime": 1e300}, ""),
        ({"mtime": 10**400}, ""),
        ({"mtime": -(10**15)}, ""),
    ],
)
def test_when_it_was_changed(metadata: dict[str, Any], shown: str) -> None:
    assert f"<td>{shown}</td></tr>" in listing(None, CAP, {"a": Child(FILE, metadata)})
