"""Names for the numbers in APDUs: instructions, keys, algorithms, objects, status words."""

from __future__ import annotations

from collections.abc import Mapping

from card_os import commands
from card_os.piv.names import (
    AID,
    ATTESTATION,
    ATTESTATION_CERTIFICATE,
    RETIRED,
    RETIRED_CERTIFICATES,
    RID,
    TOOL_OBJECTS,
    Algorithm,
    Cipher,
    CipherSuite,
    Extension,
    Ins,
    KeyRef,
    ObjectTag,
)
from card_os.status import SW

GET_DATA_EVEN = 0xCA
ISO_INSTRUCTIONS: Mapping[int, str] = {
    **{int(each): each.name.replace("_", " ") for each in Ins},
    **{int(each): each.name.replace("_", " ") for each in commands.Ins},
    GET_DATA_EVEN: "GET DATA (CA)",
    0x22: "MANAGE SECURITY ENVIRONMENT",
    0x2A: "PERFORM SECURITY OPERATION",
    0x50: "INITIALIZE UPDATE",
    0x82: "EXTERNAL AUTHENTICATE",
    0x84: "GET CHALLENGE",
    0x88: "INTERNAL AUTHENTICATE",
    0xB0: "READ BINARY",
    0xB2: "READ RECORD",
    0xD6: "UPDATE BINARY",
    0xF2: "GET STATUS",
}
INSTRUCTIONS: Mapping[int, str] = {
    **ISO_INSTRUCTIONS,
    **{int(each): each.name.replace("_", " ") for each in Extension},
}

ALGORITHMS: Mapping[int, str] = {
    **{
        int(each): each.name.replace("_", "-")
        for kind in (Algorithm, Cipher, CipherSuite)
        for each in kind
    },
    0x00: "TDEA",
}
KEYS: Mapping[int, str] = {
    **{int(each): each.name.lower().replace("_", " ") for each in KeyRef},
    int(KeyRef.PIN): "PIN",
    int(KeyRef.PUK): "PUK",
    int(KeyRef.GLOBAL_PIN): "global PIN",
    **{key_ref: f"retired key {count}" for count, key_ref in enumerate(RETIRED, 1)},
    ATTESTATION: "attestation",
}
UPPER = {"chuid": "CHUID", "ccc": "CCC"}
OBJECTS: Mapping[int, str] = {
    **{
        int(each): UPPER.get(each.name.lower(), each.name.lower().replace("_", " "))
        for each in ObjectTag
    },
    **{tag: f"retired certificate {count}" for count, tag in enumerate(RETIRED_CERTIFICATES, 1)},
    **{tag: f"notes of Yubico's tools {tag:06X}" for tag in TOOL_OBJECTS},
    ATTESTATION_CERTIFICATE: "attestation certificate",
    0xDF30: "version of MUSCLE",
}
APPLICATIONS: Mapping[bytes, str] = {  # by the longest prefix that all versions share
    AID[:9]: "PIV",
    RID: "an application of NIST",
    bytes.fromhex("A000000079"): "ActivIdentity",
    bytes.fromhex("A000000151000000"): "GlobalPlatform's issuer security domain",
    bytes.fromhex("A000000003000000"): "issuer security domain of Visa",
    bytes.fromhex("A000000018434D00"): "issuer security domain of Gemalto",
    bytes.fromhex("A0000005271002"): "Yubico U2F",
    bytes.fromhex("A0000005272001"): "Yubico OTP",
    bytes.fromhex("A0000005272101"): "Yubico OATH",
    bytes.fromhex("A000000527471117"): "Yubico management",
    bytes.fromhex("A0000006472F0001"): "FIDO U2F",
    bytes.fromhex("D27600012401"): "OpenPGP",
    bytes.fromhex("A000000063504B43532D3135"): "PKCS#15",
    bytes.fromhex("A00000000101"): "MUSCLE",
    bytes.fromhex("E82B0601040181C31F0201"): "SmartCard-HSM",
    bytes.fromhex("D23300000045737445494420763335"): "Estonian eID",
    b"2PAY.SYS.DDF01": "contactless payment",
    bytes.fromhex("A000000397"): "Microsoft's plug and play for smartcards",
}

STATUS: Mapping[int, str] = {
    **{int(each): each.name.lower().replace("_", " ") for each in SW},
    0x6281: "data may be corrupted",
    0x6282: "end of file before Le bytes",
    0x6283: "file deactivated",
    0x6285: "file in termination state",
    0x6300: "verification failed",
    0x6581: "memory failure",
    0x6981: "command does not go with the file",
    0x6984: "reference data not usable",
    0x6986: "command not allowed, no current file",
    0x6A83: "record not found",
    0x6A85: "Lc does not go with the data objects",
    0x6A87: "Lc does not go with P1-P2",
    0x6A89: "file exists",
    0x6B00: "wrong parameters P1-P2",
}


def status(sw: int) -> str:
    """A status word in words (ISO/IEC 7816-4, 5.6)."""
    if sw & 0xFFF0 == 0x63C0:
        return f"{sw & 0xF} tries left"
    match sw >> 8:
        case 0x61:
            return f"more to fetch: {sw & 0xFF or 'at least 256'}"
        case 0x6C:
            return f"wrong Le: {sw & 0xFF or 256} bytes are there"
    return STATUS.get(sw, "not one of this card")


def key(key_ref: int) -> str:
    """A key reference with its name."""
    name = KEYS.get(key_ref)
    return f"{key_ref:02X} {name}" if name else f"{key_ref:02X}"


def algorithm(identifier: int) -> str:
    """Name of an algorithm."""
    return ALGORITHMS.get(identifier, f"algorithm {identifier:02X}")
