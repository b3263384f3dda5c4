"""NURLs are read strictly, and don't give away their secret."""

from __future__ import annotations

import pytest

from tahoeish.storage.nurl import BadNurl, Nurl

KEY = "Xwd56JrAY083aBS8UBu1KnXl5jNc8YoiqCB0_ozlkUU"
SWISSNUM = "zj6vmlqjdtwhfrukhtuk37uwi64jfixl"
TEXT = f"pb://{KEY}@storage.example:3457/{SWISSNUM}#v=1"


def test_its_parts() -> None:
    nurl = Nurl.parse(TEXT)
    assert nurl.spki_hash.hex().startswith("5f0779e89ac0634f")
    assert (nurl.host, nurl.port, nurl.swissnum) == ("storage.example", 3457, SWISSNUM)
    assert nurl.key_text == KEY


@pytest.mark.parametrize("host", ["storage.example", "127.0.0.1", "[::1]"])
def test_it_is_written_as_it_was_read(host: str) -> None:
    text = TEXT.replace("storage.example", host)
    assert str(Nurl.parse(text)) == text
    assert Nurl.parse(f" {text}\n") == Nurl.parse(text)
    assert Nurl.parse(text).location == f"{host}:3457"


def test_repr_hides_the_swissnum() -> None:
    assert SWISSNUM not in repr(Nurl.parse(TEXT))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with pb://"),
        ("pb:" + TEXT, "begins with pb://"),
        (TEXT.replace("pb://", "pb+tor://"), "Tor is not supported"),
        (TEXT.replace("#v=1", ""), "ends in #v=1"),
        (TEXT.replace("#v=1", "#v=2"), "ends in #v=1"),
        (TEXT.replace("@", ""), "looks like"),
        (f"pb://{KEY}@storage.example:3457#v=1", "looks like"),
        (TEXT.replace(":3457", ""), "comes a port"),
        (TEXT.replace("3457", "0"), "0 is no port"),
        (TEXT.replace("3457", "65536"), "65536 is no port"),
        (TEXT.replace("3457", "٣"), "comes a port"),
        (TEXT.replace("storage.example", ""), "no host name"),
        (TEXT.replace("storage.example", "a b"), "no host name"),
        (TEXT.replace(KEY, KEY[:-1]), "43 characters"),
        (TEXT.replace(KEY, KEY[:-1] + "V"), "43 characters"),
        (TEXT.replace(KEY, KEY.replace("_", "/")), "looks like|43 characters|port"),
        (TEXT.replace(SWISSNUM, ""), "swissnum"),
        (TEXT.replace(SWISSNUM, f"{SWISSNUM}/more"), "swissnum"),
        (TEXT.replace(SWISSNUM, f"{SWISSNUM}?x=1"), "swissnum"),
    ],
)
def test_what_is_wrong_is_told_without_the_swissnum(text: str, words: str) -> None:
    with pytest.raises(BadNurl, match=words) as caught:
        Nurl.parse(text)
    assert SWISSNUM not in str(caught.value)
