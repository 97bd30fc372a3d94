"""How a private key can be used: for what, and when it requires the PIN and a touch."""

from __future__ import annotations

from enum import IntEnum, unique

# By the id of a request the keystore recognises one that is repeated.
REQUEST_ID_BYTES = 16


@unique
class KeyUse(IntEnum):
    """What a private key is used for; it decides which padding the keystore accepts. The numbers
    are those of `cloudcard.approval.v1.KeyUse`.
    """

    SIGN = 1
    DECRYPT = 2
    AGREE = 3


@unique
class PinPolicy(IntEnum):
    """When a key requires the PIN; the numbers are those of Yubico's instructions."""

    DEFAULT = 0  # the standard's rule for the key reference
    NEVER = 1
    ONCE = 2
    ALWAYS = 3


@unique
class TouchPolicy(IntEnum):
    """When a key requires a touch. The card stores and reports it but does not enforce it: the
    keystore's policy decides about approvals.
    """

    DEFAULT = 0
    NEVER = 1
    ALWAYS = 2
    CACHED = 3
