"""Printing for people and for programs."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta

import pytest

from cloudcard_tools.shared.output import Row, expiry, in_order, print_facts, print_rows

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "warning"),
    [
        (timedelta(days=31), ""),
        (timedelta(days=30), ""),
        (timedelta(days=29, hours=23), "in 29 days"),
        (timedelta(days=1, hours=1), "in 1 day"),
        (timedelta(hours=23), "in less than a day"),
        (timedelta(0), "EXPIRED"),
        (timedelta(days=-400), "EXPIRED"),
    ],
)
def test_what_expires_soon_is_marked(
    left: timedelta, warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = expiry(NOW + left, NOW)
    assert found.warning == warning
    print_rows([{"expires": found}], {"expires": "Expires"}, "Nothing.", as_json=False)
    line = capsys.readouterr().out.splitlines()[1]
    assert line == f"{found} ({warning})" if warning else line == found
    print_rows([{"expires": found}], {"expires": "Expires"}, "Nothing.", as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"expires": str(found)}]


def test_facts_fold_between_words_and_never_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    token = "cc1." + "A" * 90
    facts = {"token": token, "keys": [{"ref": "9A", "subject": "CN=Ada Byron " * 6}]}
    with redirect_stdout(Terminal()) as out:
        print_facts(facts, {"token": "Token", "keys": "Keys"}, as_json=False)
    first, *rest = [line.removeprefix("\x1b[1m") for line in out.getvalue().splitlines()]
    assert first.endswith(token)
    assert max(map(len, rest)) <= 60 + len("\x1b[0m")
    assert rest[1].startswith(" " * 11)


def test_rows_are_sorted_by_any_column_both_ways() -> None:
    """USER-14: what is the same stays as it is, numbers are numbers, accents and case are nothing,
    and what is empty is first, or last.
    """
    rows: list[Row] = [
        {"name": name, "tries": tries, "cards": cards}
        for name, tries, cards in (
            ("eve", 10, ["2"]),
            ("Zoë", 9, []),
            ("Émile", 10, ["1", "3"]),
            (None, 0, ["10"]),
        )
    ]

    def by(sort: str) -> list[object]:
        return [each["name"] for each in in_order(rows, sort)]

    assert by("") == ["eve", "Zoë", "Émile", None]
    assert by("name") == [None, "Émile", "eve", "Zoë"]
    assert by("-name") == ["Zoë", "eve", "Émile", None]
    assert by("tries") == [None, "Zoë", "eve", "Émile"]
    assert by("-tries") == ["eve", "Émile", "Zoë", None]
    assert by("cards") == ["Zoë", "Émile", None, "eve"]
