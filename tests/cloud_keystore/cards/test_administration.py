"""What administrators do with cards, and what they and others cannot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from card_os.administration import CardKey
from card_os.piv.image import CardImage
from card_os.piv.names import ATTESTATION_CERTIFICATE, Algorithm, Cipher, KeyRef, ObjectTag
from card_os.piv.sizes import LARGEST_OBJECT, ROOM
from card_os.piv.yubico.attestation import ATTESTED_POLICIES
from card_os.uses import KeyUse, PinPolicy, TouchPolicy
from cloud_keystore.cards.administration import Administrator
from cloud_keystore.custody.credentials.management_keys import encipher
from cloud_keystore.model.cards import Destroyed, Key, KeyPolicies
from cloud_keystore.model.errors import (
    AdministrationRefused,
    AdministratorNeeded,
    ApprovalRejected,
    CardFull,
    CardNotBlocked,
    CardNotFound,
    CardNotInUse,
    InvalidInput,
    KeyNotFound,
    KeyReferenceTaken,
    KeystoreError,
    MalformedKeyInput,
    NotAttested,
    OperationClosed,
    PasscodeNeeded,
)
from cloud_keystore.model.management_keys import factory_key
from cloud_keystore.model.operations import State
from cloud_keystore.model.passcodes import Mismatch, Status, Verified
from cloud_keystore.model.people import User
from cloud_keystore.storage import cards, tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, PASSCODE, PC, Enrolled, World
from support.whole_cards import faults

P256, ED25519 = Algorithm.ECC_P256, Algorithm.ED25519
STANDARD = KeyPolicies()
SCALAR = bytes(range(1, 33))


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> Iterator[str]:
    """A developer's card, which is whole at the end."""
    serial = world.card(ada[0], "developer")
    yield serial
    assert faults(world.database, world.seal, serial) == []


@pytest.fixture
def admin(world: World, serial: str, pc: Enrolled) -> Administrator:
    return world.administrator(serial, pc)


def keys(world: World, serial: str) -> dict[int, Key]:
    return {key.key_ref: key for key in world.keys(serial)}


def block(world: World, serial: str, pc: Enrolled) -> None:
    """Try until PIN and PUK are blocked."""
    at = pc.identity
    while world.passcodes.status(serial, KeyRef.PIN).tries_left:
        world.passcodes.verify(serial, KeyRef.PIN, b"999999", at)
    while world.passcodes.status(serial, KeyRef.PUK).tries_left:
        world.passcodes.reset(serial, b"99999999", b"123456", at)


CHANGES: dict[str, Callable[[World, Administrator], object]] = {
    "write": lambda world, who: world.administration.write_object(who, ObjectTag.CCC, b"x"),
    "remove": lambda world, who: world.administration.write_object(who, ObjectTag.CCC, b""),
    "generate": lambda world, who: world.administration.generate_key(who, 0x9A, P256, STANDARD),
    "import": lambda world, who: world.administration.import_key(who, 0x9A, P256, SCALAR, STANDARD),
    "move": lambda world, who: world.administration.move_key(who, 0x9A, 0x82),
    "erase": lambda world, who: world.administration.move_key(who, 0x9A, None),
    "management key": lambda world, who: world.administration.set_management_key(
        who, Cipher.AES_256, bytes(range(32))
    ),
    "tries": lambda world, who: world.administration.set_tries(who, b"", 3, 3),
}


