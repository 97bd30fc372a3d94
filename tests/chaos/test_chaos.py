"""Ten seconds of chaos, kills at a few steps, and whether violations would be found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaos import judging
from chaos.clients import Held
from chaos.steps import VICTIMS
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.sessions import inputs_sha256

TESTS = Path(__file__).parents[1]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
INPUTS = (b"first", b"second")


def chaos(*arguments: str) -> dict[str, object]:
    """Play; nothing may be wrong. Returns the report."""
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--json", *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(done.stdout)
    assert report["wrong"] == []
    assert isinstance(report, dict)
    return report


@pytest.mark.timeout(600)
def test_a_keystore_in_chaos() -> None:
    report = chaos("--stage", "workers", "--seconds", "10")
    assert report["operations"]
    assert report["uses"]
    faults = report["faults"]
    assert isinstance(faults, dict)
    assert sum(faults.values())


@pytest.mark.timeout(600)
def test_a_keystore_killed_at_its_first_steps() -> None:
    faults = chaos("--steps", "4")["faults"]
    assert isinstance(faults, dict)
    assert [faults[each] for each in VICTIMS] == [1, 1, 1, 1]


def entry(kind: Kind, operation: str, **details: str | int) -> Entry:
    evidence = {"input_sha256": inputs_sha256(INPUTS)} if details else {}
    return Entry(kind, NOW, KEYSTORE, operation_id=operation, details=details, evidence=evidence)


def about_card(kind: Kind, **details: str) -> Entry:
    return Entry(kind, NOW, KEYSTORE, card_id="c", details=details)


HELD = Held(
    asked={"o"},
    approved={"o"},
    results={"o": b"signature"},
    sessions={"s": 3},
    uses={("s", INPUTS): (b"one", b"two")},
    cards={b"r": "1000"},
)
ASKED, APPROVED, USED, TAKEN, ORDERED, ISSUED = HISTORY = [
    entry(Kind.OPERATION_ASKED, "o"),
    entry(Kind.OPERATION_APPROVED, "o"),
    entry(Kind.OPERATION_USED, "o"),
    entry(Kind.SESSION_USED, "u", session="s", inputs=2),
    about_card(Kind.CARD_ORDERED),
    about_card(Kind.CARD_ISSUED, serial="1000"),
]


def test_an_agreeing_journal() -> None:
    assert judging.judged(HELD, HISTORY) == []


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([*HISTORY, USED], "was used 2 times"),
        ([ASKED, APPROVED, TAKEN], "was never used"),
        ([*HISTORY, entry(Kind.OPERATION_FAILED, "o")], "called failed"),
        ([APPROVED, USED, TAKEN], "is lost"),
        ([ASKED, USED, TAKEN], "is lost"),
        ([ASKED, APPROVED, USED], "told 0 times"),
        ([*HISTORY, entry(Kind.SESSION_USED, "v", session="s", inputs=2)], "used 4 times of 3"),
        ([*HISTORY, entry(Kind.OPERATION_FAILED, "u")], "called failed"),
        ([*HISTORY, ISSUED], "card 1000 was issued 2 times"),
        ([ASKED, APPROVED, USED, TAKEN, ORDERED], "never issued"),
        ([ASKED, APPROVED, USED, TAKEN, ORDERED], "was left"),
    ],
)
def test_a_journal_that_does_not_agree(entries: list[Entry], said: str) -> None:
    assert any(said in each for each in judging.judged(HELD, entries))


def test_two_results_of_one_approval() -> None:
    held = Held()
    held.hold("o", b"one")
    held.hold("o", b"one")
    assert not held.wrong
    held.hold("o", b"another")
    held.hold_use("s", INPUTS, (b"one",))
    held.hold_use("s", INPUTS, (b"another",))
    held.hold_card(b"r", "1000")
    held.hold_card(b"r", "1001")
    assert len(held.wrong) == 3
