"""Makes proofs for the journal's tree (RFC 9162, 2.1.3 and 2.1.4): finds the ranges of leaves that
make up a proof, and the roots of many ranges in one pass over the leaves, with little memory.

A range (first, end) holds the leaves first to end - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from cloud_keystore.audit.tree import node_hash, root_of

Range: TypeAlias = tuple[int, int]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose roots prove that the leaf at `index` is in a tree of `size` (2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("there is no such leaf")
    first, end = 0, size
    path: list[Range] = []
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((first, middle))
            first = middle
    return path[::-1]


def consistency_ranges(old_size: int, size: int) -> list[Range]:
    """The ranges whose roots prove that a tree of `size` begins with one of `old_size`
    (2.1.4.1).
    """
    if not 0 < old_size <= size:
        raise ValueError("there is no such tree")
    first, end, whole = 0, size, True
    path: list[Range] = []
    while end != old_size:
        middle = first + _split(end - first)
        if old_size <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((first, middle))
            first, whole = middle, False
    if not whole:
        path.append((first, end))
    return path[::-1]


def range_roots(leaves: Iterable[bytes], ranges: Iterable[Range]) -> Mapping[Range, bytes]:
    """The root of each range, from the hashes of all leaves in order.

    The ranges must be those of proofs: the largest subtree of each starts at a multiple of its own
    size. Raises ValueError if there are too few leaves.
    """
    pieces = _pieces(ranges)
    wanted = {piece for parts in pieces.values() for piece in parts}
    found: dict[Range, bytes] = {}
    stack: list[bytes] = []
    for index, leaf in enumerate(leaves):
        end, width, root = index + 1, 1, leaf
        if (index, end) in wanted:
            found[index, end] = root
        while end % (2 * width) == 0:
            root, width = node_hash(stack.pop(), root), 2 * width
            if (end - width, end) in wanted:
                found[end - width, end] = root
        stack.append(root)
    if len(found) != len(wanted):
        raise ValueError("there are too few leaves")
    return {each: _join([found[piece] for piece in parts]) for each, parts in pieces.items()}


def tiled_roots(
    ranges: Iterable[Range],
    width: int,
    tops: Iterable[bytes],
    leaves: Callable[[int], Sequence[bytes]],
) -> Mapping[Range, bytes]:
    """What `range_roots` returns, from the roots of all `width` leaves, and the hashes of those
    leaves alone that are needed: `leaves` returns the nth `width` of them. The width is a power of
    two.
    """
    pieces = _pieces(ranges)
    large: dict[Range, Range] = {}
    small: dict[int, list[Range]] = {}
    for first, end in {piece for parts in pieces.values() for piece in parts}:
        if end - first >= width:
            large[first // width, end // width] = (first, end)
        else:
            small.setdefault(first // width, []).append((first, end))
    found = {large[each]: root for each, root in range_roots(tops, large).items()}
    for number, some in small.items():
        hashes, before = leaves(number), number * width
        for first, end in some:
            found[first, end] = root_of(hashes[first - before : end - before])
    return {each: _join([found[piece] for piece in parts]) for each, parts in pieces.items()}


def _pieces(ranges: Iterable[Range]) -> Mapping[Range, Sequence[Range]]:
    """The complete subtrees of each range."""
    return {each: _complete(*each) for each in ranges}


def _complete(first: int, end: int) -> Sequence[Range]:
    """The complete subtrees of a range, from the largest to the smallest."""
    parts: list[Range] = []
    while first < end:
        width = 1 << ((end - first).bit_length() - 1)
        parts.append((first, first + width))
        first += width
    return parts


def _join(roots: list[bytes]) -> bytes:
    root = roots.pop()
    while roots:
        root = node_hash(roots.pop(), root)
    return root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
