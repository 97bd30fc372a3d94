"""Checking exported journals and evidence packs: every way to tamper is found, at its line."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_keystore.audit import notes, proofs, tree
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.storage import journal as rows
from cloudcard.registry.v1 import identities_pb2
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.audit import lines, pack
from cloudcard_tools.audit.checking import Checked, check, check_pack
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note
from cloudcard_tools.audit.service import Head
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.identity import channel
from cloudcard_tools.shared.processes import Nursery
from support import warm_starts
from support.keystore_process import KeystoreProcess, Workstation
from support.keystore_world import OPERATOR, SESSIONS, TERMS, World, new_world

Export = list[Line]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A keystore where one has signed, denied, used a session and a passkey."""
    world = new_world(tmp_path_factory.mktemp("world"))
    (ada, phone), pc = world.user(), world.workstation()
    serial = world.card(ada)
    world.perform(approved(world, serial, pc, phone), pc)
    world.take_in()
    world.clock.forward(minutes=1)
    world.decide(world.ask(serial, pc), phone, Decision.DENY)
    world.clock.forward(minutes=1)
    world.set_policy(SESSIONS)
    session = world.session(serial, pc, phone, SessionTerms(3, TERMS.time))
    world.use(session, pc)
    world.use(session, pc)
    world.take_in()
    user, token = world.people.add_user("Bo", "", actor=OPERATOR)
    bo = world.enrol_passkey(token.text)
    world.decide(world.ask(world.card(user), pc), bo)
    world.take_in()
    yield world
    world.database.close()


def approved(world: World, serial: str, pc: object, phone: object) -> object:
    operation = world.ask(serial, pc)  # type: ignore[arg-type]
    world.decide(operation, phone)  # type: ignore[arg-type]
    return operation


@pytest.fixture
def export(world: World) -> Export:
    with world.database.read() as connection:
        entries = rows.between(connection, 0, 10**9)
        found = rows.list_notes(connection, 0, 100)
    log = world.reading.log
    taken = [row for row in entries if row.index is not None]
    exported: Export = [Header(log.origin, log.public_key, len(taken))]
    sizes = {int(note.split(b"\n")[1]): note for note in found}
    for row in taken:
        exported.append(EntryLine(row.index or 0, row.entry))
        if (note := sizes.get((row.index or 0) + 1)) is not None:
            exported.append(Note(note))
    return [*exported, End(len(taken), len(found))]


def checked(
    export: Export, public_key: bytes | None = None, kept: Checkpoint | None = None
) -> Checked:
    text = "".join(lines.write(line) for line in export).encode()
    return check(lines.read(io.BytesIO(text)), public_key, kept)


def wrong(export: Export) -> tuple[int, str]:
    """The first thing that a check finds, with its line."""
    first = checked(export).findings[0]
    return first.line, first.wrong


def place(export: Export, *kinds: Kind) -> int:
    """Where the last entry of one of these kinds is."""
    return max(
        at
        for at, line in enumerate(export)
        if isinstance(line, EntryLine) and decode(line.entry).kind in kinds
    )


def resigned(export: Export, private: Ed25519PrivateKey, origin: str = "") -> Export:
    """The same entries with a tree and checkpoints of their own, by another key."""
    public = private.public_key().public_bytes_raw()
    header = export[0]
    assert isinstance(header, Header)
    grown = tree.Frontier()
    made: Export = []
    for line in export[1:]:
        if isinstance(line, EntryLine):
            made.append(EntryLine(grown.size, line.entry))
            grown = grown.append(tree.leaf_hash(line.entry))
        elif isinstance(line, Note):
            head = Checkpoint(origin or header.origin, grown.size, grown.root)
            made.append(Note(notes.close(head, public, private.sign)))
    count = sum(isinstance(line, Note) for line in made)
    return [Header(origin or header.origin, public, grown.size), *made, End(grown.size, count)]


def test_a_true_journal(world: World, export: Export) -> None:
    result = checked(export, world.reading.log.public_key)
    assert result.findings == []
    assert result.checkpoints == 3
    assert notes.open_(result.newest, world.reading.log.public_key).size == result.entries


