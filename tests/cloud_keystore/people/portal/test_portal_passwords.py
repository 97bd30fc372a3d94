"""Portal passwords are entered, changed and forgotten, and nobody guesses them or who has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event, select

from cloud_keystore.model.errors import (
    AddressUnreachable,
    IdentityRejected,
    InvalidInput,
    KeystoreError,
    NotAllowed,
    PortalClosed,
    TooManyCalls,
    TooManyGuesses,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.codes import CODE_TRIES
from cloud_keystore.model.portal.passwords import GUESSABLE_RULE, LENGTH_RULE, MOST_WRONG, Checked
from cloud_keystore.run import restoring
from cloud_keystore.storage.credentials.portal.codes import mailed_code
from cloud_keystore.storage.credentials.portal.passwords import portal_guess, portal_password
from cloud_keystore.storage.credentials.portal.questions import security_question
from cloud_keystore.storage.outbox.notifications import notification
from support.keystore_world import OPERATOR, World
from support.outbox import Told
from support.portal import (
    ANSWERS,
    EMAIL,
    OTHER,
    PASSWORD,
    QUESTIONS,
    Portal,
    client_of,
    other_than,
)

NOBODY = "nobody@example.org"
WRONG = "not this one, Sir"
WITH_ANSWERS = Policy(portal_passwords=True, security_answers=2)


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.fixture
def asking(world: World) -> Portal:
    """A portal whose people answer questions too."""
    opened = Portal.open(Told(world), WITH_ANSWERS)
    world.security_questions.set_own(QUESTIONS, opened.phone.identity)
    return opened


def refused(call: Callable[[], object]) -> str:
    """What a refusal says, with its kind."""
    with pytest.raises(KeystoreError) as error:
        call()
    return f"{type(error.value).__name__}: {error.value}"


@contextmanager
def statements() -> Iterator[list[str]]:
    """What a keystore asks its database."""
    asked: list[str] = []

    def note(*args: object) -> None:
        asked.append(str(args[2]))

    event.listen(Engine, "before_cursor_execute", note)
    yield asked
    event.remove(Engine, "before_cursor_execute", note)


def test_a_password_is_entered(world: World, portal: Portal) -> None:
    """AUTH-13."""
    assert world.portal_passwords.check(EMAIL.upper(), PASSWORD, actor=portal.actor) == Checked(
        is_right=True, user_id=portal.user.id, has_phone=True
    )
    assert not portal.enter(PASSWORD.lower())
    assert not portal.enter("")
    (told,) = world.journal(Kind.PORTAL_RIGHT)
    assert (told.actor, told.user_id) == (portal.actor, portal.user.id)
    assert len(world.journal(Kind.PORTAL_WRONG)) == 2


def test_passwords_are_off_unless_a_policy_says_so(world: World) -> None:
    told = Told(world)
    portal = Portal.open(told)
    world.set_policy(Policy())
    assert not portal.enter()
    world.portal_passwords.forget(EMAIL, actor=portal.actor)
    assert told.subjects() == []
    with pytest.raises(PortalClosed, match="your organisation"):
        world.portal_passwords.set_own(OTHER, portal.phone.identity)
    with pytest.raises(PortalClosed):
        world.security_questions.set_own(QUESTIONS, portal.phone.identity)
    assert not world.portal_passwords.look_own(portal.phone.identity).is_offered
    with pytest.raises(InvalidInput, match="security answers"):
        Policy(security_answers=1)
    with pytest.raises(InvalidInput, match="at most 3"):
        Policy(portal_passwords=True, security_answers=4)


def test_a_new_password_follows_the_rules(world: World, portal: Portal) -> None:
    for new, rule in (("short", LENGTH_RULE), ("Password1234", GUESSABLE_RULE)):
        assert world.portal_passwords.set_own(new, portal.phone.identity).rule == rule
        changed = world.portal_passwords.change(EMAIL, PASSWORD, new, actor=portal.actor)
        assert changed.rule == rule
        assert portal.reset("00000000", new).rule == rule
    assert portal.enter()


def test_it_is_changed_with_the_old_one_or_the_phone(world: World, portal: Portal) -> None:
    change = world.portal_passwords.change
    assert not change(EMAIL, WRONG, OTHER, actor=portal.actor).is_set
    assert portal.enter()
    assert change(EMAIL, PASSWORD, OTHER, actor=portal.actor).is_set
    assert portal.told.subjects() == ["Your password was changed"]
    assert (portal.enter(PASSWORD), portal.enter(OTHER)) == (False, True)
    world.clock.forward(seconds=1)
    assert world.portal_passwords.set_own(PASSWORD, portal.phone.identity).is_set
    assert portal.told.subjects() == ["Your password was changed"]
    assert (portal.enter(PASSWORD), portal.enter(OTHER)) == (True, False)


def test_a_forgotten_password_is_set_with_a_mailed_code(world: World, portal: Portal) -> None:
    """AUTH-13."""
    code = portal.forgotten()
    assert world.portal_passwords.questions_of(EMAIL, code, actor=portal.actor) == ()
    assert portal.reset(code).is_set
    assert portal.told.subjects() == ["Your password was changed"]
    assert (portal.enter(PASSWORD), portal.enter(OTHER)) == (False, True)
    (told,) = world.journal(Kind.PORTAL_RESET)
    assert (told.actor, told.user_id) == (portal.actor, portal.user.id)


def test_a_code_is_good_once(portal: Portal) -> None:
    """The attack: somebody finds the letter later, and replays its code."""
    code = portal.forgotten()
    assert portal.reset(code).is_set
    assert not portal.reset(code, "and yet another one").is_set
    assert portal.enter(OTHER)


def test_a_code_has_five_tries_and_a_quarter_of_an_hour(world: World, portal: Portal) -> None:
    """The attack: the code is guessed."""
    code = portal.forgotten()
    for _ in range(CODE_TRIES):
        assert not portal.reset(other_than(code)).is_set
    assert not portal.reset(code).is_set
    code = portal.forgotten()
    world.clock.forward(minutes=15)
    assert not portal.reset(code).is_set
    assert portal.enter()
    assert len(world.journal(Kind.RESET_CODE_WRONG)) == CODE_TRIES + 2


def test_the_newest_code_alone_is_good(portal: Portal) -> None:
    former, newest = portal.forgotten(), portal.forgotten()
    assert not portal.reset(former).is_set
    assert portal.reset(newest).is_set


def test_a_code_is_for_one_person_and_one_purpose(world: World, portal: Portal) -> None:
    """The attack: Mallory has a code of her own, and names somebody else."""
    _, phone = portal.told.enrolled("mallory@example.org")
    portal.verify(phone)
    assert world.portal_passwords.set_own(PASSWORD, phone.identity).is_set
    code = portal.forgotten("mallory@example.org")
    portal.forgotten()
    assert not portal.reset(code).is_set
    world.addresses.send_own(portal.phone.identity)
    assert not portal.reset(portal.code()).is_set
    assert portal.enter()


def test_two_who_use_one_code_at_once(portal: Portal) -> None:
    """The attack: resets race, and each sets a password."""
    code = portal.forgotten()
    chosen = ["the first of the two", "the second of them"]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda new: portal.reset(code, new).is_set, chosen))
    assert sorted(done) == [False, True]
    assert portal.enter(chosen[done.index(True)])
    assert not portal.enter(chosen[done.index(False)])


def test_a_code_ends_with_another_address_and_another_password(
    world: World, portal: Portal
) -> None:
    """The attack: an operator gives a person an address of their own, and lets a code be mailed."""
    code = portal.forgotten()
    world.people.change_user(portal.user.id, None, "eve@example.org", actor=OPERATOR)
    assert not portal.reset(code, name="eve@example.org").is_set
    portal.told.send()
    world.portal_passwords.forget("eve@example.org", actor=portal.actor)
    assert portal.told.subjects() == []
    world.people.change_user(portal.user.id, None, EMAIL, actor=OPERATOR)
    portal.verify(portal.phone)
    code = portal.forgotten()
    assert world.portal_passwords.set_own(OTHER, portal.phone.identity).is_set
    assert not portal.reset(code, PASSWORD).is_set


def test_nobody_learns_who_is_known(world: World, portal: Portal) -> None:
    """AUTH-13; the attack: somebody tries addresses, and looks at the answers."""
    passwords, actor = world.portal_passwords, portal.actor
    answers = {}
    for name in (EMAIL, NOBODY):
        said: list[object] = [passwords.check(name, WRONG, actor=actor)]
        said.append(passwords.change(name, WRONG, OTHER, actor=actor))
        said.append(passwords.forget(name, actor=actor))
        said.append(passwords.questions_of(name, "00000000", actor=actor))
        said.append(passwords.reset(name, "00000000", OTHER, (), actor=actor))
        said += [portal.enter(WRONG, name) for _ in range(MOST_WRONG - 2)]
        said.append(refused(lambda name=name: portal.enter(WRONG, name)))  # type: ignore[misc]
        said.append(refused(lambda name=name: portal.enter(PASSWORD, name)))  # type: ignore[misc]
        said += [passwords.forget(name, actor=actor) for _ in range(2)]
        said.append(refused(lambda name=name: passwords.forget(name, actor=actor)))  # type: ignore[misc]
        answers[name] = said
    assert answers[EMAIL] == answers[NOBODY]
    assert "1 min" in str(answers[EMAIL])


def test_the_same_is_done_whoever_is_named(
    world: World, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTH-13; the attack: somebody tries addresses, and looks at the clock. Each call asks the
    database for the same, and hashes as often.
    """
    passwords, actor = world.portal_passwords, portal.actor
    hashed: list[str] = []
    hasher = type(world.passcodes.hasher)
    of_hash, of_verify = hasher.hash, hasher.verify
    monkeypatch.setattr(hasher, "hash", lambda *args: hashed.append("") or of_hash(*args))
    monkeypatch.setattr(hasher, "verify", lambda *args: hashed.append("") or of_verify(*args))
    calls: list[Callable[[str], object]] = [
        lambda name: passwords.check(name, WRONG, actor=actor),
        lambda name: passwords.change(name, WRONG, OTHER, actor=actor),
        lambda name: passwords.forget(name, actor=actor),
        lambda name: passwords.questions_of(name, "00000000", actor=actor),
        lambda name: passwords.reset(name, "00000000", OTHER, (), actor=actor),
        lambda name: [portal.enter(WRONG, name) for _ in range(MOST_WRONG - 2)],
    ]
    for call in calls:
        done = []
        for name in (EMAIL, NOBODY):
            hashed.clear()
            with statements() as asked:
                call(name)
            done.append((asked, len(hashed)))
        assert done[0] == done[1]


