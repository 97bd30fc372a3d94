"""What the prompt says."""

from __future__ import annotations

import pytest

from reader_bridge.prompt_program import texts
from reader_bridge.prompter import Outcome


@pytest.mark.parametrize(
    ("number", "words", "digits"),
    [
        ("42", "forty-two", "four two"),
        ("07", "zero seven", "zero seven"),
        ("00", "zero zero", "zero zero"),
        ("10", "ten", "one zero"),
        ("13", "thirteen", "one three"),
        ("50", "fifty", "five zero"),
        ("99", "ninety-nine", "nine nine"),
        ("123", "one two three", "one two three"),
        ("", "", ""),
    ],
)
def test_a_number_in_words_and_digit_by_digit(number: str, words: str, digits: str) -> None:
    assert texts.in_words(number) == words
    assert texts.digit_by_digit(number) == digits


def test_all_numbers_differ_in_words() -> None:
    assert len({texts.in_words(f"{number:02}") for number in range(100)}) == 100


def test_a_check_code_is_spelt() -> None:
    assert texts.digit_by_digit("7MYH") == "seven M Y H"


@pytest.mark.parametrize(
    ("seconds", "clock", "words"),
    [
        (119.2, "2:00 left", "2 minutes left"),
        (61, "1:01 left", "1 minute 1 second left"),
        (9, "0:09 left", "9 seconds left"),
        (0, "0:00 left", "The time is over"),
        (-3, "0:00 left", "The time is over"),
    ],
)
def test_the_time_left(seconds: float, clock: str, words: str) -> None:
    assert texts.clock(seconds) == clock
    assert texts.clock_in_words(seconds) == words


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("9A", "sign", 1, 0, 0), "Sign with the authentication key (9A)"),
        (("9C", "sign", 250, 0, 0), "Sign, 250 times, with the signature key (9C)"),
        (("82", "decrypt", 1, 0, 0), "Decrypt with the key 82"),
        (
            ("9A", "sign", 0, 50, 890),
            "Session: Sign up to 50 times within 15 min with the authentication key (9A)",
        ),
        (("9D", "of later", 1, 0, 0), "of later with the key management key (9D)"),
    ],
)
def test_what_is_asked_for(asked: tuple[str, str, int, int, int], said: str) -> None:
    assert texts.purpose(*asked) == said


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words(outcome: Outcome) -> None:
    assert texts.OUTCOMES[outcome.value]
