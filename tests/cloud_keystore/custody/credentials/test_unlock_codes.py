"""An operator reads a code out, with which the holder chooses another PIN on the phone. The
operator knows the code, so it never suffices.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from hmac import compare_digest

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Table, select, update

from card_os.piv.names import KeyRef
from cloud_keystore.custody.credentials import unlock_codes
from cloud_keystore.custody.credentials.unlock_codes import MadeCode
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    IdentityRejected,
    IllegalCardChange,
    RowNotAuthentic,
    TooManyCalls,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.passcodes import (
    CODE_DIGITS,
    CODE_TRIES,
    MOST_CODES,
    MOST_CODES_OF_OPERATOR,
    Mismatch,
    PolicyViolation,
    Unlocked,
    Verified,
    new_code,
)
from cloud_keystore.model.people import Role, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.run import restoring
from cloud_keystore.storage import passcodes, tables
from cloud_keystore.storage.credentials.unlock_codes import unlock_code
from cloud_keystore.storage.past import removing
from support.keystore_world import OPERATOR, PASSCODE, SECOND, Enrolled, World
from support.outbox import Told

WRONG, NEW = b"000000", b"246802"


@pytest.fixture
def phone(ada: tuple[User, Enrolled]) -> Enrolled:
    return ada[1]


def made(world: World, serial: str) -> bytes:
    return world.unlock_codes.make(serial, actor=OPERATOR).code.encode()


def other_than(code: bytes) -> bytes:
    return f"{(int(code) + 1) % 10**CODE_DIGITS:0{CODE_DIGITS}}".encode()


def opens(world: World, serial: str, pc: Enrolled, pin: bytes) -> bool:
    return isinstance(world.passcodes.verify(serial, KeyRef.PIN, pin, pc.identity), Verified)


@given(st.binary(min_size=16, max_size=16))
def test_a_code_has_its_digits(drawn: bytes) -> None:
    code = new_code(lambda _: drawn)
    assert (len(code), code.isascii(), code.isdigit()) == (CODE_DIGITS, True, True)


@pytest.mark.parametrize("suspended", [False, True])
def test_a_locked_card_gets_another_pin(
    world: World, serial: str, phone: Enrolled, pc: Enrolled, suspended: bool
) -> None:
    """AUTH-10: the holder chooses it, and nobody else ever sees it."""
    for _ in range(3):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    if suspended:
        world.cards.suspend(serial, actor=OPERATOR)
    code = made(world, serial)
    assert isinstance(world.unlock_codes.use(serial, code, NEW, phone.identity), Unlocked)
    if suspended:
        world.cards.resume(serial, actor=OPERATOR)
    assert not opens(world, serial, pc, PASSCODE)
    assert opens(world, serial, pc, NEW)
    (told,) = world.journal(Kind.PASSCODE_UNBLOCKED)
    assert told.actor == phone.identity.actor
    assert (told.details["made_by"], told.details["key_ref"]) == (OPERATOR.id, "80")
    (asked,) = world.journal(Kind.UNLOCK_CODE_MADE)
    assert asked.actor == OPERATOR


def test_it_is_good_once(world: World, serial: str, phone: Enrolled) -> None:
    code = made(world, serial)
    world.unlock_codes.use(serial, code, NEW, phone.identity)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, PASSCODE, phone.identity)


def test_the_newest_alone_is_good(world: World, serial: str, phone: Enrolled) -> None:
    first, second = made(world, serial), made(world, serial)
    assert world.unlock_codes.use(serial, first, NEW, phone.identity) == Mismatch(CODE_TRIES - 1)
    assert isinstance(world.unlock_codes.use(serial, second, NEW, phone.identity), Unlocked)


def test_it_ends_with_its_tries(world: World, serial: str, phone: Enrolled, pc: Enrolled) -> None:
    """The attack: whoever has the phone guesses the code."""
    code = made(world, serial)
    for left in reversed(range(CODE_TRIES)):
        outcome = world.unlock_codes.use(serial, other_than(code), NEW, phone.identity)
        assert outcome == Mismatch(left)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, NEW, phone.identity)
    assert opens(world, serial, pc, PASSCODE)
    wrong = world.journal(Kind.UNLOCK_CODE_WRONG)
    assert [each.details["tries_left"] for each in wrong] == [4, 3, 2, 1, 0]


def test_the_try_is_spent_before_the_comparison(
    world: World, serial: str, phone: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = made(world, serial)

    def torn(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(world.unlock_codes), "_fits", torn)
        for _ in range(CODE_TRIES):
            with pytest.raises(KeyboardInterrupt):
                world.unlock_codes.use(serial, code, NEW, phone.identity)
    with pytest.raises(IllegalCardChange):
        world.unlock_codes.use(serial, code, NEW, phone.identity)


def test_it_ends_with_time_which_a_policy_sets(world: World, serial: str, phone: Enrolled) -> None:
    """A code can be good for a shift."""
    code = made(world, serial)
    world.clock.forward(hours=1)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, NEW, phone.identity)
    world.set_policy(Policy(unlock_code_time=timedelta(hours=12)))
    code = made(world, serial)
    world.clock.forward(hours=11, minutes=59)
    assert isinstance(world.unlock_codes.use(serial, code, NEW, phone.identity), Unlocked)


def test_a_new_pin_that_breaks_a_rule_spends_no_try(
    world: World, serial: str, phone: Enrolled
) -> None:
    code = made(world, serial)
    for bad in (b"12", b"123456", b""):
        outcome = world.unlock_codes.use(serial, code, bad, phone.identity)
        assert isinstance(outcome, PolicyViolation)
    assert world.unlock_codes.use(serial, other_than(code), NEW, phone.identity) == Mismatch(4)


# What one operator alone can do, with phones and workstations of their own.


def test_the_operator_who_makes_a_code_cannot_use_it_on_a_phone_of_their_own(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    """The attack: an operator invites a phone for the holder, enrols it, and makes a code."""
    code = made(world, serial)
    rogue = world.enrol(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    with pytest.raises(IllegalCardChange, match="does not count on this phone"):
        world.unlock_codes.use(serial, code, NEW, rogue.identity)
    assert opens(world, serial, pc, PASSCODE)
    # The refusal has spent no try, and the holder's phone is not shut out.
    assert isinstance(world.unlock_codes.use(serial, code, NEW, ada[1].identity), Unlocked)


def test_a_phone_that_another_operator_has_invited_counts(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    code = made(world, serial)
    new = world.enrol(world.people.invite_device(ada[0].id, actor=SECOND).text)
    assert isinstance(world.unlock_codes.use(serial, code, NEW, new.identity), Unlocked)


def test_no_code_is_made_that_counts_nowhere(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    world.people.invite_device(ada[0].id, actor=SECOND)
    world.devices.remove(ada[1].identity.id, "lost", world.operator().identity)
    with pytest.raises(IllegalCardChange, match="has no phone"):
        world.unlock_codes.make(serial, actor=OPERATOR)
    world.enrol(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    with pytest.raises(IllegalCardChange, match="let another operator make the code"):
        world.unlock_codes.make(serial, actor=OPERATOR)
    assert world.unlock_codes.make(serial, actor=SECOND).code


def test_a_pin_chosen_elsewhere_makes_no_phone_count(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: an operator sets a new card up on a phone of their own, hands it over, waits
    until its holder has chosen another PIN, and takes it back with a code.
    """
    rogue = world.enrol(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    serial = world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    world.passcodes.set_first(serial, PASSCODE, rogue.identity)
    changed = world.passcodes.change(serial, KeyRef.PIN, PASSCODE, NEW, pc.identity)
    assert isinstance(changed, Verified)
    with pytest.raises(IllegalCardChange, match="let another operator make the code"):
        world.unlock_codes.make(serial, actor=OPERATOR)
    world.passcodes.change_own(serial, NEW, PASSCODE, ada[1].identity)
    code = made(world, serial)
    with pytest.raises(IllegalCardChange, match="does not count"):
        world.unlock_codes.use(serial, code, NEW, rogue.identity)
    assert isinstance(world.unlock_codes.use(serial, code, NEW, ada[1].identity), Unlocked)


def test_a_phone_of_before_inviters_were_kept_counts_where_the_pin_was_chosen(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    code = made(world, serial)
    known = replace(ada[1].identity, invited_by="")
    assert isinstance(world.unlock_codes.use(serial, code, NEW, known), Unlocked)
    code = made(world, serial)
    other = world.enrol(world.people.invite_device(ada[0].id, actor=SECOND).text)
    with pytest.raises(IllegalCardChange, match="does not count"):
        world.unlock_codes.use(serial, code, NEW, replace(other.identity, invited_by=""))


def test_nobody_elses_phone(world: World, serial: str) -> None:
    code = made(world, serial)
    _, stranger = world.user("Mallory")
    with pytest.raises(CardNotFound):
        world.unlock_codes.use(serial, code, NEW, stranger.identity)


def test_a_phone_that_is_removed_meanwhile(world: World, serial: str, phone: Enrolled) -> None:
    code = made(world, serial)
    world.devices.remove(phone.identity.id, "lost", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.unlock_codes.use(serial, code, NEW, phone.identity)


def test_what_rested_on_the_former_pin_ends(
    world: World, serial: str, phone: Enrolled, pc: Enrolled
) -> None:
    proof = world.proof(serial, pc)
    operation = world.ask(serial, pc, proof=proof)
    world.decide(operation, phone)
    world.unlock_codes.use(serial, made(world, serial), NEW, phone.identity)
    with pytest.raises(Exception, match="passcode"):
        world.ask(serial, pc, proof=proof)


def test_only_cards_in_use_get_codes(world: World, ada: tuple[User, Enrolled], serial: str) -> None:
    new = world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    world.cards.revoke(serial, "left", actor=OPERATOR)
    for each in (new, serial):
        with pytest.raises(CardNotInUse):
            made(world, each)
    with pytest.raises(CardNotFound):
        made(world, "1500000000009999")


# How many there are


def test_a_card_has_few_codes_a_day_and_repetition_is_told(
    world: World, serial: str, phone: Enrolled
) -> None:
    made(world, serial)
    assert world.alerts.told_to(phone.identity) == []
    made(world, serial)
    (told,) = world.alerts.told_to(phone.identity)
    assert told.alert.kind is AlertKind.REPEATED_CODES
    for _ in range(MOST_CODES - 2):
        made(world, serial)
    for operator in (OPERATOR, SECOND):
        with pytest.raises(IllegalCardChange, match="within a day"):
            world.unlock_codes.make(serial, actor=operator)
    world.clock.forward(days=1)
    made(world, serial)


def test_an_operator_makes_so_many_a_day(world: World, serial: str) -> None:
    made(world, serial)
    with world.database.write() as connection:
        row = connection.execute(select(unlock_code)).mappings().one()
        others = [{**row, "id": str(number), "card_id": row["card_id"]} for number in range(49)]
        connection.execute(unlock_code.insert(), others)
        # Of other cards: counting looks at no code of a row.
        earlier = row["create_time"] - timedelta(hours=2)
        connection.execute(update(unlock_code).values(create_time=earlier))
    assert MOST_CODES_OF_OPERATOR == 50
    user, _ = world.user("Grace Hopper")
    with pytest.raises(TooManyCalls, match="another operator"):
        made(world, world.card(user))
    world.clock.forward(days=1)
    made(world, world.card(user))


# What ends a code


def test_another_pin_ends_it(world: World, serial: str, phone: Enrolled, pc: Enrolled) -> None:
    """The attack: a code is kept until the holder needs none any more."""
    code = made(world, serial)
    world.passcodes.change_own(serial, PASSCODE, b"135790", phone.identity)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, NEW, phone.identity)
    code = made(world, serial)
    world.passcodes.change(serial, KeyRef.PIN, b"135790", PASSCODE, pc.identity)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, NEW, phone.identity)


def test_a_suspended_card_keeps_no_code(
    world: World, serial: str, phone: Enrolled, pc: Enrolled
) -> None:
    """The attack: a holder reports what they have not asked for, and the code is used then."""
    code = made(world, serial)
    world.cards.suspend(serial, actor=OPERATOR)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, NEW, phone.identity)
    world.cards.resume(serial, actor=OPERATOR)
    code = made(world, serial)
    world.decide(world.ask(serial, pc, proof=world.proof(serial, pc)), phone, Decision.NOT_ME)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, NEW, phone.identity)


