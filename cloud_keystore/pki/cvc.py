"""Card verifiable certificates, which certify the keys of secure messaging (SP 800-73-5 part 2,
4.1.5).
"""

from __future__ import annotations

from asn1crypto import algos, core
from cryptography.hazmat.primitives.asymmetric import ec

from card_os.piv import oids
from card_os.piv.issuing import encode_keys
from card_os.piv.names import Algorithm
from cloud_keystore.pki import public_keys
from cloud_keystore.pki.issuers import Authority, CardAuthorities, sign

SIGNATURE_ALGORITHM = {
    Algorithm.ECC_P256: "sha256_ecdsa",
    Algorithm.ECC_P384: "sha384_ecdsa",
}


class _DigitalSignature(core.Sequence):
    _fields = [  # noqa: RUF012 (asn1crypto's form)
        ("algorithm", algos.SignedDigestAlgorithm),
        ("value", core.OctetBitString),
    ]


def signer(algorithm: Algorithm, authorities: CardAuthorities) -> Authority:
    """The authority that signs for a key of this algorithm: the content signer on the same curve
    (SP 800-78-5, 3.2.1).
    """
    return {
        Algorithm.ECC_P256: authorities.content,
        Algorithm.ECC_P384: authorities.content_p384,
    }[algorithm]


def issue(
    algorithm: Algorithm, public_der: bytes, guid: bytes, authorities: CardAuthorities
) -> bytes:
    """The certificate of a key of secure messaging: template 7F21."""
    key = public_keys.load(public_der)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("secure messaging has keys on P-256 and P-384")
    issuer = signer(algorithm, authorities)
    covered = encode_keys.verifiable_covered(
        issuer.key_id[: encode_keys.ISSUER_BYTES],
        guid,
        oids.CURVE[algorithm],
        public_keys.point(key),
    )
    signature = _DigitalSignature(
        {
            "algorithm": {"algorithm": SIGNATURE_ALGORITHM[algorithm]},
            "value": sign(issuer.private, covered),
        }
    ).dump()
    return encode_keys.verifiable_certificate(covered, signature)
