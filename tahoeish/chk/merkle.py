"""
The format's Merkle trees.

A tree's leaves are filled up on the right to a power of two. Nodes are numbered breadth-first: the root
is 0, the children of i are 2i+1 and 2i+2. A serialised tree is all nodes in that order.
"""

from __future__ import annotations

from itertools import count

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.hashes import HASH_SIZE, merkle_filler, merkle_node


class WrongHash(ValueError):
    """A hash tree contradicts the root it should lead to."""


def padded_leaf_count(leaf_count: int) -> int:
    return 1 << (leaf_count - 1).bit_length()


def serialised_size(leaf_count: int) -> int:
    return HASH_SIZE * (2 * padded_leaf_count(leaf_count) - 1)


def chain_length(total: int) -> int:
    """How many nodes `chain_node_numbers` names."""
    return padded_leaf_count(total).bit_length()


def chain_node_numbers(total: int, i: int) -> list[int]:
    """What proves leaf `i` of `total`, ascending: itself, and the siblings on its way to the root."""
    number = padded_leaf_count(total) - 1 + i
    numbers = [number]
    while number:
        numbers.append(_sibling(number))
        number = _parent(number)
    return sorted(numbers)


def _parent(number: int) -> int:
    return (number - 1) // 2


def _sibling(number: int) -> int:
    return number + 1 if number % 2 else number - 1


def _node(row: Buffer, index: int) -> bytes:
    return bytes(row[index * HASH_SIZE : (index + 1) * HASH_SIZE])


class Fillers:
    """
    The part of a tree that has fillers only.

    It depends on nothing but the number of leaves, so the many trees of one file compute it once between
    them.
    """

    def __init__(self) -> None:
        self._rows: dict[int, list[bytes]] = {}

    def rows(self, leaf_count: int) -> list[bytes]:
        """From the leaves up: the filler-only nodes at the right end of each row."""
        if leaf_count not in self._rows:
            self._rows[leaf_count] = self._compute(leaf_count)
        return self._rows[leaf_count]

    def _compute(self, leaf_count: int) -> list[bytes]:
        width = padded_leaf_count(leaf_count)
        first = leaf_count
        row = [merkle_filler(index) for index in range(first, width)]
        rows = [b"".join(row)]
        while width > 1:
            # A filler that is a right child has a real left sibling: their parent isn't a filler.
            pairs = iter(row[first % 2 :])
            row = [merkle_node(left, right) for left, right in zip(pairs, pairs, strict=True)]
            rows.append(b"".join(row))
            first = (first + 1) // 2
            width //= 2
        return rows


class MerkleTree:
    """
    A tree that grows while its leaves come, so that little is left to do after the last one.

    Takes 64 bytes per leaf.
    """

    def __init__(self, fillers: Fillers | None = None) -> None:
        self.leaf_count = 0
        self._fillers = fillers if fillers is not None else Fillers()
        # From the leaves up; each row is packed, and at first holds only nodes that have all their
        # descendants.
        self._rows = [bytearray()]
        self._finished = False

    def append(self, leaf: bytes) -> None:
        if self._finished:
            raise RuntimeError("the tree is finished: it takes no more leaves")
        self.leaf_count += 1
        node = leaf
        for height in count():
            if height == len(self._rows):
                self._rows.append(bytearray())
            row = self._rows[height]
            row += node
            if len(row) % (2 * HASH_SIZE):
                return
            node = merkle_node(bytes(row[-2 * HASH_SIZE : -HASH_SIZE]), node)

    def leaf(self, number: int) -> bytes:
        """One that was appended."""
        return _node(self._rows[0], number)

    def finish(self) -> None:
        """Close the gaps with fillers. Needs at least one leaf."""
        if not self.leaf_count:
            raise RuntimeError("a tree needs at least one leaf")
        fillers = self._fillers.rows(self.leaf_count)
        for height, filler_row in enumerate(fillers):
            if height == len(self._rows):
                self._rows.append(bytearray())
            row = self._rows[height]
            width = padded_leaf_count(self.leaf_count) >> height
            if len(row) + len(filler_row) < width * HASH_SIZE:
                # The one node of this row that has both real leaves and fillers below it.
                below, left = self._rows[height - 1], 2 * (len(row) // HASH_SIZE)
                row += merkle_node(_node(below, left), _node(below, left + 1))
            row += filler_row
        self._finished = True

    @property
    def root(self) -> bytes:
        return self.node(0)

    def node(self, number: int) -> bytes:
        self._require_finished()
        depth = (number + 1).bit_length() - 1
        return _node(self._rows[-1 - depth], number + 1 - (1 << depth))

    def serialise(self) -> bytes:
        self._require_finished()
        return b"".join(reversed(self._rows))

    def _require_finished(self) -> None:
        if not self._finished:
            raise RuntimeError("the tree isn't finished yet")


def share_chain(tree: MerkleTree, i: int) -> list[tuple[int, bytes]]:
    """What a holder of leaf `i` alone needs to prove it: `chain_node_numbers`, with their hashes."""
    return [(number, tree.node(number)) for number in chain_node_numbers(tree.leaf_count, i)]


def verify_chain(root: bytes, total: int, i: int, chain: dict[int, bytes]) -> bytes:
    """Leaf `i`, proven by what `share_chain` made. Raises WrongHash, also when nodes are missing."""
    number = padded_leaf_count(total) - 1 + i
    if not all(needed in chain for needed in chain_node_numbers(total, i)):
        raise WrongHash("nodes are missing from the chain")
    leaf = node = chain[number]
    while number:
        sibling = chain[_sibling(number)]
        node = merkle_node(node, sibling) if number % 2 else merkle_node(sibling, node)
        number = _parent(number)
    if node != root:
        raise WrongHash("the chain does not lead to the root")
    return leaf


class VerifiedTree:
    """
    A serialised tree from an untrusted source, each leaf verified against the root when it is asked for.

    What was verified once is remembered. Threads may ask at the same time: each marks nodes as verified
    only after it has proved them, and marking twice does no harm.
    """

    def __init__(self, root: bytes, leaf_count: int, nodes: Buffer) -> None:
        if len(nodes) != serialised_size(leaf_count):
            raise WrongHash(f"a tree of {leaf_count} leaves takes {serialised_size(leaf_count)} bytes")
        if _node(nodes, 0) != root:
            raise WrongHash("the tree has another root")
        self._leaf_count = leaf_count
        self._first_leaf = padded_leaf_count(leaf_count) - 1
        self._nodes = nodes
        self._verified = bytearray(len(nodes) // HASH_SIZE)
        self._verified[0] = True

    def leaf(self, i: int) -> bytes:
        """Raises WrongHash when the way from the leaf to the root doesn't add up."""
        if not 0 <= i < self._leaf_count:
            raise IndexError(f"the tree has {self._leaf_count} leaves, there is no leaf {i}")
        number = self._first_leaf + i
        proved = []
        while not self._verified[number]:
            left = number - 1 + number % 2
            proved += [left, left + 1]
            number = _parent(number)
            if _node(self._nodes, number) != merkle_node(_node(self._nodes, left), _node(self._nodes, left + 1)):
                raise WrongHash(f"node {number} is not the hash of its children")
        for each in proved:
            self._verified[each] = True
        return _node(self._nodes, self._first_leaf + i)

    def verify_all(self) -> None:
        """Raises WrongHash unless every leaf is good. Takes a few microseconds per leaf."""
        for i in range(self._leaf_count):
            self.leaf(i)
