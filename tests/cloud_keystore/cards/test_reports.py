"""Who has not finished enrolling, and what ends soon (USER-06, CARD-12)."""

from __future__ import annotations

import os
from datetime import UTC, timedelta

import pytest
from cryptography import x509
from sqlalchemy import Engine, event

from cloud_keystore.cards import expiring as reports_of_ends
from cloud_keystore.cards.expiring import Expiring
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import CardNotInUse, InvalidInput
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.people import Stage, User
from cloud_keystore.people.people import TOKEN_TIME
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World


def stages(world: World) -> dict[str, Stage]:
    return {
        each.user.display_name: each.progress.stage
        for each in world.reports.pending(actor=world.actor)
    }


def test_a_person_on_the_way_to_a_card(world: World) -> None:
    """USER-03: nobody asks for a phone number on the way."""
    user, token = world.people.add_user("Ada", "", actor=OPERATOR)
    assert token is not None
    (first,) = world.reports.pending(actor=world.actor)
    assert first.progress.stage is Stage.INVITED
    assert (first.progress.since, first.progress.until) == (user.create_time, token.expire_time)
    world.clock.forward(minutes=5)
    phone = world.enrol(token.text).identity
    (waits,) = world.reports.pending(actor=world.actor)
    assert (waits.progress.stage, waits.progress.since) == (Stage.NO_CARD, world.clock())
    world.clock.forward(minutes=5)
    card = world.issuing.issue(os.urandom(16), user.id, "p256", actor=OPERATOR).card
    (waits,) = world.reports.pending(actor=world.actor)
    assert waits.progress.stage is Stage.NO_PASSCODE
    assert (waits.progress.card, waits.progress.since) == (card.serial, world.clock())
    world.passcodes.set_first(card.serial, PASSCODE, phone)
    assert world.reports.pending(actor=world.actor) == []


def test_a_card_that_is_being_issued_is_no_card_yet(world: World) -> None:
    user, phone = world.user()
    card = world.issuing.issue(os.urandom(16), user.id, "p256", actor=OPERATOR).card
    with world.database.write() as connection:
        rows.change(connection, tables.card, [], {"state": CardState.ISSUING})
    (waits,) = world.reports.pending(actor=world.actor)
    assert waits.progress.stage is Stage.CARD_INCOMPLETE
    assert waits.progress.card == card.serial
    with pytest.raises(CardNotInUse, match="still being issued"):
        world.passcodes.set_first(card.serial, PASSCODE, phone.identity)
    with pytest.raises(CardNotInUse):
        world.image(card.serial)


def test_an_invitation_that_expired_is_told_at_once(world: World) -> None:
    """USER-05 and USER-06: derived from the time, not by a job."""
    world.people.add_user("Ada", "", actor=OPERATOR)
    end = world.clock() + TOKEN_TIME
    world.clock.now = end - timedelta(microseconds=1)
    assert stages(world) == {"Ada": Stage.INVITED}
    world.clock.now = end
    (waits,) = world.reports.pending(actor=world.actor)
    assert (waits.progress.stage, waits.progress.since) == (Stage.INVITATION_EXPIRED, end)
    world.people.invite_device(waits.user.id, actor=OPERATOR)
    assert stages(world) == {"Ada": Stage.INVITED}


