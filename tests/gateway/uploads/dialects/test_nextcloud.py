"""Numbered chunks, put in order."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.uploads.asked import UploadRefused
from tahoeish.gateway.uploads.dialects.nextcloud import (
    MAX_CHUNKS,
    Assembly,
    Chunk,
    Hold,
    Place,
    Stream,
    Swallow,
    parse_chunk,
    total_length,
)


def status_of(caught: pytest.ExceptionInfo[UploadRefused]) -> int:
    return caught.value.status


def put(assembly: Assembly, name: str, size: int) -> None:
    """All of a chunk whose turn it is, and those that it lets in."""
    chunk: Chunk | None = parse_chunk(name)
    assert chunk is not None
    assert isinstance(assembly.comes(chunk, size), Stream)
    chunk = assembly.went_in(chunk, size)
    while chunk is not None:
        chunk = assembly.went_in(chunk, size)


def hold(assembly: Assembly, name: str, size: int) -> Chunk | None:
    assert isinstance(assembly.comes(parse_chunk(name), size), Hold)
    return assembly.held(parse_chunk(name), size)


def test_names() -> None:
    assert parse_chunk("7") == parse_chunk("7")
    assert (parse_chunk("00007").place, parse_chunk("00007").after) == (7, 8)
    ranged = parse_chunk("000000000000000-000000010485759")
    assert (ranged.place, ranged.after, ranged.ranged) == (0, 10485760, True)
    for name in ("", "a", "-1", "1-", "9-3", "1.5", "٣", "1" * 16, ".file"):
        with pytest.raises(UploadRefused):
            parse_chunk(name)


@pytest.mark.parametrize("names", [["1", "2", "3"], ["0", "1", "2"], ["0-4", "5-9", "10-14"], ["001", "002", "003"]])
def test_chunks_in_order_go_straight_in(names: list[str]) -> None:
    assembly = Assembly(0)
    for number, name in enumerate(names):
        assert assembly.comes(parse_chunk(name), 5) == Stream(5 * number)
        assert assembly.went_in(parse_chunk(name), 5) is None
    assert assembly.close(15, 15) == []


def test_early_ones_wait_for_those_before_them() -> None:
    assembly = Assembly(100)
    assert hold(assembly, "3", 5) is None
    assert hold(assembly, "2", 5) is None
    assert assembly.holding == 10
    assert assembly.comes(parse_chunk("1"), 5) == Stream(0)
    assert assembly.went_in(parse_chunk("1"), 5) == parse_chunk("2")
    assert assembly.went_in(parse_chunk("2"), 5) == parse_chunk("3")
    assert assembly.went_in(parse_chunk("3"), 5) is None
    assert assembly.holding == 0


def test_one_whose_turn_comes_while_it_is_held_goes_in() -> None:
    assembly = Assembly(100)
    assert assembly.comes(parse_chunk("2"), 5) == Hold(5)
    put(assembly, "1", 5)
    assert assembly.held(parse_chunk("2"), 5) == parse_chunk("2")


def test_what_waits_is_bounded_but_whoever_is_in_turn_always_gets_in() -> None:
    assembly = Assembly(12)
    hold(assembly, "3", 5)
    assert assembly.comes(parse_chunk("4"), 5) == Hold(5)
    with pytest.raises(UploadRefused) as caught:
        assembly.comes(parse_chunk("5"), 5)
    assert (status_of(caught), caught.value.headers) == (503, {"Retry-After": "5"})
    assembly.dropped(parse_chunk("4"))
    assert assembly.comes(parse_chunk("5"), None) == Hold(7)
    with pytest.raises(UploadRefused):
        assembly.comes(parse_chunk("6"), None)
    assert assembly.comes(parse_chunk("1"), 500) == Stream(0)


def test_a_chunk_that_comes_again_is_swallowed_if_it_is_the_same() -> None:
    assembly = Assembly(100)
    put(assembly, "1", 5)
    hold(assembly, "3", 5)
    for name in ("1", "3"):
        assert assembly.comes(parse_chunk(name), 5) == assembly.comes(parse_chunk(name), None) == Swallow(5)
        with pytest.raises(UploadRefused) as caught:
            assembly.comes(parse_chunk(name), 6)
        assert status_of(caught) == 409


def test_a_chunk_that_was_broken_off_begins_where_it_began() -> None:
    assembly = Assembly(100)
    put(assembly, "1", 5)
    for _ in range(2):
        assert assembly.comes(parse_chunk("2"), 5) == Stream(5)
    with pytest.raises(UploadRefused, match="broken off") as caught:
        assembly.close(None, 7)
    assert status_of(caught) == 409


def test_nothing_gets_before_what_is_stored() -> None:
    assembly = Assembly(100)
    assert assembly.comes(parse_chunk("1"), 5) == Stream(0)
    with pytest.raises(UploadRefused, match="too late") as caught:
        assembly.comes(parse_chunk("0"), 5)
    assert status_of(caught) == 409


def test_ranges_have_to_be_what_they_say() -> None:
    assembly = Assembly(100)
    with pytest.raises(UploadRefused, match="isn't what its name says"):
        assembly.comes(parse_chunk("0-4"), 6)
    put(assembly, "0-4", 5)
    with pytest.raises(UploadRefused, match="either numbered"):
        assembly.comes(parse_chunk("1"), 5)
    assert assembly.comes(parse_chunk("10-14"), None) == Hold(5)


def test_what_is_missing_is_told() -> None:
    assembly = Assembly(100)
    put(assembly, "1", 5)
    hold(assembly, "3", 5)
    with pytest.raises(UploadRefused, match="before chunk 3 is missing") as caught:
        assembly.close(None, 5)
    assert status_of(caught) == 409
    with pytest.raises(UploadRefused, match="10 bytes together, and the whole should have 15") as caught:
        assembly.close(15, 5)
    assert status_of(caught) == 400
    assert assembly.close(10, 5) == [parse_chunk("3")]


def test_chunks_whose_first_never_came() -> None:
    assembly = Assembly(100)
    hold(assembly, "10-14", 5)
    with pytest.raises(UploadRefused, match="missing"):
        assembly.close(5, 0)
    assembly = Assembly(100)
    hold(assembly, "7", 5)
    hold(assembly, "8", 5)
    assert [chunk.text for chunk in assembly.close(10, 0)] == ["7", "8"]


def test_one_that_is_still_coming_is_waited_for() -> None:
    assembly = Assembly(100)
    put(assembly, "1", 5)
    assembly.comes(parse_chunk("2"), 5)
    assembly.comes(parse_chunk("3"), 5)
    with pytest.raises(UploadRefused, match="still on its way"):
        assembly.close(None, 5)


def test_it_goes_on_after_a_restart() -> None:
    assembly = Assembly(100)
    put(assembly, "1", 5)
    put(assembly, "2", 7)
    hold(assembly, "4", 5)
    again = Assembly(100, assembly.record())
    assert again.comes(parse_chunk("2"), 7) == Swallow(7)
    assert again.comes(parse_chunk("3"), 5) == Stream(12)


def test_there_is_an_end_to_chunks() -> None:
    assembly = Assembly(10 * MAX_CHUNKS)
    for number in range(MAX_CHUNKS):
        hold(assembly, str(number + 2), 1)
    with pytest.raises(UploadRefused, match=f"at most {MAX_CHUNKS}"):
        assembly.comes(parse_chunk("99999"), 1)


def test_the_total_length() -> None:
    assert (total_length({}), total_length({"oc-total-length": "15"})) == (None, 15)
    with pytest.raises(UploadRefused):
        total_length({"oc-total-length": "many"})


@settings(deadline=None)
@given(st.permutations(range(1, 9)), st.integers(0, 40), st.lists(st.integers(0, 7), max_size=6))
def test_in_whatever_order_they_come_the_file_is_in_their_order(order: list[int], bound: int, again: list[int]) -> None:
    """A client that tries again what was refused comes to an end."""
    contents = {number: bytes([number]) * number for number in range(1, 9)}
    file = bytearray()
    kept: dict[int, bytes] = {}
    assembly = Assembly(bound)

    def enter(chunk: Chunk | None) -> None:
        while chunk is not None:
            file.extend(contents[chunk.place])
            chunk = assembly.went_in(chunk, len(contents[chunk.place]))

    waiting = [*order, *(order[index] for index in again)]
    for _ in range(len(waiting) * 8):
        if not waiting:
            break
        number = waiting.pop(0)
        chunk = parse_chunk(str(number))
        place: Place | None = None
        with suppress(UploadRefused):
            place = assembly.comes(chunk, len(contents[number]))
        if place is None:
            waiting.append(number)
        elif isinstance(place, Stream):
            assert place.start == len(file)
            enter(chunk)
        elif isinstance(place, Hold):
            assert assembly.holding <= bound
            kept[number] = contents[number]
            enter(assembly.held(chunk, len(contents[number])))
        else:
            assert place.size == len(contents[number])
    assert not waiting
    for chunk in assembly.close(36, len(file)):
        enter(chunk)
    assert bytes(file) == b"".join(contents[number] for number in range(1, 9))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["0", "1", "2", "3", "0-4", "5-9"]), st.none() | st.integers(0, 9)), max_size=12)
)
def test_whatever_comes_is_placed_or_refused(coming: list[tuple[str, int | None]]) -> None:
    assembly = Assembly(10)
    for name, size in coming:
        chunk = parse_chunk(name)
        with suppress(UploadRefused):
            match assembly.comes(chunk, size):
                case Stream():
                    assembly.went_in(chunk, 5 if size is None else size)
                case Hold(most):
                    assembly.held(chunk, most)
        with suppress(UploadRefused):
            assembly.close(None, 0)