def changed(line: Line, old: bytes, new: bytes) -> EntryLine:
    assert isinstance(line, EntryLine)
    assert old in line.entry
    return EntryLine(line.index, line.entry.replace(old, new, 1))


class TestTampering:
    def test_a_changed_byte(self, export: Export) -> None:
        at = place(export, Kind.OPERATION_DENIED)
        export[at] = (
            changed(export[at], b'"trace_id"', b'"trace_iD"')
            if b"trace_id"
            in (
                export[at].entry  # type: ignore[union-attr]
            )
            else changed(export[at], b"device ", b"auditor ")
        )
        line, what = wrong(export)
        assert line > at
        assert "not those of this checkpoint" in what

    def test_an_entry_taken_out(self, export: Export) -> None:
        at = place(export, Kind.OPERATION_DENIED)
        del export[at]
        assert wrong(export) == (at + 1, "an entry is missing, doubled or at another place")

    def test_entries_taken_out_and_numbered_anew(self, export: Export) -> None:
        del export[place(export, Kind.OPERATION_DENIED)]
        count = 0
        for at, line in enumerate(export):
            if isinstance(line, EntryLine):
                export[at] = EntryLine(count, line.entry)
                count += 1
        assert "not those of this checkpoint" in wrong(export)[1]

    def test_entries_exchanged(self, export: Export) -> None:
        one, other = export[2], export[3]
        assert isinstance(one, EntryLine)
        assert isinstance(other, EntryLine)
        export[2], export[3] = EntryLine(one.index, other.entry), EntryLine(other.index, one.entry)
        assert "not those of this checkpoint" in wrong(export)[1]

    def test_a_file_that_was_cut(self, export: Export) -> None:
        for left in range(1, len(export)):
            assert checked(export[:left]).findings

    def test_a_checkpoint_taken_out(self, export: Export) -> None:
        first = next(at for at, line in enumerate(export) if isinstance(line, Note))
        del export[first]
        assert "tells of more than there is" in wrong(export)[1]

    def test_a_checkpoint_by_another_key(self, export: Export) -> None:
        forged = resigned(export, Ed25519PrivateKey.generate())
        at = next(at for at, line in enumerate(export) if isinstance(line, Note))
        export[at] = forged[at]
        assert wrong(export) == (at + 1, "the checkpoint is not signed by the journal's key")

    def test_a_whole_history_by_another_key(self, world: World, export: Export) -> None:
        forged = resigned(export, Ed25519PrivateKey.generate())
        assert checked(forged).findings == []  # nobody can tell who does not know the key
        found = checked(forged, world.reading.log.public_key).findings
        assert found[0].wrong == "this is the journal of another key"

    def test_a_history_rewritten_with_the_journals_own_key(self, export: Export) -> None:
        """Whoever has the database and the sealing key: found by who kept a checkpoint."""
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        before = resigned(export, private)
        note = next(line for line in before if isinstance(line, Note))
        kept = notes.open_(note.note, public)
        assert checked(before, public, kept).findings == []
        del export[1]  # the first entry, which no other one rests on
        after = resigned(export, private)
        assert checked(after, public).findings == []
        assert "history was rewritten" in checked(after, public, kept).findings[0].wrong

    def test_a_journal_that_became_shorter(self, export: Export) -> None:
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        whole = resigned(export, private)
        kept = notes.open_(checked(whole).newest, public)
        first = next(at for at, line in enumerate(export) if isinstance(line, Note))
        short = resigned(export[: first + 1], private)
        assert "shorter than the checkpoint" in checked(short, public, kept).findings[0].wrong


