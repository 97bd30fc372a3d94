"""What an attestation certificate says of a key, in the extensions of Yubico's attestations
(developers.yubico.com, "PIV attestation"). Whoever issues the certificate is not Yubico.
"""

from __future__ import annotations

from collections.abc import Mapping

from card_os import tlv
from card_os.piv import rules
from card_os.piv.yubico.metadata import VERSION, short_serial
from card_os.uses import PinPolicy, TouchPolicy

ARC = "1.3.6.1.4.1.41482.3."  # of Yubico, for its PIV attestations
ATTESTED_VERSION = ARC + "3"  # what GET VERSION returns, three bytes
ATTESTED_SERIAL_NUMBER = ARC + "7"  # what GET SERIAL returns, INTEGER
ATTESTED_POLICIES = ARC + "8"  # of PIN and touch, a byte each
ATTESTED_FORM = ARC + "9"  # form factor, a byte
UNDEFINED_FORM = 0x00  # this card has no plug


def extensions(
    serial: str, key_ref: int, pin_policy: PinPolicy, touch_policy: int
) -> Mapping[str, bytes]:
    """The values of the extensions by their object identifiers, for a key of a card.

    Policies are told as they apply: a default is the standard's rule for the key reference.
    """
    number = short_serial(serial)
    policies = rules.pin_policy(key_ref, pin_policy), touch_policy or TouchPolicy.NEVER
    return {
        ATTESTED_VERSION: VERSION,
        ATTESTED_SERIAL_NUMBER: tlv.encode(0x02, number.to_bytes(number.bit_length() // 8 + 1)),
        ATTESTED_POLICIES: bytes(policies),
        ATTESTED_FORM: bytes((UNDEFINED_FORM,)),
    }
