"""Keys to approve by at enrolment: bound to the token and to the TLS key, and nobody else's."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.approval import statement
from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.model.approval_keys import NativeKey, Passkey
from cloud_keystore.model.errors import InvalidInput, TokenRejected
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import IdentityState, User
from cloud_keystore.people.enrolment import NativeRegistration
from cloud_keystore.people.enrolment import Registration as Registered
from cloud_keystore.storage import approval_keys
from cloudcard_tools.authenticator.approving import Private, sign
from cloudcard_tools.authenticator.passkey import SoftwarePasskey
from support.keystore_world import OPERATOR, Enrolled, World, csr, new_passkey, secret_of, spki

TLS = ec.generate_private_key(ec.SECP256R1())
CSR = csr(TLS)


@pytest.fixture
def secret(world: World, ada: tuple[User, Enrolled]) -> bytes:
    """Of a token for Ada's next device."""
    return secret_of(world.people.invite_device(ada[0].id, actor=OPERATOR).text)


def registered(passkey: SoftwarePasskey, secret: bytes, request: bytes = CSR) -> Registration:
    created = passkey.create(statement.challenge(statement.enrolment(secret, request)))
    return Registration(created.attestation_object, created.client_data)


def proven(private: Private, secret: bytes, request: bytes = CSR) -> NativeRegistration:
    return NativeRegistration(spki(private), sign(private, statement.enrolment(secret, request)))


def refused(world: World, secret: bytes, registration: Registered, match: str) -> None:
    """It is refused, and costs no token."""
    with pytest.raises(InvalidInput, match=match):
        world.enrolment.enrol(secret, CSR, "", registration)
    world.enrolment.enrol(secret, CSR, "")


def test_a_passkey_is_kept_with_what_it_was_made_for(world: World, secret: bytes) -> None:
    made = new_passkey()
    device, _ = world.enrolment.enrol(secret, CSR, "", registered(made, secret))
    with world.database.read() as connection:
        kept = approval_keys.find(connection, device)
    expected = world.enrolment.relying_party
    assert kept == Passkey(made.cose_key(), made.credential_id, expected)
    (entry,) = [
        entry for entry in world.journal(Kind.IDENTITY_ENROLLED) if entry.device_id == device.id
    ]
    assert entry.evidence["approval_key"] == made.cose_key()
    assert entry.evidence["csr"] == CSR
    assert not entry.details["backup_eligible"]


@pytest.mark.parametrize(
    "private", [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_a_native_key_is_kept(world: World, secret: bytes, private: Private) -> None:
    device, _ = world.enrolment.enrol(secret, CSR, "", proven(private, secret))
    with world.database.read() as connection:
        assert approval_keys.find(connection, device) == NativeKey(spki(private))


def test_without_one_the_tls_key_approves(world: World, secret: bytes) -> None:
    device, _ = world.enrolment.enrol(secret, CSR, "")
    with world.database.read() as connection:
        assert approval_keys.find(connection, device) == NativeKey(spki(TLS))


@pytest.mark.parametrize("kind", ["passkey", "native"])
def test_a_key_answers_for_one_token_and_one_tls_key(
    world: World, secret: bytes, kind: str
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    other_csr = csr(ec.generate_private_key(ec.SECP256R1()))
    for told, request in ((b"another token's.", CSR), (secret, other_csr)):
        registration: Registered = (
            registered(new_passkey(), told, request)
            if kind == "passkey"
            else proven(private, told, request)
        )
        with pytest.raises(InvalidInput):
            world.enrolment.enrol(secret, CSR, "", registration)
    world.enrolment.enrol(secret, CSR, "")


def test_a_native_key_proves_its_possession(world: World, secret: bytes) -> None:
    victim, thief = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    stolen = NativeRegistration(spki(victim), proven(thief, secret).signature)
    refused(world, secret, stolen, "has signed the enrolment statement")


def test_no_proof_no_key(world: World, secret: bytes) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    refused(world, secret, NativeRegistration(spki(private), b""), "native_key")


def _other_kinds(signed: bytes) -> list[NativeRegistration]:
    p384, rsa_key = ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)
    other = ed448.Ed448PrivateKey.generate()
    made = [
        (p384.public_key(), p384.sign(signed, ec.ECDSA(SHA256()))),
        (rsa_key.public_key(), rsa_key.sign(signed, PKCS1v15(), SHA256())),
        (other.public_key(), other.sign(signed)),
    ]
    return [
        NativeRegistration(
            key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), signature
        )
        for key, signature in made
    ]


def test_native_keys_are_of_two_kinds(world: World, secret: bytes) -> None:
    for registration in _other_kinds(statement.enrolment(secret, CSR)):
        with pytest.raises(InvalidInput, match="P-256 or Ed25519"):
            world.enrolment.enrol(secret, CSR, "", registration)
    for junk in (b"", b"\x30\x00", b"\x00" * 10_000):
        with pytest.raises(InvalidInput):
            world.enrolment.enrol(secret, CSR, "", NativeRegistration(junk, b""))


def test_a_passkey_is_one_devices(world: World, ada: tuple[User, Enrolled], secret: bytes) -> None:
    made = new_passkey()
    world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text, made)
    refused(world, secret, registered(made, secret), "another device's")


def test_only_devices_approve(world: World) -> None:
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)
    private = ec.generate_private_key(ec.SECP256R1())
    refused(world, secret, proven(private, secret), "only a device")


def test_the_terms_of_a_passkey_cost_no_token(
    world: World, ada: tuple[User, Enrolled], secret: bytes
) -> None:
    assert world.enrolment.passkey_terms(secret) == ada[0]
    assert world.enrolment.passkey_terms(secret) == ada[0]
    world.enrolment.enrol(secret, CSR, "")
    with pytest.raises(TokenRejected):
        world.enrolment.passkey_terms(secret)
    with pytest.raises(TokenRejected):
        world.enrolment.passkey_terms(b"a guess")
    with pytest.raises(InvalidInput, match="only devices"):
        world.enrolment.passkey_terms(
            secret_of(world.people.add_operator("Olga", actor=OPERATOR).text)
        )


def test_a_token_of_a_device_removed_before_it_was_enrolled(
    world: World, ada: tuple[User, Enrolled], secret: bytes
) -> None:
    operator = world.operator().identity
    (invited,) = [
        entry.device
        for entry in world.devices.list_of(ada[0].id, actor=world.actor)
        if entry.device.state is IdentityState.INVITED
    ]
    world.devices.remove(invited.id, "sent to the wrong person", operator)
    with pytest.raises(TokenRejected):
        world.enrolment.passkey_terms(secret)
    with pytest.raises(TokenRejected):
        world.enrolment.enrol(secret, CSR, "")
