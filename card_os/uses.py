"""How a private key may be used: for what, and when it asks for its PIN and for a touch."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class KeyUse(IntEnum):
    """What a private key is used for; decides which padding the keystore accepts. The numbers are
    those of `cloudcard.approval.v1.KeyUse`.
    """

    SIGN = 1
    DECRYPT = 2
    AGREE = 3


@unique
class PinPolicy(IntEnum):
    """When a key asks for the PIN; the numbers are those of Yubico's instructions."""

    DEFAULT = 0  # as the standard has it for the key reference
    NEVER = 1
    ONCE = 2
    ALWAYS = 3


@unique
class TouchPolicy(IntEnum):
    """When a key asks for a touch. Kept and told, no more: approvals are the keystore's policy."""

    DEFAULT = 0
    NEVER = 1
    ALWAYS = 2
    CACHED = 3
