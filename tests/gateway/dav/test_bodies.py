"""What clients ask for in XML."""

from __future__ import annotations

import pytest

from tahoeish.gateway.dav.bodies import MAX_NAMES, MAX_OWNER, Wanted, parse_lock, parse_propfind, parse_proppatch
from tahoeish.gateway.dav.elements import BadDocument
from tahoeish.namespace.locks import Depth, LockWish, Scope
from tahoeish.namespace.properties import RemoveProperty, SetProperty


def dav(text: str) -> bytes:
    return text.replace(">", ' xmlns="DAV:">', 1).encode()


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"", Wanted(everything=True)),
        (b" \r\n", Wanted(everything=True)),
        (dav("<propfind><allprop/></propfind>"), Wanted(everything=True)),
        (dav("<propfind><propname/></propfind>"), Wanted(everything=True, names_only=True)),
        (
            dav("<propfind><allprop/><include><quota-used-bytes/></include></propfind>"),
            Wanted((("DAV:", "quota-used-bytes"),), everything=True),
        ),
        (
            dav('<propfind><x xmlns="u"/><prop><getetag/><b xmlns=""/><getetag/></prop></propfind>'),
            Wanted((("DAV:", "getetag"), ("", "b"))),
        ),
    ],
)
def test_propfind(body: bytes, wanted: Wanted) -> None:
    assert parse_propfind(body) == wanted


@pytest.mark.parametrize(
    "body",
    [
        dav("<propfind></propfind>"),
        b"<propfind><allprop/></propfind>",
        dav("<other><allprop/></other>"),
        dav(f"<propfind><prop>{''.join(f'<a{n}/>' for n in range(MAX_NAMES + 1))}</prop></propfind>"),
    ],
)
def test_other_propfinds_are_refused(body: bytes) -> None:
    with pytest.raises(BadDocument):
        parse_propfind(body)


def test_changes_come_in_order() -> None:
    changes = parse_proppatch(
        dav(
            '<propertyupdate><set><prop xml:lang="de"><a xmlns="u">1</a></prop></set><ignored/>'
            '<remove><prop><a xmlns="u"/></prop></remove><set><prop><b xmlns=""/></prop></set></propertyupdate>'
        )
    )
    assert [change for change, _ in changes] == [
        SetProperty(("u", "a"), '<a xmlns="u" xml:lang="de">1</a>'),
        RemoveProperty(("u", "a")),
        SetProperty(("", "b"), '<b xmlns=""/>'),
    ]


@pytest.mark.parametrize("body", ["<propertyupdate></propertyupdate>", "<propertyupdate><set/></propertyupdate>"])
def test_a_proppatch_of_nothing_is_refused(body: str) -> None:
    with pytest.raises(BadDocument):
        parse_proppatch(dav(body))


LOCK = "<lockinfo><lockscope><{}/></lockscope><locktype><write/></locktype>{}</lockinfo>"


def test_a_lock_is_wished_for_with_its_owner_verbatim() -> None:
    owner = '<owner><x:href xmlns:x="DAV:">http://me</x:href></owner>'
    wish = parse_lock(dav(LOCK.format("shared", owner)), Depth.ZERO, 60)
    expected = '<owner xmlns="DAV:"><x:href xmlns:x="DAV:">http://me</x:href></owner>'
    assert (wish.scope, wish.depth, wish.seconds) == (Scope.SHARED, Depth.ZERO, 60)
    assert wish.owner_xml is not None and wish.owner_xml.startswith("<owner xmlns=") and expected in wish.owner_xml
    assert parse_lock(dav(LOCK.format("exclusive", "")), Depth.INFINITY, None) == LockWish(
        Scope.EXCLUSIVE, Depth.INFINITY, None, None
    )


@pytest.mark.parametrize(
    "body",
    [
        LOCK.format("none", ""),
        LOCK.format("shared/><exclusive", ""),
        LOCK.format("shared", f"<owner>{'x' * MAX_OWNER}</owner>"),
        LOCK.format("shared", "").replace("write", "read"),
        "<lockinfo></lockinfo>",
    ],
)
def test_other_locks_are_refused(body: str) -> None:
    with pytest.raises(BadDocument):
        parse_lock(dav(body), Depth.ZERO, None)


def test_a_namespace_is_not_told_so_often_that_a_short_document_becomes_long_ones() -> None:
    long = f'<propertyupdate xmlns:p="{"n" * 100_000}"><set><prop>{{}}</prop></set></propertyupdate>'
    assert parse_proppatch(dav(long.format("<p:a/>")))
    with pytest.raises(BadDocument, match="longer than"):
        parse_proppatch(dav(long.format("".join(f"<p:a{number}/>" for number in range(100)))))
    asked = f'<propfind xmlns:p="{"n" * 1000}"><prop>{{}}</prop></propfind>'
    assert parse_propfind(dav(asked.format("<p:a/>")))
    with pytest.raises(BadDocument, match="longer than"):
        parse_propfind(dav(asked.format("".join(f"<p:a{number}/>" for number in range(100)))))