class TestAttacks:
    @pytest.mark.parametrize("change", CHANGES)
    def test_a_proof_for_another_workstation_or_card(
        self, world: World, ada: tuple[User, Enrolled], admin: Administrator, change: str
    ) -> None:
        other = world.workstation("PC9").identity
        foreign = world.card(ada[0], "developer")
        for who in (
            replace(admin, workstation=other),
            replace(admin, card_serial=foreign),
            replace(admin, proof=b""),
            replace(admin, proof=os.urandom(32)),
        ):
            with pytest.raises(AdministratorNeeded):
                CHANGES[change](world, who)

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_proof_that_has_expired(
        self, world: World, admin: Administrator, change: str
    ) -> None:
        world.clock.forward(minutes=15)
        with pytest.raises(AdministratorNeeded):
            CHANGES[change](world, admin)

    @pytest.mark.parametrize("change", CHANGES)
    @pytest.mark.parametrize("profile", ["v1", "v2", "p256", "sm-cs2"])
    def test_a_card_in_production(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, profile: str, change: str
    ) -> None:
        serial = world.card(ada[0], profile)
        before = world.image(serial)
        who = Administrator(serial, os.urandom(32), pc.identity)
        with pytest.raises(AdministrationRefused):
            CHANGES[change](world, who)
        with pytest.raises(AdministrationRefused):
            world.administration.reset_card(serial, PC)
        with pytest.raises(AdministrationRefused):
            world.administration.attest_key(serial, 0x9A, PC)
        assert world.image(serial) == before

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_card_that_is_suspended(
        self, world: World, serial: str, admin: Administrator, change: str
    ) -> None:
        world.cards.suspend(serial, actor=OPERATOR)
        with pytest.raises(CardNotInUse):
            CHANGES[change](world, admin)
        with pytest.raises(CardNotInUse):
            world.administration.reset_card(serial, PC)
        with pytest.raises(CardNotInUse):
            world.administration.attest_key(serial, 0x9A, PC)

    def test_no_card(self, world: World, admin: Administrator) -> None:
        with pytest.raises(CardNotFound):
            CHANGES["write"](world, replace(admin, card_serial="1"))

    @pytest.mark.parametrize("change", sorted(CHANGES.keys() - {"tries", "management key"}))
    def test_a_refused_change_leaves_the_card_alone(
        self, world: World, serial: str, admin: Administrator, change: str
    ) -> None:
        before = world.image(serial)
        with pytest.raises(AdministratorNeeded):
            CHANGES[change](world, replace(admin, proof=b"x"))
        assert world.image(serial) == before

    def test_a_new_management_key_ends_the_administration(
        self, world: World, serial: str, pc: Enrolled, admin: Administrator
    ) -> None:
        elsewhere = world.administrator(serial, world.workstation("PC9"))
        made = CHANGES["management key"](world, admin)
        assert getattr(made, "management", None) is Cipher.AES_256
        with pytest.raises(AdministratorNeeded):
            CHANGES["write"](world, elsewhere)
        CHANGES["write"](world, admin)  # tools go on with notes of their own
        assert world.image(serial).management is Cipher.AES_256
        at = (serial, Cipher.AES_256, pc.identity)
        sent = world.management_keys.request_challenge(*at, enciphered=False)
        answer = encipher(Cipher.AES_256, bytes(range(32)), sent)
        assert world.management_keys.answer_challenge(*at, answer, b"").proof

    @pytest.mark.parametrize(
        ("algorithm", "key"),
        [
            (Cipher.AES_192, bytes(24)),
            (Cipher.AES_192, bytes(range(23))),
            (Cipher.TDEA, bytes(range(16)) + b"\x01" * 8),
            (0x11, bytes(range(24))),
            (0, b""),
            (2**32 - 1, bytes(range(24))),
        ],
    )
    def test_weak_management_keys(
        self, world: World, admin: Administrator, algorithm: int, key: bytes
    ) -> None:
        with pytest.raises(InvalidInput):
            world.administration.set_management_key(admin, algorithm, key)
        CHANGES["write"](world, admin)  # still the administrator


