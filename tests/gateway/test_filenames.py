"""What a name says about a file. How it is sent is shown in `test_files`."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tahoeish.gateway.filenames import attachment, content_type, is_active, served_type

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


@settings(deadline=None)
@given(NAMES)
@example("data:TEXT/HTML,x")
@example("data:text/html\r\nX: y,")
@example("//[")
@example("http://[/a.html")
def test_any_name_has_a_type(name: str) -> None:
    assert MEDIA_TYPE.fullmatch(content_type(name))


@settings(deadline=None)
@given(NAMES)
@example("%41.txt")
@example("a\r\nX: y")
def test_any_name_survives_being_saved(name: str) -> None:
    header = attachment(name)
    assert header.isascii() and header.isprintable()
    match = re.fullmatch(r"attachment; filename=\"([^\"\\%]*)\"(; filename\*=UTF-8''([\w.~%-]*))?", header)
    assert match is not None
    assert (match[1] if match[3] is None else unquote(match[3], errors="strict")) == name


def test_without_a_name() -> None:
    assert content_type(None) == content_type("") == "text/plain"
    assert attachment(None) == attachment("") == "attachment"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.tar.gz", "application/gzip"), ("a.svgz", "application/gzip"), ("a.html.bz2", "application/x-bzip2"),
     ("a.tar.xz", "application/x-xz"), ("a.txt.Z", "application/octet-stream")],
)  # fmt: skip
def test_a_packed_file_is_not_what_is_in_it(name: str, kind: str) -> None:
    assert content_type(name) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("holiday.mkv", "video/matroska"), ("A.FLAC", "audio/flac"), ("a.tar.zst", "application/zstd"),
     ("a.odt", "application/vnd.oasis.opendocument.text"), ("a.iso", "application/octet-stream")],
)  # fmt: skip
def test_what_browsers_should_not_take_for_text_has_a_type_with_any_python(name: str, kind: str) -> None:
    assert content_type(name) == kind


@pytest.mark.parametrize("name", ["a.html", "a.HTM", "a.svg", "a.xml", "a.xsl", "a.rdf"])
def test_browsers_run_what_is_in_markup(name: str) -> None:
    assert is_active(content_type(name))


@pytest.mark.parametrize("name", ["a.txt", "a.js", "a.css", "a.png", "a.pdf", "a"])
def test_browsers_only_show_the_rest(name: str) -> None:
    assert not is_active(content_type(name))


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv", "a.css", "a.js", "a.mjs", "a.unheard-of", "a", "", None])
def test_text_is_utf_8(name: str | None) -> None:
    assert served_type(name, None).endswith("; charset=utf-8")
    assert served_type(name, "text/plain") == "text/plain; charset=utf-8"


def test_text_is_what_it_was_told_to_be() -> None:
    assert served_type("a.txt", "text/plain; charset=koi8-r") == "text/plain; charset=koi8-r"


@pytest.mark.parametrize("name", ["a.html", "a.xml", "a.svg", "a.png", "a.json", "a.gz"])
def test_what_says_by_itself_how_it_is_encoded_is_believed(name: str) -> None:
    assert served_type(name, None) == content_type(name)
    assert served_type(name, "text/html") == "text/html"
