"""Key 04: its certificate, and the agreement that nobody is asked for."""

from __future__ import annotations

import os

import pytest
from asn1crypto import algos, core
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os import tlv
from card_os.piv.names import ObjectTag
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    KeyNotFound,
    MalformedKeyInput,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, PC, Enrolled, World

CONTENT_SIGNING = x509.ObjectIdentifier("2.16.840.1.101.3.6.7")
# by profile: cipher suite, curve, its object identifier, hash, the signature's object identifier
SUITES = {
    "sm-cs2": (0x27, ec.SECP256R1(), "2A8648CE3D030107", hashes.SHA256(), "1.2.840.10045.4.3.2"),
    "sm-cs7": (0x2E, ec.SECP384R1(), "2B81040022", hashes.SHA384(), "1.2.840.10045.4.3.3"),
}
every_suite = pytest.mark.parametrize("profile", SUITES)


class DigitalSignature(core.Sequence):
    _fields = [("algorithm", algos.SignedDigestAlgorithm), ("value", core.OctetBitString)]


def verified(world: World, serial: str, profile: str) -> ec.EllipticCurvePublicKey:
    """The key of a card, its certificate verified as a client does it (part 2, 4.1.1, H5)."""
    _, curve, oid, hashed, signature_oid = SUITES[profile]
    image = world.image(serial)
    assert image.secure_messaging is not None
    assert image.cipher_suite == SUITES[profile][0]
    whole = image.secure_messaging.certificate
    fields = list(tlv.decode(tlv.decode_one(0x7F21, whole)))
    assert [tag for tag, _ in fields] == [0x5F29, 0x42, 0x5F20, 0x7F49, 0x5F4C, 0x5F37]
    values = dict(fields)
    assert (values[0x5F29], values[0x5F4C]) == (b"\x80", b"\0")
    assert values[0x5F20] == image.card.guid

    signer_object = dict(tlv.decode(image.objects[ObjectTag.SECURE_MESSAGING_SIGNER]))
    assert list(signer_object) == [0x70, 0x71, 0xFE]
    signer = x509.load_der_x509_certificate(signer_object[0x70])
    signer.verify_directly_issued_by(world.authorities().cards.certificate)
    assert signer.not_valid_after_utc >= image.card.expire_time
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert CONTENT_SIGNING in usage
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert values[0x42] == identifier.digest[:8]

    signature = DigitalSignature.load(values[0x5F37], strict=True)
    assert signature["algorithm"]["algorithm"].dotted == signature_oid
    assert "parameters" not in signature["algorithm"].native or (
        signature["algorithm"]["parameters"].native is None
    )
    covered = b"".join(tlv.encode(tag, value) for tag, value in fields[:-1])
    public = signer.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == curve.name
    public.verify(signature["value"].native, covered, ec.ECDSA(hashed))
    with pytest.raises(InvalidSignature):
        public.verify(signature["value"].native, covered[:-1] + b"\x12", ec.ECDSA(hashed))

    key = dict(tlv.decode(values[0x7F49]))
    assert key[0x06] == bytes.fromhex(oid)
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, key[0x86])


def point_of(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@every_suite
def test_card_and_client_agree(world: World, ada: tuple[User, Enrolled], profile: str) -> None:
    serial = world.card(ada[0], profile)
    card_key = verified(world, serial, profile)
    suite, curve, *_ = SUITES[profile]
    client = ec.generate_private_key(curve)
    secret = world.secure_messaging.agree(serial, suite, point_of(client), PC)
    assert secret == client.exchange(ec.ECDH(), card_key)
    (entry,) = world.journal(Kind.SECURE_MESSAGING_AGREED)
    assert entry.details == {"cipher_suite": f"{suite:02X}"}
    assert (str(entry.actor), entry.user_id) == ("workstation pc", ada[0].id)
    (key,) = (key for key in world.keys(serial) if key.key_ref == 0x04)
    assert (entry.key_id, entry.card_id) == (key.id, key.card_id)


@every_suite
def test_points_that_are_refused(world: World, ada: tuple[User, Enrolled], profile: str) -> None:
    serial = world.card(ada[0], profile)
    suite, curve, *_ = SUITES[profile]
    good = point_of(ec.generate_private_key(curve))
    other = {"sm-cs2": ec.SECP384R1(), "sm-cs7": ec.SECP256R1()}[profile]
    for point in (
        b"",
        b"\0",
        good[:-1],
        good + b"\0",
        good[:-1] + bytes((good[-1] ^ 1,)),
        b"\4" + bytes(len(good) - 1),
        point_of(ec.generate_private_key(other)),
    ):
        with pytest.raises(MalformedKeyInput):
            world.secure_messaging.agree(serial, suite, point, PC)


def test_cards_that_do_not_agree(world: World, ada: tuple[User, Enrolled]) -> None:
    point = point_of(ec.generate_private_key(ec.SECP256R1()))
    agree = world.secure_messaging.agree
    plain, cs7 = world.card(ada[0], "p256"), world.card(ada[0], "sm-cs7")
    for serial, suite in ((plain, 0x27), (plain, 0x11), (cs7, 0x27), (cs7, 0)):
        with pytest.raises(KeyNotFound):
            agree(serial, suite, point, PC)
    with pytest.raises(CardNotFound):
        agree("1", 0x27, point, PC)
    serial = world.card(ada[0], "sm-cs2")
    agree(serial, 0x27, point, PC)
    world.cards.suspend(serial, actor=OPERATOR)
    with pytest.raises(CardNotInUse):
        agree(serial, 0x27, point, PC)
    pending = world.issuing.issue(os.urandom(16), ada[0].id, "sm-cs2", actor=OPERATOR).card.serial
    with pytest.raises(CardNotInUse):
        agree(pending, 0x27, point, PC)


def test_key_04_is_in_no_operation(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    serial = world.card(ada[0], "sm-cs2")
    assert 0x04 not in {key.key_ref for key in world.image(serial).keys}
    with pytest.raises(KeyNotFound):
        world.ask(serial, pc, key_ref=0x04)


def test_a_revoked_card_agrees_no_more(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "sm-cs2")
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    with pytest.raises(CardNotInUse):
        world.secure_messaging.agree(serial, 0x27, b"\4" * 65, PC)


def test_only_what_the_key_is_used_for_is_in_the_journal(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    serial = world.card(ada[0], "sm-cs2")
    good = point_of(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(MalformedKeyInput):
        world.secure_messaging.agree(serial, 0x27, good[:-1], PC)
    with world.database.write() as connection:
        row = tables.key.c.key_ref == 0x04
        rows.change(connection, tables.key, [row], {"sealed_private": None})
    with pytest.raises(KeyNotFound, match="no cipher suite 27"):
        world.secure_messaging.agree(serial, 0x27, good, PC)
    assert world.journal(Kind.SECURE_MESSAGING_AGREED) == []
