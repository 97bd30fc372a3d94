"""The bench of many people measures all that it names; its figures are no test's matter."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cloudcard_tools.bench.registry import command, measuring
from cloudcard_tools.bench.registry.measuring import GOALS, Figures


@pytest.mark.timeout(600)
def test_all_is_measured_with_real_people() -> None:
    done = CliRunner().invoke(
        command.registry_command, ["--users", "100", "--calls", "20", "--json"]
    )
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts.keys() == GOALS.keys() | {"users", "cards", "machine"}
    assert (facts["users"], facts["cards"]) == (100, 105)
    assert all(facts[each] > 0 for each in GOALS)


def test_people_read_which_goals_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = dict.fromkeys(GOALS, 1.0) | {"import_10000_s": 31.0}
    monkeypatch.setattr(measuring, "measure", lambda *_: Figures(7, 9, figures, "a computer"))
    done = CliRunner().invoke(command.registry_command, [])
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "7 people, 9 cards.",
        "import_10000_s          31.00  goal 30, not met",
        "search_p95_ms            1.00  goal 100, met",
    ]
    assert lines[-1] == "a computer"