class TestEvidence:
    """What a keystore cannot put into its own journal, though it signs it."""

    def forged(self, export: Export, at: int, old: bytes, new: bytes) -> list[str]:
        export[at] = changed(export[at], old, new)
        return [each.wrong for each in checked(resigned(export, KEY)).findings]

    def test_a_denial_made_an_approval(self, export: Export) -> None:
        at = place(export, Kind.OPERATION_DENIED)
        found = self.forged(export, at, b'"operation.denied"', b'"operation.approved"')
        assert found[0] == "the device signed another decision"

    def test_a_signature_for_another_operation(self, export: Export) -> None:
        first, second = (
            at
            for at, line in enumerate(export)
            if isinstance(line, EntryLine)
            and decode(line.entry).kind is Kind.OPERATION_APPROVED
            and decode(line.entry).details["approval_key"] == "native"
        )
        one, other = export[first], export[second]
        assert isinstance(one, EntryLine)
        assert isinstance(other, EntryLine)
        theirs = json.loads(other.entry)["evidence"]
        export[first] = EntryLine(
            one.index, json.dumps({**json.loads(one.entry), "evidence": theirs}).encode()
        )
        found = [each.wrong for each in checked(resigned(export, KEY)).findings]
        assert "over this decision" in found[0] or "another operation" in found[0]

    def test_a_use_without_approval(self, export: Export) -> None:
        at = min(
            at
            for at, line in enumerate(export)
            if isinstance(line, EntryLine) and decode(line.entry).kind is Kind.OPERATION_APPROVED
        )
        del export[at]
        found = [each.wrong for each in checked(resigned(export, KEY)).findings]
        assert "a key was used without an approval, or twice for one" in found

    def test_an_approval_used_twice(self, export: Export) -> None:
        at = place(export, Kind.OPERATION_USED)
        export.insert(at, export[at])
        found = [each.wrong for each in checked(resigned(export, KEY)).findings]
        assert found == ["a key was used without an approval, or twice for one"]

    def test_more_uses_of_a_session_than_approved(self, export: Export) -> None:
        at = place(export, Kind.SESSION_USED)
        export[at:at] = [export[at]] * 2
        found = [each.wrong for each in checked(resigned(export, KEY)).findings]
        assert found == ["a session was used more often than approved"]

    @pytest.mark.parametrize("name", ["device_signature", "payload", "client_data"])
    def test_other_evidence(self, export: Export, name: str) -> None:
        at = place(export, Kind.OPERATION_APPROVED)  # by a passkey
        entry = export[at]
        assert isinstance(entry, EntryLine)
        fields = json.loads(entry.entry)
        raw = bytearray(base64.b64decode(fields["evidence"][name]))
        raw[-1] ^= 1
        fields["evidence"][name] = base64.b64encode(raw).decode()
        export[at] = EntryLine(entry.index, json.dumps(fields).encode())
        found = [each.wrong for each in checked(resigned(export, KEY)).findings]
        assert found == ["the device's signature is not over this decision"]

    def test_a_key_that_the_device_never_had(self, export: Export) -> None:
        del export[
            min(
                at
                for at, line in enumerate(export)
                if isinstance(line, EntryLine)
                and decode(line.entry).kind is Kind.IDENTITY_ENROLLED
                and decode(line.entry).device_id
            )
        ]
        found = [each.wrong for each in checked(resigned(export, KEY)).findings]
        assert found[0] == "the key that signed it is not the one its device was enrolled with"

    def test_time_that_goes_back(self, export: Export) -> None:
        export.insert(len(export) - 2, export[1])
        found = [each.wrong for each in checked(resigned(export, KEY)).findings]
        assert any("time goes back" in each for each in found)


KEY = Ed25519PrivateKey.generate()


@given(st.binary(max_size=200))
def test_any_bytes_are_no_export(junk: bytes) -> None:
    with pytest.raises(Failure):
        check(lines.read(io.BytesIO(junk)))


@settings(max_examples=30)
@given(st.integers(0), st.integers(0, 255))
def test_any_change_of_an_export_is_found_or_said_to_be_none(at: int, byte: int) -> None:
    text = bytearray(SMALL)
    at %= len(text)
    if text[at] == byte:
        return
    text[at] = byte
    try:
        result = check(lines.read(io.BytesIO(bytes(text))), SMALL_KEY)
    except Failure:
        return
    assert result.findings or _reads_the_same(bytes(text))


