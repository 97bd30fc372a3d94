"""The journal: what is written, how it gets its place, and what auditors read."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from cloud_keystore.audit import journal, notes, tree
from cloud_keystore.audit.sequencing import MOST_AT_ONCE, take_in
from cloud_keystore.model.actors import KEYSTORE, Actor, ActorKind
from cloud_keystore.model.errors import (
    CardNotFound,
    EntryNotFound,
    InvalidInput,
    StorageDamaged,
)
from cloud_keystore.model.journal import Entry, Kind, decode, encode
from cloud_keystore.model.people import User
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.journal import Query, Row
from support.crashing import Crash, crashing
from support.keystore_world import Enrolled, World, rows_in_places

LEAST_STATEMENTS = 5  # of taking in


def write(world: World, count: int) -> None:
    with world.database.write() as connection:
        made = [
            Entry(Kind.KEYSTORE_STARTED, world.clock(), KEYSTORE, details={"n": number})
            for number in range(count)
        ]
        journal.append(connection, *made)


def entries(world: World) -> list[Row]:
    with world.database.read() as connection:
        return rows_in_places(connection)


def head(world: World) -> notes.Checkpoint:
    with world.database.read() as connection:
        found = rows.head(connection)
    assert found is not None
    return notes.open_(found.note, world.reading.log.public_key)


def everything(world: World) -> list[Row]:
    return world.reading.search(world.auditor(), Query(), "", None, 500)


class TestSequencing:
    def test_a_checkpoint_covers_all_entries_in_order(self, world: World) -> None:
        write(world, 5)
        world.take_in()
        write(world, 3)
        world.take_in()
        found = entries(world)
        assert [row.index for row in found] == list(range(len(found)))
        leaves = [tree.leaf_hash(row.entry) for row in found]
        assert head(world) == notes.Checkpoint(
            world.reading.log.origin, len(found), tree.root_of(leaves)
        )

    def test_each_checkpoint_begins_with_the_one_before(self, world: World) -> None:
        for count in (1, 4, 2):
            write(world, count)
            world.take_in()
        leaves = [tree.leaf_hash(row.entry) for row in entries(world)]
        with world.database.read() as connection:
            found = rows.list_notes(connection, 0, 100)
        for note in found:
            checkpoint = notes.open_(note, world.reading.log.public_key)
            assert checkpoint.root == tree.root_of(leaves[: checkpoint.size])

    def test_nothing_to_take_in_makes_no_checkpoint(self, world: World) -> None:
        write(world, 1)
        world.take_in()
        before = head(world)
        assert world.take_in() == 0
        assert head(world) == before

    def test_many_are_taken_in_by_and_by(self, world: World) -> None:
        write(world, MOST_AT_ONCE + 1)
        assert take_in(world.database, world.reading.log, world.clock()) == MOST_AT_ONCE
        assert world.take_in() >= 1
        assert [row.index for row in entries(world)][:500] == list(range(500))
        assert head(world).size == len(world.journal())

    def test_a_log_that_has_lost_entries_is_not_gone_on_with(self, world: World) -> None:
        """Somebody deletes the newest entries, in the hope that new ones take their places."""
        write(world, 3)
        world.take_in()
        with world.database.write() as connection:
            connection.execute(delete(t.journal).where(t.journal.c.leaf_index >= 2))
        write(world, 1)
        with pytest.raises(StorageDamaged, match="keep it as evidence"):
            world.take_in()

    def test_death_at_any_statement_leaves_a_whole_log(self, world: World) -> None:
        """Taking in goes on where it was, whatever was lost."""
        step, crashed = 1, True
        while crashed:
            write(world, 2)
            crashed = False
            try:
                with crashing(step):
                    world.take_in()
            except Crash:
                crashed = True
            world.take_in()
            found = entries(world)
            assert [row.index for row in found] == list(range(len(found)))
            assert head(world).root == tree.root_of(tree.leaf_hash(row.entry) for row in found)
            step += 1
        assert step > LEAST_STATEMENTS

    def test_the_key_stays_the_same(self, world: World) -> None:
        from cloud_keystore.custody.sealing import journal_key

        assert journal_key.load_or_make(world.database, world.seal).public_key == (
            world.reading.log.public_key
        )


class TestReading:
    def test_by_subject_kind_and_time(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        serial, other = world.card(ada[0]), world.card(world.user("Bo")[0])
        operation = world.ask(serial, pc)
        world.clock.forward(minutes=1)
        world.ask(other, pc)
        auditor = world.auditor()

        def found(query: Query, card: str = "") -> list[Entry]:
            return [
                decode(row.entry) for row in world.reading.search(auditor, query, card, None, 100)
            ]

        asked = (Kind.OPERATION_ASKED.value,)
        assert [e.operation_id for e in found(Query(kinds=asked), serial)] == [operation.id]
        assert [e.operation_id for e in found(Query(user_id=ada[0].id, kinds=asked))] == [
            operation.id
        ]
        assert len(found(Query(workstation_id=pc.identity.id, kinds=asked))) == 2
        assert {e.operation_id for e in found(Query(operation_id=operation.id))} == {operation.id}
        now = world.clock()
        assert len(found(Query(since=now, kinds=asked))) == 1
        assert len(found(Query(until=now, kinds=asked))) == 1
        assert found(Query(since=now + timedelta(seconds=1), kinds=asked)) == []

    def test_page_by_page_nothing_is_missed_or_doubled(self, world: World) -> None:
        """Not even among entries of one moment."""
        write(world, 25)
        auditor, ids = world.auditor(), list[int]()
        query, before = Query(kinds=(Kind.KEYSTORE_STARTED.value,)), None
        while page := world.reading.search(auditor, query, "", before, 10)[:10]:
            ids += [row.id for row in page]
            before = (page[-1].time, page[-1].id)
        assert len(ids) == len(set(ids)) == 25
        assert ids == sorted(ids, reverse=True)

    def test_ten_thousand_entries_of_a_second_keep_their_order(self, world: World) -> None:
        """CARD-14: as they were written, page by page too, though two share each moment; times
        have microseconds, in UTC.
        """
        since, kind = world.clock(), Kind.ORGANISATION_CHANGED
        times = [since + timedelta(microseconds=number // 2 * 200) for number in range(10_000)]
        for begun in range(0, len(times), 500):
            with world.database.write() as connection:
                made = [
                    Entry(kind, times[number], KEYSTORE, details={"n": number})
                    for number in range(begun, begun + 500)
                ]
                journal.append(connection, *made)
        world.clock.forward(seconds=1)
        while world.take_in():
            pass
        written = [each for each in world.journal(kind) if each.time >= since]
        assert [(each.details["n"], each.time) for each in written] == [*enumerate(times)]
        assert {each.time.utcoffset() for each in written} == {timedelta(0)}
        auditor, found = world.auditor(), list[object]()
        query, before = Query(kinds=(kind.value,)), None
        while page := world.reading.search(auditor, query, "", before, 500)[:500]:
            found += [decode(row.entry).details["n"] for row in page]
            before = (page[-1].time, page[-1].id)
        assert found == [*reversed(range(10_000))]

    def test_who_reads_is_in_the_journal(self, world: World) -> None:
        auditor = world.auditor()
        world.reading.head(auditor)
        world.reading.search(auditor, Query(kinds=("card.issued",)), "", None, 10)
        read = world.journal(Kind.JOURNAL_READ)
        assert [str(entry.actor) for entry in read] == [f"auditor {auditor.id}"] * 2
        assert read[1].details == {"call": "search", "kinds": "card.issued"}

    def test_proofs_hold_for_the_checkpoint(self, world: World) -> None:
        write(world, 20)
        world.take_in()
        auditor, covered = world.auditor(), head(world)
        found = entries(world)
        some = [0, 7, covered.size - 1]
        for index, proof in zip(
            some, world.reading.prove_inclusion(auditor, covered.size, some), strict=True
        ):
            leaf = tree.leaf_hash(found[index].entry)
            assert tree.includes(covered.root, covered.size, index, leaf, proof)
        world.take_in()
        later = head(world)
        proof = world.reading.prove_consistency(auditor, covered.size, later.size)
        assert tree.extends(covered.root, covered.size, later.root, later.size, proof)

    def test_what_is_not_there(self, world: World) -> None:
        auditor = world.auditor()
        world.take_in()
        size = head(world).size
        with pytest.raises(CardNotFound):
            world.reading.search(auditor, Query(), "1500000000000000", None, 10)
        with pytest.raises(EntryNotFound, match="cover"):
            world.reading.begin_export(auditor, 0, size + 1)
        with pytest.raises(EntryNotFound):
            world.reading.prove_inclusion(auditor, size, [size])
        with pytest.raises(EntryNotFound):
            world.reading.prove_inclusion(auditor, 10**12, [0])
        with pytest.raises(EntryNotFound):
            world.reading.prove_consistency(auditor, 0, size)
        for most in (0, 501, -1):
            with pytest.raises(InvalidInput):
                world.reading.search(auditor, Query(), "", None, most)


def test_an_entry_is_one_line_of_json_that_never_changes(world: World) -> None:
    """What was hashed once must be written the same by later versions."""
    entry = Entry(
        Kind.OPERATION_USED,
        world.clock(),
        Actor(ActorKind.WORKSTATION, "1"),
        card_id="2",
        trace_id="3",
        details={"b": 1, "a": "x"},
        evidence={"payload": b"\x00\xff"},
    )
    assert encode(entry) == (
        b'{"actor":"workstation 1","card_id":"2","details":{"a":"x","b":1},'
        b'"evidence":{"payload":"AP8="},"kind":"operation.used","time":1795424400000000,'
        b'"trace_id":"3"}'
    )
    assert decode(encode(entry)) == entry
    assert json.loads(encode(entry))["kind"] == "operation.used"


def test_a_changed_entry_is_no_longer_proved(world: World) -> None:
    write(world, 4)
    world.take_in()
    covered = head(world)
    with world.database.write() as connection:
        row = connection.execute(select(t.journal).where(t.journal.c.leaf_index == 2)).one()
        forged = row.entry.replace(b"keystore", b"somebody")
        connection.execute(update(t.journal).where(t.journal.c.id == row.id).values(entry=forged))
    (proof,) = world.reading.prove_inclusion(world.auditor(), covered.size, [2])
    leaf = tree.leaf_hash(entries(world)[2].entry)
    assert not tree.includes(covered.root, covered.size, 2, leaf, proof)