class TestObjects:
    def test_a_written_object(self, world: World, serial: str, admin: Administrator) -> None:
        made = world.administration.write_object(admin, ObjectTag.PRINTED_INFORMATION, b"Ada")
        after = world.contents(serial)
        assert after[ObjectTag.PRINTED_INFORMATION] == b"Ada"
        assert set(made.objects) == {ObjectTag.PRINTED_INFORMATION, ObjectTag.SECURITY_OBJECT}
        assert all(after[tag] == value for tag, value in made.objects.items())

    def test_a_removed_object(self, world: World, serial: str, admin: Administrator) -> None:
        made = world.administration.write_object(admin, ObjectTag.CCC, b"")
        assert made.objects[ObjectTag.CCC] is None
        assert ObjectTag.CCC not in world.contents(serial)

    def test_the_notes_of_yubicos_tools(
        self, world: World, serial: str, admin: Administrator
    ) -> None:
        for tag in (0x5F0001, 0x5FC104, 0x5FFF00):
            world.administration.write_object(admin, tag, b"\x80\x00")
            assert world.contents(serial)[tag] == b"\x80\x00"

    @pytest.mark.parametrize("tag", [0, 1, 0x5EFFFF, 0x600000, 2**32 - 1, ATTESTATION_CERTIFICATE])
    def test_objects_that_nobody_writes(self, world: World, admin: Administrator, tag: int) -> None:
        with pytest.raises(InvalidInput):
            world.administration.write_object(admin, tag, b"x")

    def test_the_largest_object(self, world: World, admin: Administrator) -> None:
        world.administration.write_object(admin, ObjectTag.FACIAL_IMAGE, bytes(LARGEST_OBJECT))
        with pytest.raises(CardFull):
            world.administration.write_object(
                admin, ObjectTag.FACIAL_IMAGE, bytes(LARGEST_OBJECT + 1)
            )

    def test_a_full_card(self, world: World, serial: str, admin: Administrator) -> None:
        room = ROOM - sum(len(each) for each in world.contents(serial).values())
        tags = iter(range(0x5FFF10, 0x5FFF80))
        for _ in range(room // LARGEST_OBJECT):
            world.administration.write_object(admin, next(tags), bytes(LARGEST_OBJECT))
        with pytest.raises(CardFull):
            world.administration.write_object(admin, next(tags), bytes(LARGEST_OBJECT))
        total = sum(len(each) for each in world.contents(serial).values())
        assert ROOM - LARGEST_OBJECT < total <= ROOM
        world.administration.write_object(admin, 0x5FFF10, bytes(LARGEST_OBJECT))  # in its place
        world.administration.write_object(admin, 0x5FFF10, b"")
        world.administration.write_object(admin, next(tags), bytes(LARGEST_OBJECT))

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        tag=st.sampled_from([*ObjectTag, 0x5FC10D, 0x5FFF00]),
        contents=st.binary(max_size=40),
    )
    def test_whatever_is_written_the_card_is_whole(
        self, world: World, serial: str, admin: Administrator, tag: int, contents: bytes
    ) -> None:
        if tag in (ObjectTag.CHUID, ObjectTag.SECURITY_OBJECT):
            contents = b""  # an administrator's own are not looked at
        made = world.administration.write_object(admin, tag, contents)
        assert made.objects[tag] == (contents or None)
        assert faults(world.database, world.seal, serial) == []


def as_card(world: World, serial: str) -> CardImage:
    """The card that a reader makes of it."""
    image = world.image(serial)
    of_card = {key.key_ref: CardKey(key.algorithm) for key in image.keys}
    return CardImage(image.card.serial, image.card.guid, image.objects, of_card)


