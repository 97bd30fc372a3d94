"""The bench of many who wait, with few; and how it judges."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cloudcard_tools.bench import command, waiting

RESULT = waiting.Result(
    waiting=10_000,
    streams=10_000,
    connections=102,
    rss_mib=474.5,
    peak_rss_mib=480.0,
    client_rss_mib=375.0,
    samples=300,
    approve_to_signature_p50_ms=17.4567,
    approve_to_signature_p99_ms=35.4,
    noop_p50_ms=2.5,
    noop_p99_ms=5.4,
    opened_per_s=424.5,
    machine="a computer",
)


def test_fifty_wait_while_five_are_approved() -> None:
    arguments = ["waiting", "--json", "--waiting", "50", "--samples", "5", "--rate", "20"]
    done = CliRunner().invoke(command.bench, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result.keys() == RESULT.facts().keys()
    assert (result["waiting"], result["samples"]) == (50, 5)
    assert result["streams"] >= 50  # the last one's, approved, may be about to end
    assert 0 < result["approve_to_signature_p50_ms"] <= result["approve_to_signature_p99_ms"]
    assert 0 < result["rss_mib"] <= result["peak_rss_mib"]


@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({}, [True, True, True]),
        ({"rss_mib": 1025.0}, [True, True, False]),
        ({"approve_to_signature_p50_ms": 51.0}, [False, True, True]),
        ({"approve_to_signature_p99_ms": 251.0}, [True, False, True]),
    ],
)
def test_the_goals(change: dict[str, float], met: list[bool]) -> None:
    result = replace(RESULT, **change)  # type: ignore[arg-type]  # of floats alone
    assert [each[-1] for each in result.goals()] == met


def test_the_command_says_whether_the_goals_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, float]] = []

    def measure(_: object, count: int, samples: int, rate: float, __: object) -> waiting.Result:
        asked.append((count, samples, rate))
        return replace(RESULT, rss_mib=2000.0)

    monkeypatch.setattr(waiting, "measure", measure)
    done = CliRunner().invoke(command.bench, ["waiting"])
    assert (done.exit_code, asked) == (0, [(10_000, 300, 10.0)])
    assert "rss_mib                      2000.0  goal 1024, not met" in done.stdout
    assert "17.46" in done.stdout
    assert "goal 250, met" in done.stdout


def test_more_than_the_keystore_holds_is_wrong_usage() -> None:
    assert CliRunner().invoke(command.bench, ["waiting", "--waiting", "15000"]).exit_code == 2
