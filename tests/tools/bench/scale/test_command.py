"""`cloudcard bench scale`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard_tools.bench.command import bench
from cloudcard_tools.bench.scale import command, costs

WIDTH = 80


def told(*arguments: str) -> str:
    done = CliRunner().invoke(bench, ["scale", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_table_that_fits() -> None:
    first, *rows = told("--per-day", "1e5", "--per-day", "2e8").splitlines()
    assert first.split("  ")[-1] == "First to give in"
    assert [row.split()[0] for row in rows[:2]] == ["1e5", "2e8"]
    assert "1, SQLite" in rows[0]
    assert rows[-1] == f"Costs: {costs.read().origin}"
    assert max(map(len, (first, *rows))) <= WIDTH


def test_for_programs() -> None:
    facts = json.loads(told("--per-day", "1e5", "--json"))
    (found,) = facts["found"]
    assert (found["per_day"], found["partitions"], found["replicas"]) == (100_000, 1, 1)
    assert found["busiest"] in found["shares"]
    assert found["p50_ms"] <= found["p99_ms"] <= 100
    assert found["open_sessions"] == round(100_000 * 4 / 86_400 / 200 * 8 * 3600)
    assert set(facts["checks"]) >= set(costs.KINDS)
    assert facts["costs"]["sqlite"]["database_us"] == 0


def test_what_is_asked_for_is_simulated() -> None:
    usual = json.loads(told("--per-day", "1e5", "--json"))["found"][0]
    options = ("--peak", "8", "--batched", "0.9", "--batch", "10", "--uses", "50", "--hours", "2")
    other = json.loads(told("--per-day", "1e5", "--json", "--unary", *options))["found"][0]
    assert other["per_s"] == pytest.approx(2 * usual["per_s"], abs=0.2)
    assert other["open_sessions"] == round(100_000 * 8 / 86_400 / 50 * 2 * 3600)
    assert other["p99_ms"] > usual["p99_ms"]
    seeds = [
        json.loads(told("--per-day", "1e5", "--json", "--seed", seed))["found"] for seed in "12"
    ]
    assert seeds[0] == [usual] != seeds[1]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.searching, "SIZES", (2,))
    monkeypatch.setattr(command, "COUNTS", (2,))
    found = json.loads(told("--limits", "--json"))["found"]
    assert [(each["replicas"], each["cores"]) for each in found] == [(1, 2), (2, command.OF_EACH)]
    assert [each["database_cores"] for each in found] == [0, 16]
    assert all(each["per_day"] > 1e5 for each in found)


@pytest.mark.parametrize("more", [[], ["--limits"]])
def test_what_nothing_holds_is_said(more: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.searching, "MOST_PARTITIONS", 1)
    done = CliRunner().invoke(bench, ["scale", "--per-day", "1e6", "--p99", "1", *more])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "so fast" in done.stderr


def test_other_costs(tmp_path: Path) -> None:
    path = tmp_path / "sign.json"
    path.write_text("{}")
    done = CliRunner().invoke(bench, ["scale", "--costs", str(path)])
    assert done.exit_code == 1
    assert "is not what cloudcard bench sign --json prints" in done.stderr
