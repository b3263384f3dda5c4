from __future__ import annotations

import unicodedata
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk import base32
from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory import Child, ChildCap, UnknownCap, pack, pack_entry, parse_child_cap, unpack
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.chk.errors import BadCap, BadDirectory, MutableCap

FIELDS = f"{base32.encode(b'k' * 16)}:{base32.encode(b'h' * 32)}:3:10:1000"
FILE = LiteralCap(b"hello")
HELLO = b"34:3:lit,16:URI:LIT:nbswy3dp,0:,2:{},,"


def ns(data: bytes) -> bytes:
    return b"%d:%s," % (len(data), data)


def entry(
    name: bytes = b"a",
    cap: bytes = b"URI:LIT:nbswy3dp",
    metadata: bytes = b"{}",
    write_cap: bytes = b"",
    more: bytes = b"",
) -> bytes:
    return ns(ns(name) + ns(cap) + ns(write_cap) + ns(metadata) + more)


class TestWriting:
    def test_the_empty_directory_is_the_empty_file(self) -> None:
        assert pack({}) == b""

    def test_one_child(self) -> None:
        assert pack({"lit": Child(FILE)}) == HELLO

    def test_a_table_is_put_together_of_entries(self) -> None:
        children = {name: Child(FILE, {"n": 1}) for name in ("b", "a", "u\u0308")}
        assert b"".join(pack_entry(name, children[name]) for name in sorted(children)) == pack(children)
        with pytest.raises(BadDirectory):
            pack_entry("a/b", Child(FILE))

    def test_metadata_as_tahoe_lafs_writes_it(self) -> None:
        metadata = {"tahoe": {"linkcrtime": 1.5, "linkmotime": 2.0}, "own": ["ä", None, True]}
        written = b'{"tahoe": {"linkcrtime": 1.5, "linkmotime": 2.0}, "own": ["\\u00e4", null, true]}'
        assert pack({"lit": Child(FILE, metadata)}) == entry(b"lit", metadata=written)

    def test_children_are_sorted_by_code_points(self) -> None:
        names = ["b", "B", "\N{GRINNING FACE}", "\uffee", "ä", "aa", "a"]
        table = pack({name: Child(FILE) for name in names})
        assert table == b"".join(entry(name.encode()) for name in sorted(names))
        assert list(unpack(table)) == ["B", "a", "aa", "b", "ä", "\uffee", "\N{GRINNING FACE}"]

    def test_names_are_normalised(self) -> None:
        assert pack({"Ka\u0308se": Child(FILE)}) == entry("K\u00e4se".encode())

    def test_the_same_name_twice_is_refused(self) -> None:
        with pytest.raises(BadDirectory, match="same name"):
            pack({"a\u0308": Child(FILE), "\u00e4": Child(FILE)})

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0", "\ud800"])
    def test_names_that_no_path_reaches_are_refused(self, name: str) -> None:
        with pytest.raises(BadDirectory, match="can't be named"):
            pack({name: Child(FILE)})

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
    def test_metadata_that_is_not_json_is_refused(self, value: object) -> None:
        with pytest.raises(BadDirectory, match="metadata of 'a'"):
            pack({"a": Child(FILE, {"key": value})})

    def test_metadata_without_end_is_refused(self) -> None:
        endless: dict[str, Any] = {}
        endless["key"] = endless
        with pytest.raises(BadDirectory, match="metadata"):
            pack({"a": Child(FILE, endless)})


