"""XML that strangers send."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.dav.elements import (
    MAX_ATTRIBUTES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    BadDocument,
    Element,
    escape,
    escape_attribute,
    parse,
    standalone,
)

# What XML 1.0 can write.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r"),
    max_size=12,
)
NAMES = st.sampled_from(["a", "b", "p:a", "p:b", "q:a"])


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    """Any tree, with declarations anywhere, as text."""
    tag = draw(NAMES)
    declared = {
        f"xmlns{':' * bool(prefix)}{prefix}": draw(st.sampled_from(["u:1", "u:2"]))
        for prefix in draw(st.sets(st.sampled_from(["", "p", "q"])))
    }
    attributes = declared | {name: draw(TEXTS) for name in draw(st.sets(st.sampled_from(["c", "d", "xml:lang"])))}
    written = "".join(f' {name}="{escape_attribute(value)}"' for name, value in attributes.items())
    parts = [escape(draw(TEXTS))]
    if depth:
        parts += draw(st.lists(elements(depth=depth - 1), max_size=2))
    parts.append(escape(draw(TEXTS)))
    return f"<{tag}{written}>{''.join(parts)}</{tag}>"


def meaning(element: ET.Element) -> object:
    """All that counts, whatever the prefixes."""
    return (
        element.tag,
        {name: value for name, value in element.attrib.items() if not name.endswith("}lang")},
        element.text or "",
        [(meaning(child), child.tail or "") for child in element],
    )


@settings(deadline=None, max_examples=200)
@given(elements())
def test_an_element_means_the_same_in_another_document(text: str) -> None:
    document = f'<root xmlns="u:0" xmlns:p="u:p" xmlns:q="u:q">{text}</root>'
    element = next(parse(document.encode()).children)

    elsewhere = f'<elsewhere xmlns="x" xmlns:p="y">{standalone(element)}</elsewhere>'

    assert meaning(ET.fromstring(elsewhere)[0]) == meaning(ET.fromstring(document)[0])


def only_child(text: str) -> Element:
    return next(parse(text.encode()).children)


class TestVerbatim:
    def test_prefixes_are_kept(self) -> None:
        element = only_child('<D:prop xmlns:D="DAV:" xmlns:z="u:z"><z:a z:b="1"><z:c/>text</z:a></D:prop>')
        assert standalone(element) == '<z:a z:b="1" xmlns:z="u:z"><z:c/>text</z:a>'

    def test_the_language_comes_along(self) -> None:
        assert standalone(only_child('<r xml:lang="de"><a>x</a></r>')) == '<a xmlns="" xml:lang="de">x</a>'
        assert 'xml:lang="en"' in standalone(only_child('<r xml:lang="de"><a xml:lang="en"/></r>'))

    def test_a_prefix_that_is_only_in_a_text_comes_along(self) -> None:
        assert 'xmlns:t="u:t"' in standalone(only_child('<r xmlns:t="u:t"><a>t:name</a></r>'))

    def test_space_and_marks_are_kept(self) -> None:
        assert (
            parse(standalone(only_child("<r><a b='&lt;&#10;&quot;'> &amp;&#13;\n</a></r>")).encode()).text == " &\r\n"
        )

    def test_no_declaration_is_made_for_a_prefix_of_nothing(self) -> None:
        assert "xmlns:=" not in standalone(only_child("<r><a>:b http://c</a></r>"))


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_are_understood(self, encoding: str) -> None:
        assert parse("<a>ä€\U00010000</a>".encode(encoding)).text == "ä€\U00010000"

    def test_may_be_declared(self) -> None:
        assert parse('<?xml version="1.0" encoding="UTF-16"?><a>ä</a>'.encode("utf-16")).text == "ä"

    @pytest.mark.parametrize("encoding", ["koi8-r", "utf-7", "nonsense", "idna"])
    def test_others_are_refused(self, encoding: str) -> None:
        with pytest.raises(BadDocument, match=r"UTF-8|encoding"):
            parse(f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode())


LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha">' + "".join(f'<!ENTITY b{n} "&a;&a;&a;">' for n in range(9)) + "]><l>&b8;</l>"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (LAUGHS, "document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1/">]><a>&x;</a>', "document type"),
        ("<a>&nbsp;</a>", "not well-formed"),
        ("<a><b></a></b>", "not well-formed"),
        ("<a/><a/>", "not well-formed"),
        ("<a", "not well-formed"),
        ("", "not well-formed"),
        ("nothing", "not well-formed"),
        ("<a b='1' b='1'/>", "not well-formed"),
        ("<a>\x01</a>", "not well-formed"),
        ('<a xmlns:p=""/>', "no namespace"),
        ("<p:a/>", "without declaring"),
        ("<a p:b=''/>", "without declaring"),
        ("<xmlns:a/>", "without declaring"),
        ("<a:/>", "no name"),
        ("<a:b:c xmlns:a='u'/>", "no name"),
        ("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", "same attribute"),
        ("<a xmlns:xmlns='u'/>", "reserved"),
        ("<a xmlns:xml='u'/>", "reserved"),
        ("<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "reserved"),
        ("<a xmlns='http://www.w3.org/2000/xmlns/'/>", "reserved"),
        ("<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1), "deep"),
        ("<a>" + "<b/>" * MAX_ELEMENTS + "</a>", "elements"),
        ("<a>" + "<b c='' d='' e=''/>" * (MAX_ATTRIBUTES // 3 + 1) + "</a>", "attributes"),
        ("<a>" + " " * MAX_BYTES + "</a>", "longer"),
    ],
)
def test_what_is_no_document_for_us_is_refused(document: str, told: str) -> None:
    with pytest.raises(BadDocument, match=told):
        parse(document.encode())


@settings(deadline=None)
@given(st.binary(max_size=60) | elements().map(str.encode))
def test_any_bytes_are_understood_or_refused(data: bytes) -> None:
    try:
        element = parse(data)
    except BadDocument:
        return
    assert parse(standalone(element).encode("utf-8", "surrogatepass")).name == element.name


@pytest.mark.parametrize("text", ["deadbeef" * 120_000, "\u00e9" * 400_000, "a:" * 400_000, "a.b-" * 200_000 + ":"])
def test_a_long_value_takes_no_longer_than_it_is_long(text: str) -> None:
    # Where each letter were to begin a look at all that follow it, this would take hours.
    began = process_time()
    assert text in standalone(parse(f"<x><y>{text}</y></x>".encode()))
    assert text in standalone(parse(f'<x><y z="{text}"/></x>'.encode()))
    assert process_time() - began < 10


def test_names_in_text_keep_their_prefixes() -> None:
    text = '<x xmlns:p="u:1" xmlns:q="u:2" xmlns:r="u:3" xmlns:s="u:4"><y z="r:b">p:a, (q:b) s</y></x>'
    written = standalone(next(parse(text.encode()).children))
    assert [prefix for prefix in "pqrs" if f"xmlns:{prefix}=" in written] == ["p", "q", "r"]