def test_wrong_ones_lock_for_longer_each_time(world: World, portal: Portal) -> None:
    """AUTH-13: the person is told, and a right one forgives."""
    for _ in range(MOST_WRONG):
        assert not portal.enter(WRONG)
    assert portal.told.subjects() == ["Your password was given wrong too often"]
    for minutes in (1, 2, 4):
        assert f"{minutes} min" in refused(portal.enter)
        world.clock.forward(minutes=minutes)
        assert not portal.enter(WRONG)
    world.clock.forward(minutes=8)
    assert portal.enter()
    for _ in range(MOST_WRONG - 1):
        assert not portal.enter(WRONG)
    assert portal.enter()


def test_many_who_guess_at_once_have_no_more_guesses(portal: Portal) -> None:
    """The attack: guesses race past the count."""

    def enter(_: int) -> str:
        try:
            return str(portal.enter(WRONG))
        except TooManyGuesses:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(enter, range(12)))
    assert done.count("False") == MOST_WRONG


def test_who_is_locked_out_sets_another_one(portal: Portal) -> None:
    for _ in range(MOST_WRONG):
        portal.enter(WRONG)
    with pytest.raises(TooManyGuesses):
        portal.enter()
    portal.told.send()
    assert portal.reset(portal.forgotten()).is_set
    assert portal.enter(OTHER)