def test_it_ends_with_the_rights_of_its_maker(world: World, serial: str, phone: Enrolled) -> None:
    operator = world.operator().identity
    code = world.unlock_codes.make(serial, actor=SECOND).code.encode()
    world.identities.remove(Role.OPERATOR, SECOND.id, "dismissed", operator)
    with pytest.raises(IllegalCardChange, match="no unlock code"):
        world.unlock_codes.use(serial, code, NEW, phone.identity)


@pytest.mark.parametrize("meanwhile", ["removed", "chosen elsewhere", "suspended"])
def test_what_happens_while_the_new_pin_is_hashed_counts(
    world: World,
    ada: tuple[User, Enrolled],
    serial: str,
    meanwhile: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator, phone = world.operator().identity, ada[1].identity
    known = replace(phone, invited_by=str(SECOND))  # it counts because the PIN was chosen there
    code = world.unlock_codes.make(serial, actor=SECOND).code.encode()
    card_id = world.find(serial).card.id

    def later(kept: str, given: str) -> bool:
        if meanwhile == "removed":
            world.identities.remove(Role.OPERATOR, SECOND.id, "dismissed", operator)
        elif meanwhile == "suspended":
            world.cards.suspend(serial, actor=OPERATOR)
        else:
            with world.database.write() as connection:
                passcodes.replace(connection, card_id, KeyRef.PIN, "elsewhere")
        return compare_digest(kept, given)

    monkeypatch.setattr(unlock_codes, "compare_digest", later)
    with pytest.raises(IllegalCardChange):
        world.unlock_codes.use(serial, code, NEW, known)
    assert not world.journal(Kind.PASSCODE_UNBLOCKED)


# What is told


def test_a_code_on_a_phone_of_its_maker_is_told(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    """The attack for which no code counts there leaves its traces, also while there are alerts of
    other kinds.
    """
    rogue = world.enrol(world.people.invite_device(ada[0].id, actor=OPERATOR).text).identity
    made(world, serial)
    code = made(world, serial)
    for _ in range(3):
        with pytest.raises(IllegalCardChange, match="does not count"):
            world.unlock_codes.use(serial, code, NEW, rogue)
    told = world.journal(Kind.UNLOCK_CODE_REFUSED)
    assert [(each.actor, each.details["made_by"]) for each in told] == [
        (rogue.actor, OPERATOR.id)
    ] * 3
    kinds = [each.alert.kind for each in world.alerts.told_to(ada[1].identity)]
    assert kinds.count(AlertKind.CODE_REFUSED) == kinds.count(AlertKind.REPEATED_CODES) == 1


def test_that_a_code_was_guessed_at_is_told(world: World) -> None:
    told = Told(world)
    user, phone = told.enrolled()
    serial = world.card(user)
    code = made(world, serial)
    told.send()
    for _ in range(CODE_TRIES):
        assert world.alerts.told_to(phone.identity) == []
        world.unlock_codes.use(serial, other_than(code), NEW, phone.identity)
    (alert,) = world.alerts.told_to(phone.identity)
    assert alert.alert.kind is AlertKind.CODE_USED_UP
    assert told.subjects() == ["Wrong unlock codes were given for your card"]


# What is kept


def test_no_code_in_the_database_and_none_in_words(world: World, serial: str) -> None:
    code = world.unlock_codes.make(serial, actor=OPERATOR)
    with world.database.read() as connection:
        (row,) = connection.execute(select(unlock_code)).mappings()
    assert code.code not in str(dict(row))
    assert len(row["hash"]) == 64  # under a key that is not in the database
    assert code.code not in repr(code)
    assert code.code not in str(world.journal())


def test_a_forged_code_is_not_believed(world: World, serial: str, phone: Enrolled) -> None:
    """The attack: whoever can write the database puts another operator's name to a code."""
    code = made(world, serial)
    with world.database.write() as connection:
        connection.execute(update(unlock_code).values(made_by=SECOND.id))
    with pytest.raises(RowNotAuthentic):
        world.unlock_codes.use(serial, code, NEW, phone.identity)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (tables.identity, "invited_by"),
        (tables.identity, "addressed_by"),
        (tables.passcode, "device_id"),
    ],
)
def test_what_makes_a_phone_count_is_not_believed_of_anybody(
    world: World, serial: str, table: Table, column: str
) -> None:
    with world.database.write() as connection:
        connection.execute(update(table).values({column: "operator 0193"}))
    with pytest.raises(RowNotAuthentic):
        made(world, serial)


