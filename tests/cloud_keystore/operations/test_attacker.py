"""Somebody who can read and write the database, and knows how it is used, but has no sealing key:
between any two steps of others this attacker changes, copies, deletes or puts back any record. No
key is used without an approval that its holder's device gave, and none more often than that says.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TypeVar

import hypothesis.strategies as st
import psycopg
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row
from sqlalchemy.exc import IntegrityError

from card_os.piv.names import KeyRef
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.model.cards import HeldKey
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.operations import Decision, Operation, OperationKind, State
from cloud_keystore.model.passcodes import Verified
from cloud_keystore.model.people import IdentityState
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.model.sessions import Session
from cloud_keystore.storage import people
from cloud_keystore.storage.authentic.upgrading import authentic_tables
from support.keystore_world import (
    DATABASE,
    DIGEST,
    OPERATOR,
    PASSCODE,
    SESSIONS,
    Enrolled,
    World,
    new_world,
)
from support.postgres import Server

# So many games are asked for by `make attack`; else few, fewer of which are on PostgreSQL.
ASKED = int(os.environ.get("CLOUDCARD_ATTACKS", "0"))
RUNS, RUNS_OVER_REPLICAS = ASKED or 15, ASKED or 4

pytestmark = pytest.mark.timeout(600 + 30 * ASKED)  # games take minutes on a busy computer

WHICH = st.integers(0, 5)
# Of a table's records or columns. How many of them there are depends on keys, identifiers and
# signatures, which are random: what is drawn must not, or hypothesis cannot repeat a game.
ANY = st.integers(0, 0xFFFF)
SELDOM = st.sampled_from([False, False, False, True])
TERMS = SessionTerms(3, timedelta(hours=1))
TABLES = [table.name for table in authentic_tables()]
# Of the rows that lead to a use, more often
FAVOURITES = ["operation", "session", "identity", "approval_key", "card", "key", "passcode_proof"]
TARGETS = st.sampled_from(TABLES + FAVOURITES * 3)
JUNK = st.sampled_from([None, 0, 1, 2, 3, 1 << 40, "active", "", b"", b"\x01", 1.5])
NOT_TAKEN = (sqlite3.Error, OverflowError, psycopg.Error)
KEYS = {table.name: list(table.primary_key.columns.keys()) for table in authentic_tables()}
Cell = int | str | bytes | float | None
Record = dict[str, Cell]
Thing = TypeVar("Thing")


class Attacker:
    """Writes the database directly, without its rules, and remembers what was there."""

    same = "IS"

    def __init__(self, address: str) -> None:
        self.address = address
        self.seen: dict[str, list[Record]] = {name: [] for name in TABLES}

    def execute(self, statement: str, *values: Cell) -> list[Record]:
        """Run a statement in a transaction of its own. There are records that the database itself
        does not take.
        """
        found: list[Record] = []
        with closing(sqlite3.connect(self.address)) as database, suppress(*NOT_TAKEN):
            database.row_factory = sqlite3.Row
            found += [dict(row) for row in database.execute(statement, values)]
            database.commit()
        return found

    def look(self) -> None:
        """Remember all records as they are."""
        for name, seen in self.seen.items():
            seen += [row for row in self.execute(f'SELECT * FROM "{name}"') if row not in seen]

    def put(self, table: str, record: Record) -> None:
        """Write a record, in place of one that has the same key."""
        key = {name: record[name] for name in KEYS[table]}
        before = self.execute(f'SELECT * FROM "{table}" WHERE {self.where(key)}', *key.values())
        self.delete(table, key)
        if not self.add(table, record) and before:
            self.add(table, before[0])

    def add(self, table: str, record: Record) -> bool:
        """Write a record; whether the database took it."""
        names = ", ".join(f'"{name}"' for name in record)
        places = ", ".join("?" * len(record))
        statement = f'INSERT INTO "{table}" ({names}) VALUES ({places}) RETURNING 1'
        return bool(self.execute(statement, *record.values()))

    def delete(self, table: str, record: Record) -> None:
        """Delete the records that have these values."""
        self.execute(f'DELETE FROM "{table}" WHERE {self.where(record)}', *record.values())

    def where(self, record: Record) -> str:
        return " AND ".join(f'"{name}" {self.same} ?' for name in record)

    def close(self) -> None:
        """Leave the database."""


class OnServer(Attacker):
    """The same on PostgreSQL."""

    same = "IS NOT DISTINCT FROM"

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.database = psycopg.connect(address, autocommit=True, row_factory=dict_row)
        self.execute("SET session_replication_role = replica")  # without its rules

    def execute(self, statement: str, *values: Cell) -> list[Record]:
        found: list[Record] = []
        with suppress(*NOT_TAKEN):
            made = self.database.execute(statement.replace("?", "%s"), values)
            found += made.fetchall() if made.description else []
        return found

    def close(self) -> None:
        self.database.close()


@cache
def prepared() -> Path:
    """The database of a keystore that has just been made; every run begins with a copy."""
    folder = Path(tempfile.mkdtemp(prefix="cloudcard-attacker-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    new_world(folder).database.close()
    return folder / DATABASE


class Counted(Keys):
    """Counts the uses of keys before they happen."""

    uses = 0

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        Counted.uses += len(inputs)
        return super().use(key, key_use, inputs)


def counted(world: World) -> World:
    """The same keystore, whose uses of private keys are counted."""
    custody = Counted(world.custody.backends, world.custody.new)
    world.activation = replace(world.activation, custody=custody)
    world.sessions = replace(world.sessions, custody=custody)
    return world


class Attacked(RuleBasedStateMachine):
    """Against a model: what was approved by whom, where it was asked for, and how often a key was
    used for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.worlds, self.attacker = self.open()
        self.asked: list[tuple[Operation, Enrolled]] = []
        self.sessions: list[tuple[Session, Enrolled]] = []
        self.approved: set[str] = set()
        self.uses: Counter[str] = Counter()
        self.suspended: set[str] = set()  # cards

    def open(self) -> tuple[list[World], Attacker]:
        """The keystore's processes, which do not share their memory, and who attacks them."""
        self.folder = Path(tempfile.mkdtemp(prefix="cloudcard-attacked-"))
        shutil.copy(prepared(), self.folder)
        return [counted(new_world(self.folder))], Attacker(str(self.folder / DATABASE))

    @initialize()
    def people(self) -> None:
        world = self.worlds[0]
        user, self.phone = world.user()
        other, self.mallory = world.user("Mallory")
        self.places = [world.workstation(), world.workstation("PC2")]
        self.serials = [world.card(user), world.card(other)]
        world.set_policy(replace(SESSIONS, largest_batch=1))
        self.attacker.look()

    @rule(by=WHICH, card=WHICH, at=WHICH, session=st.booleans())
    def ask(self, by: int, card: int, at: int, session: bool) -> None:
        world, pc = self.worlds[by % len(self.worlds)], self.places[at % 2]
        with refusals():
            serial, caller = self.serials[card % 2], self.caller(world, pc)
            given = world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, caller.identity)
            if isinstance(given, Verified):
                terms = TERMS if session else None
                made = world.ask(serial, caller, session=terms, proof=given.proof)
                self.asked.append((made, pc))

    @rule(by=WHICH, card=WHICH, at=WHICH, session=st.booleans())
    def ask_and_approve(self, by: int, card: int, at: int, session: bool) -> None:
        """The usual way, which luck alone rarely takes."""
        before = len(self.asked)
        self.ask(by, card, at, session)
        if len(self.asked) > before:
            self.decide(by, 0, by_holder=True, decision=Decision.APPROVE)

    @rule(by=WHICH, card=WHICH, at=WHICH)
    def open_session(self, by: int, card: int, at: int) -> None:
        self.ask_and_approve(by, card, at, session=True)
        self.perform(by, 0, elsewhere=False)

    @rule(
        by=WHICH,
        which=WHICH,
        by_holder=SELDOM.map(lambda seldom: not seldom),
        decision=st.sampled_from([Decision.APPROVE, Decision.APPROVE, Decision.DENY]),
    )
    def decide(self, by: int, which: int, by_holder: bool, decision: Decision) -> None:
        if not self.asked:
            return
        world = self.worlds[by % len(self.worlds)]
        operation, _ = self.asked[-1 - which % len(self.asked)]
        hers = operation.user_id == self.phone.identity.user_id
        device = self.phone if hers == by_holder else self.mallory
        with refusals():
            caller = self.caller(world, device)
            # What the holder was shown and has signed counts, even if the keystore refuses it.
            if decision is Decision.APPROVE and by_holder:
                self.approved.add(operation.id)
            world.decide(operation, caller, decision)

    @rule(by=WHICH, which=WHICH, elsewhere=SELDOM)
    def perform(self, by: int, which: int, elsewhere: bool) -> None:
        if not self.asked:
            return
        world = self.worlds[by % len(self.worlds)]
        operation, pc = self.asked[-1 - which % len(self.asked)]
        caller = self.elsewhere(pc) if elsewhere else pc
        inputs = [] if operation.kind is OperationKind.SESSION else [DIGEST]
        with self.uses_of(operation.id, operation.card_id, 1, elsewhere=elsewhere), refusals():
            identity = self.caller(world, caller).identity
            made = world.activation.perform(operation.id, inputs, identity)
            if made.session is not None:
                assert operation.id in self.approved, "a session without an approval"
                self.sessions.append((made.session, pc))

    @rule(by=WHICH, which=WHICH, elsewhere=SELDOM)
    def use(self, by: int, which: int, elsewhere: bool) -> None:
        if not self.sessions:
            return
        world = self.worlds[by % len(self.worlds)]
        session, pc = self.sessions[-1 - which % len(self.sessions)]
        caller = self.elsewhere(pc) if elsewhere else pc
        most = TERMS.most_uses
        with self.uses_of(session.id, session.card_id, most, elsewhere=elsewhere), refusals():
            world.use(session, self.caller(world, caller))

    @rule(card=WHICH, resume=st.booleans())
    def suspend_or_resume(self, card: int, resume: bool) -> None:
        world, serial = self.worlds[0], self.serials[card % 2]
        with refusals():
            card_id = world.find(serial).card.id
            if resume:
                world.cards.resume(serial, actor=OPERATOR)
                self.suspended.discard(card_id)
            else:
                world.cards.suspend(serial, actor=OPERATOR)
                self.suspended.add(card_id)

    @rule(seconds=st.sampled_from([1, 20, 70, 4000]))
    def wait(self, seconds: int) -> None:
        for world in self.worlds:
            world.clock.forward(seconds=seconds)
            with refusals():
                world.sweep()

    @rule(table=TARGETS, which=ANY, column=ANY, other=ANY)
    def edit(self, table: str, which: int, column: int, other: int) -> None:
        """Change one value of a record to that of another record."""
        self.copy(table, which, {column: other})

    @rule(table=TARGETS, which=ANY, column=ANY, junk=JUNK)
    def spoil(self, table: str, which: int, column: int, junk: Cell) -> None:
        """Change one value of a record to junk."""
        for record in self.some(table, which):
            record[one_of(sorted(record), column)] = junk
            self.attacker.put(table, record)

    @rule(table=TARGETS, which=ANY, values=st.dictionaries(ANY, ANY, min_size=1, max_size=4))
    def copy(self, table: str, which: int, values: Mapping[int, int]) -> None:
        """Add a record that is made of others."""
        for record in self.some(table, which):
            for column, other in values.items():
                name = one_of(sorted(record), column)
                record[name] = one_of(self.attacker.seen[table], other)[name]
            self.attacker.put(table, record)

    @rule(table=TARGETS, which=ANY)
    def put_back(self, table: str, which: int) -> None:
        """Put a record back as it once was."""
        for record in self.some(table, which):
            self.attacker.put(table, record)

    @rule(table=TARGETS, which=ANY)
    def delete(self, table: str, which: int) -> None:
        for record in self.some(table, which):
            self.attacker.delete(table, record)

    @rule(which=WHICH)
    def call_approved(self, which: int) -> None:
        """Give an operation the state of one that was approved and is not used."""
        if self.asked:
            operation, _ = self.asked[-1 - which % len(self.asked)]
            self.attacker.execute(
                "UPDATE operation SET state = ?, decision = 1, use_time = NULL WHERE id = ?",
                int(State.APPROVED),
                operation.id,
            )

    @rule()
    def refund(self) -> None:
        """Give all sessions their uses back."""
        self.attacker.execute("UPDATE session SET uses_left = 3, end_time = NULL")

    def some(self, table: str, which: int) -> list[Record]:
        """One of all the records that ever were in a table, if there were any."""
        self.attacker.look()
        seen = self.attacker.seen[table]
        return [dict(one_of(seen, which))] if seen else []

    def elsewhere(self, pc: Enrolled) -> Enrolled:
        return self.places[1] if pc is self.places[0] else self.places[0]

    def caller(self, world: World, enrolled: Enrolled) -> Enrolled:
        """The caller as the keystore knows it, by the certificate of its connection."""
        fingerprint = enrolled.identity.certificate_sha256
        assert fingerprint is not None
        with world.database.read() as connection:
            found = people.find_identity_by_certificate(connection, fingerprint)
        if found is None or found.state is not IdentityState.ACTIVE:
            raise KeystoreError("nobody whom the keystore knows")
        return replace(enrolled, identity=found)

    @contextmanager
    def uses_of(self, approval: str, card_id: str, most: int, *, elsewhere: bool) -> Iterator[None]:
        """Hold the uses of keys in the block against what was approved."""
        before = Counted.uses
        yield
        if used := Counted.uses - before:
            self.uses[approval] += used
            assert approval in self.approved, "a use without an approval"
            assert not elsewhere, "a use at another workstation"
            assert self.uses[approval] <= most * len(self.worlds), "more uses than were approved"
            # Each process knows what it has seen: here all, elsewhere not each suspension.
            if len(self.worlds) == 1:
                assert card_id not in self.suspended, "a use of a suspended card"

    def teardown(self) -> None:
        self.attacker.close()
        for world in self.worlds:
            world.database.close()
        shutil.rmtree(self.folder)


