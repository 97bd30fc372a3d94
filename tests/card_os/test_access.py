"""Which keys there can be, and what the access rules require."""

from __future__ import annotations

import pytest

from card_os.piv import access
from card_os.piv.access import Rule
from card_os.piv.names import Algorithm, KeyRef
from card_os.piv.security_status import Verification
from card_os.status import SW, CardError


@pytest.mark.parametrize(
    ("key_ref", "algorithm", "standard", "extended"),
    [
        (KeyRef.AUTHENTICATION, Algorithm.RSA_2048, True, True),
        (0x95, Algorithm.ECC_P384, True, True),
        (KeyRef.AUTHENTICATION, Algorithm.X25519, False, True),  # which signs nothing
        (KeyRef.SECURE_MESSAGING, Algorithm.ECC_P256, False, False),
        (KeyRef.PIN, Algorithm.ECC_P256, False, False),
        (0x96, Algorithm.ECC_P256, False, False),
        (KeyRef.AUTHENTICATION, 0x08, False, False),  # AES-128
        (0x96, 0x08, False, False),
    ],
)
def test_which_keys_there_can_be(
    key_ref: int, algorithm: int, standard: bool, extended: bool
) -> None:
    assert access.exists(key_ref, algorithm, extensions=False) is standard
    assert access.exists(key_ref, algorithm, extensions=True) is extended


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule.PIN, "PIN is not verified$"),
        (Rule.PIN_ALWAYS, "PIN is not verified by the command before$"),
    ],
)
def test_a_refusal_says_what_is_required(rule: Rule, why: str) -> None:
    with pytest.raises(CardError, match=why) as refused:
        access.check(rule, [Verification(b"proof", 3)] if rule is Rule.PIN_ALWAYS else [], 5)
    assert refused.value.sw == SW.SECURITY_STATUS_NOT_SATISFIED
