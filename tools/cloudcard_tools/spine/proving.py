"""The proof at log-in: SignedData of PKCS#7 over a challenge, as S/MIME. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable

from asn1crypto import algos, cms
from asn1crypto import x509 as asn1_x509

HEAD = (
    "MIME-Version: 1.0\r\n"
    'Content-Type: application/x-pkcs7-mime; smime-type=signed-data; name="smime.p7m"\r\n'
    "Content-Transfer-Encoding: base64\r\n"
    'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
)


def proof(challenge: bytes, certificate: bytes, digest: str, sign: Callable[[bytes], bytes]) -> str:
    """The proof, base64. `sign` signs with the key of the certificate (DER), over this digest."""
    holder = asn1_x509.Certificate.load(certificate)
    kind = holder.public_key.algorithm
    algorithm = {"algorithm": f"{digest}_{'rsa' if kind == 'rsa' else 'ecdsa'}"}
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": {
                "issuer_and_serial_number": {
                    "issuer": holder.issuer,
                    "serial_number": holder.serial_number,
                }
            },
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": digest}),
            "signature_algorithm": algos.SignedDigestAlgorithm(algorithm),
            "signature": sign(challenge),
        }
    )
    data = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [{"algorithm": digest}],
            "encap_content_info": {"content_type": "data", "content": challenge},
            "certificates": [holder],
            "signer_infos": [signer],
        }
    )
    whole = cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()
    return base64.b64encode(HEAD.encode() + base64.encodebytes(whole)).decode("ascii")