class Replicas(Attacked):
    """Two replicas on one server."""

    url = ""  # of the database

    def open(self) -> tuple[list[World], Attacker]:
        self.folder = Path(tempfile.mkdtemp(prefix="cloudcard-attacked-"))
        worlds = [counted(new_world(self.folder, url=self.url)) for _ in range(2)]
        return worlds, OnServer(self.url)


def one_of(things: Sequence[Thing], which: int) -> Thing:
    """One of any number of things, counted round."""
    return things[which % len(things)]


@contextmanager
def refusals() -> Iterator[None]:
    """Refusals are what is wanted; anything else is a fault."""
    with suppress(KeystoreError, IntegrityError):
        yield


SETTINGS = settings(
    max_examples=RUNS,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes, by the disk
)
TestAttacked = Attacked.TestCase
TestAttacked.settings = SETTINGS


def test_two_replicas(postgresql: Server, new_keystore_in_postgresql: str) -> None:
    made = list[str]()

    def attacked() -> Replicas:
        for url in made[-1:]:
            postgresql.drop(url)
        made.append(postgresql.new_database(new_keystore_in_postgresql))
        Replicas.url = made[-1]
        return Replicas()

    run_state_machine_as_test(
        attacked, settings=settings(SETTINGS, max_examples=RUNS_OVER_REPLICAS)
    )
    assert len(made) >= RUNS_OVER_REPLICAS
