"""Requests of certificates for keys of cards (PKCS#10, RFC 2986), signed by the keys themselves
where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from asn1crypto import algos, core, csr, keys
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from card_os.piv.oids import USER_PRINCIPAL_NAME
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.use.padding import DIGEST_INFO
from cloud_keystore.model.cards import HeldKey
from cloud_keystore.model.certificates import CertificateProfile
from cloud_keystore.model.people import User
from cloud_keystore.pki import certificates, public_keys
from cloud_keystore.pki.certificates import Subject

RSA, ECDSA = "sha256_rsa", "sha256_ecdsa"


def build(
    profile: CertificateProfile,
    subject: Subject,
    key: HeldKey,
    custody: Keys,
    before: x509.Certificate | None = None,
) -> bytes:
    """A request, DER, for what the keystore itself would certify, without its own policies and
    places. If the key takes the place of another, whose certificate was `before`, the request has
    the same names as that (RFC 7030, 4.2.2). Raises what using the key raises.
    """
    public = public_keys.load(key.public_key)
    asked = [
        {
            "extn_id": extension.oid.dotted_string,
            "critical": critical,
            "extn_value": core.ParsableOctetString(extension.public_bytes()),
        }
        for extension, critical in _asked(profile, subject, key, before)
    ]
    name = certificates.name(profile, subject) if before is None else before.subject
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": asn1.Name.load(name.public_bytes()),
            "subject_pk_info": keys.PublicKeyInfo.load(key.public_key),
            "attributes": csr.CRIAttributes(
                [{"type": "extension_request", "values": [asn1.Extensions(asked)]}]
            ),
        }
    )
    digest = sha256(info.dump()).digest()
    is_rsa = isinstance(public, rsa.RSAPublicKey)
    block = (
        _padded(digest, public.key_size // 8) if isinstance(public, rsa.RSAPublicKey) else digest
    )
    (signature,) = custody.use(key, KeyUse.SIGN, [block])
    request = csr.CertificationRequest(
        {
            "certification_request_info": info,
            "signature_algorithm": algos.SignedDigestAlgorithm(
                {"algorithm": RSA if is_rsa else ECDSA}
            ),
            "signature": signature,
        }
    )
    made: bytes = request.dump()
    return made


def wanted(der: bytes) -> tuple[x509.Name, frozenset[str]]:
    """The subject of a request, and the key usages that it asks for."""
    request = x509.load_der_x509_csr(der)
    usage = request.extensions.get_extension_for_class(x509.KeyUsage)
    return request.subject, certificates.usages(usage.value)


def names(
    named: x509.Certificate | x509.CertificateSigningRequest,
) -> tuple[x509.Name, x509.SubjectAlternativeName | None]:
    """The names of a certificate or request: its subject, and the alternative ones."""
    found = _alternative(named)
    return named.subject, None if found is None else found.value


def names_now(
    profile: CertificateProfile, subject: Subject
) -> tuple[x509.Name, x509.SubjectAlternativeName | None]:
    """The names for which the keystore would ask in a first request."""
    found = (each for each, _ in certificates.asked(profile, subject, subject.card.create_time))
    others = [each for each in found if isinstance(each, x509.SubjectAlternativeName)]
    return certificates.name(profile, subject), others[0] if others else None


def account(user: User) -> set[bytes]:
    """The account of a user as `accounts` gives it; nothing if there is none."""
    return {core.UTF8String(user.upn).dump()} if user.upn else set()


def accounts(certificate: x509.Certificate) -> set[bytes]:
    """The accounts of Windows that a certificate names (UPN), each as it is encoded."""
    found = _alternative(certificate)
    others = [] if found is None else found.value.get_values_for_type(x509.OtherName)
    return {each.value for each in others if each.type_id.dotted_string == USER_PRINCIPAL_NAME}


def _asked(
    profile: CertificateProfile, subject: Subject, key: HeldKey, before: x509.Certificate | None
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    for extension, critical in certificates.asked(profile, subject, key.create_time):
        if before is None or not isinstance(extension, x509.SubjectAlternativeName):
            yield extension, critical
    if before is not None and (found := _alternative(before)) is not None:
        yield found.value, found.critical


def _alternative(
    named: x509.Certificate | x509.CertificateSigningRequest,
) -> x509.Extension[x509.SubjectAlternativeName] | None:
    try:
        return named.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None


def _padded(digest: bytes, size: int) -> bytes:
    """EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 9.2)."""
    prefix, _ = DIGEST_INFO["sha256"]
    info = prefix + digest
    return b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
