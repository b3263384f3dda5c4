from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk import base32
from tahoeish.grid.placement import Placement, happiness, permuted, place

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "hash_vectors.json").read_text())

Held = dict[str, set[int]]

PEERS = "abcdef"
peers = st.sets(st.sampled_from(PEERS))
totals = st.integers(1, 12)
helds = st.dictionaries(st.sampled_from(PEERS), st.sets(st.integers(0, 11)))


def holders(*holdings: Mapping[str, Collection[int]]) -> dict[int, set[str]]:
    by_share: dict[int, set[str]] = {}
    for held in holdings:
        for peer, numbers in held.items():
            for number in numbers:
                by_share.setdefault(number, set()).add(peer)
    return by_share


def best_happiness(total: int, held: Mapping[str, Collection[int]], writable: Collection[str]) -> int:
    """By definition: the greatest matching if every writable peer could have every share."""
    return happiness(holders(held, {peer: range(total) for peer in writable}))


# The ring


@pytest.mark.parametrize("vector", VECTORS["permutation"])
def test_ring_is_in_the_order_of_tahoe(vector: dict[str, object]) -> None:
    seeds = vector["seeds_base32"]
    assert isinstance(seeds, dict)

    ring = permuted(bytes.fromhex(str(vector["storage_index_hex"])), seeds, lambda peer: base32.decode(seeds[peer]))

    assert ring == vector["order"]


# Happiness


@pytest.mark.parametrize("vector", VECTORS["happiness"])
def test_happiness_is_that_of_tahoe(vector: dict[str, object]) -> None:
    sharemap = vector["sharemap"]
    assert isinstance(sharemap, dict)

    assert happiness({int(number): peers for number, peers in sharemap.items()}) == vector["happiness"]


@given(by_share=st.dictionaries(st.integers(0, 3), st.sets(st.sampled_from("abc")), max_size=4))
def test_happiness_is_the_most_distinct_pairs_of_peer_and_share(by_share: dict[int, set[str]]) -> None:
    choices = product(*([None, *sorted(peers)] for peers in by_share.values()))
    chosen = ([peer for peer in choice if peer] for choice in choices)

    assert happiness(by_share) == max(len(some) for some in chosen if len(set(some)) == len(some))


# Placement


def test_as_many_peers_as_shares_get_one_each() -> None:
    assert place(3, "cab", {}, "abc") == Placement({"c": [0], "a": [1], "b": [2]}, [])


def test_first_peers_of_the_ring_are_chosen() -> None:
    assert place(2, "dcba", {}, "abd") == Placement({"d": [0], "b": [1]}, [])


def test_ten_shares_for_three_peers_go_round() -> None:
    placement = place(10, "abc", {}, "abc")

    assert placement.asked == {"a": [0, 3, 6, 9], "b": [1, 4, 7], "c": [2, 5, 8]}


def test_existing_shares_are_not_sent_again() -> None:
    assert place(3, "abc", {"c": {0}, "a": {2}}, "abc") == Placement({"b": [1]}, [])


def test_peer_with_many_shares_gets_no_more() -> None:
    assert place(6, "ab", {"a": {0, 1, 2}}, "ab") == Placement({"b": [3, 4, 5]}, [])


def test_share_is_copied_where_a_peer_would_have_none_of_its_own() -> None:
    assert place(2, "ab", {"a": {0, 1}}, "ab") == Placement({"b": [1]}, [])


def test_peer_that_can_not_be_written_to_counts_by_what_it_has() -> None:
    assert place(2, "ab", {"a": {0}, "b": {0}}, "a") == Placement({"a": [1]}, [])


def test_peer_that_has_left_the_ring_does_not_count() -> None:
    assert place(1, "a", {"gone": {0}}, "a") == Placement({"a": [0]}, [])


def test_without_a_writable_peer_shares_are_homeless() -> None:
    assert place(3, "ab", {"a": {1}}, "") == Placement({}, [0, 2])


