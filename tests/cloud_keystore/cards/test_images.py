"""What a reader is told of a card makes a card, whose signed objects others verify."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding

from card_os import tlv
from card_os.administration import CardKey
from card_os.piv.image import CardImage, Features
from card_os.piv.names import ObjectTag
from card_os.piv.oids import LDS_SECURITY_OBJECT, PIV_CHUID_SECURITY_OBJECT
from cloud_keystore.model.cards import HeldKey
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES
from support.announcing import announced
from support.keystore_world import Enrolled, FakeClock, World


def test_the_reader_can_make_a_card_of_it(world: World, ada: tuple[User, Enrolled]) -> None:
    image = world.image(world.card(ada[0]))
    keys = {key.key_ref: CardKey(key.algorithm) for key in image.keys}
    card = CardImage(image.card.serial, image.card.guid, image.objects, keys)
    assert set(card.objects) == {
        ObjectTag.CHUID,
        ObjectTag.CCC,
        ObjectTag.DISCOVERY,
        ObjectTag.KEY_HISTORY,
        ObjectTag.SECURITY_OBJECT,
        ObjectTag.AUTHENTICATION_CERTIFICATE,
        ObjectTag.SIGNATURE_CERTIFICATE,
        ObjectTag.KEY_MANAGEMENT_CERTIFICATE,
        ObjectTag.CARD_AUTHENTICATION_CERTIFICATE,
    }
    assert image.withheld == {ObjectTag.PRINTED_INFORMATION}
    told = (*image.keys, *world.keys(image.card.serial))
    assert not any(isinstance(key, HeldKey) for key in told)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_algorithm_that_a_card_holds_is_announced(
    world: World, ada: tuple[User, Enrolled], profile: str
) -> None:
    image = world.image(world.card(ada[0], profile))
    keys = {key.key_ref: CardKey(key.algorithm) for key in image.keys}
    verifiable = b""
    if image.secure_messaging is not None and image.cipher_suite is not None:
        keys[0x04] = CardKey(image.cipher_suite)
        verifiable = image.secure_messaging.certificate
    features = Features(frozenset(image.profile.algorithms), extensions=image.profile.extensions)
    told = announced(
        CardImage(image.card.serial, image.card.guid, image.objects, keys, features, verifiable)
    )
    assert {key.algorithm for key in keys.values()} <= set(told)


def test_the_signer_of_the_chuid_is_named(world: World, ada: tuple[User, Enrolled]) -> None:
    """Part 1, 3.1.2.1: the subject of the content signing certificate, as a signed attribute."""
    image = world.image(world.card(ada[0]))
    signed = dict(tlv.decode(image.objects[ObjectTag.CHUID]))[0x3E]
    (signer,) = cms.ContentInfo.load(signed)["content"]["signer_infos"]
    (name,) = (
        each["values"][0]
        for each in signer["signed_attrs"]
        if each["type"].dotted == "2.16.840.1.101.3.6.5"
    )
    own = world.authorities().content.certificate
    assert name.dump() == own.subject.public_bytes()


def test_what_is_hashed_of_the_discovery_object(world: World, ada: tuple[User, Enrolled]) -> None:
    """Its elements 4F and 5F2F, as appendix A of part 1 lists them: not the 7E around them."""
    image = world.image(world.card(ada[0]))
    security = dict(tlv.decode(image.objects[ObjectTag.SECURITY_OBJECT]))
    content = cms.ContentInfo.load(security[0xBB])["content"]["encap_content_info"]
    assert content["content_type"].dotted == "1.3.27.1.1.1"  # SP 800-85B, AS06.04.06
    elements = bytes.fromhex("4F0BA000000308000010000100 5F2F024000")
    hashed = content["content"].contents
    assert sha256(elements).digest() in hashed
    assert sha256(b"\x7e\x12" + elements).digest() not in hashed


NOW = str(int(FakeClock().now.timestamp()))


def cms_verify(signed: bytes, ca: Path, folder: Path, *options: str) -> str:
    """OpenSSL's opinion of a CMS signature."""
    file = folder / "signed.der"
    file.write_bytes(signed)
    done = subprocess.run(
        [
            *("openssl", "cms", "-verify", "-inform", "DER", "-in", str(file)),
            *("-CAfile", str(ca), "-purpose", "any", "-binary", "-attime", NOW),
            *("-out", str(folder / "content"), *options),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def test_openssl_verifies_the_signed_objects(
    world: World, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    image = world.image(world.card(ada[0]))
    authorities = world.authorities()
    ca, signer, covered = tmp_path / "ca.pem", tmp_path / "signer.pem", tmp_path / "covered"
    ca.write_bytes(authorities.cards.certificate.public_bytes(Encoding.PEM))
    signer.write_bytes(authorities.content.certificate.public_bytes(Encoding.PEM))

    chuid = dict(tlv.decode(image.objects[ObjectTag.CHUID]))
    covered.write_bytes(
        b"".join(tlv.encode(tag, value) for tag, value in chuid.items() if tag != 0x3E)
    )
    assert "successful" in cms_verify(chuid[0x3E], ca, tmp_path, "-content", str(covered))
    assert PIV_CHUID_SECURITY_OBJECT in printed(chuid[0x3E], tmp_path)
    covered.write_bytes(covered.read_bytes() + b"\0")
    assert "successful" not in cms_verify(chuid[0x3E], ca, tmp_path, "-content", str(covered))

    security = dict(tlv.decode(image.objects[ObjectTag.SECURITY_OBJECT]))
    assert "successful" in cms_verify(security[0xBB], ca, tmp_path, "-certfile", str(signer))
    assert LDS_SECURITY_OBJECT in printed(security[0xBB], tmp_path)


def printed(signed: bytes, folder: Path) -> str:
    file = folder / "signed.der"
    file.write_bytes(signed)
    command = ["openssl", "cms", "-cmsout", "-noout", "-print", "-inform", "DER", "-in", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
