"""At the pages operators make codes for the PIN that a phone asks for: BUG-14, BUG-15."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.fields.app_pins import PIN_TRIES, Tried
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.rights.roles import RIGHTS, BuiltIn, Right
from cloud_keystore.model.rights.visits import PROOF_TIME
from support.keystore_world import OPERATOR, Enrolled, World
from support.rest import Answer
from support.visitor import Visitor

PIN, OTHER, WRONG = b"246802", b"135791", b"975310"
BUTTON = "Make a code for another PIN"
SECRET = re.compile(r'id="secret">(\d{10})<')


@pytest.fixture
def ada(world: World) -> tuple[User, Enrolled]:
    """Somebody whose phone asks for a PIN."""
    user, phone = world.user()
    assert world.app_pins.choose(PIN, phone.identity).is_right
    return user, phone


def path(user: User, device: Identity) -> str:
    return f"/ra/people/{user.id}/devices/{device.id}/pin-code"


def code(told: Answer) -> bytes:
    assert told.status == 200, told.body
    found = SECRET.search(told.body.decode())
    assert found is not None
    return found[1].encode()


def test_the_newest_code_is_good_once(
    world: World, visitor: Visitor, ada: tuple[User, Enrolled], olga: Identity
) -> None:
    """It is in one answer alone, and the journal has who made it for which phone."""
    user, phone = ada
    own = f"/ra/people/{user.id}"
    assert BUTTON in visitor.page(f"{own}/devices")
    told = visitor.post(path(user, phone.identity))
    assert told.fields["cache-control"] == "no-store"
    old, new = code(told), code(visitor.post(path(user, phone.identity)))
    made = world.journal(Kind.APP_PIN_CODE_MADE)
    assert {(each.actor, each.device_id) for each in made} == {(olga.actor, phone.identity.id)}
    for part in ("/devices", "/log"):
        shown = visitor.page(own + part)
        assert old.decode() not in shown
        assert new.decode() not in shown
    assert not world.app_pins.reset(old, OTHER, phone.identity).is_right
    assert world.app_pins.reset(new, OTHER, phone.identity) == Tried(True, PIN_TRIES)
    assert world.app_pins.check(OTHER, "op", phone.identity).is_right


def test_it_says_whether_a_phone_asks_and_is_locked(
    world: World, visitor: Visitor, ada: tuple[User, Enrolled]
) -> None:
    user, phone = ada
    own = f"/ra/people/{user.id}/devices"
    assert "asks for a PIN before it approves." in visitor.page(own)
    for _ in range(PIN_TRIES):
        world.app_pins.check(WRONG, "op", phone.identity)
    assert "asks for a PIN before it approves, which is locked." in visitor.page(own)
    world.devices.remove(phone.identity.id, "lost", world.operator().identity)
    assert BUTTON not in visitor.page(own)
    assert visitor.post(path(user, phone.identity)).status == 409
    bea, other = world.user("Bea Blum")
    assert BUTTON not in visitor.page(f"/ra/people/{bea.id}/devices")
    refused = visitor.post(path(bea, other.identity))
    assert (refused.status, b"asks for no PIN" in refused.body) == (409, True)
    assert world.journal(Kind.APP_PIN_CODE_MADE) == []


@pytest.mark.parametrize("role", [BuiltIn.SPONSOR, BuiltIn.SUPPORT])
def test_whoever_may_not_make_one_is_not_shown_how(
    world: World, application: ASGIApp, ada: tuple[User, Enrolled], role: BuiltIn
) -> None:
    user, phone = ada
    token = world.people.add_operator("Ida", role, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    may = Right.DEVICES in RIGHTS[role]
    assert (BUTTON in ida.page(f"/ra/people/{user.id}/devices")) is may
    assert ida.post(path(user, phone.identity)).status == (200 if may else 403)
    assert bool(world.journal(Kind.APP_PIN_CODE_MADE)) is may


def test_a_phone_of_elsewhere_is_none(
    world: World, application: ASGIApp, ada: tuple[User, Enrolled]
) -> None:
    """Whoever may see one organisation learns nothing of another's phones."""
    theirs = world.organisations.add("Theirs", world.operator().identity).id
    token = world.people.add_operator("Ida", BuiltIn.RA_AGENT, theirs, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    refused = ida.post(path(*ada[:1], ada[1].identity))
    assert refused.status == 404
    assert world.journal(Kind.APP_PIN_CODE_MADE) == []


def test_a_late_log_in_makes_none(
    world: World, visitor: Visitor, ada: tuple[User, Enrolled]
) -> None:
    """It is asked for once more, and leads back to the devices."""
    world.clock.now += PROOF_TIME
    told = visitor.post(path(ada[0], ada[1].identity))
    assert told.status == 303
    wanted = parse_qs(urlsplit(told.fields["location"]).query)
    assert wanted == {"next": [f"/ra/people/{ada[0].id}/devices"], "again": ["yes"]}
    assert world.journal(Kind.APP_PIN_CODE_MADE) == []
