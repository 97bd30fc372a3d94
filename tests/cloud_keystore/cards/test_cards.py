"""What the RA makes: certificates, signed objects, states."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import text

from card_os import tlv
from card_os.administration import CardKey
from card_os.piv.image import CardImage
from card_os.piv.names import ObjectTag
from cloud_keystore.model.cards import CARD_TRANSITIONS, CardEvent, CardState
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput, UserNotFound
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.people import User
from cloud_keystore.pki.cms import CHUID_SECURITY_OBJECT, LDS_SECURITY_OBJECT
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, FakeClock, World


def test_a_card_is_its_own(world: World, ada: tuple[User, Enrolled]) -> None:
    cards = [world.cards.find(world.card(ada[0])).card for _ in range(2)]
    assert len({card.serial for card in cards}) == 2
    assert len({card.guid for card in cards}) == 2
    assert all(len(card.serial) == 16 and card.serial.startswith("100") for card in cards)


def test_the_reader_can_make_a_card_of_it(world: World, ada: tuple[User, Enrolled]) -> None:
    image = world.cards.image(world.card(ada[0]))
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
    assert all(key.sealed_private is None for key in image.keys)


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
    image = world.cards.image(world.card(ada[0]))
    authorities = world.cards.authorities
    ca, signer, covered = tmp_path / "ca.pem", tmp_path / "signer.pem", tmp_path / "covered"
    ca.write_bytes(authorities.cards.certificate.public_bytes(Encoding.PEM))
    signer.write_bytes(authorities.content.certificate.public_bytes(Encoding.PEM))

    chuid = dict(tlv.decode(image.objects[ObjectTag.CHUID]))
    covered.write_bytes(
        b"".join(tlv.encode(tag, value) for tag, value in chuid.items() if tag != 0x3E)
    )
    assert "successful" in cms_verify(chuid[0x3E], ca, tmp_path, "-content", str(covered))
    assert CHUID_SECURITY_OBJECT in printed(chuid[0x3E], tmp_path)
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


def test_issuing_is_idempotent(world: World, ada: tuple[User, Enrolled]) -> None:
    request_id = os.urandom(16)
    first = world.cards.issue(request_id, ada[0].id, "p256", actor=OPERATOR)
    assert world.cards.issue(request_id, ada[0].id, "p256", actor=OPERATOR) == first
    assert len(world.cards.list_all()) == 1


def test_wrong_orders(world: World, ada: tuple[User, Enrolled]) -> None:
    with pytest.raises(UserNotFound):
        world.cards.issue(os.urandom(16), "nobody", "p256", actor=OPERATOR)
    with pytest.raises(InvalidInput, match="use one of v1, v2"):
        world.cards.issue(os.urandom(16), ada[0].id, "rsa512", actor=OPERATOR)
    with pytest.raises(InvalidInput):
        world.cards.issue(b"", ada[0].id, "p256", actor=OPERATOR)


ACTIONS = {
    CardEvent.SUSPEND: lambda world, serial: world.cards.suspend(serial, actor=OPERATOR),
    CardEvent.RESUME: lambda world, serial: world.cards.resume(serial, actor=OPERATOR),
    CardEvent.REVOKE: lambda world, serial: world.cards.revoke(serial, "left", actor=OPERATOR),
}


@pytest.mark.parametrize(("state", "event"), list(product(CardState, ACTIONS)))
def test_every_state_and_event_follows_the_table(
    world: World, ada: tuple[User, Enrolled], state: CardState, event: CardEvent
) -> None:
    serial = world.card(ada[0])
    with world.database.write() as connection:
        connection.execute(text("UPDATE card SET state = :state"), {"state": state.value})
    expected = CARD_TRANSITIONS.get((state, event))
    if expected is None:
        with pytest.raises(IllegalCardChange):
            ACTIONS[event](world, serial)
    else:
        assert ACTIONS[event](world, serial).card.state is expected


def test_a_revoked_card_has_no_keys(
    world: World, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    serial = world.card(ada[0])
    with world.database.read() as connection:
        query = text("SELECT sealed_private FROM key")
        sealed = [row.sealed_private for row in connection.execute(query)]
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    with world.database.read() as connection:
        assert all(row.sealed_private is None for row in connection.execute(query))
    world.database.close()  # checkpoints: what was erased is gone from the files too
    files = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert not any(each in files for each in sealed)


def test_unlocking_needs_a_passcode(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.cards.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    with pytest.raises(IllegalCardChange, match="no passcode yet"):
        world.cards.unlock(serial, actor=OPERATOR)
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    world.cards.unlock(serial, actor=OPERATOR)


def test_expiry_is_that_of_the_certificates(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0])
    expires = world.cards.find(serial).card.expire_time
    for key in world.cards.keys(serial):
        certificate = x509.load_der_x509_certificate(key.certificate)
        assert certificate.not_valid_after_utc == expires
    assert expires > datetime.now(UTC)


def test_a_revoked_card_leaves_proof_that_its_keys_are_destroyed(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    serial = world.card(ada[0])
    held = {key.id: key for key in world.cards.keys(serial)}
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    with world.database.read() as connection:
        entries = connection.execute(text("SELECT entry FROM journal")).scalars().all()
    told = [entry for entry in map(decode, entries) if entry.kind is Kind.KEY_DESTROYED]
    assert sorted(entry.key_id or "" for entry in told) == sorted(held)
    for entry in told:
        key = held[entry.key_id or ""]
        assert entry.details == {"backend": "software", "algorithm": key.algorithm.name}
        assert entry.evidence == {"public_key_sha256": sha256(key.public_key).digest()}
