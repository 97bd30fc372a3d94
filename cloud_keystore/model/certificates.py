"""Profiles of the certificates for cards' keys, by the purpose of the key (RFC 5280)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from card_os.piv.oids import CLIENT_AUTHENTICATION, PIV_CARD_AUTHENTICATION, SMARTCARD_LOGON

# An arc that is made from a UUID needs no registration (ITU-T X.667). The last number says what the
# key is for.
POLICIES = "2.25.33914747204929048091091466569781441808"
SIGNATURE_POLICY = f"{POLICIES}.1"  # advanced electronic signatures
AUTHENTICATION_POLICY = f"{POLICIES}.2"
CARD_POLICY = f"{POLICIES}.3"
SIGNING_POLICY = f"{POLICIES}.4"
KEY_MANAGEMENT_POLICY = f"{POLICIES}.5"


# Paths of what the keystore itself publishes, by the issuer's key identifier
LIST_PATH = "/crl/{}.crl"
ISSUER_PATH = "/ca/{}.cer"
ANSWER_PATH = "/ocsp"


@dataclass(frozen=True, slots=True)
class Places:
    """Where clients find what belongs to certificates of one issuer; empty: nowhere."""

    crl_url: str
    ca_url: str
    ocsp_url: str


@dataclass(frozen=True, slots=True)
class Published:
    """Where clients find what belongs to a certificate; empty: nowhere."""

    crl_url: str = ""  # the list of revoked certificates
    ca_url: str = ""  # the issuer's certificate
    status_url: str = ""  # the keystore's own port for both, and for questions about certificates

    def by(self, issuer: bytes) -> Places:
        """The places for certificates of the authority with a key identifier."""
        if not self.status_url:
            return Places(self.crl_url, self.ca_url, "")
        name = issuer.hex()
        return Places(
            self.crl_url or self.status_url + LIST_PATH.format(name),
            self.ca_url or self.status_url + ISSUER_PATH.format(name),
            self.status_url + ANSWER_PATH,
        )


NOWHERE = Published()


@dataclass(frozen=True, slots=True)
class CertificateProfile:
    """One kind of certificate. `key_usage` names the bits of the extension (4.2.1.3)."""

    name: str
    key_usage: frozenset[str]
    extended_key_usage: tuple[str, ...] = ()
    critical_extended_key_usage: bool = False
    policy: str = ""  # the object identifier of its policy
    critical_policy: bool = False
    signs_until: float = 1.0
    """The fraction of the certificate's lifetime in which the key signs (private key usage
    period); for the rest, signatures are only verified."""
    names_holder: bool = True  # in its subject
    names_card: bool = False  # by its GUID, as alternative name
    names_account: bool = False  # of Windows: the holder's UPN, and the SID if there is one


def _usage(*bits: str) -> frozenset[str]:
    return frozenset(bits)


# The key that authenticates its holder names the card too, as the card's own key does (FIPS 201-3,
# 4.2.2.1).
CLIENT = CertificateProfile(
    "client",
    _usage("digital_signature"),
    (CLIENT_AUTHENTICATION,),
    policy=AUTHENTICATION_POLICY,
    names_card=True,
)
LOGON = replace(
    CLIENT,
    name="logon",
    extended_key_usage=(SMARTCARD_LOGON, CLIENT_AUTHENTICATION),
    names_account=True,
)
SIGNING = CertificateProfile(
    "signing", _usage("digital_signature", "content_commitment"), policy=SIGNING_POLICY
)
# For advanced electronic signatures, as the NHS defines them: its verifiers require content
# commitment as the only usage, and the end of signing.
ADVANCED_SIGNATURE = CertificateProfile(
    "advanced-signature",
    _usage("content_commitment"),
    policy=SIGNATURE_POLICY,
    critical_policy=True,
    signs_until=0.7,
)
ENCIPHERMENT = CertificateProfile(
    "encipherment", _usage("key_encipherment"), policy=KEY_MANAGEMENT_POLICY
)
AGREEMENT = CertificateProfile("agreement", _usage("key_agreement"), policy=KEY_MANAGEMENT_POLICY)
# Doors read it without a PIN, so it names the card but no person (FIPS 201-3, 4.2.2.3).
CARD = CertificateProfile(
    "card",
    _usage("digital_signature"),
    (PIV_CARD_AUTHENTICATION,),
    critical_extended_key_usage=True,
    policy=CARD_POLICY,
    names_holder=False,
    names_card=True,
)