class TestReading:
    def test_the_example(self) -> None:
        assert unpack(HELLO) == {"lit": Child(FILE)}

    def test_any_order_is_read_and_kept(self) -> None:
        assert list(unpack(entry(b"b") + entry(b"a") + entry(b"c"))) == ["b", "a", "c"]

    def test_of_the_same_name_the_last_counts(self) -> None:
        children = unpack(entry(b"a") + entry(b"b") + entry(b"a", b"URI:LIT:"))
        assert children == {"b": Child(FILE), "a": Child(LiteralCap(b""))}

    def test_names_are_normalised(self) -> None:
        assert list(unpack(entry("a\u0308".encode()))) == ["\u00e4"]

    def test_names_that_no_path_reaches_are_there_all_the_same(self) -> None:
        assert list(unpack(entry(b"") + entry(b"a/b") + entry(b".."))) == ["", "a/b", ".."]

    def test_blanks_behind_a_cap_and_markers_before_it_are_dropped(self) -> None:
        for cap in (b"URI:LIT:nbswy3dp  ", b"imm.URI:LIT:nbswy3dp", b"ro.URI:LIT:nbswy3dp"):
            assert unpack(entry(cap=cap)) == {"a": Child(FILE)}

    def test_fields_of_the_future_are_ignored(self) -> None:
        assert unpack(entry(more=ns(b"new") + ns(b""))) == {"a": Child(FILE)}

    @pytest.mark.parametrize("metadata", [b'{"a":1}', b' {"a" : 1 }\n', b'{"a": 0, "a": 1}'])
    def test_metadata_in_any_json(self, metadata: bytes) -> None:
        assert unpack(entry(metadata=metadata))["a"].metadata == {"a": 1}

    @pytest.mark.parametrize("cap", ["SSK:a:b", "SSK-RO:a:b", "MDMF:a:b", "DIR2:a:b", "DIR2-RO:a:b", "DIR2-MDMF:a:b"])
    def test_mutable_children_are_left_out(self, cap: str) -> None:
        told: list[str] = []
        table = entry(b"a") + entry(b"b", f"imm.URI:{cap}".encode()) + entry(b"c")
        assert list(unpack(table, told.append)) == ["a", "c"]
        assert told == ["b"]

    @pytest.mark.parametrize(
        "cap", ["lafs://future", "URI:NEW:abc", "URI:CHK:cut-off", f"URI:CHK-Verifier:{FIELDS}", "", "Größe"]
    )
    @pytest.mark.parametrize("marker", ["", "ro.", "imm."])
    def test_caps_that_are_not_understood_are_kept(self, marker: str, cap: str) -> None:
        table = entry(cap=(marker + cap).encode())
        assert unpack(table) == {"a": Child(UnknownCap(cap))}
        assert str(UnknownCap(cap)) == f"imm.{cap}"
        assert pack(unpack(table)) == entry(cap=cap.encode())

    @pytest.mark.parametrize(
        ("table", "complaint"),
        [
            (b"junk", "no netstring at byte 0"),
            (HELLO + b"\n", "no netstring at byte 38"),
            (HELLO[:-1], "doesn't end"),
            (b"3:abc;", "doesn't end after 3 bytes"),
            (b"03:abc,", "no netstring"),
            (b"-1:,", "no netstring"),
            (b"9999999999999:,", "no netstring"),
            (b"999999999999:,", "doesn't end"),
            (ns(b""), "0 fields"),
            (ns(ns(b"a") + ns(b"URI:LIT:") + ns(b"")), "3 fields"),
            (entry(more=b"junk"), "no netstring"),
            (entry(write_cap=b"x"), "mutable"),
            (entry(name=b"\xff"), "UTF-8"),
            (entry(cap=b"\xff"), "UTF-8"),
            (entry(metadata=b"\xff"), "UTF-8"),
            (entry(metadata=b""), "JSON"),
            (entry(metadata=b"[]"), "JSON object"),
            (entry(metadata=b"null"), "JSON object"),
            (entry(metadata=b'{"a": NaN}'), "JSON"),
            (entry(metadata=b'{"a": 1e999}'), "JSON"),
            (entry(metadata=b'{"a": ' + b"1" * 5000 + b"}"), "JSON"),
            (entry(metadata=b'{"a":' * 100_000), "JSON"),
        ],
    )
    def test_what_is_wrong_with_a_table_is_said(self, table: bytes, complaint: str) -> None:
        with pytest.raises(BadDirectory, match=complaint):
            unpack(table)

    def test_which_entry_is_damaged_is_said(self) -> None:
        with pytest.raises(BadDirectory, match="entry 2 "):
            unpack(entry() + entry() + entry(metadata=b"{") + entry())