class TestKeys:
    def test_a_generated_key_signs_without_a_certificate(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, admin: Administrator
    ) -> None:
        serial = admin.card_serial
        old = keys(world, serial)[0x9C]
        policies = KeyPolicies(PinPolicy.ONCE, TouchPolicy.CACHED)
        made = world.administration.generate_key(admin, 0x9C, P256, policies)
        key = keys(world, serial)[0x9C]
        assert made.keys[0x9C] is not None
        assert made.keys[0x9C].public_key == key.public_key != old.public_key
        assert (key.certificate, key.pin_policy, key.touch_policy) == (b"", 2, 3)
        assert not key.imported
        proof = world.proof(serial, pc)
        for _ in range(2):  # its policy asks for the passcode once
            operation = world.ask(serial, pc, b"\x22" * 32, key_ref=0x9C, proof=proof)
            world.decide(operation, ada[1])
            signature = world.perform(operation, pc, b"\x22" * 32)
            public = load_der_public_key(key.public_key)
            assert isinstance(public, ec.EllipticCurvePublicKey)
            public.verify(signature, b"\x22" * 32, ec.ECDSA(Prehashed(SHA256())))

    def test_a_key_that_asks_for_the_passcode_each_time(
        self, world: World, pc: Enrolled, admin: Administrator
    ) -> None:
        serial = admin.card_serial
        world.administration.generate_key(admin, 0x9A, P256, KeyPolicies(PinPolicy.ALWAYS))
        world.administration.generate_key(admin, 0x9D, P256, KeyPolicies(PinPolicy.NEVER))
        proof = world.proof(serial, pc)
        world.ask(serial, pc, proof=proof)
        with pytest.raises(PasscodeNeeded):
            world.ask(serial, pc, proof=proof)
        world.ask(serial, pc, key_ref=0x9D, proof=b"")

    def test_what_waits_for_a_replaced_key_is_withdrawn(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, admin: Administrator
    ) -> None:
        serial, other = admin.card_serial, world.workstation("PC9")
        pending = world.ask(serial, pc)
        approved = world.ask(serial, other)
        world.decide(approved, ada[1])
        unconcerned = world.ask(serial, world.workstation("PC8"), key_ref=0x9C)
        world.woken.clear()
        world.administration.generate_key(admin, 0x9A, P256, STANDARD)
        assert {world.state(pending), world.state(approved)} == {State.CANCELLED}
        assert {pending.id, approved.id, ada[0].id} <= set(world.woken)
        with pytest.raises(OperationClosed):
            world.perform(approved, other, b"\x11" * 32)
        with pytest.raises(OperationClosed):
            world.decide(pending, ada[1])
        assert world.state(unconcerned) is State.PENDING

    def test_an_approval_is_for_the_key_that_was_shown(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, admin: Administrator
    ) -> None:
        """Even if the operation had not been withdrawn, by whatever mistake."""
        operation = world.ask(admin.card_serial, pc)
        world.decide(operation, ada[1])
        with world.database.read() as connection:
            key = cards.find_key(connection, operation.key_id)
        assert key is not None
        with world.database.write() as connection:
            rows.change(connection, tables.key, [tables.key.c.id == key.id], {"certificate": b""})
        with pytest.raises(ApprovalRejected):
            world.perform(operation, pc, b"\x11" * 32)

    def test_the_replaced_key_is_destroyed(self, world: World, admin: Administrator) -> None:
        old = keys(world, admin.card_serial)[0x9A]
        world.administration.generate_key(admin, 0x9A, P256, STANDARD)
        with world.database.read() as connection:
            kept = cards.find_key(connection, old.id)
        assert kept is not None
        assert kept.private == Destroyed()

    @pytest.mark.parametrize("algorithm", set(Algorithm) - {Algorithm.RSA_4096})
    def test_each_algorithm(self, world: World, admin: Administrator, algorithm: Algorithm) -> None:
        key_ref = 0x9D if algorithm is Algorithm.X25519 else 0x9A
        world.administration.generate_key(admin, key_ref, algorithm, STANDARD)
        assert as_card(world, admin.card_serial).keys[key_ref].algorithm == algorithm

    @pytest.mark.parametrize(
        ("key_ref", "algorithm", "error"),
        [
            (0x04, P256, KeyNotFound),
            (0x00, P256, KeyNotFound),
            (0x80, P256, KeyNotFound),
            (0x9B, P256, KeyNotFound),
            (0xF9, P256, KeyNotFound),
            (0x96, P256, KeyNotFound),
            (2**32 - 1, P256, KeyNotFound),
            (0x9A, 0, InvalidInput),
            (0x9A, 0x15, InvalidInput),
            (0x9A, 0x27, InvalidInput),
            (0x9A, 0x03, InvalidInput),
            (0x9A, 2**31 - 1, InvalidInput),
        ],
    )
    def test_keys_that_no_card_has(
        self,
        world: World,
        admin: Administrator,
        key_ref: int,
        algorithm: int,
        error: type[KeystoreError],
    ) -> None:
        with pytest.raises(error):
            world.administration.generate_key(admin, key_ref, algorithm, STANDARD)
        with pytest.raises(error):
            world.administration.import_key(admin, key_ref, algorithm, SCALAR, STANDARD)

    def test_retired_keys(self, world: World, admin: Administrator) -> None:
        world.administration.generate_key(admin, 0x82, P256, STANDARD)
        world.administration.generate_key(admin, 0x95, P256, STANDARD)
        assert {0x82, 0x95} <= as_card(world, admin.card_serial).keys.keys()

    def test_an_imported_key(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, admin: Administrator
    ) -> None:
        serial = admin.card_serial
        made = world.administration.import_key(admin, 0x9A, P256, SCALAR, STANDARD)
        key = made.keys[0x9A]
        assert key is not None
        assert key.imported
        assert keys(world, serial)[0x9A].imported
        operation = world.ask(serial, pc)
        world.decide(operation, ada[1])
        signature = world.perform(operation, pc, b"\x11" * 32)
        public = ec.derive_private_key(int.from_bytes(SCALAR), ec.SECP256R1()).public_key()
        public.verify(signature, b"\x11" * 32, ec.ECDSA(Prehashed(SHA256())))

    def test_a_broken_key_replaces_nothing(self, world: World, admin: Administrator) -> None:
        before = world.image(admin.card_serial)
        with pytest.raises(MalformedKeyInput):
            world.administration.import_key(admin, 0x9A, P256, b"\xff" * 32, STANDARD)
        assert world.image(admin.card_serial) == before

    def test_a_moved_key(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, admin: Administrator
    ) -> None:
        serial = admin.card_serial
        old, waiting = (
            keys(world, serial)[0x9D],
            world.ask(serial, pc, b"\x04" + bytes(64), key_ref=0x9D, key_use=KeyUse.AGREE),
        )
        made = world.administration.move_key(admin, 0x9D, 0x82)
        assert made.keys[0x9D] is None
        after = keys(world, serial)
        assert 0x9D not in after
        assert after[0x82].id == old.id
        assert world.state(waiting) is State.CANCELLED
        operation = world.ask(serial, pc, key_ref=0x82)  # with the extensions it signs, too
        world.decide(operation, ada[1])
        assert world.perform(operation, pc, b"\x11" * 32)

    def test_moves_that_are_none(self, world: World, admin: Administrator) -> None:
        move = world.administration.move_key
        with pytest.raises(KeyReferenceTaken):
            move(admin, 0x9A, 0x9C)
        with pytest.raises(KeyReferenceTaken):
            move(admin, 0x9A, 0x9A)
        for source, destination in ((0x82, 0x83), (0x04, 0x82), (0x9A, 0x9B), (0x9A, 0x04)):
            with pytest.raises(KeyNotFound):
                move(admin, source, destination)

    def test_a_moved_key_keeps_its_policies(
        self, world: World, serial: str, admin: Administrator
    ) -> None:
        """They were settled when it was made; what is issued in its old place has its own."""
        world.administration.move_key(admin, 0x9C, None)
        made = world.administration.move_key(admin, 0x9A, 0x9C)
        assert made.keys[0x9C] is not None
        assert made.keys[0x9C].asks_for_pin is PinPolicy.ONCE
        assert keys(world, serial)[0x9C].pin_policy is PinPolicy.ONCE

    def test_the_factorys_management_key_is_told(
        self, world: World, serial: str, admin: Administrator
    ) -> None:
        assert world.image(serial).factory_management_key
        made = world.administration.set_management_key(admin, Cipher.AES_128, bytes(range(16)))
        assert not made.factory_management_key
        assert not world.image(serial).factory_management_key
        again = factory_key(Cipher.AES_192)
        made = world.administration.set_management_key(admin, Cipher.AES_192, again)
        assert made.factory_management_key
        assert world.image(serial).factory_management_key

    def test_an_erased_key(self, world: World, admin: Administrator) -> None:
        old = keys(world, admin.card_serial)[0x9A]
        made = world.administration.move_key(admin, 0x9A, None)
        assert made.keys[0x9A] is None
        assert 0x9A not in keys(world, admin.card_serial)
        with world.database.read() as connection:
            kept = cards.find_key(connection, old.id)
        assert kept is not None
        assert kept.private == Destroyed()
        with pytest.raises(KeyNotFound):
            world.administration.move_key(admin, 0x9A, None)


