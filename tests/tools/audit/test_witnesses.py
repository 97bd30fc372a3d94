"""Two witnesses cosign checkpoints, and notice what the keystore's own key cannot hide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_keystore.audit import notes, proofs, tree
from cloud_keystore.audit.cosignatures import Witness, cosigned
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Kind
from cloudcard_tools.audit.checking import FROM_THE_FUTURE, REWRITTEN, check
from cloudcard_tools.audit.lines import EntryLine, Note
from cloudcard_tools.audit.witnesses import Prove, cosign
from cloudcard_tools.shared.failures import Failure
from support.exports import KEY, Export, checked, first, resigned
from support.witness import SmallWitness

PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.fixture
def witnesses(export: Export) -> Iterator[list[SmallWitness]]:
    """Two that listen, and know the journal's key."""
    origin = export[0].origin  # type: ignore[union-attr]
    with ExitStack() as open_:
        yield [
            open_.enter_context(SmallWitness(name, {origin: PUBLIC}).serving())
            for name in ("one.example.org", "two.example.org")
        ]


def notes_of(export: Export) -> list[bytes]:
    return [line.note for line in export if isinstance(line, Note)]


def proving(export: Export) -> Prove:
    """What the keystore proves with the journal as it is now."""
    leaves = [tree.leaf_hash(line.entry) for line in export if isinstance(line, EntryLine)]

    def prove(old_size: int, size: int) -> Sequence[bytes]:
        ranges = proofs.consistency_ranges(old_size, size)
        roots = proofs.range_roots(leaves[:size], ranges)
        return [roots[each] for each in ranges]

    return prove


def asked(export: Export, note: bytes, witnesses: Sequence[SmallWitness]) -> bytes:
    """A checkpoint that all witnesses have cosigned."""
    head = notes.open_(note, PUBLIC)
    prove = proving(export)
    lines = [cosign(note, head, each.url, each.witness, prove) for each in witnesses]
    return note + b"".join(lines)


def test_two_witnesses_follow_a_journal(export: Export, witnesses: list[SmallWitness]) -> None:
    """Each answers with what it has seen, and cosigns what begins with that."""
    whole = resigned(export, KEY)
    for note in [*notes_of(whole), notes_of(whole)[-1]]:
        both = asked(whole, note, witnesses)
        assert notes.open_(both, PUBLIC) == notes.open_(note, PUBLIC)
        for each in witnesses:
            assert cosigned(both, each.witness) == datetime.fromtimestamp(each.seconds, UTC)
    kept = notes.open_(notes_of(whole)[0], PUBLIC)
    assert checked(whole, PUBLIC, kept).findings == []


def test_a_history_rewritten_with_the_journals_own_key(
    export: Export, witnesses: list[SmallWitness]
) -> None:
    """Whoever has the journal's key showed another history to everybody who came later."""
    before = resigned(export, KEY)
    both = asked(before, notes_of(before)[0], witnesses)
    del export[first(export, Kind.PASSCODE_SET)]
    after = resigned(export, KEY)
    with pytest.raises(Failure, match="another history than the keystore shows now"):
        asked(after, notes_of(after)[-1], witnesses)
    assert [each.wrong for each in checked(after, PUBLIC, notes.open_(both, PUBLIC)).findings] == [
        REWRITTEN
    ]


def test_a_journal_that_became_shorter(export: Export, witnesses: list[SmallWitness]) -> None:
    whole = resigned(export, KEY)
    asked(whole, notes_of(whole)[-1], witnesses)
    with pytest.raises(Failure, match="entries were taken out"):
        asked(whole, notes_of(whole)[0], witnesses)


def test_two_journals_of_one_size(export: Export, witnesses: list[SmallWitness]) -> None:
    """The keystore showed one history to one auditor and another one to the other."""
    whole = resigned(export, KEY)
    note = notes_of(whole)[-1]
    asked(whole, note, witnesses)
    head = notes.open_(note, PUBLIC)
    other = notes.close(Checkpoint(head.origin, head.size, bytes(32)), PUBLIC, KEY.sign)
    with pytest.raises(Failure, match="another journal of this size"):
        asked(whole, other, witnesses)


def test_a_witness_that_knows_another_key(export: Export, witnesses: list[SmallWitness]) -> None:
    stranger = Ed25519PrivateKey.generate()
    forged = notes_of(resigned(export, stranger))[0]
    head = notes.open_(forged, stranger.public_key().public_bytes_raw())
    with pytest.raises(Failure, match="does not know this journal's key"):
        cosign(forged, head, witnesses[0].url, witnesses[0].witness, proving(export))
    elsewhere = Checkpoint("elsewhere", head.size, head.root)
    note = notes.close(elsewhere, PUBLIC, KEY.sign)
    with pytest.raises(Failure, match="does not know this journal"):
        cosign(note, elsewhere, witnesses[0].url, witnesses[0].witness, proving(export))


def test_somebody_who_answers_for_the_witness(
    export: Export, witnesses: list[SmallWitness]
) -> None:
    """An answer counts only if the witness's own key has signed it."""
    whole = resigned(export, KEY)
    note = notes_of(whole)[0]
    one, other = witnesses
    with pytest.raises(Failure, match="not its cosignature"):
        cosign(note, notes.open_(note, PUBLIC), one.url, other.witness, proving(whole))


def test_a_witness_that_is_not_there(export: Export) -> None:
    whole = resigned(export, KEY)
    note = notes_of(whole)[0]
    nobody = SmallWitness("nobody.example.org", {})
    for url, told in (("http://127.0.0.1:9", "cannot be reached"), ("file:///etc", "give the URL")):
        with pytest.raises(Failure, match=told):
            cosign(note, notes.open_(note, PUBLIC), url, nobody.witness, proving(whole))


def test_any_change_of_a_cosignature_is_noticed(
    export: Export, witnesses: list[SmallWitness]
) -> None:
    whole = resigned(export, KEY)
    both = asked(whole, notes_of(whole)[0], witnesses)
    witness = witnesses[0].witness
    line = next(each for each in both.decode().splitlines() if witness.name in each)
    for changed in (
        both.replace(line.encode() + b"\n", b""),
        both.replace(line.encode(), line[:-8].encode() + b"AAAAAAA="),
        both.replace(line.encode(), line.replace("one.", "eno.").encode()),
    ):
        with pytest.raises(InvalidInput, match="not cosigned by one"):
            cosigned(changed, witness)


def test_entries_dated_after_the_witness_saw_them(export: Export) -> None:
    """A rewritten clock: entries that a witness has seen claim to be of later."""
    whole = resigned(export, KEY)
    kept = notes.open_(notes_of(whole)[0], PUBLIC)
    text = iter(enumerate(whole, 1))
    seen = datetime(2026, 11, 22, tzinfo=UTC)
    found = check(text, PUBLIC, kept, witnessed=seen).findings
    assert {each.wrong for each in found} == {FROM_THE_FUTURE}
    assert len(found) == kept.size


@pytest.mark.parametrize(
    "text", ["", "one.example.org", "one+00000000+AAAA", "a b+00000000+AAAA", "one+zz+==="]
)
def test_what_is_no_key_of_a_witness(text: str) -> None:
    with pytest.raises(InvalidInput):
        Witness.parse(text)


def test_the_key_of_a_witness_is_read_as_it_is_written() -> None:
    witness = SmallWitness("one.example.org", {}).witness
    assert Witness.parse(witness.verifier_key) == witness
    name, _, key = witness.verifier_key.split("+", 2)
    with pytest.raises(InvalidInput, match="belong together"):
        Witness.parse(f"{name}+00000000+{key}")