def test_an_address_gets_few_codes(world: World, portal: Portal) -> None:
    """The attack: somebody's mailbox is flooded."""
    world.clock.forward(hours=1)
    for _ in range(3):
        world.portal_passwords.forget(EMAIL, actor=portal.actor)
    with pytest.raises(TooManyCalls):
        world.portal_passwords.forget(EMAIL, actor=portal.actor)
    world.clock.forward(hours=1)
    world.portal_passwords.forget(EMAIL, actor=portal.actor)


def test_only_who_has_a_password_and_a_verified_address_gets_a_code(world: World) -> None:
    portal = Portal.open(Told(world))
    _, phone = portal.told.enrolled("grace@example.org")
    world.portal_passwords.forget("grace@example.org", actor=portal.actor)
    world.portal_passwords.set_own(PASSWORD, phone.identity)
    world.portal_passwords.forget("grace@example.org", actor=portal.actor)
    assert [each for each in portal.told.subjects() if "code" in each] == []
    world.clock.forward(hours=1)
    portal.verify(phone)
    assert portal.reset(portal.forgotten("grace@example.org"), name="grace@example.org").is_set


def test_questions_are_asked_besides_the_code(world: World, asking: Portal) -> None:
    """AUTH-14: two right answers of three are enough; none is enough without the code."""
    code = asking.forgotten()
    asked = world.portal_passwords.questions_of(EMAIL, code, actor=asking.actor)
    assert asked == tuple(each.text for each in QUESTIONS)
    wrong = other_than(code)
    assert world.portal_passwords.questions_of(EMAIL, wrong, actor=asking.actor) is None
    for answers in ((), ANSWERS[:1], ("", "", ANSWERS[2]), tuple(reversed(ANSWERS))[:2]):
        assert not asking.reset(code, answers=answers).is_set
    assert not asking.reset(wrong, answers=ANSWERS).is_set
    assert asking.reset(code, answers=("MISS-MOPPET!", "", "charles b")).is_set
    assert asking.enter(OTHER)
    assert len(world.journal(Kind.ANSWERS_WRONG)) == 4


