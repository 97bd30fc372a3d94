"""Who may read which object and use which key, and for what (SP 800-73-5 part 1, tables 2 and 5).

The contact interface's rules; there is no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from card_os.keys import KeyUse
from card_os.piv.names import RETIRED, Algorithm, KeyRef, ObjectTag
from card_os.piv.session import Session
from card_os.status import SW, CardError


class Rule(Enum):
    """An access control rule."""

    ALWAYS = auto()
    PIN = auto()  # verified in this session
    PIN_ALWAYS = auto()  # verified by the command right before


# Every object that is not named here can be read always.
OBJECT_RULES: Mapping[int, Rule] = {
    ObjectTag.FINGERPRINTS: Rule.PIN,
    ObjectTag.FACIAL_IMAGE: Rule.PIN,
    ObjectTag.PRINTED_INFORMATION: Rule.PIN,
    ObjectTag.IRIS_IMAGES: Rule.PIN,
    ObjectTag.PAIRING_CODE: Rule.PIN,
}

KEY_RULES: Mapping[int, Rule] = {
    KeyRef.AUTHENTICATION: Rule.PIN,
    KeyRef.SIGNATURE: Rule.PIN_ALWAYS,
    KeyRef.KEY_MANAGEMENT: Rule.PIN,
    KeyRef.CARD_AUTHENTICATION: Rule.ALWAYS,
    **dict.fromkeys(RETIRED, Rule.PIN),
}

SIGNING = (KeyRef.AUTHENTICATION, KeyRef.SIGNATURE, KeyRef.CARD_AUTHENTICATION)
ESTABLISHMENT = (KeyRef.KEY_MANAGEMENT, *RETIRED)

ESTABLISHMENT_USE: Mapping[int, KeyUse] = {
    Algorithm.RSA_2048: KeyUse.DECRYPT,
    Algorithm.RSA_3072: KeyUse.DECRYPT,
    Algorithm.RSA_4096: KeyUse.DECRYPT,
    Algorithm.ECC_P256: KeyUse.AGREE,
    Algorithm.ECC_P384: KeyUse.AGREE,
    Algorithm.X25519: KeyUse.AGREE,
}

KEY_USE: Mapping[tuple[int, int], KeyUse] = {
    **{
        (key_ref, algorithm): KeyUse.SIGN
        for key_ref in SIGNING
        for algorithm in Algorithm
        if algorithm is not Algorithm.X25519
    },
    **{
        (key_ref, algorithm): use
        for key_ref in ESTABLISHMENT
        for algorithm, use in ESTABLISHMENT_USE.items()
    },
}


def check(rule: Rule, session: Session, number: int) -> None:
    """Raise 6982 unless `session` satisfies `rule` for command `number`."""
    match rule:
        case Rule.ALWAYS:
            granted = True
        case Rule.PIN:
            granted = session.proof is not None
        case Rule.PIN_ALWAYS:
            granted = session.proof is not None and session.verified_by == number - 1
    if not granted:
        raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED)
