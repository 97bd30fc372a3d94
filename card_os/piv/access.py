"""Who may read which object and use which key, and for what (SP 800-73-5 part 1, tables 2 and 5).

The contact interface's rules; there is no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto

from card_os.administration import CardKey
from card_os.piv import rules
from card_os.piv.algorithms import FIELD_BYTES, MODULUS_BYTES
from card_os.piv.names import Algorithm, ObjectTag, Tag
from card_os.piv.rules import ESTABLISHMENT, SIGNING
from card_os.piv.session import Verification
from card_os.status import SW, CardError
from card_os.uses import KeyUse, PinPolicy


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

# By the policy of the key reference or, on a card with the extensions, of the key itself.
POLICY_RULES: Mapping[PinPolicy, Rule] = {
    PinPolicy.NEVER: Rule.ALWAYS,
    PinPolicy.ONCE: Rule.PIN,
    PinPolicy.ALWAYS: Rule.PIN_ALWAYS,
}

KEY_RULES: Mapping[int, Rule] = {
    key_ref: POLICY_RULES[rules.PIN_POLICY[key_ref]] for key_ref in (*SIGNING, *ESTABLISHMENT)
}

# At most one: the standard has a key either sign or establish keys.
KEY_USE: Mapping[tuple[int, int], KeyUse] = {
    (key_ref, algorithm): use
    for key_ref in (*SIGNING, *ESTABLISHMENT)
    for algorithm in Algorithm
    for use in rules.uses(key_ref, algorithm)
}

# Which data object of the template holds the input.
INPUT_TAG: Mapping[KeyUse, Tag] = {
    KeyUse.SIGN: Tag.CHALLENGE,
    KeyUse.DECRYPT: Tag.CHALLENGE,
    KeyUse.AGREE: Tag.EXPONENTIATION,
}

# With the extensions, a key that establishes keys signs too, as far as its algorithm can.
FREE_USE: Mapping[tuple[int, int], KeyUse] = {
    **{(algorithm, Tag.CHALLENGE): KeyUse.DECRYPT for algorithm in MODULUS_BYTES},
    **{(algorithm, Tag.CHALLENGE): KeyUse.SIGN for algorithm in FIELD_BYTES},
    **{(algorithm, Tag.EXPONENTIATION): KeyUse.AGREE for algorithm in FIELD_BYTES},
    (Algorithm.ED25519, Tag.CHALLENGE): KeyUse.SIGN,
    (Algorithm.X25519, Tag.EXPONENTIATION): KeyUse.AGREE,
}
SIGNATURE_BLOCK = b"\x00\x01\xff"  # how one begins (RFC 8017, 9.2); a cryptogram is a random number


def exists(key_ref: int, algorithm: int, *, extensions: bool) -> bool:
    """Whether a card may have a key of this algorithm under this reference (SP 800-78-5, table 10);
    the `extensions` have a key for signatures where the standard has one for key establishment.
    """
    free = extensions and key_ref in ESTABLISHMENT and algorithm == Algorithm.ED25519
    return free or (key_ref, algorithm) in KEY_USE


def use(key_ref: int, algorithm: int, tag: int, value: bytes, *, extensions: bool) -> KeyUse | None:
    """What a key is used for by a template with this data object; None: it cannot be."""
    if not extensions or key_ref not in ESTABLISHMENT:
        only = KEY_USE[key_ref, algorithm]
        return only if INPUT_TAG[only] == tag else None
    found = FREE_USE.get((algorithm, tag))
    return KeyUse.SIGN if found is KeyUse.DECRYPT and value.startswith(SIGNATURE_BLOCK) else found


def key_rule(key_ref: int, key: CardKey, *, extensions: bool) -> Rule:
    """The rule of a key. That one never asks for the PIN may be any card's policy; all else comes
    with the extensions.
    """
    told = extensions or key.pin_policy == PinPolicy.NEVER
    own = POLICY_RULES.get(key.pin_policy) if told else None
    return own or KEY_RULES[key_ref]


def check(rule: Rule, verified: Iterable[Verification], number: int) -> bytes:
    """The proof for what stands under `rule`, in command `number`; empty where none is needed.

    `verified` are the PINs that count. Raises 6982 unless one of them satisfies the rule.
    """
    if rule is Rule.ALWAYS:
        return b""
    for verification in verified:
        if rule is Rule.PIN or verification.command == number - 1:
            return verification.proof
    raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED)
