"""The signature of a prescription (XML Signature), without the address of what it signs. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import new
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cloudcard_tools.eps.canonical import Unreadable, canonical, read, without_blanks

DSIG = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
PLACES = {"d": DSIG}
LEAST_BITS = 2048


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A way to sign: RSA PKCS #1 v1.5 over a digest."""

    name: str
    digest: str
    hash: HashAlgorithm
    method: str
    digest_method: str
    digest_info: bytes
    """DER of DigestInfo up to the digest (RFC 8017, 9.2, note 1)."""

    def block(self, signed: bytes, bits: int) -> bytes:
        """What a card's key of so many bits is given for what is signed: EMSA-PKCS1-v1_5."""
        info = self.digest_info + new(self.digest, signed).digest()
        return b"\0\1" + b"\xff" * (bits // 8 - len(info) - 3) + b"\0" + info


# RS1 is what prescriptions were signed with for years; RS256 is what applications go over to.
ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        each.name: each
        for each in (
            Algorithm(
                "RS1",
                "sha1",
                SHA1(),  # noqa: S303
                f"{DSIG}rsa-sha1",
                f"{DSIG}sha1",
                bytes.fromhex("3021300906052b0e03021a05000414"),
            ),
            Algorithm(
                "RS256",
                "sha256",
                SHA256(),
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                "http://www.w3.org/2001/04/xmlenc#sha256",
                bytes.fromhex("3031300d060960864801650304020105000420"),
            ),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it was read: what it signs, in canonical bytes, and who has signed."""

    algorithm: Algorithm
    signed_info: bytes
    value: bytes = field(repr=False)
    certificate: x509.Certificate

    def is_right(self) -> bool:
        """Whether the certificate's key has signed."""
        key = self.certificate.public_key()
        if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_BITS:
            return False
        try:
            key.verify(self.value, self.signed_info, PKCS1v15(), self.algorithm.hash)
        except InvalidSignature:
            return False
        return True


def signed_info(fragments: bytes, algorithm: Algorithm) -> bytes:
    """What is signed, in canonical bytes: the digest of fragments, and how it was made."""
    return _signed_info(base64.b64encode(new(algorithm.digest, fragments).digest()), algorithm)


def is_signed_info(content: bytes, algorithm: Algorithm) -> bool:
    """Whether this is what is signed of some prescription, and nothing else."""
    start, end = content.find(b"<DigestValue>"), content.find(b"</DigestValue>")
    value = content[start + len(b"<DigestValue>") : end]
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    right = len(digest) == new(algorithm.digest).digest_size
    return right and content == _signed_info(base64.b64encode(digest), algorithm)


def written(signed: bytes, value: bytes, certificate: x509.Certificate) -> bytes:
    """A signature as a message has it: the namespace is that of the whole."""
    der = base64.b64encode(certificate.public_bytes(Encoding.DER))
    return (
        f'<Signature xmlns="{DSIG}">'.encode()
        + signed.replace(f' xmlns="{DSIG}"'.encode(), b"", 1)
        + b"<SignatureValue>"
        + base64.b64encode(value)
        + b"</SignatureValue><KeyInfo><X509Data><X509Certificate>"
        + der
        + b"</X509Certificate></X509Data></KeyInfo></Signature>"
    )


def parse(content: bytes) -> Signature:
    """Read a signature with one certificate. Raises Unreadable."""
    root = read(content)
    without_blanks(root)
    if root.tag != f"{{{DSIG}}}Signature":
        raise Unreadable("this is no signature of XML")
    signed = _only(root, "d:SignedInfo")
    method = _only(signed, "d:SignatureMethod").get("Algorithm")
    algorithm = next((each for each in ALGORITHMS.values() if each.method == method), None)
    if algorithm is None:
        raise Unreadable(f"signatures are {' or '.join(ALGORITHMS)}, and not {method}")
    content = canonical(signed)
    if not is_signed_info(content, algorithm):
        raise Unreadable("SignedInfo is not that of a prescription")
    if len(root.findall(".//d:X509Certificate", PLACES)) != 1:
        raise Unreadable("a signature has exactly one certificate")
    try:
        der = _decoded(_only(root, "d:KeyInfo/d:X509Data/d:X509Certificate"))
        certificate = x509.load_der_x509_certificate(der)
    except ValueError:
        raise Unreadable("X509Certificate is no certificate") from None
    return Signature(algorithm, content, _decoded(_only(root, "d:SignatureValue")), certificate)


def _signed_info(digest: bytes, algorithm: Algorithm) -> bytes:
    return (
        f'<SignedInfo xmlns="{DSIG}">'
        f'<CanonicalizationMethod Algorithm="{EXCLUSIVE}"></CanonicalizationMethod>'
        f'<SignatureMethod Algorithm="{algorithm.method}"></SignatureMethod>'
        f'<Reference><Transforms><Transform Algorithm="{EXCLUSIVE}"></Transform></Transforms>'
        f'<DigestMethod Algorithm="{algorithm.digest_method}"></DigestMethod>'
        f"<DigestValue>{digest.decode('ascii')}</DigestValue></Reference></SignedInfo>"
    ).encode("ascii")


def _only(element: etree._Element, path: str) -> etree._Element:
    found = element.findall(path, PLACES)
    if len(found) != 1:
        raise Unreadable(f"a signature has one {path.replace('d:', '')}")
    return found[0]


def _decoded(element: etree._Element) -> bytes:
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except ValueError:
        raise Unreadable("the signature is not encoded as base64") from None