class TestTries:
    def test_tries_and_factory_passcodes(
        self, world: World, serial: str, pc: Enrolled, admin: Administrator
    ) -> None:
        at = pc.identity
        world.passcodes.change(serial, KeyRef.PIN, b"123456", PASSCODE, at)
        assert world.passcodes.status(serial, KeyRef.PIN) == Status(3, 3, factory=False)
        outcome = world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, at)
        assert isinstance(outcome, Verified)
        world.administration.set_tries(admin, outcome.proof, 5, 7)
        assert world.passcodes.status(serial, KeyRef.PIN) == Status(5, 5, factory=True)
        assert world.passcodes.status(serial, KeyRef.PUK) == Status(7, 7, factory=True)
        assert world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, at) == Mismatch(4)
        assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, b"123456", at), Verified)
        assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 5
        with pytest.raises(AdministratorNeeded):
            world.administration.set_tries(replace(admin, proof=b""), outcome.proof, 1, 1)
        with pytest.raises(PasscodeNeeded):  # it was of the passcode before
            world.administration.set_tries(admin, outcome.proof, 1, 1)

    @pytest.mark.parametrize(("pin", "puk"), [(0, 3), (3, 0), (16, 3), (3, 2**32 - 1)])
    def test_numbers_that_are_none(
        self, world: World, pc: Enrolled, admin: Administrator, pin: int, puk: int
    ) -> None:
        proof = world.proof(admin.card_serial, pc)
        with pytest.raises(InvalidInput):
            world.administration.set_tries(admin, proof, pin, puk)

    def test_the_passcode_is_asked_for(
        self, world: World, pc: Enrolled, admin: Administrator
    ) -> None:
        elsewhere = world.proof(admin.card_serial, world.workstation("PC9"))
        for proof in (b"", elsewhere):
            with pytest.raises(PasscodeNeeded):
                world.administration.set_tries(admin, proof, 5, 5)
        assert world.passcodes.status(admin.card_serial, KeyRef.PIN).most_tries == 3