class TestCapsOfChildren:
    @pytest.mark.parametrize("text", [f"URI:CHK:{FIELDS}", "URI:LIT:my", f"URI:DIR2-CHK:{FIELDS}", "URI:DIR2-LIT:"])
    @pytest.mark.parametrize("marker", ["", "ro.", "imm."])
    def test_what_can_be_read(self, marker: str, text: str) -> None:
        assert str(parse_child_cap(marker + text)) == text

    def test_an_unknown_one_has_to_say_that_it_is_immutable(self) -> None:
        assert parse_child_cap("imm.lafs://future") == UnknownCap("lafs://future")
        for text in ("lafs://future", "ro.lafs://future"):
            with pytest.raises(MutableCap, match="immutable"):
                parse_child_cap(text)

    def test_mutable_ones(self) -> None:
        with pytest.raises(MutableCap):
            parse_child_cap("imm.URI:SSK:a:b")

    @pytest.mark.parametrize(
        "text", ["", "imm.", "URI:CHK:cut-off", f"URI:CHK-Verifier:{FIELDS}", f"imm.URI:DIR2-CHK-Verifier:{FIELDS}"]
    )
    def test_damaged_ones_and_those_that_only_verify(self, text: str) -> None:
        with pytest.raises(BadCap) as caught:
            parse_child_cap(text)
        assert not isinstance(caught.value, MutableCap)


def test_reprs_show_no_secrets() -> None:
    assert "future" not in repr(Child(UnknownCap("lafs://future")))


names = (
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=10)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: text not in (".", ".."))
)
literals = st.binary(max_size=55).map(LiteralCap)
file_caps = st.builds(
    ReadCap,
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=32, max_size=32),
    st.integers(1, 3),
    st.integers(3, 256),
    st.integers(1, 10**18),
)
unknown_caps = st.from_regex(r"[a-z]{1,8}://[!-~\u00e4]{1,20}", fullmatch=True).map(UnknownCap)
caps: st.SearchStrategy[ChildCap] = st.one_of(
    literals, file_caps, literals.map(DirectoryCap), file_caps.map(DirectoryCap), unknown_caps
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
children = st.dictionaries(
    names, st.builds(Child, caps, st.dictionaries(st.text(max_size=5), json_values, max_size=3)), max_size=5
)


@given(children)
def test_reading_undoes_writing(written: dict[str, Child]) -> None:
    assert unpack(pack(written)) == written


@given(children, st.randoms(use_true_random=False))
def test_the_same_children_are_the_same_table(written: dict[str, Child], shuffle: Any) -> None:
    items = list(written.items())
    shuffle.shuffle(items)
    assert pack(dict(items)) == pack(written)


@given(children.map(pack).filter(bool), st.data())
def test_a_table_that_is_cut_off_inside_an_entry_is_never_read_as_whole(table: bytes, data: st.DataObject) -> None:
    kept = unpack(table[: data.draw(st.sampled_from(_ends(table)))])
    assert len(kept) < len(unpack(table))
    with pytest.raises(BadDirectory):
        unpack(table[: data.draw(st.integers(1, len(table) - 1).filter(lambda end: end not in _ends(table)))])


@given(st.binary(max_size=100))
def test_junk_is_read_or_refused_but_breaks_nothing(junk: bytes) -> None:
    for table in (junk, ns(junk), ns(ns(junk) * 4), entry(metadata=junk), entry(name=junk), entry(cap=junk)):
        with suppress(BadDirectory):
            unpack(table)


def _ends(table: bytes) -> list[int]:
    """Where a table can be cut off between entries."""
    ends, position = [0], 0
    while position < len(table):
        length, _, _ = table[position:].partition(b":")
        position += len(length) + 1 + int(length) + 1
        ends.append(position)
    return ends[:-1]
