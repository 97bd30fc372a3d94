"""The Merkle tree against a naive model and known roots, and checkpoints as signed notes."""

from __future__ import annotations

import base64
from hashlib import sha256
from string import ascii_lowercase, ascii_uppercase

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.audit import notes, proofs, tree
from cloud_keystore.model.errors import InvalidInput

# The inputs and roots of Certificate Transparency's own tests of RFC 6962 trees
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def leaves(count: int) -> list[bytes]:
    return [tree.leaf_hash(bytes([number])) for number in range(count)]


def naive_root(hashes: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word by word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    left, right = naive_root(hashes[:split]), naive_root(hashes[split:])
    return sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("count", range(1, len(ROOTS) + 1))
def test_known_roots(count: int) -> None:
    hashes = [tree.leaf_hash(entry) for entry in INPUTS[:count]]
    assert tree.root_of(hashes).hex() == ROOTS[count - 1]


@pytest.mark.parametrize("count", range(70))
def test_appending_gives_the_root_of_the_definition(count: int) -> None:
    assert tree.root_of(leaves(count)) == naive_root(leaves(count))


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_kept_frontier_goes_on_as_if_it_had_not_been_kept(first: int, more: int) -> None:
    kept = tree.Frontier().extend(leaves(first))
    again = tree.Frontier.decode(kept.size, kept.encode())
    assert again.extend(leaves(more)).root == naive_root(leaves(first) + leaves(more))


@pytest.mark.parametrize(("size", "encoded"), [(1, b""), (2, b"a" * 33), (3, b"a" * 32), (-1, b"")])
def test_what_is_no_frontier(size: int, encoded: bytes) -> None:
    with pytest.raises(ValueError, match=r"hashes|subtrees"):
        tree.Frontier.decode(size, encoded)


@pytest.mark.parametrize("size", range(1, 18))
def test_every_leaf_is_proved_and_nothing_else(size: int) -> None:
    hashes = leaves(size)
    root = naive_root(hashes)
    for index, leaf in enumerate(hashes):
        proof = proved(hashes, proofs.inclusion_ranges(index, size))
        assert tree.includes(root, size, index, leaf, proof)
        assert not tree.includes(root, size, index, b"x" * 32, proof)
        assert not tree.includes(root, size, index, leaf, (*proof, b"x" * 32))
        assert not tree.includes(root, size, index, leaf, proof[:-1]) or not proof
        other = (index + 1) % size
        assert other == index or not tree.includes(root, size, other, leaf, proof)
        assert not tree.includes(root, size, size, leaf, proof)


@pytest.mark.parametrize("size", range(1, 18))
def test_a_tree_extends_what_it_began_with_and_nothing_else(size: int) -> None:
    hashes = leaves(size)
    root = naive_root(hashes)
    for old_size in range(1, size + 1):
        old_root = naive_root(hashes[:old_size])
        proof = proved(hashes, proofs.consistency_ranges(old_size, size))
        assert tree.extends(old_root, old_size, root, size, proof)
        assert not tree.extends(b"x" * 32, old_size, root, size, proof)
        assert not tree.extends(old_root, old_size, b"x" * 32, size, proof)
        assert not tree.extends(old_root, old_size, root, size, (*proof, b"x" * 32))
        assert not proof or not tree.extends(old_root, old_size, root, size, proof[:-1])


@given(st.binary(max_size=40), st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_no_proof_by_chance(leaf: bytes, proof: list[bytes]) -> None:
    root = naive_root(leaves(5))
    assert not tree.includes(root, 5, 2, leaf, proof)
    assert not tree.extends(b"y" * 32, 3, root, 5, proof)


def proved(hashes: list[bytes], ranges: list[proofs.Range]) -> tuple[bytes, ...]:
    """The proof of these ranges."""
    roots = proofs.range_roots(hashes, ranges)
    return tuple(roots[each] for each in ranges)


@given(st.integers(1, 300), st.data())
def test_many_proofs_in_one_pass(size: int, data: st.DataObject) -> None:
    hashes = leaves(size % 256) + leaves(size - size % 256)
    indices = data.draw(st.lists(st.integers(0, size - 1), max_size=8))
    ranges = {index: proofs.inclusion_ranges(index, size) for index in indices}
    roots = proofs.range_roots(hashes, {each for path in ranges.values() for each in path})
    for index, path in ranges.items():
        proof = [roots[each] for each in path]
        assert tree.includes(naive_root(hashes), size, index, hashes[index], proof)


def test_too_few_leaves() -> None:
    with pytest.raises(ValueError, match="too few"):
        proofs.range_roots(leaves(4), proofs.inclusion_ranges(2, 7))
    with pytest.raises(ValueError, match="no such"):
        proofs.inclusion_ranges(7, 7)
    with pytest.raises(ValueError, match="no such"):
        proofs.consistency_ranges(0, 7)


PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = PRIVATE.public_key().public_bytes_raw()
CHECKPOINT = notes.Checkpoint("keystore.example.org/journal", 7, b"\x05" * 32)


@given(st.integers(0, 10**17), st.binary(min_size=32, max_size=32))
def test_a_note_is_opened_as_it_was_closed(size: int, root: bytes) -> None:
    checkpoint = notes.Checkpoint("keystore.example.org/journal", size, root)
    assert notes.open_(notes.close(checkpoint, PUBLIC, PRIVATE.sign), PUBLIC) == checkpoint


def test_a_note_in_the_words_of_its_specification() -> None:
    note = notes.close(CHECKPOINT, PUBLIC, PRIVATE.sign).decode()
    head, signature = note.split("\n\n")
    encoded = base64.b64encode(CHECKPOINT.root).decode()
    assert head == f"keystore.example.org/journal\n7\n{encoded}"
    dash, name, blob = signature.removesuffix("\n").split(" ")
    assert (dash, name) == ("\u2014", "keystore.example.org/journal")
    named = sha256(b"keystore.example.org/journal\n\x01" + PUBLIC).digest()[:4]
    assert base64.b64decode(blob)[:4] == named


def test_another_key_and_another_text() -> None:
    note = notes.close(CHECKPOINT, PUBLIC, PRIVATE.sign)
    other = Ed25519PrivateKey.generate()
    with pytest.raises(InvalidInput, match="not signed"):
        notes.open_(note, other.public_key().public_bytes_raw())
    with pytest.raises(InvalidInput, match="not signed"):
        notes.open_(note.replace(b"\n7\n", b"\n8\n"), PUBLIC)


def test_a_witness_may_sign_too() -> None:
    note = notes.close(CHECKPOINT, PUBLIC, PRIVATE.sign)
    witnessed = note + "\u2014 witness.example AAAAAAAA\n".encode()
    assert notes.open_(witnessed, PUBLIC) == CHECKPOINT


@given(st.binary(max_size=300))
def test_any_bytes_are_no_note(junk: bytes) -> None:
    with pytest.raises(InvalidInput):
        notes.open_(junk, PUBLIC)


@given(st.integers(0, 120), st.integers(0, 255))
def test_any_change_breaks_a_note(position: int, byte: int) -> None:
    note = bytearray(notes.close(CHECKPOINT, PUBLIC, PRIVATE.sign))
    if note[position] == byte:
        return
    note[position] = byte
    with pytest.raises(InvalidInput):
        notes.open_(bytes(note), PUBLIC)


def test_a_signature_has_one_text() -> None:
    """Two bits of its last character count for nothing, and such a note was another one that
    verified.
    """
    note = notes.close(CHECKPOINT, PUBLIC, PRIVATE.sign).decode()
    start, _, blob = note.rpartition(" ")
    digits = f"{ascii_uppercase}{ascii_lowercase}0123456789+/"
    last = digits.index(blob[-3])  # before the padding and the end of the line
    for digit in digits[last + 1 : last + 4]:
        other = f"{blob[:-3]}{digit}=\n"
        assert base64.b64decode(other) == base64.b64decode(blob)
        with pytest.raises(InvalidInput, match="not signed"):
            notes.open_(f"{start} {other}".encode(), PUBLIC)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "a\nb", "x" * 129])
def test_what_cannot_name_a_journal(origin: str) -> None:
    with pytest.raises(InvalidInput):
        notes.check_origin(origin)
