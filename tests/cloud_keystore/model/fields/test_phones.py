"""Phone numbers, however they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.phones import phone

BLANKS = st.text(" \t\u00a0\u2009()-", max_size=2)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        ("07700 900123", "+447700900123"),  # of those that nobody has
        ("07700\u00a0900\t123", "+447700900123"),
        ("+44 (0)7700-900 123", "+447700900123"),
        ("0044 7700 900123", "+447700900123"),
        ("+351 912 345 678", "+351912345678"),
    ],
)
def test_a_number_has_one_form(typed: str, kept: str) -> None:
    """USER-19 and BUG-04."""
    assert phone(typed) == kept


@given(st.lists(BLANKS, min_size=10, max_size=10))
def test_blanks_in_a_number_mean_nothing(blanks: list[str]) -> None:
    """BUG-04."""
    between = "".join(digit + blank for digit, blank in zip("7700900123", blanks, strict=True))
    assert phone(f"+44 {between}") == "+447700900123"


@pytest.mark.parametrize("typed", ["12", "900123", "none", "07700 CALL 23", "+44 7700 900123 x5"])
def test_what_is_no_number_is_refused(typed: str) -> None:
    """A number of a town without the town's, and an extension, are none that can be called."""
    with pytest.raises(InvalidInput, match=r"as \+44 7700"):
        phone(typed)


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_refused(typed: str) -> None:
    try:
        kept = phone(typed)
    except InvalidInput:
        return
    assert kept == "" or (kept[0] == "+" and phone(kept) == kept)
