"""What a reader is told of a card makes a card, whose signed objects others verify."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from card_os import tlv
from card_os.administration import CardKey
from card_os.piv.image import CardImage
from card_os.piv.names import ObjectTag
from card_os.piv.oids import LDS_SECURITY_OBJECT, PIV_CHUID_SECURITY_OBJECT
from cloud_keystore.model.cards import HeldKey
from cloud_keystore.model.people import User
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
        ObjectTag.PRINTED_INFORMATION,
        ObjectTag.SECURITY_OBJECT,
        ObjectTag.AUTHENTICATION_CERTIFICATE,
        ObjectTag.SIGNATURE_CERTIFICATE,
        ObjectTag.KEY_MANAGEMENT_CERTIFICATE,
        ObjectTag.CARD_AUTHENTICATION_CERTIFICATE,
    }
    told = (*image.keys, *world.cards.keys(image.card.serial))
    assert not any(isinstance(key, HeldKey) for key in told)


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
    authorities = world.issuing.authorities
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
