"""A program learns what a scanned code is, without using it, and nothing that it does not see."""

from __future__ import annotations

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_keystore.approval import qr
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import InvalidInput, NotAllowed
from cloud_keystore.model.operations import Channel, Decision
from cloud_keystore.model.people import User
from cloud_keystore.operations.asking import qr_secret
from cloud_keystore.operations.validating import LONGEST_CODE, CodeSort, CodeState, Told
from support.keystore_world import Enrolled, World

UNKNOWN = Told(CodeState.UNKNOWN)


@pytest.fixture
def client(world: World) -> Actor:
    return client_in(world)


def client_in(world: World, place: str = "") -> Actor:
    made = world.clients.add("HR", ["ra-agent"], place, actor=world.actor)
    return made.listing.client.actor


def test_the_code_of_an_operation(
    world: World, client: Actor, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """AUTH-04: valid, then used; looking uses nothing."""
    user, phone = ada
    serial = world.card(user)
    operation = world.ask(serial, pc, channels=(Channel.QR,))
    text = world.qr_text(operation)
    for _ in range(2):
        found = world.validating.validate(f" {text}\n", actor=client)
        assert (found.state, found.sort) == (CodeState.VALID, CodeSort.OPERATION)
        assert (found.user_id, found.card_serial) == (user.id, serial)
        assert found.organisation_id == user.organisation_id
        assert found.expire_time == operation.qr_expire_time
    world.deciding.claim(text, phone.identity)
    assert world.validating.validate(text, actor=client).state is CodeState.USED
    world.decide(operation, phone, Decision.DENY)
    assert world.validating.validate(text, actor=client).state is CodeState.USED


def test_a_code_that_nobody_scanned_in_time(
    world: World, client: Actor, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """AUTH-04: expired, also after it was written down that the operation has."""
    operation = world.ask(world.card(ada[0]), pc, channels=(Channel.QR,))
    text = world.qr_text(operation)
    world.clock.now = operation.qr_expire_time
    assert world.validating.validate(text, actor=client).state is CodeState.EXPIRED
    world.clock.now = operation.expire_time
    world.sweep()
    assert world.validating.validate(text, actor=client).state is CodeState.EXPIRED


def test_a_code_of_somebody_else(
    world: World, client: Actor, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """AUTH-04: wrong-user."""
    user, _ = ada
    text = world.qr_text(world.ask(world.card(user), pc, channels=(Channel.QR,)))
    found = world.validating.validate(text, "somebody else", actor=client)
    assert found == Told(CodeState.WRONG_USER, CodeSort.OPERATION)
    assert world.validating.validate(text, user.id, actor=client).state is CodeState.VALID


def test_the_code_of_an_enrolment(world: World, client: Actor) -> None:
    """AUTH-04."""
    user, token = world.people.add_user("Ada", "", actor=world.actor)
    assert token is not None
    found = world.validating.validate(token.text, actor=client)
    assert (found.state, found.sort) == (CodeState.VALID, CodeSort.ENROLMENT)
    assert (found.user_id, found.expire_time) == (user.id, token.expire_time)
    world.enrol(token.text)
    assert world.validating.validate(token.text, actor=client).state is CodeState.USED
    other = world.people.invite_device(user.id, actor=world.actor)
    world.clock.now = other.expire_time
    assert world.validating.validate(other.text, actor=client).state is CodeState.EXPIRED


def test_an_enrolment_that_leads_elsewhere_is_none_of_ours(world: World, client: Actor) -> None:
    """The attack: somebody changes the code so that a phone enrols at another keystore."""
    _, token = world.people.add_user("Ada", "", actor=world.actor)
    assert token is not None
    body, _, address = token.text.removeprefix("cc1.").partition("@")
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    turned = base64.urlsafe_b64encode(bytes(32) + raw[32:]).decode().rstrip("=")
    assert world.validating.validate(f"cc1.{turned}@{address}", actor=client) == UNKNOWN


def test_the_code_of_a_sign_in(
    world: World, client: Actor, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """AUTH-04. Whose card it is, is known when it was scanned."""
    user, phone = ada
    serial = world.card(user)
    seen = world.signing_in.begin(bytes(16), "", pc.identity)
    found = world.validating.validate(seen.qr_text, actor=client)
    assert (found.state, found.sort) == (CodeState.VALID, CodeSort.SIGN_IN)
    assert (found.user_id, found.card_serial) == ("", "")
    world.admitting.claim(seen.qr_text, "", phone.identity)
    found = world.validating.validate(seen.qr_text, actor=client)
    assert (found.state, found.card_serial) == (CodeState.USED, serial)
    assert world.validating.validate(seen.qr_text, "x", actor=client).state is CodeState.WRONG_USER
    late = world.signing_in.begin(b"\x01" * 16, "", pc.identity)
    world.clock.now = late.sign_in.qr_expire_time
    assert world.validating.validate(late.qr_text, actor=client).state is CodeState.EXPIRED


def test_a_forged_code_is_told_as_one_that_the_client_does_not_see(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: a program tries codes, to learn what there is in other organisations."""
    operator = world.operator().identity
    elsewhere = client_in(world, world.organisations.add("Elsewhere", operator).id)
    operation = world.ask(world.card(ada[0]), pc, channels=(Channel.QR,))
    _, token = world.people.add_user("Eve", "", actor=world.actor)
    sign_in = world.signing_in.begin(bytes(16), "", pc.identity)
    assert token is not None
    genuine = (world.qr_text(operation), token.text, sign_in.qr_text)
    for text in genuine:
        assert world.validating.validate(text, actor=elsewhere) == UNKNOWN
    client = client_in(world)
    own_id, secret = qr.parse(genuine[0])
    for text in (
        qr.text(own_id, bytes(16)),
        qr.text(sign_in.sign_in.id, secret),
        qr.sign_in_text(own_id, secret),
        qr.sign_in_text(sign_in.sign_in.id, bytes(16)),
        qr.text("01a207a2-3280-7d8c-9db2-ae42184b0b12", bytes(16)),
        token.text.replace("cc1.", "cc1.AAAA", 1)[:-4],
    ):
        state = world.validating.validate(text, actor=client).state
        assert state in (CodeState.UNKNOWN, CodeState.MALFORMED)
        assert world.validating.validate(text, ada[0].id, actor=client).sort is None


def test_a_code_that_is_rung_has_none(
    world: World, client: Actor, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    operation = world.ask(world.card(ada[0]), pc)
    assert Channel.QR not in operation.channels
    text = qr.text(operation.id, qr_secret(world.seal, operation.id))
    assert world.validating.validate(text, actor=client) == UNKNOWN


@pytest.mark.parametrize(
    "text", ["", "https://example.org", "CLOUDCARD:1:", "CLOUDCARD:2:AAAA", "cc1.", "cc1.AAAA@x:1"]
)
def test_what_is_no_code(world: World, client: Actor, text: str) -> None:
    """AUTH-04: malformed."""
    assert world.validating.validate(text, actor=client) == Told(CodeState.MALFORMED)


def test_what_is_too_long_or_not_allowed(world: World, client: Actor) -> None:
    with pytest.raises(InvalidInput, match="characters"):
        world.validating.validate("x" * (LONGEST_CODE + 1), actor=client)
    [held] = [
        each for each in world.roles.list_all(actor=world.actor) if each.identity.actor == client
    ]
    world.roles.withdraw(held.assignment.id, actor=world.actor)
    with pytest.raises(NotAllowed):
        world.validating.validate("x", actor=client)


@given(body=st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_answered(world: World, client: Actor, body: str) -> None:
    for prefix in ("CLOUDCARD:1:", "CLOUDCARD:IN:1:", "cc1.", ""):
        found = world.validating.validate(prefix + body, actor=client)
        assert found.state in (CodeState.MALFORMED, CodeState.UNKNOWN)
