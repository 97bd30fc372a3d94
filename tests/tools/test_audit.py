"""Checking exported journals and evidence packs: every way to tamper is found, at its line."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_keystore.audit import notes, tree
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.journal import Kind
from cloudcard.registry.v1 import identities_pb2
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.audit import lines, pack
from cloudcard_tools.audit.checking import BROKEN, check
from cloudcard_tools.audit.lines import End, EntryLine, Header, Note
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.identity import channel
from cloudcard_tools.shared.processes import Nursery
from support import warm_starts
from support.exports import (
    Export,
    changed,
    checked,
    exported,
    first,
    place,
    resigned,
    story,
    wrong,
)
from support.keystore_process import KeystoreProcess, Workstation
from support.keystore_world import World
from support.witness import SmallWitness


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A keystore with a past."""
    world = story(tmp_path_factory.mktemp("world")).world
    yield world
    world.database.close()


@pytest.fixture
def export(world: World) -> Export:
    return exported(world)


def test_a_true_journal(world: World, export: Export) -> None:
    result = checked(export, world.reading.log.public_key)
    assert result.findings == []
    assert result.checkpoints == 3
    assert notes.open_(result.newest, world.reading.log.public_key).size == result.entries


class TestTampering:
    def test_a_changed_byte(self, export: Export) -> None:
        at = place(export, Kind.JOURNAL_READ, Kind.POLICY_SET)
        export[at] = changed(export[at], b"PUSH", b"PUSJ")
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
        assert BROKEN in {each.wrong for each in checked(export).findings}

    def test_entries_exchanged(self, export: Export) -> None:
        one, other = export[2], export[3]
        assert isinstance(one, EntryLine)
        assert isinstance(other, EntryLine)
        export[2], export[3] = EntryLine(one.index, other.entry), EntryLine(other.index, one.entry)
        assert BROKEN in {each.wrong for each in checked(export).findings}

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
        del export[first(export, Kind.PASSCODE_SET)]  # which no other entry rests on
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


def cloudcard(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"CLOUDCARD_HOME": str(home), "XDG_DATA_HOME": str(home)}
    return warm_starts.run(*arguments, environment=own)


def _have_it_cosigned(folder: Path, key: dict[str, str], identity: tuple[str, str]) -> None:
    """By two witnesses; then a check demands both."""
    known = {key["origin"]: base64.b64decode(key["journal_key"])}
    pinned = ("--journal-key", key["journal_key"])
    cosigned = str(folder / "cosigned")
    with ExitStack() as open_:
        two = [
            open_.enter_context(SmallWitness(name, known, int(time.time())).serving())
            for name in ("one.example.org", "two.example.org")
        ]
        asked = [
            text for each in two for text in ("--witness", each.url, each.witness.verifier_key)
        ]
        for code in (0, 1):  # what is there is not written again
            made = cloudcard(folder, "audit", "cosign", cosigned, *asked, *identity)
            assert made.returncode == code, made.stderr
    newer = str(folder / "newer.jsonl")
    assert cloudcard(folder, "audit", "export", newer, *identity).returncode == 0
    both = [text for each in two for text in ("--witness", each.witness.verifier_key)]
    since = ("--since-checkpoint", cosigned)
    good = cloudcard(folder, "audit", "verify", newer, *pinned, *since, *both)
    assert good.returncode == 0, good.stdout + good.stderr
    stranger = SmallWitness("three.example.org", known).witness.verifier_key
    bad = cloudcard(folder, "audit", "verify", newer, *pinned, *since, "--witness", stranger)
    assert "not cosigned by three.example.org" in bad.stderr


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
        assert "Decisions: 1 approval, 0 refusals. Sessions: 0. Uses of keys: 1." in good.stdout
        assert "This does not show" not in good.stdout
        assert (
            cloudcard(tmp_path, "audit", "pack", packed, "--card", serial, *identity).returncode
            == 0
        )
        proved = cloudcard(tmp_path, "audit", "verify", packed, *pinned, "--json")
        assert proved.returncode == 0, proved.stdout
        told = json.loads(proved.stdout)
        assert (told["approvals"], told["uses"]) == (1, 1)
        assert [each["times"] for each in told["not_shown"]] == [1]  # the names
        with zipfile.ZipFile(packed) as archive:
            assert f"{user_id},Ada" in archive.read(pack.NAMES).decode()
        keystore.child.stop()
        keystore.restart()
        later = str(tmp_path / "later.jsonl")
        assert cloudcard(tmp_path, "audit", "export", later, *identity).returncode == 0
        since = ("--since-checkpoint", kept)
        assert cloudcard(tmp_path, "audit", "verify", later, *pinned, *since).returncode == 0
        _have_it_cosigned(tmp_path, key, identity)
        text = Path(later).read_bytes()
        Path(later).write_bytes(text.replace(b'"index":3,', b'"index":4,', 1))
        bad = cloudcard(tmp_path, "audit", "verify", later, *pinned, "--json")
        assert bad.returncode == 1
        assert json.loads(bad.stdout)["findings"][0]["line"] > 1
        assert "Traceback" not in bad.stderr
