"""Exported journals for tests: made, changed, and signed again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_keystore.audit import notes, tree
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.journal import Detail, Entry, Kind, decode, encode
from cloud_keystore.model.operations import Channel, Decision, Operation
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage.engine import Database
from cloudcard_tools.audit import lines, pack
from cloudcard_tools.audit.checking import Checked, check
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note
from support.keystore_world import SESSIONS, TERMS, Enrolled, World, new_world, rows_in_places

Export = list[Line]
KEY = Ed25519PrivateKey.generate()  # of journals that are written anew


def audited_world(folder: Path) -> World:
    """A keystore whose operator is enrolled, as `cloudcard serve` makes the first one."""
    world = new_world(folder)
    operator = world.enrol(world.people.add_operator("Olga", actor=DATA_FOLDER).text)
    world.actor = operator.identity.actor
    return world


@dataclass(frozen=True, slots=True)
class Story:
    """A keystore with a past: what its people did, and the keys that they did it with."""

    world: World
    serial: str  # of Ada's card
    ada: Enrolled
    bo: Enrolled
    cy: Enrolled
    pc: Enrolled


def story(folder: Path) -> Story:
    """A keystore where one has signed, mistyped, scanned, denied, and used a session; and another
    has a key of the device's own, and a third a passkey.
    """
    world = audited_world(folder)
    (ada, phone), pc = world.user(), world.workstation()
    user, token = world.people.add_user("Bo", "", actor=world.actor)
    assert token is not None
    bo = world.enrol_native(token.text, Ed25519PrivateKey.generate())
    serial, other = world.card(ada), world.card(user)
    world.perform(approved(world, serial, pc, phone), pc)
    world.take_in()
    world.clock.forward(minutes=1)
    world.decide(world.ask(serial, pc), phone, Decision.DENY)
    world.clock.forward(minutes=1)
    mistyped = world.ask(serial, pc)
    world.decide(mistyped, phone, number=f"{(int(mistyped.number) + 1) % 100:02}")
    world.clock.forward(minutes=1)
    scanned = world.ask(serial, pc, channels=[Channel.QR])
    world.deciding.claim(world.qr_text(scanned), phone.identity)
    world.decide(scanned, phone, number="")
    world.perform(scanned, pc)
    world.set_policy(SESSIONS)
    session = world.session(serial, pc, phone, SessionTerms(3, TERMS.time))
    world.use(session, pc)
    world.use(session, pc)
    world.take_in()
    world.perform(approved(world, other, pc, bo), pc)
    user, token = world.people.add_user("Cy", "", actor=world.actor)
    assert token is not None
    cy = world.enrol_passkey(token.text)
    approved(world, world.card(user), pc, cy)
    world.take_in()
    return Story(world, serial, phone, bo, cy, pc)


def approved(world: World, serial: str, pc: Enrolled, phone: Enrolled) -> Operation:
    """An approved request for one use of 9A."""
    operation = world.ask(serial, pc)
    world.decide(operation, phone)
    return operation


def exported(world: World) -> Export:
    """What `cloudcard audit export` writes."""
    log = world.reading.log
    return export_of(world.database, log.origin, log.public_key)


def export_of(database: Database, origin: str, public_key: bytes) -> Export:
    """The same of any database."""
    with database.read() as connection:
        entries = rows_in_places(connection)
        found = rows.list_notes(connection, 0, 1000)
    exported: Export = [Header(origin, public_key, len(entries))]
    sizes = {int(note.split(b"\n")[1]): note for note in found}
    for row in entries:
        exported.append(EntryLine(row.index or 0, row.entry))
        if (note := sizes.get((row.index or 0) + 1)) is not None:
            exported.append(Note(note))
    return [*exported, End(len(entries), len(found))]


def audited(address: str) -> Checked:
    """What a check finds in the journal of a keystore that has stopped. Only what the entries say
    is looked at, because the journal's key is not known here.
    """
    database = Database(address)
    try:
        return checked(resigned(export_of(database, "journal", bytes(32)), KEY))
    finally:
        database.close()


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


def first(export: Export, kind: Kind) -> int:
    """Where the first entry of a kind is."""
    return next(
        at
        for at, line in enumerate(export)
        if isinstance(line, EntryLine) and decode(line.entry).kind is kind
    )


def insert(export: Export, at: int, entry: Entry) -> None:
    """Put an entry before another one."""
    export.insert(at, EntryLine(0, encode(entry)))


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


def findings(export: Export) -> list[str]:
    """What a check finds in a journal that is written anew with its own key."""
    return [each.wrong for each in checked(resigned(export, KEY)).findings]


def entry_at(export: Export, at: int) -> Entry:
    line = export[at]
    assert isinstance(line, EntryLine)
    return decode(line.entry)


def edit(export: Export, at: int, change: Callable[[Entry], Entry]) -> None:
    """Put another entry in the place of one."""
    export[at] = EntryLine(0, encode(change(entry_at(export, at))))


def detailed(entry: Entry, **details: Detail) -> Entry:
    """An entry with other details."""
    return replace(entry, details={**entry.details, **details})


def evidenced(entry: Entry, **evidence: bytes) -> Entry:
    """An entry with other evidence."""
    return replace(entry, evidence={**entry.evidence, **evidence})


def changed(line: Line, old: bytes, new: bytes) -> EntryLine:
    assert isinstance(line, EntryLine)
    assert old in line.entry
    return EntryLine(line.index, line.entry.replace(old, new, 1))


def repacked(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The pack with other contents, and a manifest of them."""
    with zipfile.ZipFile(path) as archive:
        files = {name: change(name, archive.read(name)) for name in archive.namelist()}
    hashes = {
        name: sha256(value).hexdigest() for name, value in files.items() if name != pack.MANIFEST
    }
    files[pack.MANIFEST] = json.dumps(hashes).encode()
    other = path.with_name("other.zip")
    with zipfile.ZipFile(other, "w") as archive:
        for name, value in files.items():
            archive.writestr(name, value)
    return other
