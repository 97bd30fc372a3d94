"""In CI, hypothesis tries the same examples each time, in whatever order the tests come."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import examples


def drawn() -> list[int]:
    """What hypothesis draws for a test."""
    numbers: list[int] = []

    @settings(derandomize=True, database=None, max_examples=300)
    @given(st.integers())
    def draw(number: int) -> None:
        numbers.append(number)

    draw()
    return numbers


def test_what_others_import_changes_no_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples.settle(monkeypatch)
    before = drawn()
    (tmp_path / "late.py").write_text("\n".join(f"X{n} = {9**n}" for n in range(3, 200)))
    monkeypatch.syspath_prepend(tmp_path)
    __import__("late")
    assert drawn() == before
