"""What comes from outside never becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.page import PeerLine, page, welcome


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
    assert title in seen.text
