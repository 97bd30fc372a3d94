"""What operators at the pages take of the journal as evidence, in portions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal, naming
from cloud_keystore.audit.packs.collecting import collect
from cloud_keystore.audit.packs.lines import EntryLine
from cloud_keystore.audit.reading import MOST_ENTRIES, MOST_KINDS, Reading, in_words
from cloud_keystore.model.errors import EntryNotFound, InvalidInput
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage.bundles.contents import SIZE
from cloud_keystore.storage.journal import Query

MOST_PACKED = 10_000  # entries
PORTION = 200


@dataclass(frozen=True, slots=True)
class Collected:
    """Which journal this is, its newest checkpoint, and the places of the entries of a pack."""

    origin: str
    public_key: bytes
    size: int
    note: bytes
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Portion:
    """Some entries of a pack, and what their identifiers stand for now."""

    entries: tuple[EntryLine, ...]
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Packing:
    """Takes entries with their proofs, for operators who may read the whole journal."""

    reading: Reading

    def collect(self, reader: Identity, query: Query, card_serial: str) -> Collected:
        """Which entries match, and which they rest on; the journal says who has asked. Raises
        CardNotFound, NotAllowed, EntryNotFound, and InvalidInput if there are too many.
        """
        our = self.reading
        if len(query.kinds) > MOST_KINDS:
            raise InvalidInput(f"ask for at most {MOST_KINDS} kinds")
        now = our.clock()
        with acting.changing(our.database, reader.actor, now, shared=True) as by:
            by.need(Right.JOURNAL, ROOT)
            if card_serial:
                query = replace(query, card_id=by.card(card_serial, Right.JOURNAL).id)
            read = {"call": "pack", **in_words(query)}
            entry = entries.about_keystore(Kind.JOURNAL_READ, now, reader.actor, read)
            journal.append(by.connection, entry)
        with our.database.read() as connection:
            head = rows.head(connection)
            if head is None:
                raise EntryNotFound("the journal has no checkpoint yet: try again in a few seconds")
            seen = _Seen(head.size)

            def search(wanted: Query) -> Iterator[tuple[int, bytes]]:
                before = None
                while some := rows.search(connection, wanted, before, MOST_ENTRIES):
                    yield from seen.covered(some)
                    before = (some[-1].time, some[-1].id)

            found = collect(search, dict(search(query)))
        origin, public_key = our.key()
        return Collected(origin, public_key, head.size, head.note, tuple(sorted(found)))

    def portion(self, reader: Identity, size: int, places: Sequence[int]) -> Portion:
        """The entries at some places in order, with proofs that they are in a journal of this size.
        Raises NotAllowed, EntryNotFound, InvalidInput.
        """
        if not 1 <= len(places) <= PORTION or list(places) != sorted(set(places)):
            raise InvalidInput(f"ask for 1 to {PORTION} places, in order")
        our = self.reading
        with acting.looking(our.database, reader.actor, our.clock()) as by:
            by.need(Right.JOURNAL, ROOT)
            proofs = our.inclusion(size, places)
            found = [
                row
                for _, some in groupby(places, lambda place: place // SIZE)
                for row in _at(by.connection, tuple(some))
            ]
            names = naming.names(by.connection, [decode(row.entry) for row in found])
        lines = zip(places, found, proofs, strict=True)
        return Portion(
            tuple(EntryLine(place, row.entry, proof) for place, row, proof in lines), names
        )


@dataclass(slots=True)
class _Seen:
    """Counts what a search has found, so that nobody keeps the keystore busy with all there is."""

    size: int
    number: int = 0

    def covered(self, some: Sequence[rows.Row]) -> Iterator[tuple[int, bytes]]:
        """Those that the checkpoint covers. Raises InvalidInput if there are too many."""
        self.number += len(some)
        if self.number > MOST_PACKED:
            raise InvalidInput(
                f"a pack has at most {MOST_PACKED} entries: choose fewer days, or one person, card "
                "or operation; auditors pack more by their command"
            )
        for row in some:
            if row.index is not None and row.index < self.size:
                yield row.index, row.entry


def _at(connection: Connection, places: Sequence[int]) -> list[rows.Row]:
    """The entries at some places of one bundle."""
    found = rows.between(connection, places[0], places[-1] + 1)
    return [row for row in found if row.index in places]
