"""The Merkle tree over the journal's entries (RFC 9162, section 2). Its functions are pure; the
service uses them, and so does an auditor who checks an export offline.

Hashes are SHA-256, 32 bytes. A tree of `size` leaves is identified by its root. To append to it,
only its frontier is needed: the roots of its complete subtrees, from the largest to the smallest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry (2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree to which leaves can be appended."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.roots) != self.size.bit_count():
            raise ValueError("these are not the complete subtrees of a tree of this size")

    def append(self, leaf: bytes) -> Frontier:
        """The tree with one more leaf, given by its hash."""
        roots, size = list(self.roots), self.size
        # Two complete subtrees of the same height become one that is twice as large.
        while size & 1:
            leaf = node_hash(roots.pop(), leaf)
            size >>= 1
        return Frontier(self.size + 1, (*roots, leaf))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """The tree with more leaves."""
        tree = self
        for leaf in leaves:
            tree = tree.append(leaf)
        return tree

    @property
    def root(self) -> bytes:
        """The tree's root (2.1.1)."""
        if not self.roots:
            return EMPTY_ROOT
        *others, root = self.roots
        for left in reversed(others):
            root = node_hash(left, root)
        return root

    def encode(self) -> bytes:
        """The subtrees' roots, 32 bytes each."""
        return b"".join(self.roots)

    @classmethod
    def decode(cls, size: int, encoded: bytes) -> Frontier:
        """Read what `encode` wrote; raises ValueError for anything else."""
        if len(encoded) % HASH_BYTES:
            raise ValueError("a frontier is made of hashes of 32 bytes")
        starts = range(0, len(encoded), HASH_BYTES)
        return cls(size, tuple(encoded[start : start + HASH_BYTES] for start in starts))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of a tree whose leaves have these hashes."""
    return Frontier().extend(leaves).root


def includes(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows a leaf's hash at `index` of the tree with this root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, reached = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            reached = node_hash(each, reached)
            while number and not number & 1:
                number >>= 1
                last >>= 1
        else:
            reached = node_hash(reached, each)
        number >>= 1
        last >>= 1
    return last == 0 and compare_digest(reached, root)


def extends(old_root: bytes, old_size: int, root: bytes, size: int, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that one tree begins with another (2.1.4.2)."""
    if not 0 < old_size <= size:
        return old_size == 0 and not proof
    if old_size == size:
        return not proof and compare_digest(old_root, root)
    path = list(proof)
    # If the old size is a power of two, the old root is itself the first node of the path.
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    number, last = old_size - 1, size - 1
    while number & 1:
        number >>= 1
        last >>= 1
    old = new = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while number and not number & 1:
                number >>= 1
                last >>= 1
        else:
            new = node_hash(new, each)
        number >>= 1
        last >>= 1
    return last == 0 and compare_digest(old, old_root) and compare_digest(new, root)
