"""A card is renewed: the same card with new keys, and what checks certificates agrees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from cryptography import x509

from card_os.piv.names import CERTIFICATE_OF_KEY, ObjectTag
from card_os.tlv import decode
from card_os.uses import KeyUse
from cloud_keystore.cards import prolonging
from cloud_keystore.cards.contents import COVERED
from cloud_keystore.model.cards import RENEWED_BEFORE, CardState, Key, KeyPolicies
from cloud_keystore.model.errors import CardNotFound, IllegalCardChange, KeystoreError
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import cards
from support.checking import GOOD, Checker
from support.crashing import Crash, crashing
from support.keystore_world import OPERATOR, SESSIONS, Enrolled, World, verify

SUPERSEDED = "superseded"
RETIRED = 0x82
DEVELOPER_OWN = bytes(range(1, 33))


def keys_of(world: World, serial: str) -> Mapping[int, Key]:
    return {key.key_ref: key for key in world.keys(serial)}


def near_end(world: World, serial: str) -> None:
    """Nearly at the end of a card."""
    world.clock.now = world.find(serial).card.expire_time - timedelta(days=1)


@pytest.mark.parametrize("profile", ["v1", "v2", "p256", "sm-cs2", "developer"])
def test_a_renewed_card_is_the_same_with_new_keys(
    world: World, checker: Checker, ada: tuple[User, Enrolled], profile: str
) -> None:
    """CARD-02, CARD-03, BUG-23: of each profile."""
    serial = world.card(ada[0], profile)
    before, old = world.find(serial).card, keys_of(world, serial)
    near_end(world, serial)
    foreseen = world.prolonging.foresee(serial, actor=world.actor)
    assert world.find(serial).card == before
    done = world.prolonging.renew(serial, before.expire_time, actor=OPERATOR)
    after, new = world.find(serial).card, keys_of(world, serial)
    days = timedelta(days=PROFILES[profile].validity_days)
    assert (
        after.expire_time == foreseen.end == done.end == world.clock().replace(microsecond=0) + days
    )
    assert (after.serial, after.id, after.state) == (serial, before.id, CardState.ACTIVE)
    assert after.guid != before.guid
    assert world.find(serial).tries_left == 3
    templates = {each.key_ref for each in PROFILES[profile].keys}
    assert set(done.renewed) == set(foreseen.renewed) == templates
    assert (done.retired, foreseen.retired) == (RETIRED, RETIRED)
    assert set(new) == {*old, RETIRED}
    assert new[RETIRED].id == old[0x9D].id
    for key_ref in templates:
        assert new[key_ref].id != old[key_ref].id
        certificate = x509.load_der_x509_certificate(new[key_ref].certificate)
        assert certificate.not_valid_after_utc == after.expire_time
    issuer = world.authorities(profile).cards
    assert [checker.says(new[each], issuer) for each in templates] == [{GOOD}] * len(templates)


def test_what_becomes_of_the_certificates_before(
    world: World, checker: Checker, ada: tuple[User, Enrolled]
) -> None:
    """What the card has signed for good is checked by a certificate that is left to end."""
    for profile in ("p256", "v2"):
        serial = world.card(ada[0], profile)
        old = keys_of(world, serial)
        world.clock.now = world.find(serial).card.expire_time - timedelta(days=1)
        world.prolonging.renew(serial, None, actor=OPERATOR)
        expected = {0x9A: SUPERSEDED, 0x9C: GOOD, 0x9D: SUPERSEDED, 0x9E: SUPERSEDED}
        assert {ref: checker.says(old[ref]) for ref in expected} == {
            ref: {said} for ref, said in expected.items()
        }
        # When the card is revoked, so are they all.
        world.cards.revoke(serial, "left", actor=OPERATOR)
        assert checker.says(old[0x9C]) != {GOOD}


def test_the_objects_are_those_of_the_renewed_card(world: World, serial: str) -> None:
    before = world.contents(serial)
    near_end(world, serial)
    world.prolonging.renew(serial, None, actor=OPERATOR)
    objects, keys = world.contents(serial), keys_of(world, serial)
    assert set(objects) == {*before, CERTIFICATE_OF_KEY[RETIRED]}
    for key_ref, key in keys.items():
        assert key.certificate in objects[CERTIFICATE_OF_KEY[key_ref]]
    expiry = world.find(serial).card.expire_time.strftime("%Y%m%d").encode()
    for tag in (ObjectTag.CHUID, ObjectTag.PRINTED_INFORMATION):
        assert expiry[:4] in objects[tag]
        assert objects[tag] != before[tag]
    assert dict(decode(objects[ObjectTag.KEY_HISTORY]))[0xC1] == b"\x01"
    unchanged = {tag for tag in before if objects[tag] == before[tag]}
    assert unchanged == {ObjectTag.DISCOVERY}
    assert set(COVERED.values()).intersection(objects)


def test_old_and_new_keys_do_what_they_are_for(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """What was encrypted for the card before can still be read; what it signs is by the new key."""
    near_end(world, serial)
    world.prolonging.renew(serial, None, actor=OPERATOR)
    near = world.ask(serial, pc)
    world.decide(near, ada[1])
    verify(world, serial, 0x9A, world.perform(near, pc), b"\x11" * 32)
    point = keys_of(world, serial)[RETIRED].public_key[-65:]
    agreed = world.ask(serial, pc, point, key_ref=RETIRED, key_use=KeyUse.AGREE)
    world.decide(agreed, ada[1])
    assert len(world.perform(agreed, pc, point)) == 32


def test_what_is_open_ends(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """An approval was of a key that is gone."""
    world.set_policy(SESSIONS)
    near_end(world, serial)
    proof = world.proof(serial, pc)
    session = world.session(serial, pc, ada[1])
    operation = world.ask(serial, pc)
    world.prolonging.renew(serial, None, actor=OPERATOR)
    assert world.state(operation) is State.CANCELLED
    with pytest.raises(KeystoreError):
        world.use(session, pc)
    with pytest.raises(KeystoreError):
        world.ask(serial, pc, proof=proof)


def test_it_begins_90_days_before_the_end(world: World, serial: str) -> None:
    end = world.find(serial).card.expire_time
    for moment, refused in (
        (end - RENEWED_BEFORE - timedelta(seconds=1), True),
        (end - RENEWED_BEFORE, False),
        (end + timedelta(days=400), False),  # it has ended
    ):
        world.clock.now = moment
        if refused:
            for attempt in (
                lambda: world.prolonging.foresee(serial, actor=world.actor),
                lambda: world.prolonging.renew(serial, None, actor=OPERATOR),
            ):
                with pytest.raises(IllegalCardChange, match="from 2028-0"):
                    attempt()
        else:
            world.prolonging.foresee(serial, actor=world.actor)
    assert world.prolonging.renew(serial, None, actor=OPERATOR).renewed


def test_it_begins_90_days_before_a_key_signs_no_longer(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """The earlier of notAfter and the end of the private key's usage."""
    serial = world.card(ada[0], "v2")
    (signs_until,) = [
        each.expire_time
        for each in world.reports.expiring(600, actor=world.actor)
        if each.sort == "certificate"
    ]
    world.clock.now = signs_until - RENEWED_BEFORE - timedelta(seconds=1)
    with pytest.raises(IllegalCardChange):
        world.prolonging.renew(serial, None, actor=OPERATOR)
    world.clock.forward(seconds=1)
    assert world.reports.expiring(91, actor=world.actor)
    world.prolonging.renew(serial, None, actor=OPERATOR)
    assert world.reports.expiring(91, actor=world.actor) == []
    world.clock.forward(days=511 - 90 - 1)
    with pytest.raises(IllegalCardChange):  # of the retired key nothing is asked
        world.prolonging.foresee(serial, actor=world.actor)


