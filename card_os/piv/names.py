"""Numbers of the PIV card application, under the names of SP 800-73-5 and SP 800-78-5."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, unique

AID = bytes.fromhex("A0000003080000100001 00")  # part 1, 2.2; its last two bytes are the version
RID, PIX = AID[:5], AID[5:]  # of NIST; of its application


@unique
class Ins(IntEnum):
    """Instructions of the PIV application (part 2, 3)."""

    VERIFY = 0x20
    CHANGE_REFERENCE_DATA = 0x24
    RESET_RETRY_COUNTER = 0x2C
    GENERATE_ASYMMETRIC_KEY_PAIR = 0x47
    GENERAL_AUTHENTICATE = 0x87
    GET_DATA = 0xCB
    PUT_DATA = 0xDB


@unique
class Extension(IntEnum):
    """Instructions of Yubico's tools for what the standard leaves open; a card profile enables
    them.
    """

    MOVE_KEY = 0xF6
    GET_METADATA = 0xF7
    GET_SERIAL = 0xF8
    ATTEST = 0xF9
    SET_TRIES = 0xFA
    RESET = 0xFB
    GET_VERSION = 0xFD
    IMPORT_KEY = 0xFE
    SET_MANAGEMENT_KEY = 0xFF


@unique
class KeyRef(IntEnum):
    """Key references (part 1, tables 4 and 5); see also RETIRED."""

    GLOBAL_PIN = 0x00
    SECURE_MESSAGING = 0x04
    PIN = 0x80
    PUK = 0x81
    AUTHENTICATION = 0x9A
    MANAGEMENT = 0x9B  # the PIV Card Application Administration key
    SIGNATURE = 0x9C
    KEY_MANAGEMENT = 0x9D
    CARD_AUTHENTICATION = 0x9E


RETIRED = range(0x82, 0x96)  # retired key management keys 1 to 20
ATTESTATION = 0xF9  # of Yubico's cards: the key that attests the others


@unique
class Algorithm(IntEnum):
    """Algorithm identifiers of private keys (SP 800-78-5, table 9). RSA-1024 is from its earlier
    revisions (SP 800-78-4, table 6-2); the last three are not from NIST but from Yubico and others.
    """

    RSA_3072 = 0x05
    RSA_1024 = 0x06
    RSA_2048 = 0x07
    ECC_P256 = 0x11
    ECC_P384 = 0x14
    RSA_4096 = 0x16
    ED25519 = 0xE0
    X25519 = 0xE1


@unique
class Cipher(IntEnum):
    """Algorithm identifiers of management keys (SP 800-78-5, table 9)."""

    TDEA = 0x03  # three keys; deprecated
    AES_128 = 0x08
    AES_192 = 0x0A
    AES_256 = 0x0C


@unique
class CipherSuite(IntEnum):
    """Algorithm identifiers of secure messaging (part 2, table 17)."""

    CS2 = 0x27  # P-256, SHA-256, AES-128
    CS7 = 0x2E  # P-384, SHA-384, AES-256


@unique
class Tag(IntEnum):
    """Tags on the card command interface (part 2, 3)."""

    DATA = 0x53
    TAG_LIST = 0x5C
    DYNAMIC_AUTHENTICATION = 0x7C
    WITNESS = 0x80
    CHALLENGE = 0x81
    RESPONSE = 0x82
    EXPONENTIATION = 0x85
    CONTROL_REFERENCE = 0xAC
    PUBLIC_KEY = 0x7F49
    VERIFIABLE_CERTIFICATE = 0x7F21


@unique
class MechanismTag(IntEnum):
    """Tags inside a control reference template, AC (part 2, 3.3.2); the last two are of Yubico's
    tools, which also have them beside an imported key.
    """

    MECHANISM = 0x80
    PARAMETER = 0x81
    PIN_POLICY = 0xAA
    TOUCH_POLICY = 0xAB


@unique
class PublicKeyTag(IntEnum):
    """Tags inside the template of a public key, 7F49 (part 2, table 21)."""

    MODULUS = 0x81
    EXPONENT = 0x82
    POINT = 0x86


@unique
class CertificateTag(IntEnum):
    """Tags in a data object with a certificate (part 1, appendix A)."""

    CERTIFICATE = 0x70
    INFO = 0x71
    MSCUID = 0x72
    ERROR_DETECTION = 0xFE


@unique
class CapabilityTag(IntEnum):
    """Tags in the card capability container (part 1, appendix A)."""

    CARD_IDENTIFIER = 0xF0
    CONTAINER_VERSION = 0xF1
    GRAMMAR_VERSION = 0xF2
    APPLICATIONS = 0xF3
    PKCS15 = 0xF4
    DATA_MODEL = 0xF5
    ACCESS_RULES = 0xF6
    CARD_APDUS = 0xF7
    REDIRECTION = 0xFA
    CAPABILITY_TUPLES = 0xFB
    STATUS_TUPLES = 0xFC
    NEXT_CONTAINER = 0xFD


@unique
class KeyHistoryTag(IntEnum):
    """Tags in the key history object (part 1, appendix A)."""

    ON_CARD = 0xC1
    OFF_CARD = 0xC2
    URL = 0xF3


@unique
class ObjectTag(IntEnum):
    """Tags of the data objects (part 1, table 3); see also RETIRED_CERTIFICATES."""

    DISCOVERY = 0x7E
    BIOMETRIC_TEMPLATES = 0x7F61
    CARD_AUTHENTICATION_CERTIFICATE = 0x5FC101
    CHUID = 0x5FC102
    FINGERPRINTS = 0x5FC103
    AUTHENTICATION_CERTIFICATE = 0x5FC105
    SECURITY_OBJECT = 0x5FC106
    CCC = 0x5FC107
    FACIAL_IMAGE = 0x5FC108
    PRINTED_INFORMATION = 0x5FC109
    SIGNATURE_CERTIFICATE = 0x5FC10A
    KEY_MANAGEMENT_CERTIFICATE = 0x5FC10B
    KEY_HISTORY = 0x5FC10C
    IRIS_IMAGES = 0x5FC121
    SECURE_MESSAGING_SIGNER = 0x5FC122
    PAIRING_CODE = 0x5FC123


RETIRED_CERTIFICATES = range(0x5FC10D, 0x5FC121)
EXTENSION_OBJECTS = range(0x5F0000, 0x600000)
"""The tags that YubiKeys store objects under, beside 7E and 7F61, whether or not the standard names
them (docs.yubico.com/yesdk, "PIV data objects")."""
TOOL_OBJECTS = range(0x5FFF00, 0x600000)  # in which Yubico's tools keep data of their own
ATTESTATION_CERTIFICATE = TOOL_OBJECTS[1]  # where Yubico's tools look for it

CERTIFICATE_OF_KEY: Mapping[int, int] = {
    KeyRef.AUTHENTICATION: ObjectTag.AUTHENTICATION_CERTIFICATE,
    KeyRef.SIGNATURE: ObjectTag.SIGNATURE_CERTIFICATE,
    KeyRef.KEY_MANAGEMENT: ObjectTag.KEY_MANAGEMENT_CERTIFICATE,
    KeyRef.CARD_AUTHENTICATION: ObjectTag.CARD_AUTHENTICATION_CERTIFICATE,
    **dict(zip(RETIRED, RETIRED_CERTIFICATES, strict=True)),
}

# Part 1, table 2
CONTAINER_ID: Mapping[int, int] = {
    ObjectTag.CCC: 0xDB00,
    ObjectTag.CHUID: 0x3000,
    ObjectTag.AUTHENTICATION_CERTIFICATE: 0x0101,
    ObjectTag.FINGERPRINTS: 0x6010,
    ObjectTag.SECURITY_OBJECT: 0x9000,
    ObjectTag.FACIAL_IMAGE: 0x6030,
    ObjectTag.CARD_AUTHENTICATION_CERTIFICATE: 0x0500,
    ObjectTag.SIGNATURE_CERTIFICATE: 0x0100,
    ObjectTag.KEY_MANAGEMENT_CERTIFICATE: 0x0102,
    ObjectTag.PRINTED_INFORMATION: 0x3001,
    ObjectTag.DISCOVERY: 0x6050,
    ObjectTag.KEY_HISTORY: 0x6060,
    ObjectTag.IRIS_IMAGES: 0x1015,
    ObjectTag.BIOMETRIC_TEMPLATES: 0x1016,
    ObjectTag.SECURE_MESSAGING_SIGNER: 0x1017,
    ObjectTag.PAIRING_CODE: 0x1018,
    **dict(zip(RETIRED_CERTIFICATES, range(0x1001, 0x1015), strict=True)),
}
