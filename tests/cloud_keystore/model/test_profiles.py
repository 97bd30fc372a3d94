"""The table of card profiles, and the cards that are made by it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography import x509
from sqlalchemy.exc import IntegrityError

from card_os.administration import CardKey
from card_os.piv import names
from card_os.piv.algorithms import CAN_DO, SUITE_ALGORITHM
from card_os.piv.image import CardImage, Features
from card_os.piv.names import Algorithm, Cipher, CipherSuite
from card_os.uses import KeyUse, PinPolicy
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import KeyNotFound, MalformedKeyInput, PasscodeNeeded
from cloud_keystore.model.passcodes import Mismatch, Verified
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import DEFAULT_PROFILE, PROFILES
from cloud_keystore.pki import public_keys
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World

SIGNATURE_PREFIX = "150"
every_profile = pytest.mark.parametrize("name", PROFILES)


def test_the_numbers_are_the_cards() -> None:
    for ours, theirs in (
        (Algorithm, names.Algorithm),
        (Cipher, names.Cipher),
        (CipherSuite, names.CipherSuite),
    ):
        assert {each.name: int(each) for each in ours} == {each.name: int(each) for each in theirs}


def test_only_v2_has_serials_of_its_series() -> None:
    """CARD-04."""
    for name, profile in PROFILES.items():
        starts = profile.serial_prefix.startswith(SIGNATURE_PREFIX)
        assert starts is (name == "v2")
        assert not SIGNATURE_PREFIX.startswith(profile.serial_prefix) or name == "v2"


def test_the_default_is_there() -> None:
    assert DEFAULT_PROFILE in PROFILES
    assert not PROFILES[DEFAULT_PROFILE].extensions


@every_profile
def test_a_profile_hangs_together(name: str) -> None:
    profile = PROFILES[name]
    references = [key.key_ref for key in profile.keys]
    assert len(set(references)) == len(references)
    for key in profile.keys:
        assert profile.allowed_uses(key.key_ref, key.algorithm)
        signs = {"digital_signature", "content_commitment"} & key.certificate.key_usage
        assert bool(signs) is (key.key_ref != 0x9D)
    if profile.factory_passcodes:  # what everybody knows opens no card in production
        assert profile.extensions


@every_profile
def test_a_card_of_every_profile(world: World, ada: tuple[User, Enrolled], name: str) -> None:
    """BUG-23: of v1 and v2 too."""
    serial = world.card(ada[0], name)
    image, profile = world.image(serial), PROFILES[name]
    assert re.fullmatch(rf"{profile.serial_prefix}\d{{13}}", serial)
    assert {key.key_ref for key in image.keys} == {key.key_ref for key in profile.keys}
    keys = {
        key.key_ref: CardKey(key.algorithm, public_keys.template(key.public_key))
        for key in image.keys
    }
    if image.secure_messaging is not None:
        keys[0x04] = CardKey(profile.secure_messaging or 0)
    features = Features(
        frozenset(profile.algorithms), profile.management, profile.global_pin, profile.extensions
    )
    card = CardImage(serial, image.card.guid, image.objects, keys, features)
    assert (0x04 in card.keys) is (profile.secure_messaging is not None)
    for key in image.keys:
        certified = x509.load_der_x509_certificate(key.certificate).public_key()
        assert public_keys.load(key.public_key) == certified
        in_object = card.objects[names.CERTIFICATE_OF_KEY[key.key_ref]]
        assert key.certificate in in_object


def test_v1_has_no_key_for_signatures(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """CARD-02."""
    serial = world.card(ada[0], "v1")
    for key in world.keys(serial):
        certificate = x509.load_der_x509_certificate(key.certificate)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert not usage.content_commitment
    assert names.ObjectTag.SIGNATURE_CERTIFICATE not in world.image(serial).objects
    with pytest.raises(KeyNotFound):
        world.ask(serial, pc, key_ref=0x9C, algorithm=0x07)


ESTABLISHING = [0x9D, *range(0x82, 0x96)]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_standard_separates_uses(algorithm: Algorithm) -> None:
    profile = PROFILES["p256"]
    for key_ref in ESTABLISHING:
        assert KeyUse.SIGN not in profile.allowed_uses(key_ref, algorithm)
    for key_ref in (0x9A, 0x9C, 0x9E):
        assert profile.allowed_uses(key_ref, algorithm) <= {KeyUse.SIGN}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_developers_use_keys_as_they_like(algorithm: Algorithm) -> None:
    for key_ref in (0x9A, *ESTABLISHING):
        assert PROFILES["developer"].allowed_uses(key_ref, algorithm) == CAN_DO[algorithm]


@every_profile
def test_nobody_is_asked_for_the_key_of_secure_messaging(name: str) -> None:
    for algorithm in SUITE_ALGORITHM.values():
        assert PROFILES[name].allowed_uses(0x04, algorithm) == frozenset()


def test_uses_that_a_profile_forbids(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0], "p256")
    with pytest.raises(MalformedKeyInput, match="not for this use"):
        world.ask(serial, pc, key_ref=0x9D, key_use=KeyUse.SIGN)
    developers = world.card(ada[0], "developer")
    outcome = world.passcodes.verify(developers, 0x80, b"123456", pc.identity)
    assert isinstance(outcome, Verified)
    asked = world.ask(developers, pc, key_ref=0x9D, key_use=KeyUse.SIGN, proof=outcome.proof)
    assert asked.key_use is KeyUse.SIGN


def test_factory_passcodes(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    serial = world.card(ada[0], "developer")
    assert world.find(serial).card.state is CardState.ACTIVE
    for outcome in (
        world.passcodes.verify(serial, 0x80, b"123456", pc.identity),
        world.passcodes.reset(serial, b"12345678", b"123456", pc.identity),
    ):
        assert isinstance(outcome, Verified)
    assert isinstance(world.passcodes.verify(serial, 0x80, PASSCODE, pc.identity), Mismatch)


def test_a_global_pin_begins_as_the_pin(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial, other = world.card(ada[0], "global-pin"), world.card(ada[0], "p256")
    assert isinstance(world.passcodes.verify(serial, 0x00, PASSCODE, pc.identity), Verified)
    changed = world.passcodes.change(serial, 0x00, PASSCODE, b"246802", pc.identity)
    assert isinstance(changed, Verified)
    assert isinstance(world.passcodes.verify(serial, 0x80, PASSCODE, pc.identity), Verified)
    for _ in range(3):
        world.passcodes.verify(serial, 0x00, b"999999", pc.identity)
    assert world.passcodes.status(serial, 0x00).tries_left == 0
    world.unlock(serial)
    assert world.passcodes.status(serial, 0x00).tries_left == 3
    with pytest.raises(KeyNotFound):
        world.passcodes.verify(other, 0x00, PASSCODE, pc.identity)
    discovery = world.image(serial).objects[names.ObjectTag.DISCOVERY]
    assert discovery.endswith(bytes.fromhex("5F2F026010"))


def draws(*first: bytes) -> Iterator[bytes]:
    yield from first
    while True:
        yield os.urandom(16)


def test_a_serial_number_that_is_taken_is_drawn_again(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    taken = world.card(ada[0])
    number = int(taken[3:]).to_bytes(16)
    unlucky = replace(world.issuing, random=lambda size: number[:size])
    with pytest.raises(IntegrityError):
        unlucky.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR)
    drawn = draws(os.urandom(16), number)  # for the card's id and its serial number
    once = replace(world.issuing, random=lambda size: next(drawn)[:size])
    assert once.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial != taken
    assert len(world.cards.list_all(actor=world.actor)) == 2


def test_serial_numbers_are_unique_in_the_database(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    serials = [world.card(ada[0]) for _ in range(2)]
    second = tables.card.c.serial == serials[1]
    with pytest.raises(IntegrityError), world.database.write() as connection:
        rows.change(connection, tables.card, [second], {"serial": serials[0]})


@pytest.mark.parametrize(
    ("key_ref", "policy", "never", "twice"),
    [
        (0x9A, PinPolicy.DEFAULT, False, True),
        (0x9C, PinPolicy.DEFAULT, False, False),
        (0x9E, PinPolicy.DEFAULT, True, True),
        (0x9A, PinPolicy.NEVER, True, True),
        (0x9A, PinPolicy.ALWAYS, False, False),
        (0x9C, PinPolicy.ONCE, False, True),
        (0x9E, PinPolicy.ONCE, False, True),
    ],
)
def test_when_a_key_asks_for_the_passcode(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    key_ref: int,
    policy: PinPolicy,
    never: bool,
    twice: bool,
) -> None:
    serial = world.card(ada[0])
    with world.database.write() as connection:
        rows.change(connection, tables.key, [], {"pin_policy": policy})
    proof = world.proof(serial, pc)
    if never:
        world.ask(serial, pc, key_ref=key_ref, proof=b"")
    else:
        with pytest.raises(PasscodeNeeded):
            world.ask(serial, pc, key_ref=key_ref, proof=b"")
    world.ask(serial, pc, key_ref=key_ref, proof=proof)
    if twice:
        world.ask(serial, pc, key_ref=key_ref, proof=proof)
    else:
        with pytest.raises(PasscodeNeeded):
            world.ask(serial, pc, key_ref=key_ref, proof=proof)
