"""What auditors read, and operators who have their right. Each reading is in the journal too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal, naming, proofs, words
from cloud_keystore.audit.sequencing import Log
from cloud_keystore.audit.tree import leaf_hash, root_of
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import EntryNotFound, InvalidInput
from cloud_keystore.model.finding import Findable, Sort
from cloud_keystore.model.journal import Detail, Kind, decode
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage.bundles.contents import SIZE
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.journal import Place, Query, Row

MOST_ENTRIES = 500  # in one response
MOST_PROOFS = 500
MOST_KINDS = 64


@dataclass(frozen=True, slots=True)
class Sentence:
    """An entry in words, with the names of today."""

    time: datetime
    text: str
    person: str = ""
    """The name of whom it is about; empty for nobody, and for who is not there any more."""


@dataclass(frozen=True, slots=True)
class Told:
    """Entries in words, the newest first, and the place of the last if there are older ones."""

    sentences: tuple[Sentence, ...]
    older: Place | None = None


class Finding(Protocol):
    """Finds what a text names, among that which an actor sees."""

    def __call__(self, sort: Sort, text: str, *, actor: Actor) -> list[Findable]: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """The use cases of auditors. Those of an organisation read what is about its people; the whole
    journal is exported by auditors of the whole.
    """

    database: Database
    clock: Clock
    log: Log
    finding: Finding

    def key(self) -> tuple[str, bytes]:
        """The journal's origin, and the public key that signs its checkpoints."""
        return self.log.origin, self.log.public_key

    def head(self, auditor: Identity) -> bytes:
        """The newest checkpoint; empty if there is none yet."""
        self._note(auditor, "head")
        with self.database.read() as connection:
            found = rows.head(connection)
        return b"" if found is None else found.note

    def search(
        self, auditor: Identity, query: Query, card_serial: str, before: Place | None, most: int
    ) -> list[Row]:
        """Entries that match and are older than `before`, the newest first: `most` of them, and one
        more if there are more.

        Raises CardNotFound, UserNotFound, NotAllowed, InvalidInput.
        """
        if not 1 <= most <= MOST_ENTRIES or len(query.kinds) > MOST_KINDS:
            raise InvalidInput(f"ask for 1 to {MOST_ENTRIES} entries and {MOST_KINDS} kinds")
        with acting.looking(self.database, auditor.actor, self.clock()) as by:
            if card_serial:
                card_id = by.card(card_serial, Right.JOURNAL).id
                query = replace(query, card_id=card_id)
            if not by.held.has(Right.JOURNAL, ROOT):
                if query.user_id:
                    by.user(query.user_id, Right.JOURNAL)
                elif not card_serial:
                    by.need(Right.JOURNAL, ROOT)
        self._note(auditor, "search", **in_words(query))
        with self.database.read() as connection:
            return rows.search(connection, query, before, most + 1)

    def sentences(
        self,
        reader: Identity,
        query: Query,
        card_serial: str,
        before: Place | None,
        most: int = MOST_ENTRIES,
    ) -> Told:
        """What happened, in words: of the entries that search finds, at most so many. Raises
        CardNotFound, UserNotFound, NotAllowed, InvalidInput.
        """
        found = self.search(reader, query, card_serial, before, most)
        shown = found[:most]
        known = [decode(row.entry) for row in shown]
        with self.database.read() as connection:
            called = naming.names(connection, known)
        told = tuple(
            Sentence(each.time, words.sentence(each, called), called.get(each.user_id or "", ""))
            for each in known
        )
        return Told(told, (shown[-1].time, shown[-1].id) if len(found) > len(shown) else None)

    def find(self, auditor: Identity, sort: Sort, text: str) -> list[Findable]:
        """What a text names, among that which entries can be about; raises InvalidInput."""
        self._note(auditor, "find", sort=sort.name.lower())
        return self.finding(sort, text, actor=auditor.actor)

    def names(self, found: Sequence[Row]) -> Mapping[str, str]:
        """What the identifiers in some entries stand for now."""
        with self.database.read() as connection:
            return naming.names(connection, [decode(row.entry) for row in found])

    def begin_export(self, auditor: Identity, first: int, end: int) -> None:
        """Write down that entries are read; raises EntryNotFound if no checkpoint covers them,
        InvalidInput if `first` comes after `end`.
        """
        self._check_covered(end)
        if not 0 <= first <= end:
            raise InvalidInput("the first place comes before the last")
        with acting.looking(self.database, auditor.actor, self.clock()) as by:
            by.need(Right.JOURNAL, ROOT)
        self._note(auditor, "export", first=first, end=end)

    def export(self, auditor: Identity, first: int, end: int) -> Sequence[Row]:
        """The next entries of an export that has begun, in order; at least one if any is left.

        Raises IdentityRejected if the auditor has been removed since, and NotAllowed.
        """
        with acting.looking(self.database, auditor.actor, self.clock()) as by:
            by.need(Right.JOURNAL, ROOT)
            return rows.between(by.connection, first, end)

    def checkpoints(self, auditor: Identity, after_size: int, most: int) -> list[bytes]:
        """Checkpoints of more than `after_size` entries, the smallest first.

        Raises InvalidInput.
        """
        if not 1 <= most <= MOST_ENTRIES:
            raise InvalidInput(f"ask for 1 to {MOST_ENTRIES} checkpoints")
        # The pages after the first belong to the same reading.
        if after_size == 0:
            self._note(auditor, "checkpoints")
        with self.database.read() as connection:
            return rows.list_notes(connection, after_size, most)

    def prove_inclusion(
        self, auditor: Identity, size: int, indices: Sequence[int]
    ) -> list[tuple[bytes, ...]]:
        """An inclusion proof for each of the places.

        Raises EntryNotFound, InvalidInput.
        """
        if not 1 <= len(indices) <= MOST_PROOFS:
            raise InvalidInput(f"ask for 1 to {MOST_PROOFS} proofs")
        if not all(0 <= index < size for index in indices):
            raise EntryNotFound(f"a journal of {size} entries has places from 0 to {size - 1}")
        self._note(auditor, "inclusion", size=size, entries=len(indices))
        return self.inclusion(size, indices)

    def inclusion(self, size: int, indices: Sequence[int]) -> list[tuple[bytes, ...]]:
        """The same proofs, for whoever has been asked already. Raises EntryNotFound."""
        if not all(0 <= index < size for index in indices):
            raise EntryNotFound(f"a journal of {size} entries has places from 0 to {size - 1}")
        return self._prove(size, [proofs.inclusion_ranges(index, size) for index in indices])

    def prove_consistency(self, auditor: Identity, old_size: int, size: int) -> tuple[bytes, ...]:
        """The proof that the journal of `size` entries begins with that of `old_size` entries.

        Raises EntryNotFound.
        """
        if not 0 < old_size <= size:
            raise EntryNotFound(f"a journal of {size} entries has no beginning of {old_size}")
        self._note(auditor, "consistency", old_size=old_size, size=size)
        (proof,) = self._prove(size, [proofs.consistency_ranges(old_size, size)])
        return proof

    def _prove(self, size: int, paths: Iterable[list[proofs.Range]]) -> list[tuple[bytes, ...]]:
        self._check_covered(size)
        paths = list(paths)
        with self.database.read() as connection:
            hashes = partial(_leaves, connection, size)
            tops = rows.bundle_roots(connection, size // SIZE)
            tops += (root_of(hashes(number)) for number in range(len(tops), size // SIZE))
            ranges = {each for path in paths for each in path}
            roots = proofs.tiled_roots(ranges, SIZE, tops, hashes)
        return [tuple(roots[each] for each in path) for path in paths]

    def _check_covered(self, size: int) -> None:
        with self.database.read() as connection:
            head = rows.head(connection)
        if head is None or not 0 <= size <= head.size:
            covered = 0 if head is None else head.size
            raise EntryNotFound(f"checkpoints cover {covered} entries so far, not {size}")

    def _note(self, auditor: Identity, call: str, **details: Detail) -> None:
        now, read = self.clock(), {"call": call, **details}
        entry = entries.about_keystore(Kind.JOURNAL_READ, now, auditor.actor, read)
        with acting.changing(self.database, auditor.actor, now, shared=True) as by:
            by.need_somewhere(Right.JOURNAL)
            journal.append(by.connection, entry)


def _leaves(connection: Connection, size: int, number: int) -> list[bytes]:
    """The hashes of the entries of a bundle, or of those that will be in it, within a size."""
    first = number * SIZE
    found = rows.between(connection, first, min(first + SIZE, size))
    return [leaf_hash(row.entry) for row in found]


def in_words(query: Query) -> dict[str, Detail]:
    """The conditions of a query, as details of an entry."""
    said: dict[str, Detail] = {
        name: value
        for name in ("card_id", "user_id", "workstation_id", "operation_id")
        if (value := getattr(query, name)) is not None
    }
    if query.kinds:
        said["kinds"] = " ".join(query.kinds)
    if query.since is not None:
        said["since"] = query.since.isoformat()
    if query.until is not None:
        said["until"] = query.until.isoformat()
    return said
