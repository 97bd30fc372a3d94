"""Tickets that workstations bring: what a broker says of them is counted, and told once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import func, select, update

from cloud_keystore.cards.spine.tickets import Tickets
from cloud_keystore.est.spine.checking import Checking, Errands
from cloud_keystore.est.spine.sources import Broker, Simulator
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    InvalidInput,
    RowNotAuthentic,
    TooManyCalls,
)
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.spine.tickets import (
    CHECK_TIME,
    LEASE_TIME,
    Logins,
    SpineIdentity,
    TicketAnswer,
    Verdict,
)
from cloud_keystore.storage.spine import checks, logins
from cloudcard_tools.shared.processes import Nursery
from support.brokers import PATIENCE, Simulated, simulated
from support.keystore_world import OPERATOR, Enrolled, World
from support.simulators import card as simulated_card

TICKET = "AQIC5wticket=@AAJTSQACMDE=#"
KINDS = (Kind.TICKET_VALID, Kind.TICKET_REFUSED, Kind.NAME_KEPT)
NEVER = 86_400  # seconds
SOON = 2.0


@dataclass
class Desk:
    """A keystore that asks a broker, a card of Ada's, and a workstation."""

    world: World
    user: User
    serial: str
    pc: Enrolled
    known: dict[str, SpineIdentity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.world
        self.tickets = Tickets(world.database, world.clock, os.urandom, world.seal, True)

    @property
    def source(self) -> Simulator:
        return Simulator(self.known)

    def report(self, ticket: str = TICKET) -> None:
        self.tickets.report(self.serial, ticket, self.pc.identity)

    def ask(self, source: Simulator | Broker | None = None) -> int:
        """What the process that calls others does."""
        checking = Checking(source or self.source)
        return asyncio.run(Errands(self.tickets, checking).ask(asyncio.Event()))

    def knows(self, name: str, uid: str | None = None, ticket: str = TICKET) -> None:
        self.known[ticket] = SpineIdentity(uid or self.user.uuid12 or "", name)

    def log_in(self, name: str, ticket: str) -> None:
        self.knows(name, ticket=ticket)
        self.report(ticket)
        assert self.ask() == 1

    @property
    def logins(self) -> Logins:
        return self.world.cards.find(self.serial, actor=OPERATOR).logins

    @property
    def name(self) -> str:
        return self.world.cards.find(self.serial, actor=OPERATOR).user.display_name

    @property
    def told(self) -> list[Entry]:
        return self.world.journal(*KINDS)

    @property
    def left(self) -> int:
        """How many tickets the keystore has."""
        with self.world.database.read() as connection:
            query = select(func.count()).select_from(checks.spine_check)
            return connection.execute(query).scalar_one()


@pytest.fixture
def desk(world: World, serial: str, pc: Enrolled, ada: tuple[User, Enrolled]) -> Desk:
    return Desk(world, ada[0], serial, pc)


def test_a_log_in_is_counted_and_the_name_taken_over(desk: Desk) -> None:
    """SPINE-01, COM-07, USER-16: the journal says who has changed the name, and from what."""
    assert desk.logins == Logins(0, None)
    before = desk.name
    desk.log_in("LOVELACE Ada", TICKET)
    assert desk.logins == Logins(1, desk.world.clock())
    assert desk.name == "LOVELACE Ada"
    [told] = desk.told
    assert (told.kind, told.details["counted"]) == (Kind.TICKET_VALID, True)
    changed = desk.world.journal(Kind.USER_CHANGED)[-1]
    assert changed.details["source"] == "spine"
    assert before in changed.details.values()
    assert desk.left == 0


def test_a_ticket_counts_once(desk: Desk) -> None:
    """COM-07."""
    for _ in range(2):
        desk.log_in("LOVELACE Ada", TICKET)
    assert desk.logins.count == 1
    assert [each.details["counted"] for each in desk.told] == [True, False]
    desk.log_in("LOVELACE Ada", "another")
    assert desk.logins.count == 2
    [listed] = [each for each in desk.world.cards.list_all(actor=OPERATOR) if each.logins.count]
    assert listed.card.serial == desk.serial


def test_a_name_that_was_given_by_hand_stays_and_the_journal_tells(desk: Desk) -> None:
    """USER-16: a manual change is not silently overwritten."""
    desk.log_in("LOVELACE Ada", "first")
    user = replace(desk.user, display_name="Ada King")
    desk.world.people.change_user(user.id, user.display_name, None, actor=OPERATOR)
    desk.log_in("LOVELACE Ada", "second")
    assert desk.name == "Ada King"
    assert Kind.NAME_KEPT not in [each.kind for each in desk.told]
    desk.log_in("LOVELACE Augusta", "third")
    assert desk.name == "Ada King"
    kept = desk.told[-1]
    assert (kept.kind, kept.details["registered"]) == (Kind.NAME_KEPT, "LOVELACE Augusta")
    assert kept.details["old_registered"] == "LOVELACE Ada"


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 500])
def test_a_name_that_cannot_be_used_counts_for_nothing(desk: Desk, name: str) -> None:
    before = desk.name
    desk.log_in(name, TICKET)
    assert (desk.name, desk.logins.count) == (before, 0)
    assert [each.kind for each in desk.told] == [Kind.TICKET_REFUSED]


def test_a_ticket_of_somebody_else_counts_for_nothing(desk: Desk) -> None:
    """SPINE-02: nobody else's ticket renames a holder."""
    before = desk.name
    desk.knows("Mallory", uid="999999999999")
    desk.report()
    desk.ask()
    assert (desk.name, desk.logins.count, desk.left) == (before, 0, 0)
    [told] = desk.told
    assert told.kind is Kind.TICKET_REFUSED
    assert "another person's" in str(told.details["why"])


