"""Revocation lists of external authorities: read as they are, or refused with what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import assume, given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.pki.lists import LARGEST_FETCHED
from cloud_keystore.model.pki.revocation import RevocationReason, Revoked
from cloud_keystore.pki.revocation import external
from support.external_ca import new_authority

Builder = x509.CertificateRevocationListBuilder
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
OURS, OTHER = new_authority("ours"), new_authority("other")
DER = OURS.certificate.public_bytes(Encoding.DER)


def builder(number: int | None = 7, begin: datetime = NOW, end: datetime = NOW + DAY) -> Builder:
    made = Builder().issuer_name(OURS.certificate.subject).last_update(begin).next_update(end)
    return made if number is None else made.add_extension(x509.CRLNumber(number), critical=False)


def signed(made: Builder) -> bytes:
    return made.sign(OURS.private, SHA256()).public_bytes(Encoding.DER)


def point(**holds: bool) -> x509.IssuingDistributionPoint:
    kinds = ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl")
    flags = {each: holds.get(each, False) for each in (*kinds, "only_contains_attribute_certs")}
    name = [x509.UniformResourceIdentifier("http://crl.example.org/ca.crl")]
    return x509.IssuingDistributionPoint(
        full_name=name, relative_name=None, only_some_reasons=None, **flags
    )


def entry(serial: int, *extensions: x509.ExtensionType) -> x509.RevokedCertificate:
    made = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
    for each in extensions:
        made = made.add_extension(each, critical=isinstance(each, x509.CertificateIssuer))
    return made.build()


@given(
    number=st.integers(0, (1 << 159) - 1),
    revoked=st.dictionaries(
        st.integers(1, (1 << 159) - 1), st.sampled_from(RevocationReason), max_size=5
    ),
    pem=st.booleans(),
)
def test_a_list_is_read_as_it_was_written(
    number: int, revoked: dict[int, RevocationReason], pem: bool
) -> None:
    made = builder(number).add_extension(point(only_contains_user_certs=True), critical=True)
    for serial, reason in revoked.items():
        made = made.add_revoked_certificate(entry(serial, x509.CRLReason(_flag(reason))))
    document = signed(made)
    given_ = x509.load_der_x509_crl(document).public_bytes(Encoding.PEM) if pem else document
    found = external.read(given_, DER, NOW)
    said = {serial: Revoked(reason, NOW) for serial, reason in revoked.items()}
    assert (found.number, found.this_time, found.next_time) == (number, NOW, NOW + DAY)
    assert found.revoked == said == external.held(external.der(given_))
    assert external.der(given_) == document


def _flag(reason: RevocationReason) -> x509.ReasonFlags:
    return x509.ReasonFlags(reason.value)


def test_reasons_that_cards_do_not_have() -> None:
    """What is taken off a list is not on it; an authority in wrong hands compromises its keys."""
    since = NOW - DAY
    document = signed(
        builder()
        .add_revoked_certificate(entry(1, x509.CRLReason(x509.ReasonFlags.remove_from_crl)))
        .add_revoked_certificate(
            entry(2, x509.CRLReason(x509.ReasonFlags.ca_compromise), x509.InvalidityDate(since))
        )
        .add_revoked_certificate(entry(3))
    )
    assert external.held(document) == {
        2: Revoked(RevocationReason.KEY_COMPROMISE, NOW, since),
        3: Revoked(RevocationReason.UNSPECIFIED, NOW),
    }
    assert [external.names(document, serial) for serial in (1, 2, 4)] == [False, True, False]


def _of_several() -> bytes:
    issuer = x509.CertificateIssuer([x509.DirectoryName(OTHER.certificate.subject)])
    return signed(builder().add_revoked_certificate(entry(1, issuer)))


def _with(extension: x509.ExtensionType) -> bytes:
    return signed(builder().add_extension(extension, critical=True))


STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
REFUSED: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "nonsense": (lambda: b"\x30\x03\x02\x01\x01", "no revocation list"),
    "a certificate": (lambda: DER, "no revocation list"),
    "half": (lambda: signed(builder())[:-20], "no revocation list"),
    "large": (lambda: bytes(LARGEST_FETCHED + 1), "at most"),
    "of another": (
        lambda: (
            Builder()
            .issuer_name(OTHER.certificate.subject)
            .last_update(NOW)
            .next_update(NOW + DAY)
            .add_extension(x509.CRLNumber(1), critical=False)
            .sign(OTHER.private, SHA256())
            .public_bytes(Encoding.DER)
        ),
        r"that of CN=other.* let its certificate be known \(cloudcard ra ca trust FILE",
    ),
    "forged": (
        lambda: builder().sign(OTHER.private, SHA256()).public_bytes(Encoding.DER),
        "not signed by the authority's key",
    ),
    "of another kind of key": (
        lambda: (
            builder()
            .sign(ec.generate_private_key(ec.SECP384R1()), SHA384())
            .public_bytes(Encoding.DER)
        ),
        "not signed by the authority's key",
    ),
    "without number": (lambda: signed(builder(None)), "no number"),
    "stale": (lambda: signed(builder(7, NOW - 2 * DAY, NOW - DAY)), "ended at"),
    "to come": (lambda: signed(builder(7, NOW + DAY, NOW + 2 * DAY)), "look at the clocks"),
    "delta": (lambda: _with(x509.DeltaCRLIndicator(3)), "delta CRL"),
    "indirect": (lambda: _with(point(indirect_crl=True)), "indirect CRL"),
    "indirect by an entry": (_of_several, "indirect CRL"),
    "of authorities": (lambda: _with(point(only_contains_ca_certs=True)), "of authorities"),
    "unknown": (lambda: _with(STRANGE), "has to be known"),
    "an unknown entry": (
        lambda: signed(builder().add_revoked_certificate(_strange_entry())),
        "has to be known",
    ),
}


def _strange_entry() -> x509.RevokedCertificate:
    made = x509.RevokedCertificateBuilder().serial_number(1).revocation_date(NOW)
    return made.add_extension(STRANGE, critical=True).build()


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_complete_list_of_the_authority_is_refused(what: str) -> None:
    make, reason = REFUSED[what]
    with pytest.raises(InvalidInput, match=reason):
        external.read(make(), DER, NOW)


SIGNED = signed(builder())


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_are_more_than_refused(noise: bytes, at: int) -> None:
    """The attack: whoever publishes the list writes what they like."""
    document = bytearray(SIGNED)
    document[at : at + len(noise)] = noise
    assume(document != SIGNED)
    for each in (noise, bytes(document)):
        with pytest.raises(InvalidInput):
            external.read(each, DER, NOW)
