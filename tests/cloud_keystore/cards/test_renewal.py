"""What else is different on a card when a key or an object of it is another."""

from __future__ import annotations

from hashlib import sha256

import pytest
from asn1crypto import cms
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.piv.names import Algorithm, ObjectTag
from card_os.piv.oids import PIV_CARD_AUTHENTICATION
from cloud_keystore.cards.contents import COVERED
from cloud_keystore.cards.renewal import Changes, new_guid
from cloud_keystore.custody.backends.software import SoftwareKeys
from cloud_keystore.model.cards import Destroyed, HeldKey
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import KeyNotFound
from cloud_keystore.model.people import User
from cloud_keystore.storage import cards
from support.keystore_world import Enrolled, World

CARD_CERTIFICATE = ObjectTag.CARD_AUTHENTICATION_CERTIFICATE
NAMING = {ObjectTag.CHUID, ObjectTag.CCC, ObjectTag.SECURITY_OBJECT, CARD_CERTIFICATE}


def key_for(world: World, serial: str, key_ref: int, algorithm: Algorithm) -> HeldKey:
    card = world.find(serial).card
    key_id = new_id(world.clock(), world.renewal.random)
    made = SoftwareKeys(world.seal).make(key_id, algorithm)
    return HeldKey(
        id=key_id,
        card_id=card.id,
        key_ref=key_ref,
        algorithm=algorithm,
        certificate=b"",
        create_time=world.clock(),
        public_key=made.public_der,
        private=made.private,
    )


def replace_key(world: World, serial: str, key_ref: int, algorithm: Algorithm) -> Changes:
    key = key_for(world, serial, key_ref, algorithm)
    with world.database.write() as connection:
        return world.renewal.replace_key(connection, world.find(serial).card, key)


def write(world: World, serial: str, tag: int, contents: bytes) -> Changes:
    with world.database.write() as connection:
        card = world.find(serial).card
        return world.renewal.write_object(connection, card, tag, contents)


def check(world: World, serial: str, changes: Changes, before: dict[int, bytes]) -> None:
    """The changes are those of the card, and what is signed is true."""
    after = dict(world.contents(serial))
    expected = {tag: value for tag, value in changes.objects.items() if value is not None}
    kept = {tag: value for tag, value in before.items() if tag not in changes.objects}
    assert after == kept | expected
    if ObjectTag.SECURITY_OBJECT in after:
        assert hashes_are_true(after)


def hashes_are_true(objects: dict[int, bytes]) -> bool:
    signed = dict(tlv.decode(objects[ObjectTag.SECURITY_OBJECT]))[0xBB]
    content = cms.ContentInfo.load(signed)["content"]
    (digest,) = (
        each["values"][0].native
        for each in content["signer_infos"][0]["signed_attrs"]
        if each["type"].native == "message_digest"
    )
    inside = content["encap_content_info"]["content"].contents
    return digest == sha256(inside).digest() and all(
        sha256(objects[tag]).digest() in inside for tag in COVERED.values() if tag in objects
    )


def guid_in_chuid(objects: dict[int, bytes]) -> bytes:
    return dict(tlv.decode(objects[ObjectTag.CHUID]))[0x34]


