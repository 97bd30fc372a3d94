"""Sign-ins: a card goes into a workstation's reader when its holder says so, and nothing is told
before.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from cloud_keystore.approval import payload, qr
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotFound,
    IdentityRejected,
    InvalidInput,
    KeystoreError,
    OperationClosed,
    OperationNotFound,
    PasscodeNeeded,
    RequestIdReused,
    SessionClosed,
    SignInNotFound,
    TooManyRefusals,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Channel, Decision
from cloud_keystore.model.operations import State as Decided
from cloud_keystore.model.people import Role, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.sign_ins import MOST_FROM_WORKSTATION, MOST_PENDING, MOST_TO_PERSON, State
from cloud_keystore.operations import sweeping
from cloud_keystore.operations.signing_in import Seen
from cloud_keystore.operations.watching import LOOK_SECONDS, Watching
from cloudcard.approval.v1 import approval_pb2
from support.keystore_world import SESSIONS, Enrolled, World

UPN = "ada@example.org"


@pytest.fixture
def ada(world: World) -> tuple[User, Enrolled]:
    """A holder with a phone and an account."""
    return world.user("Ada Byron", UPN)


def begin(world: World, pc: Enrolled, user: str = "") -> Seen:
    return world.signing_in.begin(os.urandom(16), user, pc.identity)


def look(world: World, seen: Seen, pc: Enrolled) -> tuple[State, str]:
    found = world.signing_in.find(seen.sign_in.id, pc.identity)
    return found.state, found.card_serial


def kinds(world: World) -> list[Kind]:
    return [each.kind for each in world.journal() if each.kind.startswith("sign-in.")]


@pytest.mark.parametrize("user", ["", UPN, "ADA@Example.ORG"])
def test_an_approved_sign_in_names_the_card_until_the_person_leaves(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, user: str
) -> None:
    seen = begin(world, pc, user)
    assert (bool(seen.qr_text), bool(seen.sign_in.number)) == (not user, bool(user))
    assert look(world, seen, pc) == (State.PENDING, "")
    assert world.admit(seen, ada[1]) is Decided.APPROVED
    assert {seen.sign_in.id, ada[0].id} <= {*world.woken}
    assert look(world, seen, pc) == (State.OPEN, serial)
    (listed,) = world.admitting.list_open(ada[1].identity)
    assert (listed.card_serial, listed.workstation, listed.site) == (serial, "WARD7-PC3", "Ward 7")
    for _ in range(2):  # one that has ended stays so
        world.signing_in.end(seen.sign_in.id, pc.identity)
    assert look(world, seen, pc) == (State.ENDED, "")
    assert world.admitting.list_open(ada[1].identity) == []
    claimed = [] if user else [Kind.SIGN_IN_CLAIMED]
    assert kinds(world) == [
        Kind.SIGN_IN_ASKED,
        *claimed,
        Kind.SIGN_IN_APPROVED,
        Kind.SIGN_IN_ENDED,
    ]


def test_the_payload_is_of_a_kind_of_its_own(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    seen = begin(world, pc, UPN)
    raw = world.admitting.find(seen.sign_in.id, ada[1].identity).payload or b""
    shown = approval_pb2.Payload.FromString(raw)
    assert (shown.version, shown.key_id, shown.card_serial) == (3, "", serial)
    assert shown.workstation.display_name == "WARD7-PC3"
    assert shown.sign_in.seconds == 12 * 3600
    with pytest.raises(ApprovalRejected):  # for a use of a key
        payload.decode(raw)


def answer(world: World, pc: Enrolled, user: str) -> object:
    """What the workstation is told of a sign-in by push, but for what is by chance."""
    try:
        seen = begin(world, pc, user)
    except KeystoreError as error:
        return type(error)
    first, second = seen, world.signing_in.find(seen.sign_in.id, pc.identity)
    return [
        (
            *(each.state, each.card_serial, each.qr_text, len(each.sign_in.number)),
            *(each.sign_in.expire_time, each.sign_in.qr_expire_time),
        )
        for each in (first, second)
    ]


@pytest.mark.usefixtures("ada", "serial")
def test_nothing_tells_whether_there_is_such_a_person(world: World, pc: Enrolled) -> None:
    world.user("Bob without a card", "bob@example.org")
    world.user("One", "same@example.org")
    there = [answer(world, pc, each) for each in (UPN, "bob@example.org", "nobody@example.org")]
    assert there[0] == there[1] == there[2]
    assert kinds(world) == [Kind.SIGN_IN_ASKED] * 3
    world.set_policy(Policy(channels=frozenset({Channel.QR})))
    assert answer(world, pc, UPN) == there[0]


@pytest.mark.parametrize("decision", [Decision.DENY, Decision.NOT_ME, Decision.APPROVE])
@pytest.mark.usefixtures("serial")
def test_a_person_who_denies_is_told_apart_from_nobody_by_nothing(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, decision: Decision
) -> None:
    nobody, rung = begin(world, pc, "nobody@example.org"), begin(world, pc, UPN)
    wrong = f"{(int(rung.sign_in.number) + 1) % 100:02}" if decision is Decision.APPROVE else ""
    assert world.admit(rung, ada[1], decision, wrong) is Decided.DENIED
    assert look(world, rung, pc) == look(world, nobody, pc) == (State.PENDING, "")
    world.clock.forward(minutes=2)
    with world.database.write() as connection:
        sweeping.sweep(connection, world.clock(), None)
    assert look(world, rung, pc) == look(world, nobody, pc) == (State.ENDED, "")
    with pytest.raises(OperationClosed):
        world.admit(rung, ada[1])


@pytest.mark.usefixtures("serial")
def test_a_denied_code_ends_at_once(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    seen = begin(world, pc)
    assert world.admit(seen, ada[1], Decision.DENY) is Decided.DENIED
    assert look(world, seen, pc) == (State.ENDED, "")


def test_not_me_raises_an_alert_and_leaves_the_card_in_use(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    world.admit(begin(world, pc, UPN), ada[1], Decision.NOT_ME)
    assert Kind.SIGN_IN_REPORTED in kinds(world)
    (told,) = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    assert "WARD7-PC3" in told.alert.text
    assert world.find(serial).card.state == "active"


@pytest.mark.usefixtures("serial")
def test_anothers_sign_in_is_nobody_elses(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    other = world.workstation("WARD8-PC1")
    mallory = world.user("Mallory")[1]
    seen, rung = begin(world, pc), begin(world, pc, UPN)
    world.admit(seen, ada[1])
    for sign_in_id in (seen.sign_in.id, "none"):
        for use_case in (world.signing_in.find, world.signing_in.end):
            with pytest.raises(SignInNotFound):
                use_case(sign_in_id, other.identity)
        with pytest.raises(SignInNotFound):
            world.admitting.end(sign_in_id, mallory.identity)
    with pytest.raises(OperationNotFound):
        world.admit(rung, mallory)
    assert world.admitting.waiting(mallory.identity) == []
    assert world.admitting.list_open(mallory.identity) == []


def test_a_code_is_claimed_once_in_time_and_by_somebody_with_a_card(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    claim = world.admitting.claim
    bob = world.user("Bob without a card")[1].identity
    seen = begin(world, pc)
    with pytest.raises(CardNotFound):
        claim(seen.qr_text, "", bob)
    with pytest.raises(CardNotFound):  # another's card
        claim(seen.qr_text, serial, bob)
    forged = qr.sign_in_text(seen.sign_in.id, bytes(16))
    of_operation = world.ask(serial, pc, channels=[Channel.QR])
    crossed = qr.sign_in_text(of_operation.id, bytes(16))
    pushed = qr.sign_in_text(begin(world, pc, UPN).sign_in.id, bytes(16))
    for text in (forged, crossed, pushed):
        with pytest.raises(OperationNotFound):
            claim(text, "", ada[1].identity)
    claim(seen.qr_text, "", ada[1].identity)
    claim(seen.qr_text, serial, ada[1].identity)  # the same device again
    eve, token = world.user("Eve")[0], world.user("Eve too")[1]
    world.card(eve)
    with pytest.raises(OperationClosed):
        claim(seen.qr_text, "", world.phone_of(eve))
    with pytest.raises(CardNotFound):
        claim(seen.qr_text, "", token.identity)
    late = begin(world, pc)
    world.clock.forward(seconds=60)
    with pytest.raises(OperationClosed):
        claim(late.qr_text, "", ada[1].identity)


@pytest.mark.usefixtures("serial")
def test_a_code_of_a_removed_workstation_is_void(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    seen, opened = begin(world, pc), begin(world, pc)
    world.admit(opened, ada[1])
    world.identities.remove(Role.WORKSTATION, pc.identity.id, "sold", world.operator().identity)
    with pytest.raises(OperationClosed):
        world.admitting.claim(seen.qr_text, "", ada[1].identity)
    assert look(world, opened, pc) == (State.ENDED, "")
    with pytest.raises(IdentityRejected):
        begin(world, pc)


def test_the_holder_chooses_among_several_cards(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    world.clock.forward(milliseconds=1)
    newest = world.card(ada[0])
    for chosen, expected in ((serial, serial), ("", newest)):
        seen = begin(world, pc)
        world.admitting.claim(seen.qr_text, chosen, ada[1].identity)
        world.admit(seen, ada[1])
        assert look(world, seen, pc) == (State.OPEN, expected)


@pytest.mark.usefixtures("serial")
def test_a_card_is_in_one_reader_alone(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    first, second = begin(world, pc), begin(world, world.workstation("WARD8-PC1"))
    world.admit(first, ada[1])
    world.woken.clear()
    world.admit(second, ada[1])
    assert look(world, first, pc) == (State.ENDED, "")
    assert first.sign_in.id in world.woken
    (listed,) = world.admitting.list_open(ada[1].identity)
    assert listed.workstation == "WARD8-PC1"


def _suspend(world: World, serial: str, _seen: Seen, _ada: Enrolled) -> None:
    world.cards.suspend(serial, actor=world.actor)


def _revoke(world: World, serial: str, _seen: Seen, _ada: Enrolled) -> None:
    world.cards.revoke(serial, "lost", actor=world.actor)


def _remove_device(world: World, _serial: str, _seen: Seen, ada: Enrolled) -> None:
    world.devices.remove(ada.identity.id, "lost", world.operator().identity)


def _by_phone(world: World, _serial: str, seen: Seen, ada: Enrolled) -> None:
    world.admitting.end(seen.sign_in.id, ada.identity)


@pytest.mark.parametrize("act", [_suspend, _revoke, _remove_device, _by_phone])
def test_others_take_the_card_out_and_what_was_open_there_ends(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    serial: str,
    act: Callable[[World, str, Seen, Enrolled], None],
) -> None:
    world.set_policy(SESSIONS)
    seen = begin(world, pc)
    world.admit(seen, ada[1])
    session, proof = world.session(serial, pc, ada[1]), world.proof(serial, pc)
    world.woken.clear()
    act(world, serial, seen, ada[1])
    assert seen.sign_in.id in world.woken
    assert look(world, seen, pc) == (State.ENDED, "")
    with pytest.raises((SessionClosed, KeystoreError)):
        world.use(session, pc)
    if act is _by_phone:  # the card itself stays in use
        with pytest.raises(PasscodeNeeded):
            world.ask(serial, pc, proof=proof)


def test_a_sign_in_lasts_twelve_hours(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    seen = begin(world, pc)
    world.admit(seen, ada[1])
    world.clock.forward(hours=11, minutes=59)
    assert look(world, seen, pc) == (State.OPEN, serial)
    world.clock.forward(minutes=1)
    assert look(world, seen, pc) == (State.ENDED, "")
    with world.database.write() as connection:
        assert sweeping.needs_sweep(connection, world.clock(), None)
        assert seen.sign_in.id in sweeping.sweep(connection, world.clock(), None)
        assert not sweeping.needs_sweep(connection, world.clock(), None)
    (ended,) = world.journal(Kind.SIGN_IN_ENDED)
    assert ended.details == {"why": "time"}


@pytest.mark.usefixtures("serial")
def test_a_decision_is_repeated_and_its_signature_is_checked(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    seen = begin(world, pc, UPN)
    mallory = world.user("Mallory")[1]
    forged = Enrolled(ada[1].identity, mallory.private)
    with pytest.raises(ApprovalRejected):
        world.admit(seen, forged)
    with pytest.raises(InvalidInput):
        world.admit(seen, ada[1], number="123")
    for _ in range(2):
        assert world.admit(seen, ada[1]) is Decided.APPROVED
    with pytest.raises(OperationClosed):
        world.admit(seen, ada[1], Decision.DENY)


@pytest.mark.usefixtures("ada")
def test_a_request_is_repeated_but_not_for_something_else(world: World, pc: Enrolled) -> None:
    request_id = os.urandom(16)
    first, again = (world.signing_in.begin(request_id, "", pc.identity) for _ in range(2))
    assert first == again
    with pytest.raises(RequestIdReused):
        world.signing_in.begin(request_id, UPN, pc.identity)
    with pytest.raises(InvalidInput):
        world.signing_in.begin(b"short", "", pc.identity)


@pytest.mark.usefixtures("serial")
def test_people_are_not_rung_without_end(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    others = [world.workstation(f"PC{number}") for number in range(2)]
    for at in (pc, *others, pc, others[0]):
        begin(world, at, UPN)
    assert len(world.admitting.waiting(ada[1].identity)) == MOST_TO_PERSON
    for _ in range(MOST_FROM_WORKSTATION - 2):
        begin(world, pc, "nobody@example.org")
    for user in (UPN, "nobody@example.org"):
        with pytest.raises(TooManyRefusals):
            begin(world, pc, user)
    begin(world, pc)  # by code, as ever
    world.clock.forward(minutes=10)
    world.admit(begin(world, pc, UPN), ada[1])


def test_only_so_many_sign_ins_wait_at_a_workstation(world: World, pc: Enrolled) -> None:
    begun = []
    for _ in range(MOST_PENDING + 2):
        begun.append(begin(world, pc))
        world.clock.forward(milliseconds=1)  # identifiers are in the order of time
    states = [look(world, each, pc)[0] for each in begun]
    assert states == [State.ENDED] * 2 + [State.PENDING] * MOST_PENDING


def test_a_changed_card_wakes_the_reader_in_which_it_is(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    now = 0.0
    serial = world.card(ada[0], "developer")
    changes = Watching(world.database, lambda: now)
    changes.topics()
    seen = begin(world, pc)
    world.admit(seen, ada[1])
    now += LOOK_SECONDS
    assert {seen.sign_in.id, ada[0].id} <= changes.topics()
    administrator = world.administrator(serial, pc)
    now += LOOK_SECONDS
    assert seen.sign_in.id not in changes.topics()
    world.administration.write_object(administrator, 0x5FC10D, b"\x01")
    now += LOOK_SECONDS
    assert seen.sign_in.id in changes.topics()