def test_answers_are_counted_and_delayed(world: World, asking: Portal) -> None:
    """AUTH-14; the attack: whoever reads somebody's mail guesses the answers, code by code."""
    code = asking.forgotten()
    for _ in range(MOST_WRONG):
        assert not asking.reset(code, answers=("cat", "street", "Bob")).is_set
    with pytest.raises(TooManyGuesses):
        asking.reset(code, answers=ANSWERS)
    code = asking.forgotten()
    with pytest.raises(TooManyGuesses):
        asking.reset(code, answers=ANSWERS)
    world.clock.forward(minutes=1)
    assert asking.reset(code, answers=ANSWERS).is_set


def test_without_questions_a_code_is_not_enough(world: World) -> None:
    """AUTH-14."""
    portal = Portal.open(Told(world), WITH_ANSWERS)
    code = portal.forgotten()
    with pytest.raises(PortalClosed, match="no security questions"):
        portal.reset(code)
    with pytest.raises(PortalClosed):
        world.portal_passwords.questions_of(EMAIL, code, actor=portal.actor)
    assert portal.enter()


def test_a_portal_acts_for_its_organisation_alone(world: World, portal: Portal) -> None:
    """The attack: the portal of one organisation guesses passwords of another."""
    own = world.organisations.add("St Elsewhere", world.operator().identity).id
    foreign = replace(portal, actor=client_of(portal.told, own).actor)
    assert not foreign.enter()
    world.portal_passwords.forget(EMAIL, actor=foreign.actor)
    assert portal.told.subjects() == []
    agent = world.clients.add("HR", ["ra-agent"], "", actor=world.actor).listing.client
    with pytest.raises(NotAllowed):
        replace(portal, actor=agent.actor).enter()