def test_a_new_key_makes_it_another_card(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "developer")
    before, held = world.image(serial), dict(world.contents(serial))
    world.clock.forward(days=1)
    changes = replace_key(world, serial, 0x9A, Algorithm.RSA_2048)
    check(world, serial, changes, held)
    assert set(changes.objects) == NAMING
    after = world.image(serial)
    assert after.card.guid != before.card.guid
    assert guid_in_chuid(dict(after.objects)) == after.card.guid
    keys = {key.key_ref: key for key in after.keys}
    assert keys[0x9A].algorithm is Algorithm.RSA_2048
    assert set(changes.keys) == {0x9A, 0x9E}
    # what the certificate object holds is of the key before, until somebody writes another
    tag = ObjectTag.AUTHENTICATION_CERTIFICATE
    assert after.objects[tag] == before.objects[tag]
    named = x509.load_der_x509_certificate(keys[0x9E].certificate)
    names = named.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (urn,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert urn.replace("-", "").endswith(after.card.guid.hex())
    assert named.not_valid_after_utc == after.card.expire_time
    assert keys[0x9E].certificate in after.objects[CARD_CERTIFICATE]


def test_the_key_that_authenticates_names_the_new_guid(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """It is certified again for the same purpose, wherever it was moved."""
    serial = world.card(ada[0], "developer")
    card = world.find(serial).card
    with world.database.write() as connection:
        world.renewal.move_key(connection, card, 0x9A, 0x82)
    replace_key(world, serial, 0x9C, Algorithm.ECC_P256)
    image = world.image(serial)
    for key in image.keys:
        if key.key_ref in (0x82, 0x9E):
            found = x509.load_der_x509_certificate(key.certificate).extensions
            names = found.get_extension_for_class(x509.SubjectAlternativeName).value
            (urn,) = names.get_values_for_type(x509.UniformResourceIdentifier)
            assert urn.replace("-", "").endswith(image.card.guid.hex())
            usages = found.get_extension_for_class(x509.ExtendedKeyUsage).value
            own = x509.ObjectIdentifier(PIV_CARD_AUTHENTICATION)
            assert (own in usages) == (key.key_ref == 0x9E)


def test_the_old_key_is_destroyed(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "developer")
    old = {key.key_ref: key for key in world.keys(serial)}[0x9A]
    replace_key(world, serial, 0x9A, Algorithm.ECC_P384)
    with world.database.read() as connection:
        kept = cards.find_key(connection, old.id)
    assert kept is not None
    assert kept.private == Destroyed()


def test_secure_messaging_follows_the_guid(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "sm-cs2")
    held = dict(world.contents(serial))
    changes = replace_key(world, serial, 0x9C, Algorithm.ECC_P256)
    check(world, serial, changes, held)
    image = world.image(serial)
    assert image.secure_messaging is not None
    assert changes.keys[0x04] is not None
    assert image.secure_messaging.certificate == changes.keys[0x04].certificate
    inside = dict(tlv.decode(tlv.decode_one(0x7F21, image.secure_messaging.certificate)))
    assert inside[0x5F20] == image.card.guid
    assert ObjectTag.SECURE_MESSAGING_SIGNER not in changes.objects


def test_a_new_key_for_secure_messaging(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "sm-cs2")
    held = dict(world.contents(serial))
    changes = replace_key(world, serial, 0x04, Algorithm.ECC_P384)
    check(world, serial, changes, held)
    key = changes.keys[0x04]
    assert key is not None
    assert key.certificate  # a key without one would be of no use
    signer = dict(tlv.decode(world.contents(serial)[0x5FC122]))[0x70]
    assert signer == world.authorities("p384").content_p384.der


def test_an_object_that_is_vouched_for(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "developer")
    for tag, contents, follows in (
        (ObjectTag.PRINTED_INFORMATION, b"\1\3Bo\x20\xfe\0", True),
        (ObjectTag.FINGERPRINTS, b"\xbc\1x\xfe\0", True),  # was not there
        (ObjectTag.FINGERPRINTS, b"", True),  # and is gone again
        (ObjectTag.AUTHENTICATION_CERTIFICATE, b"p\1x", False),
        (0x5FFF00, b"notes", False),
    ):
        before = dict(world.contents(serial))
        changes = write(world, serial, tag, contents)
        check(world, serial, changes, before)
        assert (ObjectTag.SECURITY_OBJECT in changes.objects) is follows
        assert world.contents(serial).get(tag) == (contents or None)
        assert changes.objects[tag] == (contents or None)


def test_retired_certificates_are_counted(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "developer")
    for count, tag in enumerate((0x5FC10D, 0x5FC10E), 1):
        before = dict(world.contents(serial))
        changes = write(world, serial, tag, b"p\1x")
        check(world, serial, changes, before)
        history = dict(tlv.decode(world.contents(serial)[ObjectTag.KEY_HISTORY]))
        assert (history[0xC1], history[0xC2]) == (bytes((count,)), b"\0")


@pytest.mark.parametrize("tag", [ObjectTag.CHUID, ObjectTag.SECURITY_OBJECT, CARD_CERTIFICATE])
@pytest.mark.parametrize("contents", [b"the administrator's", b""])
def test_what_an_administrator_wrote_stays(
    world: World, ada: tuple[User, Enrolled], tag: int, contents: bytes
) -> None:
    serial = world.card(ada[0], "developer")
    write(world, serial, tag, contents)
    before = dict(world.contents(serial))
    changes = replace_key(world, serial, 0x9D, Algorithm.ECC_P256)
    assert tag not in changes.objects
    assert world.contents(serial).get(tag) == (contents or None)
    assert set(world.contents(serial)) == set(before)


def test_moving_and_erasing(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "developer")
    before, held = world.image(serial), dict(world.contents(serial))
    key = {each.key_ref: each for each in before.keys}[0x9D]
    card = world.find(serial).card
    with world.database.write() as connection:
        moved = world.renewal.move_key(connection, card, 0x9D, 0x82)
    check(world, serial, moved, held)
    assert moved.keys[0x9D] is None
    assert moved.keys[0x82] is not None
    assert moved.keys[0x82].id == key.id
    assert {each.key_ref for each in world.keys(serial)} == {0x82, 0x9A, 0x9C, 0x9E}
    card = world.find(serial).card
    assert card.guid != before.card.guid
    with world.database.write() as connection:
        erased = world.renewal.remove_key(connection, card, 0x82)
    assert erased.keys[0x82] is None
    assert {each.key_ref for each in world.keys(serial)} == {0x9A, 0x9C, 0x9E}
    with world.database.write() as connection, pytest.raises(KeyNotFound):
        world.renewal.move_key(connection, card, 0x82, 0x83)
    with world.database.write() as connection, pytest.raises(KeyNotFound):
        world.renewal.remove_key(connection, card, 0x82)


def test_no_guid_comes_twice(world: World, ada: tuple[User, Enrolled]) -> None:
    serials = [world.card(ada[0], "developer") for _ in range(2)]
    seen = [world.find(serial).card.guid for serial in serials]
    for _ in range(3):
        for serial in serials:
            replace_key(world, serial, 0x9A, Algorithm.ECC_P256)
            seen.append(world.find(serial).card.guid)
    assert len(set(seen)) == len(seen)


@given(st.binary(min_size=16, max_size=16))
def test_a_guid_is_a_random_uuid(drawn: bytes) -> None:
    guid = new_guid(lambda size: drawn[:size])
    assert guid[6] >> 4 == 4
    assert guid[8] >> 6 == 0b10
