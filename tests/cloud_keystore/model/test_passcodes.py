"""Which passcodes are accepted (docs/holder.md)."""

from __future__ import annotations

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.model.passcodes import (
    GUESSABLE_RULE,
    PASSCODE_RULE,
    POPULAR,
    PUK_RULE,
    is_guessable,
    violated_rule,
)

GUESSED_FIRST = {
    "few different digits": "000000 11111111 121212 112112 10000001 200200",
    "sequences": "123456 234567 345678 890123 01234567 987654 654321 87654321 210987",
    "repetitions": "123123 258258 12341234 1231231 78907890",
    "popular": "112233 159753 147258 246810 31415926",
}


@pytest.mark.parametrize("kind", GUESSED_FIRST)
def test_what_a_guesser_tries_first(kind: str) -> None:
    for digits in GUESSED_FIRST[kind].split():
        assert violated_rule(KeyRef.PIN, digits.encode()) == GUESSABLE_RULE


@pytest.mark.parametrize("digits", ["135790", "246802", "864209", "731964", "1234578"])
def test_what_is_accepted(digits: str) -> None:
    assert violated_rule(KeyRef.PIN, digits.encode()) is None
    assert violated_rule(KeyRef.GLOBAL_PIN, digits.encode()) is None


def test_the_form_is_told_first() -> None:
    assert violated_rule(KeyRef.PIN, b"1111") == PASSCODE_RULE
    assert violated_rule(KeyRef.PUK, b"135790") == PUK_RULE
    assert violated_rule(KeyRef.PUK, b"12345678") == GUESSABLE_RULE
    assert violated_rule(0x9B, b"135790") not in (None, GUESSABLE_RULE)


def test_few_are_refused() -> None:
    """A rule that refused many would help a guesser."""
    refused = sum(is_guessable(f"{number:06}".encode()) for number in range(10**6))
    assert refused < 6_000


def test_popular_ones_are_not_refused_by_another_rule() -> None:
    assert all(each.isdigit() and 6 <= len(each) <= 8 for each in POPULAR)
