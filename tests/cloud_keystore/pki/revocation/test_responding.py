"""What is asked of OCSP, by anybody, and what the answers are like."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_keystore.model.pki.revocation import ANSWER_LIFETIME, SLOW_CLOCKS
from cloud_keystore.pki.building import RESPONDER_LIFETIME
from cloud_keystore.pki.revocation.responding import LARGEST_REQUEST
from support.checking import Checker, certificate, question
from support.keystore_world import World

GOOD = ocsp.OCSPCertStatus.GOOD
MALFORMED = ocsp.OCSPResponseStatus.MALFORMED_REQUEST
UNAUTHORIZED = ocsp.OCSPResponseStatus.UNAUTHORIZED
IN_ONE_WORLD = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture
def own(world: World, serial: str) -> x509.Certificate:
    """The certificate of a card."""
    return certificate(world.keys(serial)[0])


@pytest.mark.parametrize("algorithm", [SHA1(), SHA256(), SHA384(), SHA512()])
def test_an_answer_names_what_was_asked(
    world: World, checker: Checker, own: x509.Certificate, algorithm: HashAlgorithm
) -> None:
    asked = ocsp.load_der_ocsp_request(question(own, checker.issuer.certificate, algorithm))
    answer = checker.answer(question(own, checker.issuer.certificate, algorithm))
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    for name in ("serial_number", "issuer_name_hash", "issuer_key_hash"):
        assert getattr(answer, name) == getattr(asked, name)
    assert answer.this_update_utc == world.clock() - SLOW_CLOCKS
    assert answer.next_update_utc == world.clock() + ANSWER_LIFETIME


def test_answers_are_signed_for_the_authority(checker: Checker, own: x509.Certificate) -> None:
    answer = checker.answer(question(own, checker.issuer.certificate))
    [responder] = answer.certificates
    responder.verify_directly_issued_by(checker.issuer.certificate)
    key = responder.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(SHA256()))
    usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert not responder.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_another_responder_takes_over_in_time(
    world: World, checker: Checker, own: x509.Certificate
) -> None:
    seen = set()
    for _ in range(8):
        [responder] = checker.answer(question(own, checker.issuer.certificate)).certificates
        assert responder.not_valid_after_utc - world.clock() >= ANSWER_LIFETIME
        seen.add(responder.serial_number)
        world.clock.forward(seconds=RESPONDER_LIFETIME.total_seconds() / 4)
    assert len(seen) > 2


@pytest.mark.parametrize("size", [1, 32, 128])
def test_a_nonce_comes_back_and_the_answer_is_for_nobody_else(
    checker: Checker, own: x509.Certificate, size: int
) -> None:
    nonce = bytes(range(size))
    request = question(own, checker.issuer.certificate, nonce=nonce)
    answer = checker.answer(request)
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert checker.responding.respond(request).good_until is None


def test_an_answer_without_a_nonce_is_for_a_while(
    world: World, checker: Checker, own: x509.Certificate
) -> None:
    request = question(own, checker.issuer.certificate)
    assert not len(checker.answer(request).extensions)
    assert checker.responding.respond(request).good_until == world.clock() + ANSWER_LIFETIME


@pytest.mark.parametrize("size", [0, 129, 1000])
def test_a_nonce_that_is_none(checker: Checker, own: x509.Certificate, size: int) -> None:
    """RFC 9654, 2.1."""
    request = question(own, checker.issuer.certificate, nonce=bytes(size))
    assert checker.answer(request).response_status is MALFORMED


def several(request: bytes) -> bytes:
    """The same question twice."""
    asked = asn1.OCSPRequest.load(request)
    [one] = asked["tbs_request"]["request_list"]
    asked["tbs_request"]["request_list"] = [one, one]
    return bytes(asked.dump(force=True))


def with_serial(number: int) -> Callable[[bytes], bytes]:
    """One about another certificate."""

    def change(request: bytes) -> bytes:
        asked = asn1.OCSPRequest.load(request)
        asked["tbs_request"]["request_list"][0]["req_cert"]["serial_number"] = number
        return bytes(asked.dump(force=True))

    return change


def with_unknown_extension(request: bytes) -> bytes:
    """One with an extension that must be understood."""
    asked = ocsp.load_der_ocsp_request(request)
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\5\0")
    return (
        ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(
            asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number, SHA1()
        )
        .add_extension(unknown, critical=True)
        .build()
        .public_bytes(Encoding.DER)
    )


@pytest.mark.parametrize(
    "change",
    [
        several,
        with_unknown_extension,
        with_serial(0),
        with_serial(-1),
        with_serial(2**160),
        lambda request: request + b"\0",
        lambda request: request[:-1],
        lambda request: request + bytes(LARGEST_REQUEST),
        lambda _: b"",
        lambda _: b"\x30\x80",
    ],
)
def test_a_request_that_is_none(
    checker: Checker, own: x509.Certificate, change: Callable[[bytes], bytes]
) -> None:
    request = change(question(own, checker.issuer.certificate))
    assert checker.answer(request).response_status is MALFORMED


def test_nobody_is_told_of_other_authorities(checker: Checker, own: x509.Certificate) -> None:
    """An authority is known by its name and its key together."""
    good = ocsp.load_der_ocsp_request(question(own, checker.issuer.certificate))
    for names, key in ((bytes(20), good.issuer_key_hash), (good.issuer_name_hash, bytes(20))):
        asked = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            names, key, own.serial_number, SHA1()
        )
        request = asked.build().public_bytes(Encoding.DER)
        assert checker.answer(request).response_status is UNAUTHORIZED


@given(serial=st.integers(1, 2**160 - 1))
@IN_ONE_WORLD
def test_who_tries_serial_numbers_learns_that_nobody_has_them(
    checker: Checker, own: x509.Certificate, serial: int
) -> None:
    builder = ocsp.OCSPRequestBuilder()
    good = ocsp.load_der_ocsp_request(question(own, checker.issuer.certificate))
    asked = builder.add_certificate_by_hash(
        good.issuer_name_hash, good.issuer_key_hash, serial, SHA1()
    ).build()
    answer = checker.answer(asked.public_bytes(Encoding.DER))
    assert answer.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


@given(request_=st.binary(max_size=300))
@IN_ONE_WORLD
def test_any_bytes_are_answered(checker: Checker, request_: bytes) -> None:
    assert checker.answer(request_).response_status in (MALFORMED, UNAUTHORIZED)


@given(data=st.data())
@IN_ONE_WORLD
def test_a_request_that_is_changed_somewhere(
    checker: Checker, own: x509.Certificate, data: st.DataObject
) -> None:
    request = bytearray(question(own, checker.issuer.certificate, nonce=bytes(32)))
    place = data.draw(st.integers(0, len(request) - 1))
    request[place] ^= data.draw(st.integers(1, 255))
    answer = checker.answer(bytes(request))
    if answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL:
        assert answer.serial_number != own.serial_number or answer.certificate_status is GOOD
    else:
        assert answer.response_status in (MALFORMED, UNAUTHORIZED)
