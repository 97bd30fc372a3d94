"""Who made the authenticator of a passkey: "packed" attestations under configured roots (WebAuthn
level 3, 8.2). Pure, but for the time of the computer, by which certificates are valid.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID
from webauthn.helpers import aaguid_to_string, parse_attestation_object
from webauthn.helpers.exceptions import InvalidCertificateChain
from webauthn.helpers.structs import AttestationFormat
from webauthn.helpers.validate_certificate_chain import validate_certificate_chain

AAGUID_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")  # id-fido-gen-ce-aaguid
AAGUID_PREFIX = b"\x04\x10"  # an octet string of 16 bytes, inside the extension
UNIT = "Authenticator Attestation"  # OU of every attestation certificate (8.2.1)


def attested_model(attestation_object: bytes, roots: Sequence[bytes]) -> str:
    """Return the model (AAGUID) that a maker under one of the roots (PEM) attests; empty if none
    does.

    The signature of the attestation must have been verified before. Raises ValueError for a
    certificate that cannot be read.
    """
    parsed = parse_attestation_object(attestation_object)
    chain, credential = parsed.att_stmt.x5c, parsed.auth_data.attested_credential_data
    if parsed.fmt != AttestationFormat.PACKED or not chain or credential is None:
        return ""
    # One by one: of roots with the same name, OpenSSL would take the first.
    if not any(_leads_to(chain, root) for root in roots):
        return ""
    certificate = x509.load_der_x509_certificate(chain[0])
    return aaguid_to_string(credential.aaguid) if _is_of(certificate, credential.aaguid) else ""


def _leads_to(chain: Sequence[bytes], root: bytes) -> bool:
    try:
        return validate_certificate_chain(x5c=list(chain), pem_root_certs_bytes=[root])
    except InvalidCertificateChain:
        return False


def _is_of(certificate: x509.Certificate, aaguid: bytes) -> bool:
    """Whether a certificate attests this model, and is no authority's (8.2.1)."""
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    extensions = certificate.extensions
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        said = extensions.get_extension_for_oid(AAGUID_EXTENSION).value
    except x509.ExtensionNotFound:
        # A maker without the extension has one certificate for all of its models, which says
        # nothing about this one.
        return False
    return (
        certificate.version is x509.Version.v3
        and [unit.value for unit in units] == [UNIT]
        and not constraints.ca
        and isinstance(said, x509.UnrecognizedExtension)
        and said.value == AAGUID_PREFIX + aaguid
    )
