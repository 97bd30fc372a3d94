"""Which portal passwords and security questions are accepted, and how guessing is slowed down."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.portal.passwords import (
    FEWEST_DIFFERENT,
    GUESSABLE_RULE,
    LENGTH_RULE,
    LONGEST,
    LONGEST_DELAY,
    MOST_WRONG,
    SHOWN_RULE,
    Guesses,
    normal,
    violated_rule,
)
from cloud_keystore.model.portal.questions import Question, checked
from cloud_keystore.model.portal.questions import normal as answer

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
GOOD = "correct horse battery staple"
PET = Question("What was my first pet?", "Miss Moppet")
STREET = Question("Which street was my school in?", "Rue de l'Église 7")
FRIEND = Question("Who is my oldest friend?", "Charles B.")
CHOSEN = (PET, STREET, FRIEND)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        (GOOD, None),
        ("Fjord-Tapir-88", None),
        ("été à la mer bleue", None),
        ("492817364829", None),
        ("short", LENGTH_RULE),
        ("x" * (LONGEST + 1), LENGTH_RULE),
        ("with a\0control character", SHOWN_RULE),
        ("aaaaaaaaaaaa", GUESSABLE_RULE),
        ("aaaaaaaaaaab", GUESSABLE_RULE),
        ("123456789012", GUESSABLE_RULE),
        ("abcdefghijkl", GUESSABLE_RULE),
        ("qwertyuiop12", GUESSABLE_RULE),
        ("poiuytrewq09", GUESSABLE_RULE),
        ("tapir7tapir7", GUESSABLE_RULE),
        ("Password1234", GUESSABLE_RULE),
        ("P@ssw0rd2026!", GUESSABLE_RULE),
        ("Summer2026!!!", GUESSABLE_RULE),
        ("LetMeInPlease1", GUESSABLE_RULE),
        ("lovelace-2026", GUESSABLE_RULE),
    ],
)
def test_which_passwords_are_accepted(password: str, rule: str | None) -> None:
    """AUTH-13."""
    assert violated_rule(password, ["ada.lovelace@example.org"]) == rule


@given(st.text(max_size=60))
def test_every_text_has_one_form_and_an_answer(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert normal(decomposed) == normal(unicodedata.normalize("NFC", text))
    rule = violated_rule(normal(text), [text])
    assert rule in (None, LENGTH_RULE, SHOWN_RULE, GUESSABLE_RULE)
    if len(text) >= LONGEST // 4 and len(set(text.casefold())) < FEWEST_DIFFERENT:
        assert rule is not None


def test_composed_characters_are_the_same_password() -> None:
    assert normal(unicodedata.normalize("NFD", "été à la mer")) == normal("été à la mer")


def test_a_password_that_is_far_too_long_is_not_looked_at() -> None:
    with pytest.raises(InvalidInput) as refused:
        normal("secret" * 100)
    assert "secret" not in str(refused.value)


def test_delays_grow() -> None:
    """AUTH-13: the fifth wrong one locks, for longer each time."""
    delays = [Guesses(wrong, NOW).retry_time for wrong in range(MOST_WRONG + 20)]
    assert delays[:MOST_WRONG] == [None] * MOST_WRONG
    waited = [each - NOW for each in delays[MOST_WRONG:] if each is not None]
    assert waited[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert waited == sorted(waited)
    assert waited[-1] == LONGEST_DELAY


def test_answers_are_compared_by_letters_and_digits() -> None:
    """AUTH-14."""
    for given_one in ("rue de l'église 7", "RUE DE L\u2019ÉGLISE, 7", "ruedel e\u0301glise7"):
        assert answer(given_one) == answer(STREET.answer)
    assert answer("Straße 1") == answer("STRASSE 1")
    assert answer("x" * 1000) == ""


@pytest.mark.parametrize(
    ("questions", "why"),
    [
        (CHOSEN[:2], "3 to 5"),
        (CHOSEN * 2, "3 to 5"),
        ((PET, STREET, Question("Who?", "Charles")), "too short"),
        ((PET, STREET, Question(FRIEND.text, "B.")), "too few"),
        ((PET, STREET, Question(FRIEND.text, "…!?")), "too few"),
        ((PET, STREET, Question("Is Charles my friend?", "charles")), "in the question"),
        ((PET, STREET, Question(FRIEND.text, "miss-moppet")), "same answer"),
        ((PET, STREET, Question(PET.text.upper(), "Charles")), "are the same"),
        ((PET, STREET, Question("What\0 is it, then?", "Charles")), "cannot be shown"),
    ],
)
def test_questions_that_are_refused(questions: tuple[Question, ...], why: str) -> None:
    """AUTH-14: a refusal holds no answer."""
    with pytest.raises(InvalidInput, match=why) as refused:
        checked(questions)
    assert not any(each.answer in str(refused.value) for each in questions)


def test_questions_that_are_taken() -> None:
    assert [each.answer for each in checked(CHOSEN)] == [
        "missmoppet",
        "ruedeléglise7",
        "charlesb",
    ]
    assert "moppet" not in repr(PET).lower()
