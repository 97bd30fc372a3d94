"""A developer's card, whose secrets everybody knows, is never taken for one in production: other
authorities certify it, and its names say what it is.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from card_os import tlv
from card_os.piv.names import KeyRef, ObjectTag
from cloud_keystore.model.certificates import Published
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.pki import authorities
from cloud_keystore.pki.issuers import DEVELOPER, PRODUCTION, Own
from cloud_keystore.storage import cards
from support.keystore_world import OPERATOR, Enrolled, World


def certificates(world: World, serial: str) -> list[x509.Certificate]:
    keys = [key for key in world.keys(serial) if key.key_ref != KeyRef.SECURE_MESSAGING]
    return [x509.load_der_x509_certificate(key.certificate) for key in keys]


@pytest.fixture
def developer(world: World, ada: tuple[User, Enrolled]) -> str:
    return world.card(ada[0], "developer")


def verifies(folder: Path, ca: x509.Certificate, certificate: x509.Certificate) -> bool:
    """What openssl says."""
    root, leaf = folder / "ca.pem", folder / "leaf.pem"
    root.write_bytes(ca.public_bytes(Encoding.PEM))
    leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-no_check_time", "-CAfile", str(root), str(leaf)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_whoever_trusts_cards_in_production_trusts_no_developers_card(
    world: World, ada: tuple[User, Enrolled], developer: str, tmp_path: Path
) -> None:
    """The attack: log on, or sign, with a card whose PIN and management key are in its manual."""
    production, other = world.authorities().cards, world.authorities("developer").cards
    for certificate in certificates(world, developer):
        assert not verifies(tmp_path, production.certificate, certificate)
        assert verifies(tmp_path, other.certificate, certificate)
    for certificate in certificates(world, world.card(ada[0])):
        assert verifies(tmp_path, production.certificate, certificate)
        assert not verifies(tmp_path, other.certificate, certificate)


def test_every_name_says_what_it_is(world: World, developer: str) -> None:
    for certificate in certificates(world, developer):
        units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        assert [unit.value for unit in units] == ["Developer card, not for production"]
        assert "not for production" in certificate.issuer.rfc4514_string()


def test_no_other_card_says_so(world: World, ada: tuple[User, Enrolled]) -> None:
    for certificate in certificates(world, world.card(ada[0])):
        names = certificate.subject.rfc4514_string() + certificate.issuer.rfc4514_string()
        assert "eveloper" not in names


def test_its_objects_are_signed_by_developers_signers(world: World, developer: str) -> None:
    chuid = dict(tlv.decode(world.image(developer).objects[ObjectTag.CHUID]))
    own = world.authorities("developer")
    assert own.content.der in chuid[0x3E]
    assert world.authorities().content.der not in chuid[0x3E]
    own.content.certificate.verify_directly_issued_by(own.cards.certificate)
    own.content_p384.certificate.verify_directly_issued_by(own.cards.certificate)


def test_it_stays_one_when_its_keys_change(world: World, developer: str) -> None:
    """A card with another GUID gets new certificates where they name it."""
    with world.database.write() as connection:
        card = cards.in_use(connection, developer)
        (key,) = [key for key in cards.keys(connection, card.id) if key.key_ref == KeyRef.SIGNATURE]
        world.administration.renewal.remove_key(connection, card, key.key_ref)
    other = world.authorities("developer").cards.certificate
    changed = certificates(world, developer)
    assert len(changed) == 3
    for certificate in changed:
        certificate.verify_directly_issued_by(other)
    chuid = dict(tlv.decode(world.image(developer).objects[ObjectTag.CHUID]))
    assert world.authorities("developer").content.der in chuid[0x3E]


def test_its_certificates_name_no_lists_of_another_issuer(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    published = Published("http://ca.example.org/list.crl", "http://ca.example.org/ca.cer")
    issuing = replace(world.issuing, published=published)
    made = issuing.issue(os.urandom(16), ada[0].id, "developer", actor=OPERATOR).card
    for certificate in certificates(world, made.serial):
        assert b"ca.example.org" not in certificate.public_bytes(Encoding.DER)


def test_every_profile_with_known_secrets_is_for_developers() -> None:
    known = {each.name for each in PROFILES.values() if each.factory_passcodes or each.management}
    assert known == {each.name for each in PROFILES.values() if each.developer}


def test_no_key_of_the_two_kinds_is_the_same(world: World) -> None:
    own = world.issuing.authorities.generations
    first = [own[name][0] for name in PRODUCTION + DEVELOPER]
    publics = {
        each.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for each in first
    }
    subjects = {own[name][0].certificate.subject for name in (Own.CARDS, Own.DEVELOPER_CARDS)}
    assert (len(publics), len(subjects)) == (6, 2)


def test_a_keystore_of_before_gets_them_at_its_next_start(world: World) -> None:
    with world.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM authority WHERE name LIKE 'developer %'")
    before = world.authorities()
    own = authorities.load_or_make(world.database, world.seal, world.clock)
    assert own.of_cards(PROFILES["p256"]).cards.der == before.cards.der
    assert own.of_cards(PROFILES["developer"]).cards.der != before.cards.der


def test_a_developers_card_of_before_shows_who_has_issued_it(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """It was certified as if it were one in production."""
    own, profile = world.issuing.authorities, PROFILES["developer"]
    (certified, *_) = world.keys(world.card(ada[0]))
    assert own.card_issuer(profile, certified.certificate) == world.authorities().cards
    assert own.card_issuer(profile, None) == world.authorities("developer").cards