def _reads_the_same(text: bytes) -> bool:
    """A blank between two fields, for instance, is no change of what is said."""
    return [line for _, line in lines.read(io.BytesIO(text))] == [
        line for _, line in lines.read(io.BytesIO(SMALL))
    ]


def _small() -> tuple[bytes, bytes]:
    public = KEY.public_key().public_bytes_raw()
    entry = b'{"actor":"keystore","kind":"keystore.started","time":1}'
    root = tree.root_of([tree.leaf_hash(entry)] * 2)
    note = notes.close(Checkpoint("o", 2, root), public, KEY.sign)
    exported: Export = [
        Header("o", public, 2), EntryLine(0, entry), EntryLine(1, entry), Note(note), End(2, 1),
    ]  # fmt: skip
    return "".join(lines.write(line) for line in exported).encode(), public


SMALL, SMALL_KEY = _small()


def test_a_line_without_end(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    with endless.open("wb") as file:
        file.truncate(1 << 32)  # sparse
    with endless.open("rb") as file, pytest.raises(Failure, match="longer than"):
        check(lines.read(file))


@pytest.fixture
def packed(tmp_path: Path, world: World, export: Export) -> Path:
    """A pack of some entries."""
    log = world.reading.log
    entries = [line for line in export if isinstance(line, EntryLine)]
    leaves = [tree.leaf_hash(entry.entry) for entry in entries]
    newest = [line.note for line in export if isinstance(line, Note)][-1]
    some = [entries[1], *entries[-4:]]
    proved = []
    for entry in some:
        ranges = proofs.inclusion_ranges(entry.index, len(leaves))
        found = proofs.range_roots(leaves, ranges)
        proved.append(EntryLine(entry.index, entry.entry, tuple(found[each] for each in ranges)))
    head = Head(log.origin, log.public_key, newest, notes.open_(newest, log.public_key))
    path = tmp_path / "pack.zip"
    pack.pack(path, head, proved)
    again = tmp_path / "again.zip"
    pack.pack(again, head, proved)
    assert path.read_bytes() == again.read_bytes()
    return path


def test_a_true_pack(world: World, packed: Path) -> None:
    with pack.opened(packed) as file:
        result = check_pack(lines.read(file), world.reading.log.public_key, None)
    assert result.findings == []
    assert result.entries == 5


def repacked(packed: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The pack with other contents; the manifest is made anew."""
    with zipfile.ZipFile(packed) as archive:
        files = {name: change(name, archive.read(name)) for name in archive.namelist()}
    other = packed.with_name("other.zip")
    with zipfile.ZipFile(other, "w") as archive:
        for name, value in files.items():
            archive.writestr(name, value)
    return other


def test_a_pack_whose_files_were_changed(packed: Path) -> None:
    other = repacked(packed, lambda name, value: value + (b" " if name == pack.TABLE else b""))
    with pytest.raises(Failure, match=r"entries\.csv"), pack.opened(other):
        pass


def test_a_pack_with_further_files(packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../../etc/passwd", b"")
    with pytest.raises(Failure, match="other files"), pack.opened(packed):
        pass


def test_an_entry_of_another_journal_in_a_pack(packed: Path) -> None:
    with pack.opened(packed) as file:
        read = [line for _, line in lines.read(file)]
    first = read[2]
    assert isinstance(first, EntryLine)
    read[2] = EntryLine(first.index, first.entry.replace(b"keystore", b"somebody"), first.proof)
    if read[2] == first:
        read[2] = EntryLine(first.index + 1, first.entry, first.proof)
    result = check_pack(list(enumerate(read, 1)), None, None)
    assert result.findings[0].wrong == "this entry is not in the journal of the checkpoint"


def test_no_cell_of_a_pack_is_a_formula(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        cells = [
            cell
            for row in csv.reader(io.StringIO(archive.read(pack.TABLE).decode()))
            for cell in row
        ]
    assert not any(cell.startswith(pack.FORMULA) for cell in cells)


def cloudcard(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"CLOUDCARD_HOME": str(home), "XDG_DATA_HOME": str(home)}
    return warm_starts.run(*arguments, environment=own)


def test_an_auditors_day(tmp_path: Path) -> None:
    """From the invitation to a verified pack, by the commands alone."""
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        user_id, ada = keystore.holder("Ada")
        pc = keystore.workstation("pc")
        serial = keystore.card(user_id, ada)
        with channel(pc) as at_pc, channel(ada) as at_phone:
            workstation = Workstation(workstation_pb2_grpc.WorkstationServiceStub(at_pc), serial)
            operation = workstation.create(os.urandom(16))
            phone = Phone(ada, at_phone)
            phone.approve(phone.find(operation.id), operation.number)
            workstation.perform(operation.id)
        asked = identities_pb2.CreateAuditorRequest(display_name="Grace")
        token = keystore.registry.identities.CreateAuditor(asked).token.text
        identity = ("--identity", str(tmp_path / "auditor"))
        (tmp_path / "token").write_text(token)
        enrolled = cloudcard(
            tmp_path, "audit", "enrol", "--token-file", str(tmp_path / "token"), *identity
        )
        assert enrolled.returncode == 0, enrolled.stderr
        keystore.child.stop()  # all entries get their places
        keystore.restart()
        key = json.loads(cloudcard(tmp_path, "audit", "key", "--json", *identity).stdout)
        pinned = ("--journal-key", key["journal_key"])
        shown = json.loads(
            cloudcard(tmp_path, "audit", "show", "--card", serial, "--json", *identity).stdout
        )
        kinds = [each["kind"] for each in shown]
        assert kinds[:3] == ["operation.used", "operation.approved", "operation.asked"]
        table = cloudcard(tmp_path, "audit", "show", "--kind", "operation.used", *identity)
        assert "operation.used" in table.stdout
        # Names and serial numbers stand beside identifiers, and find entries too.
        assert f"card {serial} ({shown[0]['card_id']})" in table.stdout
        assert f"user Ada ({user_id})" in table.stdout
        assert f"workstation pc ({shown[0]['workstation_id']})" in table.stdout
        assert shown[0]["names"][user_id] == "Ada"
        by_name = ("--user", "ada", "--workstation", "PC", "--operation", operation.id[:23])
        found = cloudcard(tmp_path, "audit", "show", *by_name, "--json", *identity)
        assert [each["kind"] for each in json.loads(found.stdout)] == kinds[:3]
        nobody = cloudcard(
            tmp_path, "audit", "pack", str(tmp_path / "no"), "--user", "Eve", *identity
        )
        assert (nobody.returncode, (tmp_path / "no").exists()) == (1, False)
        assert 'no person "Eve"' in nobody.stderr
        export, packed, kept = (str(tmp_path / name) for name in ("j.jsonl", "e.zip", "kept"))
        assert cloudcard(tmp_path, "audit", "export", export, *identity).returncode == 0
        good = cloudcard(tmp_path, "audit", "verify", export, *pinned, "--keep", kept)
        assert good.returncode == 0, good.stdout
        assert "nothing is wrong" in good.stdout
        assert (
            cloudcard(tmp_path, "audit", "pack", packed, "--card", serial, *identity).returncode
            == 0
        )
        assert cloudcard(tmp_path, "audit", "verify", packed, *pinned).returncode == 0
        with zipfile.ZipFile(packed) as archive:
            assert f"{user_id}=Ada" in archive.read(pack.TABLE).decode()
        keystore.child.stop()
        keystore.restart()
        later = str(tmp_path / "later.jsonl")
        assert cloudcard(tmp_path, "audit", "export", later, *identity).returncode == 0
        since = ("--since-checkpoint", kept)
        assert cloudcard(tmp_path, "audit", "verify", later, *pinned, *since).returncode == 0
        text = Path(later).read_bytes()
        Path(later).write_bytes(text.replace(b'"index":3,', b'"index":4,', 1))
        bad = cloudcard(tmp_path, "audit", "verify", later, *pinned, "--json")
        assert bad.returncode == 1
        assert json.loads(bad.stdout)["findings"][0]["line"] > 1
        assert "Traceback" not in bad.stderr
