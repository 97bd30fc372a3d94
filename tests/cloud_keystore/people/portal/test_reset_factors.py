"""Forgotten passwords of holders whose log-ins need more than mail."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from argon2 import PasswordHasher

from cloud_keystore.custody.credentials.challenges import LATE
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.errors import OperationClosed, PortalClosed, TooManyCalls
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.assents import ANSWER_TIME, MOST, USE_TIME, AssentState, Subject
from cloud_keystore.model.portal.codes import CODE_TRIES, Purpose
from cloud_keystore.model.portal.factors import Factor, Unproven
from cloud_keystore.model.portal.passwords import MOST_WRONG, Chosen, Wanted
from cloud_keystore.people.portal.passkeys import COPIED, UNKNOWN
from cloud_keystore.people.portal.reset_factors import Given
from cloud_keystore.people.rights.log_in_passkeys import PasskeyAnswer
from cloud_keystore.storage.credentials.portal import codes as code_rows
from support import second_factors
from support.keystore_world import World
from support.outbox import Told
from support.portal import ANSWERS, EMAIL, OTHER, PASSWORD, QUESTIONS, Portal, other_than

GRACE = "grace@example.org"
NOTHING = Given()
OVER = Unproven(phone=AssentState.OVER)
EACH = [Factor.PHONE, Factor.SMS, Factor.PASSKEY]


@dataclass
class Reset:
    """Somebody who has forgotten the password, and has the code that was mailed."""

    chosen: second_factors.Chosen
    code: str

    @classmethod
    def begun(cls, chosen: second_factors.Chosen) -> Reset:
        """With a code that is new."""
        portal = chosen.portal
        portal.told.world.own_passwords.forget(portal.user.email)
        return cls(chosen, portal.code())

    def wanted(self, *, again: bool = False, by_phone: bool = False) -> Wanted:
        """What the page asks for."""
        portal = self.chosen.portal
        own = portal.told.world.own_passwords
        found = own.wanted(portal.user.email, self.code, again=again, by_phone=by_phone)
        assert found is not None
        return found

    def number(self) -> str:
        """What is to be typed on the phone, which is asked."""
        return self.wanted().needed.number

    def sms(self) -> str:
        """The code that comes by SMS."""
        self.wanted()
        return self.chosen.texts()[-1]

    def answer(self) -> PasskeyAnswer:
        """What the passkey says to it."""
        portal = self.chosen.portal
        asked = portal.told.world.own_passwords.ask_passkey(portal.user.email, self.code)
        assert asked is not None
        return self.chosen.answer(asked.asked.challenge)

    def given(self) -> Given:
        """What is asked for."""
        match self.chosen.factor:
            case Factor.SMS:
                return Given(self.sms())
            case Factor.PASSKEY:
                return Given(answer=self.answer())
        assert self.chosen.agree(self.number()) is AssentState.AGREED
        return NOTHING

    def set(
        self, given: Given = NOTHING, new: str = OTHER, answers: tuple[str, ...] = ()
    ) -> Chosen:
        """Choose another password."""
        portal = self.chosen.portal
        own = portal.told.world.own_passwords
        return own.reset(portal.user.email, self.code, new, answers, given)


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


def by(portal: Portal, factor: Factor) -> second_factors.Chosen:
    return second_factors.Chosen.of(portal, factor)


def somebody_else(portal: Portal, factor: Factor) -> second_factors.Chosen:
    """Grace, who has chosen the same."""
    user, phone = portal.told.enrolled(GRACE)
    other = replace(portal, user=user, phone=phone)
    other.verify(phone)
    assert portal.told.world.portal_passwords.set_own(PASSWORD, phone.identity).is_set
    portal.told.send()
    return second_factors.Chosen.of(other, factor, "+447700900456")


@pytest.mark.parametrize("factor", EACH)
def test_whoever_reads_the_mail_alone_sets_no_password(
    world: World, portal: Portal, factor: Factor
) -> None:
    """AUTH-07; the attack: a thief has the mailbox, at our pages and at a portal of others."""
    thief = Reset.begun(by(portal, factor))
    for _ in range(2):
        chosen = thief.set()
        assert (chosen.is_set, chosen.unproven is None) == (False, False)
        assert thief.wanted().needed.factor is factor
    for tried in ("00000000", "", thief.code):
        assert not thief.set(Given(tried)).is_set
    with pytest.raises(PortalClosed, match="more than mail"):
        portal.reset(thief.code)
    with pytest.raises(PortalClosed, match="/me/forgotten"):
        world.portal_passwords.questions_of(EMAIL, thief.code, actor=portal.actor)
    assert portal.enter(PASSWORD)
    assert world.journal(Kind.PORTAL_RESET) == []


@pytest.mark.parametrize("factor", EACH)
def test_a_password_is_set_by_mail_and_what_log_ins_need(
    world: World, portal: Portal, factor: Factor
) -> None:
    """AUTH-07, AUTH-08: once; the journal says by what it was."""
    mine = Reset.begun(by(portal, factor))
    given = mine.given()
    assert mine.set(given).is_set
    assert (portal.enter(PASSWORD), portal.enter(OTHER)) == (False, True)
    (told,) = world.journal(Kind.PORTAL_RESET)
    assert (told.actor, told.details["factor"]) == (KEYSTORE, str(factor))
    assert ("passkey" in told.details) == (factor is Factor.PASSKEY)
    assert mine.set(given, PASSWORD) == Chosen(is_set=False)
    assert not Reset.begun(mine.chosen).set(given, PASSWORD).is_set
    assert portal.enter(OTHER)


def test_without_a_choice_the_mailed_code_is_enough(world: World, portal: Portal) -> None:
    """AUTH-13: also for who has a phone, which nobody asks."""
    mine = Reset.begun(second_factors.Chosen(portal, Factor.EMAIL))
    assert mine.wanted() == Wanted((), replace(mine.wanted().needed, number=""))
    assert world.assents.waiting(portal.phone.identity) == ()
    assert mine.set().is_set
    assert world.journal(Kind.PORTAL_RESET)[-1].details == {"factor": "email"}


@pytest.mark.parametrize("factor", EACH)
def test_nothing_is_asked_without_the_mailed_code(
    world: World, portal: Portal, factor: Factor
) -> None:
    """The attack: enumeration, and wearing a phone down, by whoever knows a name."""
    chosen = by(portal, factor)
    right = Reset.begun(chosen).code
    said = []
    for name in (EMAIL, "nobody@example.org"):
        own = world.own_passwords
        wrong = other_than(right)
        said.append(
            (
                own.wanted(name, wrong),
                own.wanted(name, wrong, again=True, by_phone=True),
                own.ask_passkey(name, wrong),
                own.reset(name, wrong, OTHER, (), NOTHING),
            )
        )
    assert said[0] == said[1] == (None, None, None, Chosen(is_set=False))
    assert world.assents.waiting(portal.phone.identity) == ()
    assert chosen.texts() == []
    assert not [
        each for each in world.journal(Kind.ASSENT_ASKED) if each.details["subject"] == "reset"
    ]


def test_the_yes_is_for_one_reset_alone(world: World, portal: Portal) -> None:
    """The attack: a thief begins a reset while the holder logs in, or forgets the password too."""
    chosen = by(portal, Factor.PHONE)
    step = world.portal_visits.ask(EMAIL, PASSWORD)
    assert step is not None
    chosen.agree(world.portal_visits.needed(step.text).number)
    thief = Reset.begun(chosen)
    assert thief.set().unproven == OVER
    thief.wanted()
    (question,) = world.assents.waiting(portal.phone.identity)
    assert question.subject is Subject.RESET
    mine = Reset.begun(chosen)
    assert chosen.agree(mine.number()) is AssentState.AGREED
    assert thief.set() == Chosen(is_set=False)
    assert world.portal_visits.begin(step.text, "").secret
    later = Reset.begun(chosen)
    assert later.set().unproven == OVER
    assert portal.enter(PASSWORD)


def test_a_yes_is_no_log_in(world: World, portal: Portal) -> None:
    """The attack: who knows the password lets the holder agree to another password instead."""
    chosen = by(portal, Factor.PHONE)
    step = world.portal_visits.ask(EMAIL, PASSWORD)
    assert step is not None
    mine = Reset.begun(chosen)
    portal.say_yes(mine.number(), subject=Subject.RESET)
    assert world.portal_visits.begin(step.text, "").phone is AssentState.WAITING
    assert mine.set().is_set


def test_questions_and_their_yes_have_a_time(world: World, portal: Portal) -> None:
    """The attack: an answer that comes late, or that lies about."""
    chosen = by(portal, Factor.PHONE)
    mine = Reset.begun(chosen)
    number = mine.number()
    assert mine.set().unproven == Unproven(phone=AssentState.WAITING)
    (question,) = world.assents.waiting(portal.phone.identity)
    world.clock.now += ANSWER_TIME
    with pytest.raises(OperationClosed):
        world.assents.answer(question.id, number, portal.phone.identity, agrees=True, is_me=True)
    assert mine.set().unproven == OVER
    chosen.agree(mine.wanted(again=True).needed.number)
    world.clock.now += USE_TIME
    assert mine.set().unproven == OVER
    assert portal.enter(PASSWORD)


def test_a_phone_is_asked_once_unless_again_and_not_for_long(portal: Portal) -> None:
    """The page can be loaded again; the attack: to ask until somebody gives in."""
    mine = Reset.begun(by(portal, Factor.PHONE))
    assert len({mine.number() for _ in range(MOST + 1)}) == 1
    for _ in range(MOST - 1):
        mine.wanted(again=True)
    with pytest.raises(TooManyCalls):
        mine.wanted(again=True)


def test_not_me_ends_the_mailed_code(world: World, portal: Portal) -> None:
    """The holder learns by the phone that somebody reads the mail."""
    chosen = by(portal, Factor.PHONE)
    thief = Reset.begun(chosen)
    thief.wanted()
    assert chosen.agree("", is_me=False) is AssentState.DENIED
    assert world.own_passwords.wanted(EMAIL, thief.code) is None
    assert thief.set() == Chosen(is_set=False)


def test_who_has_lost_the_phone_calls_the_registration_authority(
    world: World, portal: Portal
) -> None:
    """As for log-ins: it removes the phone, and then the mailed code is enough."""
    mine = Reset.begun(by(portal, Factor.PHONE))
    assert not mine.set().is_set
    world.devices.remove(portal.phone.identity.id, "lost", world.operator().identity)
    assert mine.set().is_set


def test_a_code_by_sms_is_of_one_reset_and_few_tries(world: World, portal: Portal) -> None:
    """COM-04; the attack: the code of a log-in, of another reset, of somebody else, and guesses."""
    chosen, other = by(portal, Factor.SMS), somebody_else(portal, Factor.SMS)
    step = world.portal_visits.ask(EMAIL, PASSWORD)
    assert step is not None
    (for_log_in,) = chosen.texts()
    earlier, theirs = Reset.begun(chosen).sms(), Reset.begun(other).sms()
    mine = Reset.begun(chosen)
    right = mine.sms()
    wrong = [for_log_in, earlier, theirs, other_than(right)]
    for left, each in enumerate(wrong, 1):
        assert mine.set(Given(each)).unproven == Unproven(tries_left=CODE_TRIES - left)
    told = world.journal(Kind.RESET_CODE_WRONG)[-1]
    assert dict(told.details) == {"factor": "sms", "tries_left": 1}
    assert mine.set(Given(right)).is_set


def test_a_code_by_sms_is_guessed_five_times(portal: Portal) -> None:
    """The attack: a thief of the mailbox guesses it. Loading the page again sends no other one."""
    thief = Reset.begun(by(portal, Factor.SMS))
    right = thief.sms()
    for _ in range(CODE_TRIES):
        assert not thief.set(Given(other_than(right))).is_set
    assert thief.set(Given(right)).unproven == Unproven(tries_left=0)
    thief.wanted()
    assert thief.chosen.texts() == []
    for _ in range(2):
        thief.wanted(again=True)
    with pytest.raises(TooManyCalls):
        thief.wanted(again=True)


def test_an_answer_is_for_one_reset_and_of_its_holder(world: World, portal: Portal) -> None:
    """Replay: the answer to a log-in, to another reset, or of somebody else's passkey."""
    chosen, other = by(portal, Factor.PASSKEY), somebody_else(portal, Factor.PASSKEY)
    step = world.portal_visits.ask(EMAIL, PASSWORD)
    assert step is not None
    for_log_in = chosen.answer(world.portal_visits.ask_passkey(step.text).asked.challenge)
    earlier = Reset.begun(chosen).answer()
    for_her = Reset.begun(other).answer()
    mine = Reset.begun(chosen)
    asked = world.own_passwords.ask_passkey(EMAIL, mine.code)
    assert asked is not None
    for wrong, why in (
        (for_log_in, LATE),
        (earlier, LATE),
        (for_her, LATE),
        (other.answer(asked.asked.challenge), UNKNOWN),
    ):
        assert mine.set(Given(answer=wrong)).unproven == Unproven(passkey=why)
    answer = mine.answer()
    assert world.portal_visits.begin(step.text, "", answer).passkey == LATE
    assert mine.set(Given(answer=answer)).is_set
    assert mine.set(Given(answer=answer)) == Chosen(is_set=False)
    # A form that was sent twice is no copy of the passkey.
    assert world.journal(Kind.PORTAL_PASSKEY_COPIED) == []