@pytest.mark.parametrize("state", ["pending", "suspended", "revoked"])
def test_a_card_out_of_use_is_not_renewed(
    world: World, ada: tuple[User, Enrolled], state: str
) -> None:
    serial = world.card(ada[0])
    if state == "pending":
        serial = world.issuing.issue(bytes(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    elif state == "suspended":
        world.cards.suspend(serial, actor=OPERATOR)
    else:
        world.cards.revoke(serial, "left", actor=OPERATOR)
    near_end(world, serial)
    for attempt in (
        lambda: world.prolonging.foresee(serial, actor=world.actor),
        lambda: world.prolonging.renew(serial, None, actor=OPERATOR),
    ):
        with pytest.raises(IllegalCardChange, match=f"is {state}: it cannot renew"):
            attempt()
    with pytest.raises(CardNotFound):
        world.prolonging.foresee("1000", actor=world.actor)


def test_a_card_that_is_suspended_meanwhile_is_not_renewed(
    world: World, serial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are made before the transaction that puts them on the card."""
    make = type(world.custody).make

    def suspend_then_make(*given: object) -> object:
        if world.find(serial).card.state is CardState.ACTIVE:
            world.cards.suspend(serial, actor=OPERATOR)
        return make(*given)  # type: ignore[arg-type]

    near_end(world, serial)
    before = keys_of(world, serial)
    monkeypatch.setattr(type(world.custody), "make", suspend_then_make)
    with pytest.raises(IllegalCardChange, match="is suspended"):
        world.prolonging.renew(serial, None, actor=OPERATOR)
    assert keys_of(world, serial) == before


def test_a_call_can_be_repeated(world: World, serial: str) -> None:
    near_end(world, serial)
    end = world.find(serial).card.expire_time
    first = world.prolonging.renew(serial, end, actor=OPERATOR)
    keys = keys_of(world, serial)
    again = world.prolonging.renew(serial, end, actor=OPERATOR)
    assert (again.end, again.renewed) == (first.end, ())
    assert again.listing == first.listing
    assert keys_of(world, serial) == keys
    assert len(world.journal(Kind.CARD_RENEWED)) == 1
    with pytest.raises(IllegalCardChange, match="does not end soon"):
        world.prolonging.renew(serial, first.end, actor=OPERATOR)


def test_two_at_once_renew_it_once(
    world: World, serial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, begun = type(world.custody).make, list[int]()

    def other_then_make(*given: object) -> object:
        begun.append(1)
        if len(begun) == 1:
            world.prolonging.renew(serial, None, actor=OPERATOR)
        return make(*given)  # type: ignore[arg-type]

    near_end(world, serial)
    monkeypatch.setattr(type(world.custody), "make", other_then_make)
    assert world.prolonging.renew(serial, None, actor=OPERATOR).renewed == ()
    assert len(world.journal(Kind.CARD_RENEWED)) == 1
    assert set(keys_of(world, serial)) == {0x82, 0x9A, 0x9C, 0x9D, 0x9E}


def test_each_renewal_keeps_one_more_key_until_there_is_no_room(
    world: World, serial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prolonging, "RENEWED_BEFORE", timedelta(days=1000))
    kept = [keys_of(world, serial)[0x9D].id]
    for number in range(20):
        world.clock.forward(days=1)
        assert world.prolonging.foresee(serial, actor=world.actor).retired == RETIRED + number
        assert world.prolonging.renew(serial, None, actor=OPERATOR).retired == RETIRED + number
        kept.append(keys_of(world, serial)[0x9D].id)
    retired = [key.id for ref, key in keys_of(world, serial).items() if ref < 0x9A]
    assert [*retired, kept[-1]] == kept
    before = world.find(serial), keys_of(world, serial)
    for attempt in (
        lambda: world.prolonging.foresee(serial, actor=world.actor),
        lambda: world.prolonging.renew(serial, None, actor=OPERATOR),
    ):
        with pytest.raises(IllegalCardChange, match="issue another card"):
            attempt()
    assert (world.find(serial), keys_of(world, serial)) == before


def test_what_an_administrator_has_put_on_the_card_stays(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0], "developer")
    who = world.administrator(serial, pc)
    own = world.administration.import_key(who, 0x9C, 0x11, DEVELOPER_OWN, KeyPolicies()).keys[0x9C]
    world.administration.write_object(who, ObjectTag.CHUID, b"own")
    near_end(world, serial)
    done = world.prolonging.renew(serial, None, actor=OPERATOR)
    assert set(done.renewed) == {0x9A, 0x9D, 0x9E}
    assert own is not None
    assert keys_of(world, serial)[0x9C].id == own.id
    assert world.contents(serial)[ObjectTag.CHUID] == b"own"


def test_an_auditor_knows_what_became_of_each_key(world: World, serial: str) -> None:
    before = world.find(serial).card
    old = keys_of(world, serial)
    near_end(world, serial)
    world.prolonging.renew(serial, None, actor=OPERATOR)
    new, card = keys_of(world, serial), world.find(serial).card
    (told,) = world.journal(Kind.CARD_RENEWED)
    assert (told.card_id, told.user_id, told.actor) == (card.id, card.user_id, OPERATOR)
    assert told.details == {
        "old_end": before.expire_time.isoformat(),
        "end": card.expire_time.isoformat(),
    }
    (moved,) = world.journal(Kind.KEY_MOVED)
    assert moved.details == {"key_ref": "9D", "to": "82"}
    made = {
        str(each.details["key_ref"]): each.details["key"] for each in world.journal(Kind.KEY_MADE)
    }
    assert made == {f"{ref:02X}": new[ref].id for ref in (0x9A, 0x9C, 0x9D, 0x9E)}
    destroyed = {each.key_id for each in world.journal(Kind.KEY_DESTROYED)}
    assert destroyed == {old[ref].id for ref in (0x9A, 0x9C, 0x9E)}
    for ref in (0x9A, 0x9C, 0x9E):
        with world.database.read() as connection:
            held = cards.find_key(connection, old[ref].id)
        assert held is not None
        assert type(held.private).__name__ == "Destroyed"


def test_a_crash_at_any_statement_leaves_all_or_nothing(world: World, serial: str) -> None:
    """CARD-07: kill -9 in between, then the same command again, renews it once."""
    near_end(world, serial)
    before = world.find(serial), keys_of(world, serial), world.contents(serial)
    for number in range(1, 1000):
        try:
            with crashing(number):
                world.prolonging.renew(serial, before[0].card.expire_time, actor=OPERATOR)
        except Crash:
            now = world.find(serial), keys_of(world, serial), world.contents(serial)
            assert now == before
        else:
            break
    assert number > 20
    assert len(world.journal(Kind.CARD_RENEWED)) == 1