def test_a_ticket_of_the_training_service_counts_for_nothing(desk: Desk) -> None:
    desk.known[TICKET] = SpineIdentity(desk.user.uuid12 or "", "LOVELACE Ada", is_training=True)
    desk.report()
    desk.ask()
    assert desk.logins.count == 0
    assert "training" in str(desk.told[0].details["why"])


def test_the_ticket_is_sealed_and_in_no_journal(desk: Desk) -> None:
    desk.report()
    with desk.world.database.read() as connection:
        [row] = connection.execute(select(checks.spine_check)).mappings()
    assert TICKET.encode() not in row["sealed"]
    assert TICKET not in repr(desk.tickets.take())
    desk.world.clock.forward(minutes=3)
    desk.ask()
    assert all(TICKET not in str(each.details) for each in desk.world.journal())


def test_one_ticket_of_a_card_at_a_time(desk: Desk) -> None:
    desk.report()
    with pytest.raises(TooManyCalls):
        desk.report("another")
    assert desk.left == 1


def test_whoever_asks_has_it_alone_for_a_while(desk: Desk) -> None:
    """Nothing is half-done: who was killed is followed by another, and comes too late."""
    desk.knows("LOVELACE Ada")
    desk.report()
    [first] = desk.tickets.take()
    assert desk.tickets.take() == []
    desk.world.clock.forward(seconds=LEASE_TIME.total_seconds())
    [second] = desk.tickets.take()
    valid = TicketAnswer(Verdict.VALID, desk.known[TICKET])
    desk.tickets.tell(first.check_id, first.tries, valid)
    assert (desk.logins.count, desk.left) == (0, 1)
    for _ in range(2):
        desk.tickets.tell(second.check_id, second.tries, valid)
    assert (desk.logins.count, desk.left) == (1, 0)


def test_who_stops_gives_it_back(desk: Desk) -> None:
    desk.knows("LOVELACE Ada")
    desk.report()
    stop = asyncio.Event()
    stop.set()
    asyncio.run(Errands(desk.tickets, Checking(desk.source)).ask(stop))
    assert (desk.told, desk.left) == ([], 1)
    assert desk.ask() == 1
    assert desk.logins.count == 1


def test_a_ticket_for_which_nobody_asked_in_time_ends(desk: Desk) -> None:
    desk.knows("LOVELACE Ada")
    desk.report()
    desk.world.clock.forward(seconds=CHECK_TIME.total_seconds())
    assert desk.ask() == 0
    [told] = desk.told
    assert (told.kind, told.details["verdict"]) == (Kind.TICKET_REFUSED, "unreachable")
    assert (desk.logins.count, desk.left) == (0, 0)


@pytest.mark.parametrize("ticket", ["", "x" * 1025, "a\nb", "ä"])
def test_what_is_no_ticket_is_not_taken(desk: Desk, ticket: str) -> None:
    with pytest.raises(InvalidInput, match="ticket is not one"):
        desk.report(ticket)
    assert desk.left == 0


def test_a_keystore_that_asks_no_broker_takes_none(desk: Desk) -> None:
    """SPINE-02."""
    desk.tickets = replace(desk.tickets, is_asked=False)
    with pytest.raises(InvalidInput, match="--spine"):
        desk.report()


def test_a_card_that_is_not_in_use(desk: Desk) -> None:
    with pytest.raises(CardNotFound):
        desk.tickets.report("1500000000099999", TICKET, desk.pc.identity)
    desk.world.cards.suspend(desk.serial, actor=OPERATOR)
    with pytest.raises(CardNotInUse):
        desk.report()


def test_a_count_that_somebody_writes_into_the_database_is_not_believed(desk: Desk) -> None:
    desk.log_in("LOVELACE Ada", TICKET)
    with desk.world.database.write() as connection:
        connection.execute(update(logins.spine_login).values(count=1000))
    with pytest.raises(RowNotAuthentic):
        _ = desk.logins


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("broker")
    with Nursery(folder / "logs") as nursery:
        yield simulated(folder, nursery)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (f"slow={NEVER}", "unreachable"),
        ("down", "unreachable"),
        ("malformed", "unclear"),
        ("expired", "refused"),
        ("revoked", "refused"),
        ("clock=7200", "clock-off"),
        ("clock=-7200", "clock-off"),
    ],
)
def test_each_fault_of_the_broker_is_one_entry_and_changes_nothing(
    desk: Desk, at: Simulated, words: str, verdict: str
) -> None:
    """SPINE-02: at the simulated broker, over HTTPS. The same ticket counts when the fault is
    over.
    """
    before, person = desk.name, f"{desk.user.uuid12}_Ada_Lovelace"
    broker = Broker(("localhost", at.port), "", at.tls, PATIENCE)
    ticket = at.ticket(simulated_card(at.authority, person))
    at.switch(words)
    try:
        desk.report(ticket)
        desk.ask(replace(broker, seconds=SOON) if "slow" in words else broker)
    finally:
        at.switch("")
    [told] = desk.told
    assert (told.kind, told.details["verdict"]) == (Kind.TICKET_REFUSED, verdict)
    assert told.details["why"]
    assert told.details["fix"]
    assert (desk.name, desk.logins.count, desk.left) == (before, 0, 0)
    desk.report(ticket)
    desk.ask(broker)
    assert (desk.name, desk.logins.count, desk.left) == ("LOVELACE Ada", 1, 0)
