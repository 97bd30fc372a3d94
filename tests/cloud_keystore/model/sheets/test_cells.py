"""Cells: no formula, and nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.sheets.cells import guarded, plain

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
TEXTS = st.text() | st.text("'=+a", max_size=5)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_no_cell_begins_a_formula(beginning: str) -> None:
    """USER-22."""
    cell = guarded(f"{beginning}cmd|' /C calc'!A0")
    assert cell.startswith("'")
    assert plain(cell).startswith(beginning)


@given(TEXTS)
def test_a_cell_is_read_back(text: str) -> None:
    assert plain(guarded(text)) == text
    assert not guarded(text).startswith(BEGINNINGS)


def test_other_texts_stay() -> None:
    assert guarded("'Ada' O'Brien") == plain("'Ada' O'Brien") == "'Ada' O'Brien"