def test_refused_shares_go_to_the_next_peers() -> None:
    assert place(3, "abcd", {}, "abcd").asked == {"a": [0], "b": [1], "c": [2]}

    assert place(3, "abcd", {"a": {0}, "c": {2}}, "acd") == Placement({"d": [1]}, [])
    assert place(3, "abcd", {"a": {0}, "c": {2}}, "ac") == Placement({"a": [1]}, [])


@given(total=totals, held=helds, writable=peers)
def test_no_share_is_asked_of_two_peers_or_of_one_that_has_it(total: int, held: Held, writable: set[str]) -> None:
    asked = place(total, PEERS, held, writable).asked

    numbers = [number for some in asked.values() for number in some]
    assert len(set(numbers)) == len(numbers)
    assert all(not held.get(peer, set()) & set(some) for peer, some in asked.items())
    assert set(asked) <= writable


@given(total=totals, held=helds, writable=peers)
def test_every_share_has_a_home_while_there_is_a_writable_peer(total: int, held: Held, writable: set[str]) -> None:
    placement = place(total, PEERS, held, writable)

    placed = set(holders(held, placement.asked))
    assert placed | set(placement.homeless) >= set(range(total))
    assert not placed & set(placement.homeless)
    assert not (writable and placement.homeless)


@given(total=totals, held=helds, writable=peers)
def test_happiness_is_as_great_as_it_can_be(total: int, held: Held, writable: set[str]) -> None:
    held = {peer: {number for number in numbers if number < total} for peer, numbers in held.items()}
    placement = place(total, PEERS, held, writable)

    assert happiness(holders(held, placement.asked)) == best_happiness(total, held, writable)


@given(total=totals, ring=st.permutations(PEERS), writable=peers)
def test_new_shares_are_spread_evenly_from_the_start_of_the_ring(
    total: int, ring: list[str], writable: set[str]
) -> None:
    asked = place(total, ring, {}, writable).asked

    loads = [len(asked.get(peer, [])) for peer in ring if peer in writable]
    assert loads == sorted(loads, reverse=True)
    assert not loads or max(loads) - min(loads) <= 1


@given(total=totals, held=helds, refusing=st.lists(peers, max_size=3))
def test_refusals_never_send_a_granted_share_twice(total: int, held: Held, refusing: list[set[str]]) -> None:
    granted: Held = {}
    writable = set(PEERS)
    for refusals in [*refusing, set()]:
        together = {peer: held.get(peer, set()) | granted.get(peer, set()) for peer in PEERS}
        placement = place(total, PEERS, together, writable)
        writable -= refusals
        for peer, numbers in placement.asked.items():
            if peer in writable:
                already = holders(granted)
                assert not already.keys() & set(numbers)
                granted.setdefault(peer, set()).update(numbers)
    placed = set(holders(held, granted))
    assert placed >= set(range(total)) or not writable


# Shares that a peer must not be asked for


def test_barred_share_goes_to_another_peer() -> None:
    assert place(2, "ab", {}, "ab", {"a": {0}, "b": {1}}) == Placement({"a": [1], "b": [0]}, [])
    assert place(3, "abc", {"b": {1}, "c": {2}}, "abc", {"a": {0}}) == Placement({"b": [0]}, [])


def test_peer_gives_up_a_share_that_another_one_could_not_do_without() -> None:
    assert place(2, "ba", {}, "ab", {"a": {1}}) == Placement({"a": [0], "b": [1]}, [])


def test_share_that_is_barred_everywhere_is_homeless() -> None:
    assert place(2, "ab", {}, "ab", {"a": {0}, "b": {0}}) == Placement({"a": [1]}, [0])


@given(total=totals, held=helds, writable=peers, barred=helds)
def test_nothing_barred_is_asked_for(total: int, held: Held, writable: set[str], barred: Held) -> None:
    placement = place(total, PEERS, held, writable, barred)

    assert not any(set(numbers) & barred.get(peer, set()) for peer, numbers in placement.asked.items())
    homeless = set(range(total)) - holders(held, placement.asked).keys()
    assert set(placement.homeless) == homeless
    assert all(number in barred.get(peer, ()) for number in homeless for peer in writable)
