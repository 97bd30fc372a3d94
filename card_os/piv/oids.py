"""Object identifiers of PIV, and others that a card's certificates and objects contain."""

from __future__ import annotations

from collections.abc import Mapping

from card_os.piv.names import Algorithm

PIV_CHUID_SECURITY_OBJECT = "2.16.840.1.101.3.6.1"  # FIPS 201-3, appendix B
PIV_SIGNER_DN = "2.16.840.1.101.3.6.5"
PIV_CONTENT_SIGNING = "2.16.840.1.101.3.6.7"
PIV_CARD_AUTHENTICATION = "2.16.840.1.101.3.6.8"
# The content type of PIV's security object (SP 800-85B, AS06.04.06). ICAO has changed its own to
# 2.23.136.1.1.1 since.
LDS_SECURITY_OBJECT = "1.3.27.1.1.1"

CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2"  # RFC 5280, 4.2.1.12
SMARTCARD_LOGON = "1.3.6.1.4.1.311.20.2.2"  # szOID_KP_SMARTCARD_LOGON
USER_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3"
NTDS_CA_SECURITY = "1.3.6.1.4.1.311.25.2"  # the extension (MS-WCCE, 2.2.2.7.7.4)
NTDS_OBJECTSID = "1.3.6.1.4.1.311.25.2.1"

# Contents of OBJECT IDENTIFIER in a card verifiable certificate (SP 800-73-5 part 2, 4.1.5): the
# curve, and ECDSA with the hash of its length
CURVE: Mapping[int, bytes] = {
    Algorithm.ECC_P256: bytes.fromhex("2A8648CE3D030107"),
    Algorithm.ECC_P384: bytes.fromhex("2B81040022"),
}
SIGNATURE: Mapping[int, bytes] = {
    Algorithm.ECC_P256: bytes.fromhex("2A8648CE3D040302"),
    Algorithm.ECC_P384: bytes.fromhex("2A8648CE3D040303"),
}

KEY_USAGE_BITS = (  # as `x509.KeyUsage` calls those of the extension (RFC 5280, 4.2.1.3)
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
