"""What commands and responses can hold: data objects by tag, with what is inside them."""

from __future__ import annotations

from collections.abc import Mapping

from card_os import commands, secure_messaging, tlv
from card_os.apdu import Command
from card_os.explanation import NONE, Meaning, Part, Parts
from card_os.piv.names import (
    ATTESTATION_CERTIFICATE,
    CERTIFICATE_OF_KEY,
    CapabilityTag,
    CertificateTag,
    Extension,
    Ins,
    KeyHistoryTag,
    MechanismTag,
    ObjectTag,
    PublicKeyTag,
    Tag,
)
from cloudcard_tools.trace.explain import certificates, values

ERROR_DETECTION: Parts = {CertificateTag.ERROR_DETECTION: Part("error detection")}
AUTHENTICATION: Parts = {
    Tag.WITNESS: Part("witness"),
    Tag.CHALLENGE: Part("challenge"),
    Tag.RESPONSE: Part("response"),
    Tag.EXPONENTIATION: Part("exponentiation"),
}
POLICIES: Parts = {
    MechanismTag.PIN_POLICY: Part("PIN policy", values.pin_policy),
    MechanismTag.TOUCH_POLICY: Part("touch policy", values.touch_policy),
}
PUBLIC_KEY: Parts = {
    PublicKeyTag.MODULUS: Part("modulus"),
    PublicKeyTag.EXPONENT: Part("exponent", values.number),
    PublicKeyTag.POINT: Part("point"),
}
NAMED = Part("AID", values.application)
EVERYWHERE: Parts = {  # at the top level of any command or response
    Tag.TAG_LIST: Part("tag list", values.data_object),
    Tag.DATA: Part("contents"),
    Tag.DYNAMIC_AUTHENTICATION: Part("dynamic authentication template", inside=AUTHENTICATION),
    0x61: Part(
        "application properties",
        inside={
            0x4F: NAMED,
            0x50: Part("application label", values.text),
            0x79: Part("allocation authority", inside={0x4F: NAMED}),
            0x5F50: Part("address", values.text),
            Tag.CONTROL_REFERENCE: Part(
                "algorithms",
                inside={
                    MechanismTag.MECHANISM: Part("algorithm", values.algorithm),
                    0x06: Part("identifier"),
                },
            ),
        },
    ),
    ObjectTag.DISCOVERY: Part(
        "discovery object",
        inside={0x4F: NAMED, 0x5F2F: Part("PIN usage policy", values.pin_usage)},
    ),
    Tag.PUBLIC_KEY: Part("public key", inside=PUBLIC_KEY),
    secure_messaging.CRYPTOGRAM: Part("enciphered data"),
    secure_messaging.CHECKSUM: Part("checksum"),
    secure_messaging.LE: Part("Le"),
    secure_messaging.STATUS: Part("status word", values.status),
    Tag.CONTROL_REFERENCE: Part(
        "control reference template",
        inside={
            MechanismTag.MECHANISM: Part("algorithm", values.algorithm),
            MechanismTag.PARAMETER: Part("parameter"),
            **POLICIES,
        },
    ),
}
CERTIFICATE: Parts = {
    CertificateTag.CERTIFICATE: Part("certificate", certificates.owner),
    CertificateTag.INFO: Part("certificate info", values.compression),
    CertificateTag.MSCUID: Part("MSCUID"),
    **ERROR_DETECTION,
}
BIOMETRICS: Parts = {0xBC: Part("image"), **ERROR_DETECTION}
OBJECTS: Mapping[int, Parts] = {  # SP 800-73-5 part 1, appendix A; what 53 holds
    ObjectTag.CHUID: {
        0x30: Part("FASC-N"),
        0x32: Part("organization", values.text),
        0x33: Part("DUNS"),
        0x34: Part("GUID", values.uuid),
        0x35: Part("expires", values.date),
        0x36: Part("cardholder's UUID", values.uuid),
        0x3E: Part("issuer's signature"),
        0xEE: Part("buffer length"),
        **ERROR_DETECTION,
    },
    ObjectTag.CCC: {
        CapabilityTag.CARD_IDENTIFIER: Part("card identifier"),
        CapabilityTag.CONTAINER_VERSION: Part("version of the capability container"),
        CapabilityTag.GRAMMAR_VERSION: Part("version of the capability grammar"),
        CapabilityTag.APPLICATIONS: Part("applications' addresses"),
        CapabilityTag.PKCS15: Part("PKCS#15"),
        CapabilityTag.DATA_MODEL: Part("registered data model"),
        CapabilityTag.ACCESS_RULES: Part("access control rules"),
        CapabilityTag.CARD_APDUS: Part("card APDUs"),
        CapabilityTag.REDIRECTION: Part("redirection"),
        CapabilityTag.CAPABILITY_TUPLES: Part("capability tuples"),
        CapabilityTag.STATUS_TUPLES: Part("status tuples"),
        CapabilityTag.NEXT_CONTAINER: Part("next CCC"),
        **ERROR_DETECTION,
    },
    ObjectTag.KEY_HISTORY: {
        KeyHistoryTag.ON_CARD: Part("keys with a certificate on the card", values.number),
        KeyHistoryTag.OFF_CARD: Part("keys with a certificate elsewhere", values.number),
        KeyHistoryTag.URL: Part("address of the certificates", values.text),
        **ERROR_DETECTION,
    },
    ObjectTag.SECURITY_OBJECT: {
        0xBA: Part("mapping of data groups"),
        0xBB: Part("security object"),
        **ERROR_DETECTION,
    },
    ObjectTag.PRINTED_INFORMATION: {
        0x01: Part("name", values.text),
        0x02: Part("affiliation", values.text),
        0x04: Part("expires", values.text),
        0x05: Part("card's serial number", values.text),
        0x06: Part("issuer", values.text),
        0x07: Part("organization, line 1", values.text),
        0x08: Part("organization, line 2", values.text),
        **ERROR_DETECTION,
    },
    ObjectTag.PAIRING_CODE: {0x99: Part("pairing code"), **ERROR_DETECTION},
    ObjectTag.FINGERPRINTS: BIOMETRICS,
    ObjectTag.FACIAL_IMAGE: BIOMETRICS,
    ObjectTag.IRIS_IMAGES: BIOMETRICS,
    ObjectTag.SECURE_MESSAGING_SIGNER: {
        **CERTIFICATE,
        Tag.VERIFIABLE_CERTIFICATE: Part("intermediate certificate"),
    },
    **dict.fromkeys(CERTIFICATE_OF_KEY.values(), CERTIFICATE),
    ATTESTATION_CERTIFICATE: CERTIFICATE,
}
METADATA: Parts = {
    0x01: Part("algorithm", values.of_metadata),
    0x02: Part("policies", values.policies),
    0x03: Part("origin", values.origin),
    0x04: Part("public key", inside=PUBLIC_KEY),
    0x05: Part("factory's", values.factory),
    0x06: Part("tries", values.tries),
}
IMPORTED: Parts = {
    0x01: Part("prime p"),
    0x02: Part("prime q"),
    0x03: Part("exponent dP"),
    0x04: Part("exponent dQ"),
    0x05: Part("coefficient qInv"),
    0x06: Part("scalar"),
    0x07: Part("Ed25519 seed"),
    0x08: Part("X25519 scalar"),
    **POLICIES,
}
PLAIN: Meaning = lambda _: ""  # noqa: E731 (a row of the tables below)
SENT: Mapping[int, Meaning] = {  # of command data that is not a data object
    commands.Ins.SELECT: PLAIN,  # the command's title names the application
    commands.Ins.GET_RESPONSE: PLAIN,
    Ins.GET_DATA: PLAIN,
    Ins.VERIFY: lambda _: "a passcode, hidden",
    Ins.CHANGE_REFERENCE_DATA: lambda _: "two passcodes, hidden",
    Ins.RESET_RETRY_COUNTER: lambda _: "PUK and PIN, hidden",
    Extension.SET_MANAGEMENT_KEY: lambda data: values.algorithm(data[:1]) + " key, hidden",
}
RECEIVED: Mapping[int, Meaning] = {  # of response data that is not a data object
    commands.Ins.MANAGE_CHANNEL: values.number,
    Extension.GET_VERSION: values.version,
    Extension.GET_SERIAL: values.number,
    Extension.ATTEST: certificates.owner,
}


def sent(command: Command) -> Parts:
    """What the data of a command can hold."""
    if command.is_secured:
        return EVERYWHERE
    match command.ins:
        case Extension.IMPORT_KEY:
            return IMPORTED
        case Ins.PUT_DATA:
            return _of_object(command)
    return EVERYWHERE


def received(command: Command) -> Parts:
    """What the response to a command can hold."""
    if command.is_secured:
        return EVERYWHERE
    match command.ins:
        case Extension.GET_METADATA:
            return METADATA
        case Ins.GET_DATA:
            return _of_object(command)
    return EVERYWHERE


def object_tag(command: Command) -> int | None:
    """The data object that GET DATA or PUT DATA is about."""
    try:
        tag, value = next(tlv.decode(command.data))
    except (tlv.TlvError, StopIteration):
        return None
    return int.from_bytes(value[:3]) if tag == Tag.TAG_LIST else tag


def _of_object(command: Command) -> Parts:
    tag = object_tag(command)
    contents = OBJECTS.get(tag, NONE) if tag is not None else NONE
    return {**EVERYWHERE, Tag.DATA: Part("contents", inside=contents)}
