"""What comes from outside never becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.page import PeerLine, page, welcome
from tahoeish.gateway.pages.names import marked_up, plain


class Seen(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


NASTY = "<script>alert('\"&amp;')</script>"
# NUL and carriage return can't be written in HTML at all.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


def test_a_peer_s_name_is_text() -> None:
    plain = Seen(welcome("http://h", "2 of 3", [PeerLine("name", "room")]))
    nasty = Seen(welcome(f"http://{NASTY}", NASTY, [PeerLine(NASTY, NASTY)]))
    assert nasty.tags == plain.tags
    assert nasty.text.count(NASTY) == 6


@settings(deadline=None)
@given(TEXTS)
def test_any_title_is_text(title: str) -> None:
    seen = Seen(page(title, "<p>body</p>"))
    assert seen.tags == Seen(page("", "<p>body</p>")).tags
    assert plain(title) in seen.text


@pytest.mark.parametrize("hidden", ["\u202e", "\u202a", "\u2066", "\u2069", "\u2028", "\x1b", "\x9b", "\n"])
def test_what_would_turn_a_name_around_is_seen(hidden: str) -> None:
    assert plain(f"{hidden}gpj.exe") == "\N{REPLACEMENT CHARACTER}gpj.exe"
    assert marked_up(f"{hidden}<exe") == "<bdi>\N{REPLACEMENT CHARACTER}&lt;exe</bdi>"


@pytest.mark.parametrize(
    "name", ["k\u00e4se.txt", "\u05e9\u05dc\u200f.txt", "\u06cc\u200c\u062e.pdf", "\U0001f468\u200d\U0001f4bb"]
)
def test_names_in_any_language_are_shown_as_they_are(name: str) -> None:
    assert plain(name) == name
