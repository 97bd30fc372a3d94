"""What is done each second, or while other writers wait, reads as many rows of a large database as
of a small one. The statements are those that are executed, as they are executed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, select

from cloud_keystore.audit import alerts
from cloud_keystore.custody.backends.probing import Probe
from cloud_keystore.custody.sealing.holder import Holder
from cloud_keystore.mail.push.rings import Rings
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import SessionClosed
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.limits import RATES, budgets
from cloud_keystore.model.operations import STALLED_TIME, Channel, Decision, State
from cloud_keystore.model.people import Role
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.model.sign_ins import MOST_PENDING
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.operations.watching import LOOK_SECONDS, Watching
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.ends import Ends
from cloud_keystore.run.looks import Looks
from cloud_keystore.run.presence import Presence
from cloud_keystore.run.upkeep import Upkeep
from cloud_keystore.storage import cards, operations, session_uses
from cloud_keystore.storage.databases.addresses import DRIVER
from cloud_keystore.storage.rights import oidc
from support.keystore_world import DATABASE, SESSIONS, Enrolled, World, new_world
from support.large_database import LargeDatabase
from support.openid_tokens import facts, log_in
from support.plans import Plans
from support.push_browser import PushBrowser

# Statements that read an index as a whole which has few rows, by a part of each
EXCEPTIONS: Mapping[str, str] = {
    "SELECT DISTINCT session_use.used_by": "a new process looks once at the uses under way",
    "session_use.used_by IN": "a process has gone: it can have any of the uses under way",
    "operation.used_by IN": "a process has gone: it can have any of the uses under way",
    "FROM budget": "the index has the budgets alone that are nearly used up",
    "SELECT count(*)": "the index has the operations alone that have not ended",
    "SELECT operation.user_id, operation.create_time": "the index has what has not ended alone",
    "SELECT sign_in.user_id, sign_in.create_time": "the index has what has not ended alone",
    "SELECT bell.device_id \nFROM": "it ends with the first row",
    "SELECT bell.device_id, bell.user_id": "a holder has ten phones at most",
    "FROM spare_key GROUP BY": "there are two thousand at most, however old the keystore is",
    "card_order.lease_time IS NOT NULL": "the index has the cards alone that are being made",
    "FROM journal \nWHERE journal.user_id": "older entries are in bundles, and these are few",
    "key.destroy_time IS NOT NULL": "the index has the keys alone that are to be destroyed",
}
GONE = 7  # the number of a process
KEEP_TIME = timedelta(days=7)
FEW_USES = SessionTerms(2, timedelta(hours=1))


class Token:
    """A token that has no keys."""


@dataclass
class Ward:
    """A holder whose card has half of all that has ever happened, at one workstation."""

    world: World
    large: LargeDatabase
    phone: Enrolled = field(init=False)
    pc: Enrolled = field(init=False)
    serial: str = field(init=False)
    upkeep: Upkeep = field(init=False)
    monotonic: float = 0.0

    def __post_init__(self) -> None:
        world = self.world
        world.database.limit_growth(budgets(RATES), 0)
        world.set_policy(replace(SESSIONS, channels=frozenset(Channel)))
        user, self.phone = world.user("Ada Byron", "ada@example.org")
        self.pc, self.serial = world.workstation(), world.card(user)
        self.operator = world.enrol(world.people.add_operator("Olga", actor=world.actor).text)
        self.rings = Rings(world.database, world.clock, os.urandom, world.seal, "https://a.org")
        world.bells.hang(PushBrowser().address("https://push.apple.com/x"), self.phone.identity)
        clock = lambda: self.monotonic  # noqa: E731
        own = world.issuing.authorities
        self.publishing = Publishing(world.database, world.clock, own, os.urandom, clock)
        self.upkeep = Upkeep(
            database=world.database,
            clock=world.clock,
            seal=world.seal,
            holder=Holder("here", world.database, world.clock),
            token=Token(),  # type: ignore[arg-type]
            journal=world.reading.log,
            sessions=world.sessions,
            watching=Watching(world.database, clock),
            ends=Ends(world.database, world.seal, world.clock, own, clock),
            budgets=Budgets(world.database, world.clock),
            publishing=self.publishing,
            heeding=world.heeding,
            presence=Presence(world.database, 0, clock),
            spares=world.issuing.spares,
            issuing=lambda _wake: world.issuing,
            keep_time=KEEP_TIME,
            survey_time=timedelta(days=730),
        )

    @property
    def own(self) -> Mapping[str, str]:
        """What identifies half of the rows, by the names of columns."""
        session = self.world.session(self.serial, self.pc, self.phone)
        self.world.take_in()
        return {
            "user_id": session.user_id,
            "card_id": session.card_id,
            "key_id": session.key_id,
            "workstation_id": session.workstation_id,
            "session_id": session.id,
        }

    def tend(self, **time: float) -> None:
        """What a process does each second, after so much time."""
        self.world.clock.forward(**time)
        self.monotonic += 2 * LOOK_SECONDS + 60
        for task in self.upkeep.tasks(self.world.woken.extend, self.world.woken.extend):
            task()
        self.rings.take()
        upkeep = self.upkeep
        probe = Probe(
            self.world.issuing.spares.custody, self.world.clock, os.urandom, lambda: self.monotonic
        )
        Looks(self.world.database, upkeep.ends, upkeep.budgets, self.publishing, probe).gauges()

    def ask(self) -> None:
        """Operations: used, repeated, denied, cancelled, claimed, left to expire, stalled."""
        world, pc, phone = self.world, self.pc, self.phone
        request_id, proof = os.urandom(16), world.proof(self.serial, pc)
        for _ in range(2):
            operation = world.ask(self.serial, pc, request_id=request_id, proof=proof)
        world.deciding.waiting(phone.identity)
        world.asking.find(operation.id, pc.identity)
        world.asking.look([operation.id, "no such operation"], pc.identity)
        world.callers.identify(pc.identity.certificate_sha256 or b"", Role.WORKSTATION)
        self.tend(seconds=1)
        assert world.decide(operation, phone) is State.APPROVED
        for _ in range(2):
            world.perform(operation, pc)
        scanned = world.ask(self.serial, pc, channels=[Channel.QR])
        world.deciding.claim(world.qr_text(scanned), phone.identity)
        world.asking.cancel(scanned.id, pc.identity)
        world.ask(self.serial, pc)
        denied = world.ask(self.serial, pc)  # instead of the one before
        world.decide(denied, phone, Decision.DENY)
        self.tend(seconds=10)
        stalled = world.ask(self.serial, pc)
        world.decide(stalled, phone)
        with world.database.write(shared=True) as connection:
            assert operations.start_use(connection, stalled.id, world.clock(), 0, GONE)
        with world.database.read() as connection:
            operations.users(connection)
            session_uses.users(connection)
        self.upkeep.sweep(STALLED_TIME, {GONE})
        assert world.state(stalled) is State.FAILED
        expired = world.ask(self.serial, pc)
        self.tend(minutes=3)
        assert world.state(expired) is State.EXPIRED
        self.tend(minutes=11)  # results are erased
        world.alerts.told_to(phone.identity)
        with world.database.write() as connection:
            card, now = cards.named(connection, self.serial), world.clock()
            alerts.too_many_refusals(connection, card, pc.identity, now, os.urandom)
            alerts.wrong_passcodes(connection, pc.identity, now, os.urandom)

    def log_in(self) -> None:
        """A code of an OpenID log-in, after which nobody else logs in."""
        self.world.oidc_log_ins.learn(facts())
        log_in(self.world, b"\x01" * 32)
        self.tend(minutes=10, microseconds=1)
        for _ in range(12):  # all those of before
            self.tend(seconds=1)
        with self.world.database.read() as connection:
            assert connection.execute(select(oidc.oidc_return)).all() == []

    def use_sessions(self) -> None:
        """Sessions: used, repeated, used up, replaced, ended by either side, left to run out."""
        world, pc, phone = self.world, self.pc, self.phone
        for end in (
            lambda each: world.sessions.end(each.id, pc.identity),
            lambda each: Sessions(world.database, world.clock).end(each.id, phone.identity),
            lambda _: self.tend(hours=2),
        ):
            session, request_id = world.session(self.serial, pc, phone), os.urandom(16)
            for _ in range(3):
                world.use(session, pc)
            for _ in range(2):
                world.use(session, pc, request_id=request_id)
            Sessions(world.database, world.clock).list_open(phone.identity)
            end(session)
        short = world.session(self.serial, pc, phone, FEW_USES)
        for _ in range(FEW_USES.most_uses):
            world.use(short, pc)
        self.tend(seconds=1)
        with pytest.raises(SessionClosed):
            world.use(short, pc)
        self.tend(minutes=11)

    def sign_in(self) -> None:
        """Sign-ins: by account and by code, approved, denied, ended, replaced, left to expire."""
        world, pc, phone = self.world, self.pc, self.phone
        for user in ("", "ada@example.org"):
            seen = world.signing_in.begin(os.urandom(16), user, pc.identity)
            world.admitting.waiting(phone.identity)
            assert world.admit(seen, phone) is State.APPROVED
            world.signing_in.find(seen.sign_in.id, pc.identity)
            world.admitting.list_open(phone.identity)
            self.tend(seconds=1)
            world.signing_in.end(seen.sign_in.id, pc.identity)
        for _ in range(MOST_PENDING + 1):
            world.signing_in.begin(os.urandom(16), "", pc.identity)
        denied = world.signing_in.begin(os.urandom(16), "ada@example.org", pc.identity)
        world.admit(denied, phone, Decision.DENY)
        self.tend(minutes=3)
        left = world.signing_in.begin(os.urandom(16), "", pc.identity)
        world.admit(left, phone)
        self.tend(hours=13)

    def close(self) -> None:
        """Whatever ends what is open: a card, a phone and a workstation go."""
        world, operator = self.world, self.operator.identity
        for end in (
            lambda: world.cards.suspend(self.serial, actor=world.actor),
            lambda: world.cards.resume(self.serial, actor=world.actor),
            lambda: world.devices.remove(self.phone.identity.id, "lost", operator),
        ):
            if self.world.find(self.serial).card.state is CardState.ACTIVE:
                world.session(self.serial, self.pc, self.phone)
                world.ask(self.serial, self.pc)
            end()
        world.identities.remove(Role.WORKSTATION, self.pc.identity.id, "gone", operator)
        self.tend(seconds=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def ward(request: pytest.FixtureRequest, tmp_path: Path, new_keystore: Path) -> Iterator[Ward]:
    """A ward in a large database."""
    url = ""
    if request.param == "sqlite":
        shutil.copy(new_keystore, tmp_path / DATABASE)
        address = f"sqlite:///{tmp_path / DATABASE}"
    else:
        url = request.getfixturevalue("database_url")
        address = url.replace("postgresql", DRIVER, 1)
    world = new_world(tmp_path, url=url)
    with closing(world.database):
        ward = Ward(world, LargeDatabase(create_engine(address, poolclass=NullPool), world.clock()))
        ward.large.fill(ward.own)
        yield ward


def test_what_writers_wait_for_reads_few_rows(ward: Ward) -> None:
    """PostgreSQL has statistics of a moment at which nothing was under way, and then such as are
    true; SQLite has none.
    """
    plans = Plans()
    if ward.world.database.is_shared:
        ward.large.count()
    ward.large.begin()
    with plans.watching():
        ward.ask()
        ward.use_sessions()
        ward.sign_in()
    if ward.world.database.is_shared:
        ward.large.count()
    with plans.watching():
        ward.ask()
        ward.use_sessions()
        ward.sign_in()
        ward.close()
    assert len(plans.seen) > 100
    assert ward.large.old() == 0
    ward.log_in()
    _check(plans)


def test_what_is_shown_of_one_person_reads_few_rows(ward: Ward) -> None:
    """On the holder's phone, and at the registration authority's."""
    plans, world = Plans(), ward.world
    if world.database.is_shared:
        ward.large.count()
    user_id = ward.phone.identity.user_id or ""
    with plans.watching():
        assert world.holdings.show(ward.phone.identity).phones
        assert world.showing.show(user_id, ward.operator.identity).devices
        assert world.devices.list_of(user_id, actor=world.actor)
        assert world.identities.list_of(Role.OPERATOR, actor=world.actor)
        assert world.shared_devices.list_all(Page(50), actor=world.actor) == []
    _check(plans)


def _check(plans: Plans) -> None:
    wrong = {
        each: found
        for each, found in plans.wrong.items()
        if not any(part in each.replace('"', "") for part in EXCEPTIONS)
    }
    assert wrong == {}, "\n\n".join(f"{sorted(found)}: {each}" for each, found in wrong.items())
