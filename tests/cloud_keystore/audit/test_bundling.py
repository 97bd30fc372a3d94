"""Entries in bundles: nothing is lost on the way there, everything is found there as before, and
whoever changes a bundle is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from cloud_keystore.audit import bundling, entries, journal, notes, tree
from cloud_keystore.audit.sequencing import MOST_AT_ONCE, take_in
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import EntryNotFound, RowNotAuthentic, StorageDamaged
from cloud_keystore.model.finding import Sort
from cloud_keystore.model.journal import Entry, Kind, decode
from cloud_keystore.operations.watching import LOOK_SECONDS, Watching
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic.codes import MAC, Values
from cloud_keystore.storage.bundles.contents import SIZE
from cloud_keystore.storage.bundles.rows import bundle
from cloud_keystore.storage.journal import Place, Query, Row
from support.crashing import Crash, crashing
from support.keystore_world import World

CARDS = 3
WRITTEN = 100  # entries in one transaction
PC = Actor(ActorKind.WORKSTATION, "pc")
BUSY = 5  # looks, after each of which another entry comes
LEAST_STATEMENTS = 10  # of taking in entries that fill a bundle

Change: type = Callable[[Connection], None]


def write(world: World, count: int, first: int = 0) -> None:
    """Uses, of which a moment has two; every tenth was asked for in an operation of its own."""
    made = []
    for number in range(first, first + count):
        if number % 2:
            world.clock.forward(milliseconds=1)
        now = world.clock()
        asked = number % 10 == 0
        made.append(
            Entry(
                Kind.OPERATION_ASKED if asked else Kind.SESSION_USED,
                now,
                PC,
                card_id=f"card {number % CARDS}",
                user_id=f"user {number % 2}",
                workstation_id="pc",
                operation_id=new_id(now, lambda size, n=number: n.to_bytes(size, "big")),
            )
        )
    # A writer has two seconds between statements, also on a computer that is busy.
    for start in range(0, count, WRITTEN):
        with world.database.write() as connection:
            journal.append(connection, *made[start : start + WRITTEN])


def counts(world: World) -> tuple[int, int]:
    """How many bundles and how many rows there are."""
    with world.database.read() as connection:
        return tuple(  # type: ignore[return-value]
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (bundle, t.journal)
        )


def everything(world: World) -> list[Row]:
    found: list[Row] = []
    with world.database.read() as connection:
        while some := rows.between(connection, len(found), 10**9):
            found += some
    return found


def head(world: World) -> notes.Checkpoint:
    with world.database.read() as connection:
        found = rows.head(connection)
    assert found is not None
    return notes.open_(found.note, world.reading.log.public_key)


def is_whole(world: World) -> bool:
    """Whether the entries, in their order, are those of the newest checkpoint."""
    found, covered = everything(world), head(world)
    leaves = [tree.leaf_hash(row.entry) for row in found]
    in_order = [row.index for row in found] == list(range(len(found)))
    return in_order and (len(found), tree.root_of(leaves)) == (covered.size, covered.root)


def search(world: World, query: Query, before: Place | None = None, most: int = 10**6) -> list[Row]:
    with world.database.read() as connection:
        return rows.search(connection, query, before, most)


class TestFilling:
    def test_full_bundles_take_the_place_of_rows(self, world: World) -> None:
        write(world, 3 * SIZE + 1)
        world.take_in()
        bundles, left = counts(world)
        assert bundles == 3
        assert bundles * SIZE + left == head(world).size
        assert is_whole(world)

    def test_by_and_by(self, world: World) -> None:
        """A bundle gets its entries from several checkpoints."""
        for first in range(0, 2 * SIZE, 50):
            write(world, 50, first)
            world.take_in()
            assert is_whole(world)
        assert counts(world)[0] == head(world).size // SIZE

    @pytest.mark.parametrize("last", [-1, 0, 1])
    def test_the_newest_entry_stays_a_row(self, world: World, last: int) -> None:
        """Else a database would give its identifier to the next one."""
        write(world, 2 * SIZE + last)
        world.take_in()
        assert counts(world) == ((2, last) if last > 0 else (1, SIZE + last))
        highest = everything(world)[-1].id
        write(world, 1)
        world.take_in()
        assert everything(world)[-1].id == highest + 1
        assert is_whole(world)

    def test_an_entry_that_was_put_among_older_ones_is_noticed(self, world: World) -> None:
        """Nobody looks for new entries there."""
        write(world, SIZE // 2)
        world.take_in()
        with world.database.write() as connection:
            first = connection.execute(select(t.journal).limit(1)).mappings().one()
            connection.execute(insert(t.journal).values({**first, "id": 0, "leaf_index": None}))
        write(world, SIZE)
        with pytest.raises(StorageDamaged, match="among older ones"):
            world.take_in()

    def test_death_at_any_statement_loses_nothing(self, world: World) -> None:
        written, step, crashed = 0, 1, True
        while crashed:
            write(world, SIZE, written)
            written += SIZE
            crashed = False
            try:
                with crashing(step):
                    world.take_in()
            except Crash:
                crashed = True
            world.take_in()
            step += 1
        assert step > LEAST_STATEMENTS
        assert is_whole(world)
        assert len(search(world, Query(workstation_id="pc"))) == written

    def test_more_than_one_transaction_takes(self, world: World) -> None:
        write(world, MOST_AT_ONCE + SIZE)
        assert take_in(world.database, world.reading.log, world.clock()) == MOST_AT_ONCE
        assert is_whole(world)
        assert world.take_in() == SIZE
        assert is_whole(world)

    def test_all_that_were_there_are_taken(self, world: World) -> None:
        write(world, 2 * MOST_AT_ONCE + SIZE)
        assert world.take_in() == head(world).size >= 2 * MOST_AT_ONCE + SIZE

    def test_those_that_come_meanwhile_wait_for_the_next_turn(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks: list[bool] = []
        look = rows.has_to_take_in

        def busy(connection: Connection) -> bool:
            looks.append(look(connection))
            if len(looks) < BUSY:
                write(world, 1)
            return looks[-1]

        write(world, 1)
        monkeypatch.setattr(rows, "has_to_take_in", busy)
        world.take_in()
        assert looks == [True]


class TestOldJournals:
    """Journals from before there were bundles, whose entries are rows, some without codes."""

    @pytest.fixture
    def old(self, world: World, monkeypatch: pytest.MonkeyPatch) -> World:
        with monkeypatch.context() as patch:
            patch.setattr(bundling, "fill", lambda *_: 0)
            write(world, bundling.MOST_AT_ONCE + SIZE + 10)
            world.take_in()
        assert counts(world)[0] == 0
        return world

    def test_they_go_to_bundles_by_and_by(self, old: World) -> None:
        with old.database.write() as connection:
            early = t.journal.c.leaf_index < SIZE
            connection.execute(update(t.journal).where(early).values({MAC: None}))
        before, proof = everything(old), old.reading.prove_inclusion(old.auditor(), 500, [300])
        assert bundling.catch_up(old.database) == bundling.MOST_AT_ONCE
        write(old, 10)
        old.take_in()  # while there are old ones, new ones become rows
        assert is_whole(old)
        while bundling.catch_up(old.database):
            assert is_whole(old)
        assert counts(old)[1] <= SIZE
        assert everything(old)[: len(before)] == before
        assert old.reading.prove_inclusion(old.auditor(), 500, [300]) == proof

    def test_death_on_the_way(self, old: World) -> None:
        step, crashed = 1, True
        while crashed:
            crashed = False
            try:
                with crashing(step):
                    bundling.catch_up(old.database)
            except Crash:
                crashed = True
            assert is_whole(old)
            step += 7
        assert step > LEAST_STATEMENTS

    def test_a_row_that_was_changed_does_not_go_there(self, old: World) -> None:
        with old.database.write() as connection:
            row = connection.execute(select(t.journal).where(t.journal.c.leaf_index == 7)).one()
            forged = row.entry.replace(b"card", b"ward")
            connection.execute(
                update(t.journal).where(t.journal.c.id == row.id).values(entry=forged)
            )
        with pytest.raises(RowNotAuthentic, match="journal"):
            bundling.catch_up(old.database)
        assert counts(old)[0] == 0

    def test_a_row_that_is_missing(self, old: World) -> None:
        with old.database.write() as connection:
            connection.execute(delete(t.journal).where(t.journal.c.leaf_index == 7))
        with pytest.raises(StorageDamaged, match="entry 7 is missing"):
            bundling.catch_up(old.database)


class TestReading:
    @pytest.fixture
    def full(self, world: World) -> World:
        for first in range(0, 4 * SIZE, 300):
            write(world, 300, first)
            world.take_in()
        write(world, 5, 4 * SIZE)  # some have no place yet
        return world

    def test_each_search_finds_what_matches(self, full: World) -> None:
        kept = [(row, decode(row.entry)) for row in search(full, Query())]
        assert len(kept) > 4 * SIZE
        middle, operation = kept[500][1].time, kept[700][1].operation_id
        kinds = (Kind.OPERATION_ASKED.value, Kind.KEYSTORE_STARTED.value)
        wanted: Mapping[Query, Callable[[Entry], bool]] = {
            Query(card_id="card 1"): lambda e: e.card_id == "card 1",
            Query(user_id="user 0", card_id="card 2"): lambda e: (
                (e.user_id, e.card_id) == ("user 0", "card 2")
            ),
            Query(operation_id=operation): lambda e: e.operation_id == operation,
            Query(kinds=kinds): lambda e: e.kind in kinds,
            Query(kinds=kinds, card_id="card 0", since=middle): lambda e: (
                e.kind in kinds and e.card_id == "card 0" and e.time >= middle
            ),
            Query(since=middle): lambda e: e.time >= middle,
            Query(until=middle): lambda e: e.time < middle,
            Query(card_id="card"): lambda _: False,
            Query(workstation_id="card 1"): lambda _: False,
        }
        for query, matches in wanted.items():
            assert search(full, query) == [row for row, entry in kept if matches(entry)], query

    def test_page_by_page_nothing_is_missed_or_doubled(self, full: World) -> None:
        query, before = Query(card_id="card 1"), None
        found: list[Row] = []
        while page := search(full, query, before, 40):
            found += page
            before = (page[-1].time, page[-1].id)
        assert found == search(full, query)
        assert found == sorted(found, key=lambda row: (row.time, row.id), reverse=True)

    def test_proofs_hold(self, full: World) -> None:
        auditor, found = full.auditor(), everything(full)
        sizes = (1, SIZE - 1, SIZE, 2 * SIZE + 7, head(full).size)
        leaves = [tree.leaf_hash(row.entry) for row in found]
        for size in sizes:
            root, some = tree.root_of(leaves[:size]), sorted({0, size // 2, size - 1})
            proofs = full.reading.prove_inclusion(auditor, size, some)
            for index, proof in zip(some, proofs, strict=True):
                assert tree.includes(root, size, index, leaves[index], proof)
            for old in sizes:
                if old <= size:
                    proof = full.reading.prove_consistency(auditor, old, size)
                    before = tree.root_of(leaves[:old])
                    assert tree.extends(before, old, root, size, proof)
        with pytest.raises(EntryNotFound):
            full.reading.prove_inclusion(auditor, sizes[-1] + 1, [0])

    def test_who_waits_is_woken_by_what_is_in_a_bundle_already(self, world: World) -> None:
        seconds = 0.0
        watching = Watching(world.database, lambda: seconds)
        watching.topics()
        write(world, 2 * SIZE)
        world.take_in()
        seconds += 2 * LOOK_SECONDS
        assert watching.topics() == {"user 0"}  # every tenth is asked for, of that one
        seconds += 2 * LOOK_SECONDS
        assert watching.topics() == set()

    def test_an_operation_by_its_beginning(self, full: World) -> None:
        wanted = decode(everything(full)[100].entry).operation_id
        assert wanted is not None
        for beginning in (wanted, wanted[:-1], wanted[:13], wanted[:9]):
            found = full.reading.find(full.auditor(), Sort.OPERATION, beginning)
            assert wanted in {each.id for each in found}
        with full.database.read() as connection:
            assert rows.operations_beginning(connection, "zz", 10) == []
            assert len(rows.operations_beginning(connection, wanted[:6], 10)) == 10

    def test_the_newest_time(self, world: World) -> None:
        """Also if the newest entry is of a clock that is behind."""
        write(world, SIZE + 5)
        latest = world.clock()
        world.take_in()
        late = entries.about_keystore(
            Kind.KEYSTORE_STARTED, latest - timedelta(seconds=9), Actor(ActorKind.KEYSTORE, "")
        )
        with world.database.write() as connection:
            connection.execute(delete(t.journal))
            journal.append(connection, late)
            assert rows.newest_time(connection) is not None
            assert rows.newest_time(connection) >= late.time  # type: ignore[operator]


def set_(at: int, /, **values: object) -> Change:
    def change(connection: Connection) -> None:
        connection.execute(update(bundle).where(bundle.c.number == at).values(values))

    return change


def _edit(connection: Connection) -> None:
    """Take over the whole of the next bundle, but not its number."""
    source = connection.execute(select(bundle).where(bundle.c.number == 2)).mappings().one()
    set_(1, **{**source, "number": 1})(connection)


def _drop(connection: Connection) -> None:
    connection.execute(delete(bundle).where(bundle.c.number == 1))


def _swap(connection: Connection) -> None:
    for number, to in ((1, 99), (2, 1), (99, 2)):
        set_(number, number=to)(connection)


class TestAttacks:
    """Somebody who can write the database changes what is in bundles."""

    @pytest.fixture
    def full(self, world: World) -> World:
        # The last entry of each time stays where it is, here within a bundle and beyond the fourth.
        write(world, 3 * SIZE + 10)
        world.take_in()
        write(world, SIZE - 9, 3 * SIZE + 10)
        world.take_in()
        assert counts(world)[0] == 4
        return world

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (set_(1, entries=b"x\x9c"), RowNotAuthentic),
            (set_(1, root=bytes(32)), RowNotAuthentic),
            (set_(1, mac=None), RowNotAuthentic),
            (_edit, RowNotAuthentic),
            (_swap, RowNotAuthentic),
            (_drop, StorageDamaged),
        ],
    )
    def test_nobody_is_shown_what_was_changed(
        self, full: World, change: Change, error: type[Exception]
    ) -> None:
        auditor = full.auditor()
        with full.database.write() as connection:
            change(connection)
        with pytest.raises(error):
            full.reading.export(auditor, SIZE, 4 * SIZE)
        if error is RowNotAuthentic:
            with pytest.raises(error):
                search(full, Query(card_id="card 1"))
        with pytest.raises(error):
            full.reading.prove_inclusion(auditor, 4 * SIZE, [SIZE + 1])

    def test_a_root_that_was_changed_proves_nothing(self, full: World) -> None:
        auditor, covered, first = full.auditor(), head(full), everything(full)[0]
        with full.database.write() as connection:
            set_(1, root=bytes(32))(connection)
        (proof,) = full.reading.prove_inclusion(auditor, covered.size, [0])
        leaf = tree.leaf_hash(first.entry)
        assert not tree.includes(covered.root, covered.size, 0, leaf, proof)

    def test_a_bundle_of_another_keystore_is_not_believed(self, full: World) -> None:
        """It is right in itself, and its code was made with a root secret, but another."""
        with full.database.write() as connection:
            row = connection.execute(select(bundle).where(bundle.c.number == 1)).mappings().one()
        values: Values = {**row}
        full.database.authenticate(bytes(32))
        with full.database.write() as connection:
            from cloud_keystore.storage.authentic import rows as coded

            made = coded.code(connection, bundle, values)
        full.database.authenticate(bytes([1]) * 32)
        with full.database.write() as connection:
            set_(1, mac=made)(connection)
        with full.database.read() as connection, pytest.raises(RowNotAuthentic):
            rows.between(connection, SIZE, 2 * SIZE)

    def test_bundles_that_were_cut_off_are_noticed(self, full: World) -> None:
        with full.database.write() as connection:
            connection.execute(delete(bundle).where(bundle.c.number >= 2))
        write(full, SIZE)
        with pytest.raises(StorageDamaged, match=f"entry {2 * SIZE} is missing"):
            full.take_in()

    @pytest.mark.parametrize("what", ["changed", "exchanged", "without a code"])
    def test_a_row_that_was_changed_does_not_go_there(self, world: World, what: str) -> None:
        """It has its place in the tree, so that only the checkpoint tells."""
        write(world, 20)
        world.take_in()
        place = t.journal.c.leaf_index
        with world.database.write() as connection:
            if what == "exchanged":
                for old, new in ((3, -1), (4, 3), (-1, 4)):
                    moved = update(t.journal).where(place == old).values(leaf_index=new)
                    connection.execute(moved)
            else:
                row = connection.execute(select(t.journal).where(place == 15)).one()
                forged = {"entry": row.entry.replace(b"card", b"ward")}
                if what == "without a code":
                    forged[MAC] = None
                connection.execute(update(t.journal).where(place == 15).values(forged))
        write(world, SIZE, 20)
        with pytest.raises((StorageDamaged, RowNotAuthentic), match="changed the database"):
            world.take_in()
        assert counts(world)[0] == 0