class TestReset:
    def test_a_card_that_is_not_blocked(self, world: World, serial: str, pc: Enrolled) -> None:
        with pytest.raises(CardNotBlocked):
            world.administration.reset_card(serial, PC)
        for _ in range(3):
            world.passcodes.verify(serial, KeyRef.PIN, b"999999", pc.identity)
        with pytest.raises(CardNotBlocked):
            world.administration.reset_card(serial, PC)

    def test_a_blocked_card(self, world: World, serial: str, pc: Enrolled) -> None:
        admin = world.administrator(serial, pc)
        world.administration.write_object(admin, 0x5FFF10, b"note")
        CHANGES["management key"](world, admin)
        before, waiting = world.image(serial), world.ask(serial, pc)
        block(world, serial, pc)
        made = world.administration.reset_card(serial, PC)
        after = world.image(serial)
        assert after.keys == ()
        assert set(after.objects) == {
            ObjectTag.CHUID,
            ObjectTag.CCC,
            ObjectTag.DISCOVERY,
            ObjectTag.KEY_HISTORY,
            ObjectTag.SECURITY_OBJECT,
            ATTESTATION_CERTIFICATE,
        }
        assert {tag for tag, value in made.objects.items() if value is None} == (
            before.objects.keys() - after.objects.keys()
        )
        assert made.keys == dict.fromkeys(key.key_ref for key in before.keys)
        assert made.management is after.management is Cipher.AES_192
        assert after.card.guid != before.card.guid
        assert world.state(waiting) is State.CANCELLED
        assert world.passcodes.status(serial, KeyRef.PIN) == Status(3, 3, factory=True)
        assert world.administrator(serial, pc)  # by the factory's key
        with world.database.read() as connection:
            sealed = connection.execute(text("SELECT sealed_private FROM key")).scalars().all()
        assert not any(sealed)

    def test_and_then_used_again(self, world: World, serial: str, pc: Enrolled) -> None:
        block(world, serial, pc)
        world.administration.reset_card(serial, PC)
        admin = world.administrator(serial, pc)
        world.administration.generate_key(admin, 0x9A, P256, STANDARD)
        assert world.ask(serial, pc).state is State.PENDING


class TestAttestation:
    def test_a_key_that_was_made_here(
        self, world: World, serial: str, admin: Administrator
    ) -> None:
        world.administration.generate_key(
            admin, 0x9A, P256, KeyPolicies(PinPolicy.ALWAYS, TouchPolicy.ALWAYS)
        )
        der = world.administration.attest_key(serial, 0x9A, PC)
        certificate = x509.load_der_x509_certificate(der)
        contents = world.image(serial).objects[ATTESTATION_CERTIFICATE]
        issuer = world.issuing.authorities.attestation
        assert issuer.der in contents
        certificate.verify_directly_issued_by(issuer.certificate)
        public = load_der_public_key(keys(world, serial)[0x9A].public_key)
        assert certificate.public_key() == public
        policies = certificate.extensions.get_extension_for_oid(
            x509.ObjectIdentifier(ATTESTED_POLICIES)
        ).value
        assert policies.public_bytes() == b"\x03\x02"

    @pytest.mark.parametrize("algorithm", [ED25519, Algorithm.RSA_2048, Algorithm.X25519])
    def test_other_algorithms(
        self, world: World, admin: Administrator, algorithm: Algorithm
    ) -> None:
        world.administration.generate_key(
            admin, 0x9D if algorithm is Algorithm.X25519 else 0x9A, algorithm, STANDARD
        )
        for key_ref, key in keys(world, admin.card_serial).items():
            der = world.administration.attest_key(admin.card_serial, key_ref, PC)
            found = x509.load_der_x509_certificate(der).public_key()
            assert found == load_der_public_key(key.public_key)

    def test_a_key_from_elsewhere(self, world: World, admin: Administrator) -> None:
        world.administration.import_key(admin, 0x9A, P256, SCALAR, STANDARD)
        with pytest.raises(NotAttested):
            world.administration.attest_key(admin.card_serial, 0x9A, PC)

    @pytest.mark.parametrize("key_ref", [0x04, 0x82, 0x9B, 0])
    def test_no_key(self, world: World, serial: str, key_ref: int) -> None:
        with pytest.raises(KeyNotFound):
            world.administration.attest_key(serial, key_ref, PC)
