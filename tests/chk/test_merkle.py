from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk.hashes import HASH_SIZE, block_hash
from tahoeish.chk.merkle import (
    Fillers,
    MerkleTree,
    VerifiedTree,
    WrongHash,
    chain_length,
    chain_node_numbers,
    serialised_size,
    share_chain,
    verify_chain,
)
from tests.chk.shares import vectors

KNOWN_TREES = vectors("hash_vectors")["hashtree"]


def leaf(i: int) -> bytes:
    return block_hash(b"leaf %d" % i)


def tree_of(leaf_count: int, fillers: Fillers | None = None) -> MerkleTree:
    tree = MerkleTree(fillers)
    for i in range(leaf_count):
        tree.append(leaf(i))
    tree.finish()
    return tree


def flip(data: bytes, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


@pytest.mark.parametrize("known", KNOWN_TREES, ids=lambda known: str(known["nleaves"]))
def test_known_trees(known: dict[str, Any]) -> None:
    tree = tree_of(known["nleaves"])
    assert tree.root.hex() == known["root_hex"]
    assert tree.serialise().hex() == "".join(known["nodes_hex"])
    assert len(tree.serialise()) == serialised_size(known["nleaves"])
    for i, numbers in known["needed_with_leaf"].items():
        assert chain_node_numbers(known["nleaves"], int(i)) == sorted(numbers)
        assert len(numbers) == chain_length(known["nleaves"])


def test_trees_that_share_their_fillers_are_the_same_trees() -> None:
    fillers = Fillers()
    for leaf_count in (5, 5, 1, 6, 8, 5):
        assert tree_of(leaf_count, fillers).serialise() == tree_of(leaf_count).serialise()


def test_a_tree_is_used_in_order() -> None:
    tree = MerkleTree()
    with pytest.raises(RuntimeError, match="at least one leaf"):
        tree.finish()
    tree.append(leaf(0))
    with pytest.raises(RuntimeError, match="isn't finished"):
        _ = tree.root
    with pytest.raises(RuntimeError, match="isn't finished"):
        tree.serialise()
    tree.finish()
    with pytest.raises(RuntimeError, match="is finished"):
        tree.append(leaf(1))


@given(st.integers(1, 40), st.data())
def test_a_chain_proves_its_leaf(total: int, data: st.DataObject) -> None:
    tree = tree_of(total)
    i = data.draw(st.integers(0, total - 1))
    assert verify_chain(tree.root, total, i, dict(share_chain(tree, i))) == leaf(i)


@given(st.integers(1, 20), st.data())
def test_a_chain_with_a_wrong_or_missing_node_proves_nothing(total: int, data: st.DataObject) -> None:
    tree = tree_of(total)
    i = data.draw(st.integers(0, total - 1))
    chain = dict(share_chain(tree, i))
    number = data.draw(st.sampled_from(sorted(chain)))
    wrong = flip(chain[number], data.draw(st.integers(0, 255)))
    with pytest.raises(WrongHash):
        verify_chain(tree.root, total, i, chain | {number: wrong})
    del chain[number]
    with pytest.raises(WrongHash):
        verify_chain(tree.root, total, i, chain)


@given(st.integers(1, 40), st.data())
def test_verified_leaves_come_out_in_any_order(leaf_count: int, data: st.DataObject) -> None:
    tree = tree_of(leaf_count)
    verified = VerifiedTree(tree.root, leaf_count, tree.serialise())
    for i in data.draw(st.permutations(range(leaf_count))):
        assert verified.leaf(i) == leaf(i)
    verified.verify_all()


@given(st.integers(1, 20), st.data())
def test_no_flipped_bit_yields_a_wrong_leaf(leaf_count: int, data: st.DataObject) -> None:
    tree = tree_of(leaf_count)
    nodes = tree.serialise()
    bit = data.draw(st.integers(0, len(nodes) * 8 - 1))
    try:
        verified = VerifiedTree(tree.root, leaf_count, flip(nodes, bit))
    except WrongHash:
        assert bit < HASH_SIZE * 8
        return
    refused = 0
    for i in data.draw(st.permutations(range(leaf_count))):
        try:
            assert verified.leaf(i) == leaf(i)
        except WrongHash:
            refused += 1
    below_the_flip = chain_positions(leaf_count, bit // (HASH_SIZE * 8))
    assert refused == below_the_flip


def chain_positions(leaf_count: int, number: int) -> int:
    """How many leaves need the node to be right."""
    return sum(needs(leaf_count, i, number) for i in range(leaf_count))


def needs(leaf_count: int, i: int, number: int) -> bool:
    chain = chain_node_numbers(leaf_count, i)
    parents = {(needed - 1) // 2 for needed in chain}
    return number in chain or number in parents


def test_a_tree_of_another_size_or_root_is_refused() -> None:
    tree = tree_of(5)
    with pytest.raises(WrongHash, match="takes 480 bytes"):
        VerifiedTree(tree.root, 5, tree.serialise()[:-32])
    with pytest.raises(WrongHash, match="another root"):
        VerifiedTree(leaf(0), 5, tree.serialise())


def test_there_are_no_leaves_beyond_the_last() -> None:
    tree = tree_of(5)
    verified = VerifiedTree(tree.root, 5, tree.serialise())
    for i in (-1, 5):
        with pytest.raises(IndexError, match="5 leaves"):
            verified.leaf(i)