def test_a_restored_keystore_has_no_codes(world: World, serial: str, phone: Enrolled) -> None:
    """What a backup holds can have been used since."""
    code = made(world, serial)
    restoring.end_the_past(world.database, world.clock(), {})
    with pytest.raises(IllegalCardChange):
        world.unlock_codes.use(serial, code, NEW, phone.identity)


def test_a_made_code_is_of_a_card(world: World, serial: str) -> None:
    code: MadeCode = world.unlock_codes.make(serial, actor=OPERATOR)
    assert code.card.serial == serial
    assert code.expire_time == world.clock() + timedelta(hours=1)


def test_codes_of_long_ago_are_removed(world: World, serial: str) -> None:
    made(world, serial)
    for days, left in ((1, 1), (2, 0)):
        with world.database.write() as connection:
            removing.remove(connection, world.clock() + timedelta(days=days - 1, seconds=-1))
            assert len(connection.execute(select(unlock_code)).all()) == left


def test_nothing_is_left_to_whoever_knew_the_puk(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """AUTH-10; the attack: somebody has learned PUK or global PIN, and uses them afterwards. The
    new PUK is told on the phone alone.
    """
    user, phone = ada
    serial = world.card(user, profile="global-pin")
    code = made(world, serial)
    outcome = world.unlock_codes.use(serial, code, NEW, phone.identity)
    assert isinstance(outcome, Unlocked)
    assert outcome.puk not in repr(outcome) + str(world.journal())
    assert len(outcome.puk) == 8
    for key_ref in (KeyRef.PIN, KeyRef.GLOBAL_PIN):
        assert isinstance(world.passcodes.verify(serial, key_ref, NEW, pc.identity), Verified)
    reset = world.passcodes.reset_own(serial, outcome.puk.encode(), PASSCODE, phone.identity)
    assert reset == Verified(b"")
    told = [each.details["key_ref"] for each in world.journal(Kind.PASSCODE_SET)[-3:]]
    assert "81" in told