def test_a_copied_passkey_sets_no_password(world: World, portal: Portal) -> None:
    chosen = by(portal, Factor.PASSKEY)
    copy = replace(chosen)
    first = Reset.begun(chosen)
    assert first.set(first.given()).is_set
    second = Reset.begun(copy)
    assert second.set(second.given(), PASSWORD).unproven == Unproven(passkey=COPIED)
    assert portal.enter(OTHER)
    assert len(world.journal(Kind.PORTAL_PASSKEY_COPIED)) == 1


def test_who_has_lost_the_passkey_asks_the_phone(portal: Portal) -> None:
    """The phone's yes is enough in its place, as for log-ins."""
    chosen = by(portal, Factor.PASSKEY)
    mine = Reset.begun(chosen)
    needed = mine.wanted().needed
    assert (needed.factor, needed.number, needed.can_phone) == (Factor.PASSKEY, "", True)
    instead = mine.wanted(again=True, by_phone=True).needed
    assert instead.factor is Factor.PHONE
    assert mine.set().unproven == Unproven(phone=AssentState.WAITING)
    assert chosen.agree(instead.number) is AssentState.AGREED
    assert mine.set().is_set


def test_what_does_not_do_spends_no_yes(world: World) -> None:
    """AUTH-14: neither a password that breaks a rule nor wrong answers; and answers that were right
    are not counted as wrong because the phone has not agreed yet.
    """
    portal = Portal.open(Told(world), Policy(portal_passwords=True, security_answers=2))
    world.security_questions.set_own(QUESTIONS, portal.phone.identity)
    chosen = by(portal, Factor.PHONE)
    mine = Reset.begun(chosen)
    wanted = mine.wanted()
    assert wanted.questions == tuple(each.text for each in QUESTIONS)
    for _ in range(MOST_WRONG + 1):
        assert mine.set(answers=ANSWERS).unproven == Unproven(phone=AssentState.WAITING)
    chosen.agree(wanted.needed.number)
    assert mine.set(new="short", answers=ANSWERS).rule
    assert mine.set(answers=("cat", "street", "Bob")) == Chosen(is_set=False)
    assert mine.set(answers=ANSWERS).is_set


def test_nothing_of_it_is_told(world: World, portal: Portal) -> None:
    """Codes and numbers are in no journal and no text of what is given."""
    mine = Reset.begun(by(portal, Factor.SMS))
    given = mine.given()
    assert given.code not in repr(given)
    assert mine.set(given).is_set
    for each in world.journal(Kind.RESET_CODE_SENT) + world.journal(Kind.PORTAL_RESET):
        assert given.code not in repr(each)


def test_a_code_that_ends_meanwhile_sets_no_password(world: World, portal: Portal) -> None:
    """The attack: the holder says "not me", or sets a password, while the thief's is hashed."""

    class Slow(PasswordHasher):
        """A hasher while which all codes end."""

        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            with world.database.write() as connection:
                code_rows.end_all(connection, portal.user.id, Purpose.PASSWORD, world.clock())
            return super().hash(password, salt=salt)

    thief = Reset.begun(second_factors.Chosen(portal, Factor.EMAIL))
    passwords = world.own_passwords.passwords
    slow = replace(passwords, passcodes=replace(passwords.passcodes, hasher=Slow()))
    assert not slow.reset(EMAIL, thief.code, OTHER, (), actor=KEYSTORE).is_set
    assert portal.enter(PASSWORD)