def test_nothing_of_it_is_kept_or_shown(world: World, asking: Portal) -> None:
    """AUTH-14; the attack: whoever reads database and journal knows passwords, codes or answers."""
    code = asking.forgotten()
    asking.enter(WRONG)
    asking.reset(code, answers=ANSWERS)
    tables = (mailed_code, portal_password, portal_guess, security_question, notification)
    with world.database.read() as connection:
        kept = [row for table in tables for row in connection.execute(select(table)).mappings()]
    shown = str([{**row, "mac": None, "id": None} for row in kept]) + str(world.journal())
    shown += repr(world.portal_passwords) + repr(world.security_questions)
    for secret in (PASSWORD, WRONG, OTHER, code, *ANSWERS, "missmoppet"):
        assert secret.lower() not in shown.lower()


def test_what_is_no_password_is_refused_without_saying_it(world: World, portal: Portal) -> None:
    long = "secret " * 100
    for call in (
        lambda: portal.enter(long),
        lambda: world.portal_passwords.change(EMAIL, long, OTHER, actor=portal.actor),
        lambda: world.portal_passwords.set_own(long, portal.phone.identity),
        lambda: portal.reset("00000000", long),
        lambda: portal.reset("00000000", answers=("a",) * 6),
        lambda: portal.enter(name="a\0b"),
        lambda: portal.enter(name="x" * 1000),
    ):
        assert "secret" not in refused(call)


def test_a_removed_phone_and_a_leaver_have_nothing(world: World, portal: Portal) -> None:
    operator = world.operator().identity
    code = portal.forgotten()
    world.devices.remove(portal.phone.identity.id, "lost", operator)
    for call in (
        lambda: world.portal_passwords.set_own(OTHER, portal.phone.identity),
        lambda: world.security_questions.set_own(QUESTIONS, portal.phone.identity),
        lambda: world.addresses.send_own(portal.phone.identity),
    ):
        with pytest.raises(IdentityRejected):
            call()
    world.leaving.close(portal.user.id, "left", operator)
    assert not portal.enter()
    assert not portal.reset(code).is_set
    with world.database.read() as connection:
        assert connection.execute(select(portal_password)).all() == []


def test_a_restored_keystore_has_no_codes(world: World, portal: Portal) -> None:
    code = portal.forgotten()
    restoring.end_the_past(world.database, world.clock(), {})
    assert not portal.reset(code).is_set
    assert portal.enter()


def test_an_address_is_verified_by_its_code(world: World, portal: Portal) -> None:
    phone = portal.phone.identity
    world.addresses.send_own(phone)
    code = portal.code()
    assert world.addresses.confirm_own(other_than(code), phone).tries_left == CODE_TRIES - 1
    assert world.addresses.confirm_own(code, phone).is_verified
    with pytest.raises(AddressUnreachable, match="no code is awaited"):
        world.addresses.confirm_own(code, phone)
    world.people.change_user(portal.user.id, None, "", actor=OPERATOR)
    with pytest.raises(AddressUnreachable, match="no e-mail address"):
        world.addresses.send_own(phone)
    found = world.portal_passwords.look_own(phone)
    assert (found.email, found.is_email_verified, found.has_password) == ("", False, True)


def test_without_a_mail_server_no_code_is_promised(world: World) -> None:
    world.set_policy(Policy(portal_passwords=True))
    user, phone = world.user("Ada Byron")
    world.people.change_user(user.id, None, EMAIL, actor=OPERATOR)
    actor = world.clients.add("portal", ["portal"], "", actor=world.actor).listing.client.actor
    for name in (EMAIL, NOBODY):
        with pytest.raises(AddressUnreachable, match="sends no e-mail"):
            world.portal_passwords.forget(name, actor=actor)
    with pytest.raises(AddressUnreachable, match="sends no e-mail"):
        world.addresses.send_own(phone.identity)
