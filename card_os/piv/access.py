"""Access rules: what is required to read an object or to use a key, and what each key is used for
(SP 800-73-5 part 1, tables 2 and 5).

These are the rules of the contact interface; the card has no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto

from card_os.administration import CardKey
from card_os.piv import rules
from card_os.piv.algorithms import CAN_DO, FIELD_BYTES, MODULUS_BYTES
from card_os.piv.names import Algorithm, Tag
from card_os.piv.rules import ESTABLISHMENT, SIGNING
from card_os.piv.security_status import Verification
from card_os.status import SW, CardError
from card_os.uses import KeyUse, PinPolicy


class Rule(Enum):
    """An access control rule."""

    ALWAYS = auto()
    PIN = auto()  # verified since the last reset
    PIN_ALWAYS = auto()  # verified by the previous command


# The policy is that of the key reference or, on a card with the extensions, of the key itself.
POLICY_RULES: Mapping[PinPolicy, Rule] = {
    PinPolicy.NEVER: Rule.ALWAYS,
    PinPolicy.ONCE: Rule.PIN,
    PinPolicy.ALWAYS: Rule.PIN_ALWAYS,
}

KEY_RULES: Mapping[int, Rule] = {
    key_ref: POLICY_RULES[rules.PIN_POLICY[key_ref]] for key_ref in (*SIGNING, *ESTABLISHMENT)
}

# A key has at most one use: in the standard it either signs or establishes keys.
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

# With the extensions, a key does what its algorithm can do, as on a YubiKey.
FREE_USE: Mapping[tuple[int, int], KeyUse] = {
    **{(algorithm, Tag.CHALLENGE): KeyUse.DECRYPT for algorithm in MODULUS_BYTES},
    **{(algorithm, Tag.CHALLENGE): KeyUse.SIGN for algorithm in FIELD_BYTES},
    **{(algorithm, Tag.EXPONENTIATION): KeyUse.AGREE for algorithm in FIELD_BYTES},
    (Algorithm.ED25519, Tag.CHALLENGE): KeyUse.SIGN,
    (Algorithm.X25519, Tag.EXPONENTIATION): KeyUse.AGREE,
}
# The first bytes of a padded signature block (RFC 8017, 9.2); a cryptogram is a random number.
SIGNATURE_BLOCK = b"\x00\x01\xff"


def object_rule(tag: int) -> Rule:
    """The rule of a data object."""
    return Rule.PIN if tag in rules.PIN_OBJECTS else Rule.ALWAYS


def exists(key_ref: int, algorithm: int, *, extensions: bool) -> bool:
    """Whether a card can have a key of this algorithm under this reference (SP 800-78-5, table 10).

    With the `extensions` there is one of any algorithm under each reference, as on a YubiKey.
    """
    if extensions:
        return key_ref in KEY_RULES and algorithm in CAN_DO
    return (key_ref, algorithm) in KEY_USE


def use(key_ref: int, algorithm: int, tag: int, value: bytes, *, extensions: bool) -> KeyUse | None:
    """What a key is used for if the template has this data object; None if it cannot be used so.

    An RSA block does not say whether it is a padded digest or a cryptogram: a signature key signs
    it, and a key management key deciphers it unless it begins as a signature's.
    """
    if not extensions:
        only = KEY_USE[key_ref, algorithm]
        return only if INPUT_TAG[only] == tag else None
    found = FREE_USE.get((algorithm, tag))
    signs = key_ref in SIGNING or value.startswith(SIGNATURE_BLOCK)
    return KeyUse.SIGN if found is KeyUse.DECRYPT and signs else found


def key_rule(key_ref: int, key: CardKey, *, extensions: bool) -> Rule:
    """The rule of a key. Every card accepts the policy that a key never requires the PIN; the other
    policies need the extensions.
    """
    told = extensions or key.pin_policy == PinPolicy.NEVER
    own = POLICY_RULES.get(key.pin_policy) if told else None
    return own or KEY_RULES[key_ref]


def check(rule: Rule, verified: Iterable[Verification], number: int) -> bytes:
    """The proof that `rule` requires in command `number`; empty if it requires none.

    `verified` are the PINs that count. Raises 6982 unless one of them satisfies the rule.
    """
    if rule is Rule.ALWAYS:
        return b""
    for verification in verified:
        if rule is Rule.PIN or verification.command == number - 1:
            return verification.proof
    when = "" if rule is Rule.PIN else " by the command before"
    raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, f"PIN is not verified{when}")
