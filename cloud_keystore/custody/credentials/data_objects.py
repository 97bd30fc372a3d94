"""Data objects of cards. Those that require the PIN are sealed at rest, opened only here, and given
out only against a proof of the passcode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection

from card_os.piv.rules import PIN_OBJECTS
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import StoredObject
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import ObjectNotFound, PasscodeNeeded, RecordDamaged
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.storage import cards, data_objects, passcodes
from cloud_keystore.storage.engine import Database

BATCH = 100  # objects of before that are sealed in one transaction


@dataclass(frozen=True, slots=True)
class DataObjects:
    """The contents of data objects."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random

    def read(self, serial: str, tag: int, proof: bytes, workstation: Identity) -> bytes:
        """The contents of an object that requires the PIN. The journal has its entry before they
        are given out.

        Raises CardNotFound, CardNotInUse, PasscodeNeeded unless the proof is valid for this card
        and workstation, and ObjectNotFound if the card has no such object, or one that everybody
        can read.
        """
        now = self.clock()
        with self.database.write() as connection:
            card = cards.in_use(connection, serial)
            digest = sha256(proof).digest()
            if not passcodes.use_proof(
                connection, digest, card.id, workstation.id, now, once=False
            ):
                raise PasscodeNeeded("give the passcode again")
            stored = (
                data_objects.of_card(connection, card.id).get(tag) if tag in PIN_OBJECTS else None
            )
            if stored is None:
                raise ObjectNotFound(f"card {serial} withholds no data object {tag:X}")
            contents = self._open(stored)
            said = {"tag": f"{tag:X}"}
            told = entries.about_card(Kind.CARD_READ, card, now, workstation.actor, said)
            journal.append(connection, told)
        return contents

    def all_of(self, connection: Connection, card_id: str) -> Mapping[int, bytes]:
        """The contents of all data objects of a card by tag, for the keystore itself."""
        stored = data_objects.of_card(connection, card_id)
        return {tag: self._open(each) for tag, each in stored.items()}

    def add(self, connection: Connection, card_id: str, objects: Mapping[int, bytes]) -> None:
        """Add the data objects of a new card."""
        stored = [self._closed(card_id, tag, each) for tag, each in objects.items()]
        data_objects.add(connection, card_id, stored)

    def put(
        self, connection: Connection, card_id: str, tag: int, contents: bytes, *, written: bool
    ) -> None:
        """Replace a data object's contents; with empty contents it is no longer there."""
        stored = self._closed(card_id, tag, contents, written=written)
        data_objects.put(connection, card_id, stored)

    def seal_all(self) -> int:
        """Seal the objects of a database from before they were sealed, and return how many.

        One that no keystore has written stays as it is, and cannot be read.
        """
        with self.database.read() as connection:
            clear = data_objects.in_the_clear(connection, PIN_OBJECTS)
        starts = range(0, len(clear), BATCH)
        return sum(self._seal_some(clear[start : start + BATCH]) for start in starts)

    def _seal_some(self, which: Sequence[tuple[str, int]]) -> int:
        sealed = 0
        with self.database.write() as connection:
            for card_id, tag in which:
                found = data_objects.authentic(connection, card_id, tag)
                if found is not None and found.value:
                    self.put(connection, card_id, tag, found.value, written=found.written)
                    sealed += 1
            if sealed:
                said = {"objects": sealed}
                told = entries.about_keystore(Kind.OBJECTS_SEALED, self.clock(), KEYSTORE, said)
                journal.append(connection, told)
        return sealed

    def _closed(
        self, card_id: str, tag: int, contents: bytes, *, written: bool = False
    ) -> StoredObject:
        if tag not in PIN_OBJECTS or not contents:
            return StoredObject(tag, contents, written)
        # The identifier is new each time: an envelope of before does not open in a row of now.
        name = f"{card_id}/{tag:06x}/{new_id(self.clock(), self.random)}"
        return StoredObject(
            tag, b"", written, name, self.seal.close(contents, object_context(name))
        )

    def _open(self, stored: StoredObject) -> bytes:
        if stored.sealed_as is None:
            return stored.value
        if stored.sealed_value is None:
            raise RecordDamaged(
                f"data object {stored.sealed_as} has lost its contents: restore the database from "
                "a backup"
            )
        return self.seal.open(stored.sealed_value, object_context(stored.sealed_as))


def object_context(name: str) -> str:
    """Return the context under which a data object is sealed. Its name says of which card it is,
    and its tag.
    """
    return f"data object {name}"
