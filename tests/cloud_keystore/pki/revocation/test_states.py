"""Whatever becomes of a card, lists and answers say the same of its certificates."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from architecture.imports import modules
from card_os.piv.names import KeyRef
from cloud_keystore.model.cards import Key
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.revocation import (
    LIST_LIFETIME,
    LIST_RENEWED,
    LISTED_LONGER,
    SLOW_CLOCKS,
    RevocationReason,
)
from cloud_keystore.pki import authorities
from support.checking import GOOD, UNSPECIFIED, Checker, certificate, question
from support.keystore_world import OPERATOR, Enrolled, World

HELD = "certificateHold"


def test_both_say_the_same_at_each_step(world: World, checker: Checker, serial: str) -> None:
    keys = world.keys(serial)
    assert len(keys) > 1
    steps = [
        (lambda: None, GOOD),
        (lambda: world.cards.suspend(serial, actor=OPERATOR), HELD),
        (lambda: world.cards.resume(serial, actor=OPERATOR), GOOD),
        (lambda: world.cards.suspend(serial, actor=OPERATOR), HELD),
        (lambda: world.cards.revoke(serial, "left", actor=OPERATOR), UNSPECIFIED),
    ]
    for step, expected in steps:
        step()
        assert [checker.says(key) for key in keys] == [{expected}] * len(keys)


@pytest.mark.parametrize("seed", range(4))
def test_lists_are_signed_whatever_becomes_of_cards(
    world: World, checker: Checker, ada: tuple[User, Enrolled], seed: int
) -> None:
    """Cards that had ended on hold and were resumed were counted down twice, and no other list was
    signed.
    """
    serials = [world.card(ada[0]), world.card(ada[0])]
    changes: list[Callable[[str], object]] = [
        lambda serial: world.cards.suspend(serial, actor=OPERATOR),
        lambda serial: world.cards.resume(serial, actor=OPERATOR),
        lambda _: world.clock.forward(days=150),
        lambda _: checker.list(),
    ]
    chance = Random(seed)
    for change in chance.choices(changes, k=24):
        with suppress(IllegalCardChange):
            change(chance.choice(serials))
    world.cards.revoke(serials[0], "left", actor=OPERATOR)
    assert checker.list().last_update_utc == world.clock() - SLOW_CLOCKS
    assert world.alerts.list_all(include_acknowledged=False, actor=world.actor) == []


def test_a_card_that_has_ended_on_hold_can_be_resumed(
    world: World, checker: Checker, serial: str
) -> None:
    world.cards.suspend(serial, actor=OPERATOR)
    assert len(checker.list()) == 4
    end = certificate(world.keys(serial)[0]).not_valid_after_utc
    world.clock.forward(
        seconds=(end + LISTED_LONGER + LIST_RENEWED - world.clock()).total_seconds()
    )
    assert len(checker.list()) == 0
    world.cards.resume(serial, actor=OPERATOR)
    assert checker.list().last_update_utc == world.clock() - SLOW_CLOCKS


def test_a_card_of_its_own_authority(
    world: World, checker: Checker, ada: tuple[User, Enrolled]
) -> None:
    """Developers' cards have lists of their own, and nothing of them is on the others."""
    serial = world.card(ada[0], "developer")
    world.cards.revoke(serial, "left", actor=OPERATOR)
    own = world.authorities("developer").cards
    assert [checker.says(key, own) for key in certified(world, serial)] == [{UNSPECIFIED}] * 4
    assert len(checker.list()) == 0


def certified(world: World, serial: str) -> list[Key]:
    return [key for key in world.keys(serial) if key.key_ref != KeyRef.SECURE_MESSAGING]


