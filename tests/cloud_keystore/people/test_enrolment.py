from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import IdentityRejected, InvalidInput, TokenRejected
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import IdentityState, Role
from support.keystore_world import OPERATOR, World, csr, secret_of


def test_a_token_becomes_an_identity(world: World) -> None:
    workstation, token = world.people.add_workstation("PC1", "Ward 7", actor=OPERATOR)
    assert token.text.endswith("@127.0.0.1:7444")
    private = ec.generate_private_key(ec.SECP256R1())
    identity, der = world.enrolment.enrol(secret_of(token.text), csr(private), "")
    assert identity.id == workstation.id
    assert identity.state is IdentityState.ACTIVE
    certificate = x509.load_der_x509_certificate(der)
    certificate.verify_directly_issued_by(world.enrolment.authorities.transport.certificate)
    assert world.callers.identify(sha256(der).digest(), Role.WORKSTATION) == identity


def test_a_token_is_good_once(world: World) -> None:
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)
    world.enrolment.enrol(secret, csr(ec.generate_private_key(ec.SECP256R1())), "")
    with pytest.raises(TokenRejected):
        world.enrolment.enrol(secret, csr(ec.generate_private_key(ec.SECP256R1())), "")


def test_who_repeats_a_request_gets_the_same_identity(world: World) -> None:
    """A lost answer cost the token: the same request again was refused, and nobody had the
    identity's certificate.
    """
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)
    other = secret_of(world.people.add_workstation("PC2", "", actor=OPERATOR)[1].text)
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    first = world.enrolment.enrol(secret, request, "")
    world.enrolment.enrol(other, csr(ec.generate_private_key(ec.SECP256R1())), "")
    assert world.enrolment.enrol(secret, request, "") == first
    assert len(world.journal(Kind.IDENTITY_ENROLLED)) == 2
    world.identities.remove(Role.WORKSTATION, first[0].id, "lost", world.operator().identity)
    with pytest.raises(TokenRejected):
        world.enrolment.enrol(secret, request, "")


def test_a_repeated_request_is_answered_as_long_as_the_token_lives(world: World) -> None:
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    world.enrolment.enrol(secret, request, "")
    world.clock.forward(days=14)
    with pytest.raises(TokenRejected):
        world.enrolment.enrol(secret, request, "")


def test_a_token_is_not_spent_by_the_wrong_role(world: World) -> None:
    """`cloudcard reader enrol` with an operator's token spent it, and made an operator whose key
    nobody kept.
    """
    secret = secret_of(world.people.add_operator("Olga", actor=OPERATOR).text)
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(InvalidInput, match="for the role operator, not workstation"):
        world.enrolment.enrol(secret, request, "", role=Role.WORKSTATION)
    identity, _ = world.enrolment.enrol(secret, request, "", role=Role.OPERATOR)
    assert identity.role is Role.OPERATOR


def test_a_token_lives_two_weeks(world: World) -> None:
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)
    world.clock.forward(days=14)
    with pytest.raises(TokenRejected):
        world.enrolment.enrol(secret, csr(ec.generate_private_key(ec.SECP256R1())), "")


def test_a_refused_request_costs_no_token(world: World) -> None:
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)
    with pytest.raises(InvalidInput):
        world.enrolment.enrol(secret, b"junk", "")
    world.enrolment.enrol(secret, csr(ec.generate_private_key(ec.SECP256R1())), "")


def refused(world: World, request: bytes, match: str = "") -> None:
    """It makes no identity."""
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)
    with pytest.raises(InvalidInput, match=match):
        world.enrolment.enrol(secret, request, "")


@pytest.mark.parametrize(
    "private",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["RSA", "P-384"],
)
def test_keys_of_another_kind_are_refused(
    world: World, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    refused(world, request.sign(private, SHA256()).public_bytes(Encoding.DER), "P-256")


def test_a_request_signed_by_another_key_is_refused(world: World) -> None:
    der = bytearray(csr(ec.generate_private_key(ec.SECP256R1())))
    other = csr(ec.generate_private_key(ec.SECP256R1()))
    at = bytes(der).index(b"\x03\x42\0\x04") + 3  # the point of the public key
    there = other.index(b"\x03\x42\0\x04") + 3
    der[at : at + 65] = other[there : there + 65]
    refused(world, bytes(der), "not signed by its own key")


def test_a_request_with_a_changed_signature_is_refused(world: World) -> None:
    der = bytearray(csr(ec.generate_private_key(ec.SECP256R1())))
    der[-1] ^= 1
    refused(world, bytes(der), "not signed by its own key")


def test_junk_is_refused(world: World) -> None:
    secret = secret_of(world.people.add_workstation("PC1", "", actor=OPERATOR)[1].text)

    @given(st.binary(max_size=5000))
    def refuses(junk: bytes) -> None:
        with pytest.raises(InvalidInput):
            world.enrolment.enrol(secret, junk, "")

    refuses()


def test_one_role_is_not_another(world: World) -> None:
    operator = world.enrol(world.people.add_operator("Op", actor=OPERATOR).text)
    fingerprint = operator.identity.certificate_sha256
    assert fingerprint is not None
    with pytest.raises(IdentityRejected, match="device"):
        world.callers.identify(fingerprint, Role.DEVICE)
    with pytest.raises(IdentityRejected):
        world.callers.identify(b"\0" * 32, Role.OPERATOR)


def test_names_are_bounded_and_printable(world: World) -> None:
    for name in ("", "  ", "x" * 65, "a\nb", "a\x00b"):
        with pytest.raises(InvalidInput):
            world.people.add_workstation(name, "", actor=OPERATOR)
    for email in ("no-at", "a@b", "a b@c.d", "@c.d"):
        with pytest.raises(InvalidInput, match="email"):
            world.people.add_user("Ada", email, actor=OPERATOR)
    world.people.add_user("Seán O'Brien-Ó Súilleabháin", "o'brien+ward@example.org", actor=OPERATOR)
