"""What holders' phones are asked about the portal, and how log-ins come to need them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from cloud_keystore.approval import statement
from cloud_keystore.model.errors import (
    AddressUnreachable,
    ApprovalRejected,
    IdentityRejected,
    InvalidInput,
    OperationClosed,
    OperationNotFound,
    TokenRejected,
    TooManyCalls,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.assents import (
    ANSWER_TIME,
    MOST,
    USE_TIME,
    WORDS,
    AssentState,
    Subject,
)
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.rights.visits import OWN_PREFIX, text_sha256
from cloud_keystore.people.portal.assents import Question
from support.keystore_world import OPERATOR, Enrolled, World
from support.outbox import Told
from support.portal import EMAIL, PASSWORD, Portal, other_than

SECOND = timedelta(seconds=1)


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


def step_of(world: World) -> str:
    """What a browser keeps after the right password."""
    found = world.portal_visits.ask(EMAIL, PASSWORD)
    assert found is not None
    return found.text


def visitor(world: World, secret: str) -> Identity:
    found = text_sha256(OWN_PREFIX, secret)
    assert found is not None
    return world.portal_visits.find(found)


@pytest.fixture
def holder(world: World, portal: Portal) -> Identity:
    """Ada, who has logged in by a mailed code."""
    return visitor(world, world.portal_visits.begin(step_of(world), portal.code()).secret)


def asked(world: World, portal: Portal) -> Question:
    (found,) = world.assents.waiting(portal.phone.identity)
    return found


def answer(
    world: World, phone: Enrolled, question_id: str, number: str, signed: bytes | None
) -> AssentState:
    """A yes with the evidence of a phone for something, or without any."""
    signature, assertion = (b"", None) if signed is None else phone.evidence(signed)
    return world.assents.answer(
        *(question_id, number, phone.identity),
        agrees=True,
        is_me=True,
        signature=signature,
        assertion=assertion,
    )


def of_others(question_id: str, number: str, wrong: str) -> tuple[bytes, ...]:
    """What a phone signs of other questions, numbers and requests."""
    return (
        statement.assent("another question", number),
        statement.assent(question_id, wrong),
        statement.statement(question_id.encode(), Decision.APPROVE, number),
    )


@pytest.fixture
def by_phone(world: World, portal: Portal, holder: Identity) -> Portal:
    """Her log-ins need her phone from now on."""
    number = world.log_in_factors.ask(Factor.PHONE, holder).number
    assert portal.say_yes(number) is AssentState.AGREED
    assert world.log_in_factors.change(Factor.PHONE, portal.code(), holder).is_set
    world.clock.now += timedelta(minutes=15)
    return portal


def test_a_phone_comes_to_be_asked_at_each_log_in(world: World, by_phone: Portal) -> None:
    """AUTH-07, AUTH-08: with a code to the registered address and the phone's yes; then password
    and mail do not let in any more, and the yes does, once.
    """
    told = world.journal(Kind.FACTOR_SET)
    assert [dict(each.details) for each in told] == [{"old": "email", "new": "phone"}]
    step = step_of(world)
    needed = world.portal_visits.needed(step)
    assert needed.factor is Factor.PHONE
    assert asked(world, by_phone).subject is Subject.LOG_IN
    assert "Your code to log in" not in by_phone.told.subjects()[-1:]
    early = world.portal_visits.begin(step, "")
    assert (early.secret, early.phone) == ("", AssentState.WAITING)
    assert by_phone.say_yes(needed.number) is AssentState.AGREED
    secret = world.portal_visits.begin(step, "").secret
    assert visitor(world, secret).user_id == by_phone.user.id
    with pytest.raises(TokenRejected):
        world.portal_visits.begin(step, "")
    begun = world.journal(Kind.VISIT_BEGUN)[-1]
    assert begun.details["factor"] == "phone"
    for each in world.journal(Kind.ASSENT_ASKED):
        assert needed.number not in each.details.values()


def test_the_yes_is_for_one_log_in_alone(world: World, by_phone: Portal) -> None:
    """The attack: somebody who knows the password logs in at the same time as the holder."""
    theirs, mine = step_of(world), step_of(world)
    number = world.portal_visits.needed(mine).number
    by_phone.say_yes(number)
    assert world.portal_visits.begin(theirs, "").secret == ""
    assert world.portal_visits.begin(mine, "").secret


def test_a_wrong_number_is_a_no(world: World, by_phone: Portal) -> None:
    step = step_of(world)
    number = world.portal_visits.needed(step).number
    wrong = "10" if number != "10" else "11"
    assert by_phone.say_yes(wrong) is AssentState.DENIED
    assert world.portal_visits.begin(step, "").phone is AssentState.DENIED
    assert world.assents.waiting(by_phone.phone.identity) == ()
    world.portal_visits.again(step)
    assert by_phone.say_yes(world.portal_visits.needed(step).number) is AssentState.AGREED
    assert world.portal_visits.begin(step, "").secret


def test_a_phone_with_a_pin_says_no_yes_without_it(world: World, by_phone: Portal) -> None:
    """The attack: a found phone, which is unlocked, agrees to a log-in at the portal. A no needs no
    PIN, and the PIN for one question is good for no other.
    """
    phone = by_phone.phone.identity
    assert world.app_pins.choose(b"246802", phone).is_right
    step = step_of(world)
    number = world.portal_visits.needed(step).number
    with pytest.raises(ApprovalRejected, match="asks for its PIN"):
        by_phone.say_yes(number)
    assert world.app_pins.check(b"246802", "another", phone).is_right
    with pytest.raises(ApprovalRejected):
        by_phone.say_yes(number)
    question = asked(world, by_phone)
    assert world.app_pins.check(b"246802", question.id, phone).is_right
    assert by_phone.say_yes(number) is AssentState.AGREED
    step_of(world)
    question = asked(world, by_phone)
    state = world.assents.answer(question.id, "", phone, agrees=False, is_me=True)
    assert state is AssentState.DENIED


def test_a_phone_with_a_passkey_says_no_yes_without_it(
    world: World, portal: Portal, holder: Identity
) -> None:
    """The attack: malware in a page has the key that signs calls, and no finger. An answer for
    another question or another number is none.
    """
    invited = world.people.invite_device(portal.user.id, actor=OPERATOR)
    phone = world.enrol_passkey(invited.text)
    number = world.log_in_factors.ask(Factor.PHONE, holder).number
    wrong = "10" if number != "10" else "11"
    question = asked(world, portal)

    for signed in (None, *of_others(question.id, number, wrong)):
        with pytest.raises(ApprovalRejected):
            answer(world, phone, question.id, number, signed)
    own = Enrolled(phone.identity, phone.private)
    with pytest.raises(ApprovalRejected, match="passkey alone"):
        answer(world, own, question.id, number, statement.assent(question.id, number))
    assert portal.say_yes(number, phone) is AssentState.AGREED


def test_a_yes_is_signed_by_the_key_that_approves(
    world: World, portal: Portal, holder: Identity
) -> None:
    """The attack: whoever has the key of a phone's connections, and not the one of its own by which
    it approves; or a yes for another question or another number.
    """
    invited = world.people.invite_device(portal.user.id, actor=OPERATOR)
    native = ed25519.Ed25519PrivateKey.generate()
    phone = world.enrol_native(invited.text, native)
    number = world.log_in_factors.ask(Factor.PHONE, holder).number
    wrong = "10" if number != "10" else "11"
    question = asked(world, portal)
    for signed in (None, *of_others(question.id, number, wrong)):
        with pytest.raises(ApprovalRejected):
            answer(world, phone, question.id, number, signed)
    by_connection = Enrolled(phone.identity, phone.private)
    with pytest.raises(ApprovalRejected):
        portal.say_yes(number, by_connection)
    assert portal.say_yes(number, phone) is AssentState.AGREED


@pytest.mark.parametrize("number", ["1", "123", "ab", "٤٢", "4\n"])
def test_a_number_is_two_digits(
    world: World, portal: Portal, holder: Identity, number: str
) -> None:
    world.log_in_factors.ask(Factor.PHONE, holder)
    question = asked(world, portal)
    with pytest.raises(InvalidInput, match="two digits"):
        answer(world, portal.phone, question.id, number, b"whatever")
    assert asked(world, portal) == question


def test_not_me_logs_everybody_out(world: World, holder: Identity, by_phone: Portal) -> None:
    step = step_of(world)
    question = asked(world, by_phone)
    phone = by_phone.phone.identity
    state = world.assents.answer(question.id, "", phone, agrees=False, is_me=False)
    assert state is AssentState.DENIED
    with pytest.raises(TokenRejected):
        world.portal_visits.begin(step, "")
    with pytest.raises(IdentityRejected):
        world.holdings.show(holder)
    assert world.journal(Kind.ASSENT_DENIED)[-1].details["not_me"] is True


def test_answers_and_their_use_have_a_time(world: World, by_phone: Portal) -> None:
    step = step_of(world)
    question, number = asked(world, by_phone), world.portal_visits.needed(step).number
    world.clock.now += ANSWER_TIME
    assert world.assents.waiting(by_phone.phone.identity) == ()
    with pytest.raises(OperationClosed):
        world.assents.answer(question.id, number, by_phone.phone.identity, agrees=True, is_me=True)
    assert world.portal_visits.begin(step, "").phone is AssentState.OVER
    world.portal_visits.again(step)
    by_phone.say_yes(world.portal_visits.needed(step).number)
    world.clock.now += USE_TIME
    assert world.portal_visits.begin(step, "").phone is AssentState.OVER


def test_nobody_else_is_asked_or_answers(world: World, holder: Identity, by_phone: Portal) -> None:
    """The attack: another person's phone, or the portal itself, says yes."""
    step = step_of(world)
    number, question = world.portal_visits.needed(step).number, asked(world, by_phone)
    _, stranger = world.user("Mallory")
    assert world.assents.waiting(stranger.identity) == ()
    for other in (stranger.identity, holder):
        with pytest.raises(OperationNotFound):
            world.assents.answer(question.id, number, other, agrees=True, is_me=True)
    world.devices.remove(by_phone.phone.identity.id, "lost", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.assents.answer(question.id, number, by_phone.phone.identity, agrees=True, is_me=True)


def test_a_phone_is_not_asked_until_it_gives_in(world: World, by_phone: Portal) -> None:
    """The attack: prompt bombing by somebody who knows the password."""
    step = step_of(world)
    for _ in range(MOST - 1):
        world.portal_visits.again(step)
    with pytest.raises(TooManyCalls):
        world.portal_visits.again(step)
    assert len(world.assents.waiting(by_phone.phone.identity)) == 1


def test_without_a_phone_the_code_is_mailed_again(world: World, by_phone: Portal) -> None:
    """The phone is lost: the registration authority removes it, and the holder gets in."""
    world.devices.remove(by_phone.phone.identity.id, "lost", world.operator().identity)
    step = step_of(world)
    assert world.portal_visits.needed(step).factor is Factor.EMAIL
    secret = world.portal_visits.begin(step, by_phone.code()).secret
    assert world.log_in_factors.look(visitor(world, secret)).chosen is Factor.PHONE


def test_another_factor_needs_the_code_of_the_registered_address(
    world: World, portal: Portal, holder: Identity
) -> None:
    """AUTH-08: the attack: a browser that was left open."""
    with pytest.raises(AddressUnreachable):
        world.log_in_factors.change(Factor.EMAIL, "00000000", holder)
    number = world.log_in_factors.ask(Factor.PHONE, holder).number
    code = portal.code()
    early = world.log_in_factors.change(Factor.PHONE, code, holder)
    assert (early.is_set, early.phone) == (False, AssentState.WAITING)
    portal.say_yes(number)
    wrong = world.log_in_factors.change(Factor.PHONE, other_than(code), holder)
    assert (wrong.is_set, wrong.tries_left) == (False, 4)
    assert world.log_in_factors.change(Factor.PHONE, code, holder).is_set
    assert world.log_in_factors.look(holder).in_force is Factor.PHONE


def test_a_log_in_s_code_changes_nothing(world: World, portal: Portal, holder: Identity) -> None:
    world.log_in_factors.ask(Factor.EMAIL, holder)
    portal.code()
    step_of(world)
    assert not world.log_in_factors.change(Factor.EMAIL, portal.code(), holder).is_set


def test_sms_needs_a_verified_number(world: World, holder: Identity) -> None:
    with pytest.raises(InvalidInput, match="verify your number"):
        world.log_in_factors.ask(Factor.SMS, holder)
    assert not world.log_in_factors.look(holder).can_sms


def test_phones_have_words_for_all_that_they_are_asked() -> None:
    assert set(WORDS) == set(Subject)