def test_who_reports_a_request_has_the_certificates_on_hold(
    world: World, checker: Checker, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    world.decide(world.ask(serial, pc), ada[1], Decision.NOT_ME)
    assert [checker.says(key) for key in world.keys(serial)] == [{HELD}] * 4


def test_a_change_that_is_refused_changes_nothing(
    world: World, checker: Checker, serial: str
) -> None:
    [key, *_] = world.keys(serial)
    number = checker.list().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    with pytest.raises(IllegalCardChange):
        world.cards.resume(serial, actor=OPERATOR)
    assert checker.says(key) == {GOOD}
    after = checker.list().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert after == number


def test_what_was_signed_on_hold_stays_worth_nothing(
    world: World, checker: Checker, serial: str
) -> None:
    [key, *_] = world.keys(serial)
    world.cards.suspend(serial, actor=OPERATOR)
    held = world.clock()
    world.clock.forward(days=1)
    world.cards.revoke(serial, "left", actor=OPERATOR)
    [entry, *_] = checker.list()
    answered = checker.answer(question(certificate(key), checker.issuer.certificate))
    assert entry.revocation_date_utc == answered.revocation_time_utc == held


def test_a_key_in_wrong_hands_invalidates_the_past(
    world: World, checker: Checker, ada: tuple[User, Enrolled]
) -> None:
    """All of it, unless it is known since when."""
    issued = world.clock()
    first, second = world.card(ada[0]), world.card(ada[0])
    world.clock.forward(days=9)
    since = world.clock() - timedelta(days=2)
    reason = RevocationReason.KEY_COMPROMISE
    world.cards.revoke(first, "stolen", reason, actor=OPERATOR)
    world.cards.revoke(second, "stolen", reason, since, actor=OPERATOR)
    found = {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.InvalidityDate)
        for entry in checker.list()
    }
    for serial, expected in ((first, issued), (second, since)):
        [key, *_] = world.keys(serial)
        assert checker.says(key) == {"keyCompromise"}
        assert found[certificate(key).serial_number].value.invalidity_date_utc == expected
    told = [entry.details for entry in world.journal(Kind.CARD_REVOKED)]
    assert told == [
        {
            "reason": "stolen",
            "code": "keyCompromise",
            "invalid_since": each.isoformat("T", "seconds"),
        }
        for each in (issued, since)
    ]


@pytest.mark.parametrize(
    ("code", "days"),
    [
        (RevocationReason.CERTIFICATE_HOLD, None),
        (RevocationReason.SUPERSEDED, -1),
        (RevocationReason.KEY_COMPROMISE, 1),
    ],
)
def test_a_revocation_that_makes_no_sense(
    world: World, checker: Checker, serial: str, code: RevocationReason, days: int | None
) -> None:
    since = None if days is None else world.clock() + timedelta(days=days)
    with pytest.raises(InvalidInput):
        world.cards.revoke(serial, "left", code, since, actor=OPERATOR)
    assert checker.says(world.keys(serial)[0]) == {GOOD}


