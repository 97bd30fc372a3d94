"""Several people of the list at once: one question that lists all, and what has become of each."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, User, UserState
from cloud_keystore.model.rights.roles import BuiltIn
from support.keystore_world import World
from support.visitor import Visitor

SEVERAL = "/ra/several"


@pytest.fixture
def ada(world: World) -> User:
    return world.user()[0]


@pytest.fixture
def serial(world: World, ada: User) -> str:
    return world.card(ada)


@pytest.fixture
def bea(world: World) -> User:
    return world.people.add_user("Bea <b>Blum", "bea@example.org", actor=world.actor)[0]


def asked(act: str, *users: User) -> str:
    return f"{SEVERAL}?act={act}" + "".join(f"&user={each.id}" for each in users)


def do(visitor: Visitor, act: str, *users: User, **said: str) -> str:
    return visitor.done(SEVERAL, act=act, users=" ".join(each.id for each in users), **said)


def test_the_list_offers_what_the_operator_may_do(
    world: World, application: ASGIApp, visitor: Visitor, ada: User, olga: Identity
) -> None:
    shown = visitor.page("/ra/people")
    assert f'name="user" value="{ada.id}" aria-label="Choose {ada.display_name}"' in shown
    assert " checked" not in shown
    assert "checked" in visitor.page("/ra/people?chosen=all")
    for act in ("invite", "suspend", "close"):
        assert f'name="act" value="{act}"' in shown
    token = world.people.add_operator("Ida", BuiltIn.RA_AGENT, "", actor=world.actor)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    shown = ida.page("/ra/people")
    assert 'name="act" value="suspend"' in shown
    assert 'name="act" value="close"' not in shown
    assert do(ida, "close", ada, reason="left").count("Not done") == 1
    assert world.showing.show(ada.id, olga).user.state is not UserState.CLOSED


def test_cards_are_suspended_after_one_question(
    world: World, visitor: Visitor, ada: User, bea: User, serial: str
) -> None:
    """The question lists all, with what there is to do; asking changes nothing."""
    shown = visitor.page(asked("suspend", ada, bea, ada))
    assert "Suspend their cards? 2 people" in shown
    assert f"{ada.display_name}: card {serial}" in shown
    assert "Bea &lt;b&gt;Blum: nothing to do" in shown
    assert world.find(serial).card.state == "active"
    told = do(visitor, "suspend", ada, bea)
    assert "Suspend their cards: 1 of 2 done" in told
    assert f"Suspended: {serial}." in told
    assert "There was nothing to do." in told
    assert world.find(serial).card.state == "suspended"
    assert len(world.journal(Kind.CARD_SUSPENDED)) == 1
    # Whoever sends it again changes nothing.
    assert "0 of 2 done" in do(visitor, "suspend", ada, bea)


def test_people_are_invited_again_and_closed(
    world: World, visitor: Visitor, ada: User, bea: User, serial: str, olga: Identity
) -> None:
    """What is refused for one is done for the others."""
    assert "bea@example.org" in visitor.page(asked("invite", bea))
    assert "The invitation is on its way." in do(visitor, "invite", bea)
    wrong = visitor.post(SEVERAL, act="close", users=f"{ada.id} {bea.id}", reason=" ")
    assert (wrong.status, b"reason is empty" in wrong.body.lower()) == (422, True)
    users = f"{ada.id} nobody {bea.id}"
    shown = visitor.done(SEVERAL, act="close", users=users, reason="left")
    assert "Close them: 2 of 3 done" in shown
    assert "there is no user nobody" in shown.lower() or "Not done" in shown
    for each in (ada, bea):
        assert world.showing.show(each.id, olga).user.state is UserState.CLOSED
    assert world.find(serial).card.state == "revoked"


@pytest.mark.parametrize(
    "said",
    [
        {"act": "suspend", "users": ""},
        {"act": "destroy", "users": "x"},
        {"act": "suspend", "users": " ".join(str(each) for each in range(51))},
    ],
)
def test_what_cannot_be_asked_is_told(visitor: Visitor, said: dict[str, str]) -> None:
    assert visitor.post(SEVERAL, **said).status == 422
    query = f"act={said['act']}" + "".join(f"&user={each}" for each in said["users"].split())
    assert visitor.get(f"{SEVERAL}?{query}").status == 422


def test_a_person_who_is_not_seen_is_not_there(visitor: Visitor) -> None:
    assert visitor.get(f"{SEVERAL}?act=suspend&user=nobody").status == 404


def test_loading_the_outcome_again_does_nothing(
    world: World, visitor: Visitor, ada: User, bea: User
) -> None:
    """What was done is told there, as often as it is loaded; nobody is named in the address."""
    told = visitor.post(SEVERAL, act="invite", users=f"{ada.id} {bea.id}")
    address, before = told.fields["location"], len(world.journal(Kind.IDENTITY_INVITED))
    assert (told.status, "Bea" in address) == (303, False)
    for _ in range(2):
        shown = visitor.page(address)
        assert "Invite again: 2 of 2 done" in shown
        assert "Bea &lt;b&gt;Blum" in shown
    assert len(world.journal(Kind.IDENTITY_INVITED)) == before


def test_an_outcome_that_was_not_is_not_told(
    world: World, application: ASGIApp, visitor: Visitor, ada: User
) -> None:
    """The attack: an address that makes an operator believe that something was done."""
    address = visitor.post(SEVERAL, act="invite", users=ada.id).fields["location"]
    other = Visitor.of(world, application, world.operator().identity)
    text = address.partition("=")[2]
    for forged in (address + "A", address.replace(text, text[1:]), f"{SEVERAL}/done", "x.y"):
        path = forged if forged.startswith("/") else f"{SEVERAL}/done?told={forged}"
        assert visitor.get(path).status == 422
    assert other.get(address).status == 422


def test_what_was_sealed_for_another_page_is_none(visitor: Visitor) -> None:
    """The word of a list's page was taken for an outcome, and could not be read."""
    told = visitor.post("/ra/domains/add", name="example.org")
    said = told.fields["location"].partition("done=")[2]
    assert (told.status, bool(said)) == (303, True)
    assert visitor.get(f"{SEVERAL}/done?told={said}").status == 422
