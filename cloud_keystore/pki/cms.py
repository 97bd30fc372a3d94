"""Signatures over a card's data objects: CMS SignedData as PIV requires it (SP 800-73-5 part 1,
3.1.2 and 3.1.6).
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.oids import LDS_SECURITY_OBJECT, PIV_CHUID_SECURITY_OBJECT, PIV_SIGNER_DN
from cloud_keystore.pki.issuers import Authority, sign


class _DataGroupHash(core.Sequence):
    _fields = [("number", core.Integer), ("value", core.OctetString)]  # noqa: RUF012 (asn1crypto's form)


class _DataGroupHashes(core.SequenceOf):
    _child_spec = _DataGroupHash


class _LdsSecurityObject(core.Sequence):
    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("hash_algorithm", algos.DigestAlgorithm),
        ("hashes", _DataGroupHashes),
    ]


def chuid_signature(covered: bytes, signer: Authority, now: datetime) -> bytes:
    """A detached signature over the CHUID's other elements, with the signer's certificate and, as a
    signed attribute, the signer's name.
    """
    return _signed_data(
        PIV_CHUID_SECURITY_OBJECT, covered, signer, now, detached=True, certificate=True
    )


def lds_security_object(objects: dict[int, bytes], signer: Authority, now: datetime) -> bytes:
    """A signature over the hashes of data objects, each under its data group number.

    What is hashed are the elements that the standard lists for the object (part 1, appendix A):
    the contents of the 53 and, of a discovery object, those of the 7E, without `7E 12`. GSA's tool
    for conformance tests hashes the same (piv-conformance, DiscoveryObject.getSignedContent). The
    certificate is left out, because it is in the CHUID.
    """
    content = _LdsSecurityObject(
        {
            "version": 0,
            "hash_algorithm": {"algorithm": "sha256"},
            "hashes": [
                {"number": number, "value": sha256(objects[number]).digest()}
                for number in sorted(objects)
            ],
        }
    ).dump()
    return _signed_data(
        LDS_SECURITY_OBJECT, content, signer, now, detached=False, certificate=False
    )


def _signed_data(
    content_type: str,
    content: bytes,
    signer: Authority,
    now: datetime,
    *,
    detached: bool,
    certificate: bool,
) -> bytes:
    own = asn1_x509.Certificate.load(signer.certificate.public_bytes(Encoding.DER))
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": [content_type]}),
            cms.CMSAttribute({"type": "message_digest", "values": [sha256(content).digest()]}),
            cms.CMSAttribute(
                {"type": "signing_time", "values": [cms.Time({"utc_time": core.UTCTime(now)})]}
            ),
            cms.CMSAttribute({"type": PIV_SIGNER_DN, "values": [own.subject]}),
        ]
    )
    signer_info = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {
                    "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                        {"issuer": own.issuer, "serial_number": own.serial_number}
                    )
                }
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": sign(signer.private, attributes.dump()),
        }
    )
    encapsulated: dict[str, str | core.ParsableOctetString] = {"content_type": content_type}
    if not detached:
        encapsulated["content"] = core.ParsableOctetString(content)
    signed = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": encapsulated,
        "signer_infos": [signer_info],
    }
    if certificate:
        signed["certificates"] = [own]
    info = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})
    encoded: bytes = info.dump()
    return encoded
