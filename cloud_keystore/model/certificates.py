"""Profiles of the certificates for cards' keys, by the purpose of the key (RFC 5280)."""

from __future__ import annotations

from dataclasses import dataclass

from card_os.piv.oids import CLIENT_AUTHENTICATION, PIV_CARD_AUTHENTICATION, SMARTCARD_LOGON

# An arc that is made from a UUID needs no registration (ITU-T X.667).
SIGNATURE_POLICY = "2.25.33914747204929048091091466569781441808.1"


@dataclass(frozen=True, slots=True)
class CertificateProfile:
    """One kind of certificate. `key_usage` names the bits of the extension (4.2.1.3)."""

    name: str
    key_usage: frozenset[str]
    extended_key_usage: tuple[str, ...] = ()
    critical_extended_key_usage: bool = False
    policy: str | None = None  # critical
    signs_until: float = 1.0
    """The fraction of the certificate's lifetime in which the key signs (private key usage
    period); for the rest, signatures are only verified."""
    names_holder: bool = True  # in its subject
    names_card: bool = False  # by its GUID, as alternative name
    names_account: bool = False  # of Windows: the holder's UPN, and the SID if there is one


def _usage(*bits: str) -> frozenset[str]:
    return frozenset(bits)


CLIENT = CertificateProfile("client", _usage("digital_signature"), (CLIENT_AUTHENTICATION,))
LOGON = CertificateProfile(
    "logon",
    _usage("digital_signature"),
    (SMARTCARD_LOGON, CLIENT_AUTHENTICATION),
    names_account=True,
)
SIGNING = CertificateProfile("signing", _usage("digital_signature", "content_commitment"))
# For advanced electronic signatures, as the NHS defines them: its verifiers require content
# commitment as the only usage, and the end of signing.
ADVANCED_SIGNATURE = CertificateProfile(
    "advanced-signature",
    _usage("content_commitment"),
    policy=SIGNATURE_POLICY,
    signs_until=0.7,
)
ENCIPHERMENT = CertificateProfile("encipherment", _usage("key_encipherment", "data_encipherment"))
AGREEMENT = CertificateProfile("agreement", _usage("key_agreement"))
# Doors read it without a PIN, so it names the card but no person (FIPS 201-3, 4.2.2.3).
CARD = CertificateProfile(
    "card",
    _usage("digital_signature"),
    (PIV_CARD_AUTHENTICATION,),
    critical_extended_key_usage=True,
    names_holder=False,
    names_card=True,
)