def test_another_certificate_takes_the_place_of_the_one_before(
    world: World, checker: Checker, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """A card whose keys change gets a new GUID, and certificates with it."""
    serial = world.card(ada[0], "developer")
    own = world.authorities("developer").cards
    before = certified(world, serial)
    who = world.administrator(serial, pc)
    world.administration.move_key(who, KeyRef.SIGNATURE, None)
    after = certified(world, serial)
    assert {certificate(key).serial_number for key in before} - {
        certificate(key).serial_number for key in after
    }
    for key in before:
        stays = key in after
        assert checker.says(key, own) == {GOOD if stays else "superseded"}
    assert [checker.says(key, own) for key in after] == [{GOOD}] * len(after)


def test_a_list_is_signed_when_something_has_changed_or_it_is_old(
    world: World, checker: Checker, serial: str
) -> None:
    first = checker.list()
    assert first.last_update_utc == world.clock() - SLOW_CLOCKS
    assert first.next_update_utc == world.clock() + LIST_LIFETIME
    world.clock.forward(seconds=LIST_RENEWED.total_seconds() - 1)
    assert checker.list().last_update_utc == first.last_update_utc
    world.clock.forward(seconds=1)
    second = checker.list()
    assert second.last_update_utc > first.last_update_utc
    world.cards.suspend(serial, actor=OPERATOR)
    third = checker.list()
    assert number(third) > number(second) > number(first)
    assert [len(each) for each in (first, second, third)] == [0, 0, 4]


def number(found: x509.CertificateRevocationList) -> int:
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_restored_keystore_goes_on_with_higher_numbers(world: World, checker: Checker) -> None:
    """However many lists were signed since the backup, one a second at most."""
    assert number(checker.list()) >= int(world.clock().timestamp())


def test_two_processes_sign_one_list(world: World, checker: Checker, serial: str) -> None:
    before = number(checker.list())
    world.cards.suspend(serial, actor=OPERATOR)
    for each in (checker.publishing, checker.publisher()):
        each.look()
    assert number(checker.list()) == before + 1


def test_long_lists_leave_time_for_others(world: World, checker: Checker, serial: str) -> None:
    """Signing took a second, so that nineteen have to pass."""
    moments = iter([0.0, 1.0, 20.0, 21.0, 21.0])
    publisher = checker.publisher(lambda: next(moments))
    publisher.look()
    world.cards.suspend(serial, actor=OPERATOR)
    listed = []
    for _ in range(2):
        publisher.look()
        document = publisher.document(checker.issuer.key_id).document
        listed.append(len(x509.load_der_x509_crl(document)))
    assert listed == [0, 4]


def test_what_has_ended_leaves_the_list(world: World, checker: Checker, serial: str) -> None:
    """But not before a regular list of after its end has had it (RFC 5280, 3.3)."""
    world.cards.revoke(serial, "left", actor=OPERATOR)
    [key, *_] = world.keys(serial)
    world.clock.now = certificate(key).not_valid_after_utc + LISTED_LONGER
    assert len(checker.list()) == 4
    world.clock.forward(seconds=LIST_RENEWED.total_seconds())
    assert len(checker.list()) == 0
    assert checker.told(key) == UNSPECIFIED


def test_the_successor_of_an_authority_has_a_list_of_its_own(
    world: World, checker: Checker, ada: tuple[User, Enrolled]
) -> None:
    before = checker.issuer
    world.clock.now = before.end - authorities.SUCCESSIONS[authorities.Own.CARDS].before
    first, own = world.card(ada[0]), world.issuing.authorities
    authorities.succeed(world.database, world.seal, own, world.clock(), world.issuing.random)
    world.clock.forward(days=authorities.NOTICE.days)
    after = checker.issuer
    assert after is not before
    second = world.card(ada[0])
    world.cards.suspend(second, actor=OPERATOR)
    world.cards.revoke(first, "left", actor=OPERATOR)
    [old, *_], [new, *_] = world.keys(first), world.keys(second)
    assert checker.says(old, before) == {UNSPECIFIED}
    assert checker.says(new, after) == {HELD}
    assert checker.told(old, after) == "UNAUTHORIZED"  # it names the other authority
    assert len(checker.list(before)) == len(checker.list(after)) == 4


def test_authorities_that_have_ended_answer_nothing(
    world: World, checker: Checker, serial: str
) -> None:
    [key, *_] = world.keys(serial)
    issuer = checker.issuer
    world.clock.now = issuer.end
    asked = checker.answer(question(certificate(key), issuer.certificate))
    assert asked.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_whoever_moves_a_card_moves_its_certificates() -> None:
    """In the same transaction; a card that is activated has been good before, one that is renewed
    gets other certificates (`renewal`), those of external authorities are not the keystore's, and a
    card that a restored keystore fails has none yet.
    """
    moving = {name: path.read_text() for name, path in modules()}
    moving = {name: text for name, text in moving.items() if "cards.move(" in text}
    others = {
        "cloud_keystore.custody.credentials.passcodes",
        "cloud_keystore.cards.external.certifying",
        "cloud_keystore.cards.external.renewing",
        "cloud_keystore.cards.prolonging",
        "cloud_keystore.run.restoring",
    }
    assert others < moving.keys()
    assert {name for name, text in moving.items() if "recording." not in text} == others
