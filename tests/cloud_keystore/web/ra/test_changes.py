"""What operators do at the pages: each thing is asked for, done once, and shown."""

from __future__ import annotations

import re

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.cards import CardState
from cloud_keystore.model.custom.profiles import Terms
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import RIGHTS, BuiltIn, Right
from cloud_keystore.web.ra.acts import ACTS
from support.fake_token import on_token
from support.keystore_world import OPERATOR, World
from support.rest import Answer
from support.site import site
from support.visitor import Visitor


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world)


@pytest.fixture
def olga(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def visitor(world: World, application: ASGIApp, olga: Identity) -> Visitor:
    return Visitor.of(world, application, olga)


@pytest.fixture
def ada(world: World) -> User:
    return world.user()[0]


@pytest.fixture
def serial(world: World, ada: User) -> str:
    return world.card(ada)


def text(told: Answer) -> str:
    return told.body.decode()


def followed(visitor: Visitor, told: Answer) -> str:
    """The page to which an answer leads."""
    assert told.status == 303, text(told)
    shown = visitor.get(told.fields["location"])
    assert shown.status == 200
    return text(shown)


def test_a_card_is_suspended_put_back_and_revoked(
    world: World, visitor: Visitor, ada: User, serial: str
) -> None:
    """What was done is shown with its event and what is next, and loading the page again
    does nothing.
    """
    own = f"/ra/people/{ada.id}"
    asked = text(visitor.get(f"{own}/cards/{serial}/suspend"))
    assert "Nobody can use the card" in asked
    assert world.find(serial).card.state == "active"
    shown = followed(visitor, visitor.post(f"{own}/cards/{serial}/suspend"))
    assert "The card is suspended." in shown
    assert f"suspended card {serial}" in shown
    again = visitor.post(f"{own}/cards/{serial}/suspend")
    assert again.status == 409
    assert "Nothing was changed" in text(again)
    shown = followed(visitor, visitor.post(f"{own}/cards/{serial}/resume"))
    assert "The card is back in use." in shown
    wrong = visitor.post(f"{own}/cards/{serial}/revoke", code="superseded")
    assert wrong.status == 422
    assert "Error: " in text(wrong)
    assert world.find(serial).card.state == "active"
    for code in ("", "certificateHold", "nonsense"):
        assert visitor.post(f"{own}/cards/{serial}/revoke", code=code, reason="x").status == 422
    revoked = visitor.post(f"{own}/cards/{serial}/revoke", code="superseded", reason="<b>old")
    shown = followed(visitor, revoked)
    assert "The card is revoked." in shown
    assert "<b>old" not in shown
    assert world.find(serial).card.state == "revoked"


def test_an_address_says_nothing_was_done_that_was_not(
    world: World, visitor: Visitor, ada: User, serial: str
) -> None:
    """Whoever gives an operator such an address makes no page lie."""
    own = f"/ra/people/{ada.id}"
    assert "The card is suspended." not in text(visitor.get(f"{own}?done=suspended"))
    told = visitor.post(f"{own}/cards/{serial}/suspend")
    assert "The card is suspended." in followed(visitor, told)
    world.clock.forward(minutes=3)
    assert "The card is suspended." not in text(visitor.get(f"{own}?done=suspended"))


def test_a_compromised_card_says_what_counts_no_more(
    visitor: Visitor, ada: User, serial: str
) -> None:
    asked = text(visitor.get(f"/ra/people/{ada.id}/cards/{serial}/revoke"))
    assert "Everything that it has ever signed counts for nothing" in asked
    first = re.search(r'type="radio" value="(\w+)" checked', asked)
    assert first is not None
    assert first[1] == "cessationOfOperation"


def test_what_needs_another_operator_says_so(
    world: World, visitor: Visitor, ada: User, serial: str, olga: Identity
) -> None:
    world.operator()
    world.four_eyes.require([HighRisk.REVOKE], ROOT, actor=olga.actor)
    told = visitor.post(
        f"/ra/people/{ada.id}/cards/{serial}/revoke", code="superseded", reason="old"
    )
    assert told.status == 409
    assert "Another operator has to approve this" in text(told)
    assert "Nothing was changed" not in text(told)
    assert world.find(serial).card.state == "active"


def test_a_form_that_is_sent_twice_issues_one_card(
    world: World, visitor: Visitor, ada: User
) -> None:
    own = f"/ra/people/{ada.id}"
    found = re.search(r'name="request_id" value="(\w+)"', text(visitor.get(f"{own}/issue")))
    assert found is not None
    for _ in range(2):
        told = visitor.post(f"{own}/issue", request_id=found[1], profile="p256")
        assert "A card is issued." in followed(visitor, told)
    assert len(world.showing.show(ada.id, world.operator().identity).cards) == 1
    assert visitor.post(f"{own}/issue", request_id="xx", profile="p256").status == 422
    wrong = visitor.post(f"{own}/issue", request_id="00" * 16, profile="none")
    assert wrong.status == 422
    assert "there is no profile" in text(wrong).lower()


def test_a_card_that_could_not_be_made_is_tried_again(
    world: World, ada: User, olga: Identity
) -> None:
    """CARD-06: the page says why, and has a button."""
    token, own = on_token(world), f"/ra/people/{ada.id}"
    visitor = Visitor.of(world, site(world), olga)
    token.away = True
    told = visitor.post(f"{own}/issue", request_id="00" * 16, profile="p256")
    shown = followed(visitor, told)
    assert "A card could not be made." in shown
    assert "the token is not there: connect it" in shown
    path = re.search(r'action="([^"]+/again)"', shown)
    assert path is not None
    assert "A card could not be made." in followed(visitor, visitor.post(path[1]))
    token.away = False
    assert "A card is issued." in followed(visitor, visitor.post(path[1]))
    assert len(world.cards.list_all(actor=OPERATOR)) == 1


def test_an_unlock_code_is_in_one_answer_alone(visitor: Visitor, ada: User, serial: str) -> None:
    told = visitor.post(f"/ra/people/{ada.id}/cards/{serial}/code")
    assert told.status == 200
    assert told.fields["cache-control"] == "no-store"
    code = re.search(r'id="secret">(\d{10})<', text(told))
    assert code is not None
    assert "chooses the card" in text(told)
    for part in ("", "/log"):
        assert code[1] not in text(visitor.get(f"/ra/people/{ada.id}{part}"))


def test_a_person_is_added_and_invited_again(world: World, visitor: Visitor) -> None:
    wrong = visitor.post("/ra/add", name="", email="bo@example.org")
    assert wrong.status == 422
    assert 'value="bo@example.org"' in text(wrong)
    told = visitor.post("/ra/add", name="Bo", email="bo@example.org", account="CORP\\bo")
    assert told.status == 200
    assert "Bo is added" in text(told)
    assert re.search(r'id="secret">cc1\.', text(told))
    there = visitor.post("/ra/add", name="Other", email="bo@example.org")
    assert there.status == 422
    again = followed(visitor, visitor.post("/ra/add", name="Bo", email="bo@example.org"))
    assert "This person was there already." in again
    (bo,) = world.people.list_users(actor=OPERATOR)
    assert "Send another invitation" in again
    assert "cc1." in text(visitor.post(f"/ra/people/{bo.user.id}/invite"))
    assert "CORP\\bo" in text(visitor.get(f"/ra/people/{bo.user.id}/accounts"))


def test_accounts_and_devices_come_and_go(world: World, visitor: Visitor, ada: User) -> None:
    """USER-11: an account is added and removed on the page."""
    own = f"/ra/people/{ada.id}"
    wrong = visitor.post(f"{own}/accounts/add", name="no account", upn="")
    assert wrong.status == 422
    told = visitor.post(f"{own}/accounts/add", name=r"CORP\ada", upn="ada@corp.example")
    assert r"CORP\ada" in followed(visitor, told)
    asked = visitor.get(f"{own}/accounts/remove?name=CORP%5Cada")
    assert r'value="CORP\ada"' in text(asked)
    told = visitor.post(f"{own}/accounts/remove", name=r"CORP\ada")
    assert "No Windows accounts yet." in followed(visitor, told)
    device = world.phone_of(ada).id
    assert visitor.post(f"{own}/devices/{device}/remove", reason="").status == 422
    shown = followed(visitor, visitor.post(f"{own}/devices/{device}/remove", reason="lost"))
    assert "The device is removed." in shown
    assert "Removed" in shown


def test_whoever_leaves_is_closed_with_all_that_ends(
    world: World, visitor: Visitor, ada: User, serial: str
) -> None:
    own = f"/ra/people/{ada.id}"
    asked = text(visitor.get(f"{own}/close"))
    assert f"Card {serial} is revoked, for ever." in asked
    assert "cannot be undone" in asked
    assert visitor.post(f"{own}/close", reason="").status == 422
    shown = followed(visitor, visitor.post(f"{own}/close", reason="left"))
    assert "This person is closed." in shown
    for button in ("Issue a card", "Invite a phone", "Close this person", "Revoke"):
        assert button not in shown
    assert world.journal(Kind.USER_CLOSED)


@pytest.mark.parametrize("role", [BuiltIn.RA_AGENT, BuiltIn.SPONSOR, BuiltIn.SUPPORT])
def test_what_somebody_may_not_do_is_left_out_and_refused(
    world: World, application: ASGIApp, ada: User, serial: str, role: BuiltIn
) -> None:
    token = world.people.add_operator("Ida", role, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    own, rights = f"/ra/people/{ada.id}", RIGHTS[role]
    shown = text(ida.get(own))
    for button, right in (
        *((act.button, act.right) for act in ACTS.values() if CardState.ACTIVE in act.states),
        ("Issue a card", Right.ISSUE),
        ("Invite a phone", Right.DEVICES),
        ("Close this person", Right.REVOKE),
    ):
        assert (f">{button}<" in shown) is (right in rights), button
    assert ("Add a person" in text(ida.get("/ra/people"))) is (Right.PEOPLE in rights)
    if Right.REVOKE not in rights:
        told = ida.post(f"{own}/cards/{serial}/revoke", code="superseded", reason="x")
        assert told.status == 403
        assert "You may not do this" in text(told)
        assert world.find(serial).card.state == "active"


def test_elsewhere_nothing_can_be_done(
    world: World, application: ASGIApp, ada: User, serial: str, olga: Identity
) -> None:
    place = world.organisations.add("Theirs", olga).id
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, place, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    before = len(world.journal())
    own, device = f"/ra/people/{ada.id}", world.phone_of(ada).id
    said = {"reason": "x", "code": "superseded", "name": r"CORP\ada", "request_id": "00" * 16}
    said |= {"known_end": world.clock().isoformat(), "why": "damaged"}
    for path in (
        *(f"{own}/cards/{serial}/{name}" for name in ACTS),
        *(f"{own}/{each}" for each in ("issue", "invite", "close", "accounts/add")),
        *(f"{own}/accounts/remove", f"{own}/devices/{device}/remove"),
    ):
        told = ida.post(path, **said)
        assert told.status == 404, path
        assert ada.display_name not in text(told)
    assert len(world.journal()) == before


def test_what_ends_soon_is_listed(visitor: Visitor, serial: str) -> None:
    """BUG-31: nothing within a day; the card within its two years, a page at a time."""
    assert "Nothing ends within 1 days." in text(visitor.get("/ra/expiring?days=1"))
    shown = text(visitor.get("/ra/expiring?days=800"))
    assert f'href="/ra/people?q={serial}"' in shown
    for wrong in ("days=x", "days=99999", "days=-1", "after=nonsense"):
        assert visitor.get(f"/ra/expiring?{wrong}").status == 422


def test_what_did_not_arrive_is_tried_again(visitor: Visitor, ada: User) -> None:
    assert "Nothing has failed." in text(visitor.get("/ra/mail"))
    assert "It is tried again" in followed(visitor, visitor.post("/ra/mail", user_id=ada.id))
    assert visitor.post("/ra/mail").status == 422


def test_a_list_is_a_file_without_formulas(world: World, visitor: Visitor, ada: User) -> None:
    """The file has whom the list shows, in its order."""
    world.people.add_user("=HYPERLINK(1)", "", actor=OPERATOR)
    told = visitor.get("/ra/people.csv?sort=-name")
    assert told.fields["content-disposition"] == 'attachment; filename="people.csv"'
    lines = told.body.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("name,uuid12,email")
    assert [each.partition(",")[0] for each in lines[1:]] == [ada.display_name, "'=HYPERLINK(1)"]
    found = visitor.get("/ra/people.csv?q=ada&state=closed").body.decode("utf-8-sig")
    assert found.splitlines() == lines[:1]


def test_pasted_rows_are_shown_before_anybody_is_added(world: World, visitor: Visitor) -> None:
    """Refused rows say why and what to do, and the good ones are added when that was seen."""
    rows = "name\temail\nBo\tbo@example.org\n<b>Cy\tno address\nDi\tdi@example.org\n"
    assert text(visitor.get("/ra/import")).count("<textarea") == 1
    shown = text(visitor.post("/ra/import", rows=rows))
    assert "2 would be added, 0 are there already, 1 are refused." in shown
    assert "give an address as name@example.org" in shown
    assert "&lt;b&gt;Cy" in shown
    assert "<b>Cy" not in shown
    assert world.people.list_users(actor=OPERATOR) == []
    done = followed(visitor, visitor.post("/ra/import", rows=rows, step="add"))
    assert "2 added." in done
    assert "0 were there already, 1 rows were refused" in done
    assert len(world.people.list_users(actor=OPERATOR)) == 2
    again = followed(visitor, visitor.post("/ra/import", rows=rows, step="add"))
    assert "0 added." in again
    assert len(world.people.list_users(actor=OPERATOR)) == 2


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("", "the file is empty"),
        ("name\nBo", "email"),
        ("name,email\n" + "Bo,bo@example.org\n" * 501, "there are 501 rows"),
    ],
)
def test_rows_that_cannot_be_read_say_so(visitor: Visitor, rows: str, why: str) -> None:
    told = visitor.post("/ra/import", rows=rows)
    assert told.status == 422
    assert why in text(told).lower()


def test_a_card_is_issued_of_a_profile_that_an_organisation_has_defined(
    world: World, visitor: Visitor, ada: User
) -> None:
    """CARD-05: those of the person's organisation are offered, and no others."""
    theirs = world.organisations.add("Theirs", world.operator().identity).id
    for name, place in (("series-8", ROOT), ("series-9", theirs)):
        world.custom_profiles.define(name, "v2", Terms(name.title()), place, actor=OPERATOR)
    own = f"/ra/people/{ada.id}"
    asked = text(visitor.get(f"{own}/issue"))
    assert "series-8: Series-8" in asked
    assert "series-9" not in asked
    found = re.search(r'name="request_id" value="(\w+)"', asked)
    assert found is not None
    told = visitor.post(f"{own}/issue", request_id=found[1], profile="series-8")
    assert "Series-8, issued" in followed(visitor, told)