def test_those_who_wait_for_longest_come_first(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    world.clock.forward(days=1)
    for name in ("Bo", "Cy"):
        world.clock.forward(days=1)
        world.people.add_user(name, "", actor=OPERATOR)
    assert list(stages(world)) == ["Bo", "Cy"]
    world.clock.forward(days=1)
    world.devices.remove(ada[1].identity.id, "lost", world.operator().identity)
    assert list(stages(world).items())[-1] == ("Ada Byron", Stage.NO_PHONE)
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    operator = world.operator().identity
    for each in world.reports.pending(actor=world.actor):
        world.leaving.close(each.user.id, "left", operator)
    assert world.reports.pending(actor=world.actor) == []


def test_a_suspended_card_has_been_enrolled(world: World, serial: str) -> None:
    world.cards.suspend(serial, actor=OPERATOR)
    assert world.reports.pending(actor=world.actor) == []
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    assert stages(world) == {"Ada Byron": Stage.NO_CARD}


def test_what_ends_within_some_days(world: World, serial: str) -> None:
    world.workstation()
    assert world.reports.expiring(90, actor=world.actor) == []
    card = world.find(serial).card
    world.clock.now = card.expire_time - timedelta(days=30)
    assert world.reports.expiring(29, actor=world.actor) == []
    found = {(each.sort, each.name): each for each in world.reports.expiring(31, actor=world.actor)}
    assert found.keys() == {
        ("card", serial),
        ("device", "phone"),
        ("workstation", "WARD7-PC3"),
    }
    assert found["card", serial].expire_time == card.expire_time
    assert found["card", serial].holder == found["device", "phone"].holder == "Ada Byron"
    ends = [each.expire_time for each in world.reports.expiring(31, actor=world.actor)]
    assert ends == sorted(ends)
    # What has ended stays there until somebody removes it.
    world.clock.forward(days=31)
    assert ("card", serial) in {
        (each.sort, each.name) for each in world.reports.expiring(0, actor=world.actor)
    }
    world.cards.revoke(serial, "expired", actor=OPERATOR)
    assert "card" not in {each.sort for each in world.reports.expiring(0, actor=world.actor)}


def test_a_key_that_signs_no_longer_before_its_card_ends(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """The earlier of notAfter and the end of the private key's usage."""
    serial = world.card(ada[0], "v2")
    (key,) = (key for key in world.keys(serial) if key.key_ref == 0x9C)
    period = x509.load_der_x509_certificate(key.certificate).extensions.get_extension_for_class(
        x509.PrivateKeyUsagePeriod
    )
    assert period.value.not_after is not None
    end = period.value.not_after.replace(tzinfo=UTC)
    assert end < world.find(serial).card.expire_time
    world.clock.now = end - timedelta(days=10)
    assert world.reports.expiring(9, actor=world.actor) == []
    (found,) = world.reports.expiring(11, actor=world.actor)
    assert (found.sort, found.name, found.about) == ("certificate", "9C", f"card {serial}")
    assert (found.holder, found.expire_time) == ("Ada Byron", end)


def test_the_keystores_own_authorities_end_too(world: World) -> None:
    assert world.reports.expiring(90, actor=world.actor) == []
    world.clock.forward(days=3600)
    names = {
        each.name
        for each in world.reports.expiring(90, actor=world.actor)
        if each.sort == "authority"
    }
    assert names > {"transport", "cards", "content"}
    assert "request" not in names  # it never ends


def test_what_ends_comes_page_by_page(world: World, ada: tuple[User, Enrolled]) -> None:
    """Each page goes on where the one before has ended, also among those that end at once."""
    for number in range(4):
        world.card(ada[0], "v2" if number % 2 else "p256")
        world.workstation(f"PC-{number}")
    world.clock.forward(days=3600)
    whole = world.reports.expiring(90, actor=world.actor)
    assert {each.sort for each in whole} == {
        *("card", "certificate", "workstation", "device", "authority")
    }
    assert [each.place for each in whole] == sorted({each.place for each in whole})
    for size in (1, 3, len(whole)):
        found: list[Expiring] = []
        while some := world.reports.expiring(
            90, Page(size, str(found[-1].place) if found else ""), actor=world.actor
        ):
            assert len(some) <= size
            found += some
        assert found == whole


@pytest.mark.parametrize(
    "after",
    [
        *("x", "2026-11-29 card 1", "2026-13-01T00:00:00+00:00 card 1"),
        *(f"{end}.000000+0000 x y" for end in ("9999-12-31T00:00:00", "2040-01-01T00:00:00")),
        "0001-01-01T00:00:00.000000+2359 x y",
        "9999-12-31T23:59:59.000000-2359 x y",
        "2026-01-01T00:00:00.000000+0100 card 1",
        "2026-01-01T00:00:00.0+00:00:00.5 x y",
        "2026-01-01T00:00:00.000000+0000 identity \0",
    ],
)
def test_a_page_after_no_place(world: World, after: str) -> None:
    with pytest.raises(InvalidInput, match="after is no place in the list"):
        world.reports.expiring(90, Page(1, after), actor=world.actor)


def asking(
    world: World, page: Page, actor: Actor, sort: str = ""
) -> tuple[list[Expiring], list[str]]:
    """A page, and the statements that it has cost."""
    asked: list[str] = []

    def ask(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    event.listen(Engine, "before_cursor_execute", ask)
    try:
        return world.reports.expiring(3650, page, sort, actor=actor), asked
    finally:
        event.remove(Engine, "before_cursor_execute", ask)


def statements(world: World, page: Page, actor: Actor) -> tuple[list[Expiring], int]:
    """A page, and how many statements it has cost."""
    found, asked = asking(world, page, actor)
    return found, len(asked)


def test_of_one_sort_nothing_else_is_read(world: World, ada: tuple[User, Enrolled]) -> None:
    """A page of workstations parsed each card's certificates, and found the same."""
    for profile in ("p256", "v2"):
        world.card(ada[0], profile)
    world.workstation()
    world.clock.forward(days=3600)
    whole = world.reports.expiring(3650, actor=OPERATOR)
    read = {
        "card": {"card"},
        "certificate": {"card", "key"},
        "authority": {"authority"},
        "workstation": {"identity"},
        "nothing": {"identity"},
    }
    sources = {each: f"FROM {each} " for each in ("card", "key", "authority")}
    sources["identity"] = "identity.expire_time <"
    for sort, tables_read in read.items():
        found, asked = asking(world, Page(100), OPERATOR, sort)
        assert found == [each for each in whole if each.sort == sort]
        assert bool(found) == (sort != "nothing")
        said = " ".join(" ".join(asked).replace('"', "").split())
        assert {name for name, text in sources.items() if text in said} == tables_read


def test_a_page_costs_the_same_among_those_that_end_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_of_ends, "PORTION", 5)
    for number in range(30):
        world.workstation(f"PC-{number}")
    costs, after = [], ""
    while True:
        some, cost = statements(world, Page(5, after), OPERATOR)
        if len(some) < 5:
            break
        costs.append(cost)
        after = str(some[-1].place)
    assert len(costs) >= 6
    assert max(costs) <= min(costs) + 4


def test_what_belongs_elsewhere_costs_nothing(world: World) -> None:
    """Who acts for one organisation sees what ends there, and nothing else is read for that."""
    boss = world.operator().identity
    ours = world.organisations.add("Ours", boss).id
    theirs = world.organisations.add("Theirs", boss).id
    ida, ira, otto = (
        world.enrol(world.people.add_operator(name, role, place, actor=OPERATOR).text).identity
        for name, role, place in (
            ("Ida", "support", ours),
            ("Ira", "ra-manager", ours),
            ("Otto", "ra-manager", theirs),
        )
    )
    for place in (ours, theirs):
        user, token = world.people.add_user(
            "Ada", "", namesake=True, organisation_id=place, actor=OPERATOR
        )
        assert token is not None
        world.enrol(token.text)
        assert user.organisation_id == place
        _, token = world.people.add_workstation(f"PC {place}", "", place, actor=OPERATOR)
        world.enrol(token.text)
    before = {who.id: statements(world, Page(100), who.actor) for who in (ida, ira, otto)}
    sorts = {
        who.id: sorted((each.sort, each.name) for each in before[who.id][0])
        for who in (ida, ira, otto)
    }
    assert sorts[ida.id] == [("device", "phone"), ("workstation", f"PC {ours}")]
    staff = [("operator", "Ida"), ("operator", "Ira")]
    assert sorts[ira.id] == sorted([*sorts[ida.id], *staff])
    assert ("operator", "Ida") not in sorts[otto.id]
    for number in range(5):
        world.user(f"U{number}")
    assert statements(world, Page(100), ida.actor) == before[ida.id]


@pytest.mark.parametrize("days", [-1, 3651])
def test_days_that_are_none(world: World, days: int) -> None:
    with pytest.raises(InvalidInput, match="0 to 3650"):
        world.reports.expiring(days, actor=world.actor)


def test_people_are_counted_by_state(world: World) -> None:
    """On both databases: of all, and of those whom a text finds."""
    ada, _ = world.user("Ada")
    world.card(ada)
    world.user("Bo")
    world.leaving.close(world.user("Cy")[0].id, "left", world.operator().identity)
    assert world.reports.states(actor=OPERATOR) == {"enrolled": 1, "pending": 1, "closed": 1}
    assert world.reports.states("bo", actor=OPERATOR) == {"pending": 1}
    assert world.reports.states("nobody", actor=OPERATOR) == {}
