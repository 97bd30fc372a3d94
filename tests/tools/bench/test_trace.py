from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cloudcard_tools.bench import command, trace
from cloudcard_tools.trace.replay.replaying import replay

RESULT = trace.Result(
    apdus_per_s=25_000.0,
    short_trace_s=0.31,
    traces=1,
    commands=50,
    corpus_bytes=4000,
    short_commands=50,
    runs=1,
    machine="a computer",
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command.bench, ["trace", *map(str, arguments)])


def test_the_short_trace_has_fifty_commands_of_all_kinds(tmp_path: Path) -> None:
    path = trace.write_short(tmp_path)
    outcome = replay(path)
    assert (outcome.passed, outcome.commands) == (True, trace.SHORT_COMMANDS)
    text = path.read_text()
    assert "? verify 80 ******" in text
    assert "? use sign 9c 11" in text
    answers = [line for line in text.splitlines() if line.startswith("< ")]
    assert all(each[-4:] == "9000" or each[-4:-2] == "61" for each in answers)


def test_it_measures_both_and_the_corpus_is_fast_enough() -> None:
    def is_fast_enough() -> bool:
        ended = run("--json", "--runs", 1)
        assert ended.exit_code == 0, ended.output
        facts = json.loads(ended.stdout)
        assert facts["commands"] > 4000
        assert facts["traces"] > 30
        quick = 0 < facts["short_trace_s"] < 10 * trace.SHORT_GOAL_S
        return quick and facts["apdus_per_s"] > trace.RATE_GOAL / 4  # of a loaded computer

    assert any(is_fast_enough() for _ in range(5))  # which is slow at times


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    trace.write_short(tmp_path)
    ended = run(tmp_path, "--runs", 1)
    assert ended.exit_code == 0, ended.output
    assert "1 traces, 50 commands." in ended.output
    assert "Commands a second" in ended.output


def test_a_folder_without_traces(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.exit_code == 1
    assert "there are no traces in" in ended.output


def test_a_trace_that_differs_is_no_measurement(tmp_path: Path) -> None:
    path = trace.write_short(tmp_path)
    path.write_text(path.read_text().replace("9000\n", "9001\n", 1))
    with pytest.raises(click.ClickException, match="does not replay"):
        trace.replay_all([path])


def test_goals_are_told_apart() -> None:
    assert [(title, met) for title, _, _, met in RESULT.goals()] == [
        ("Commands a second", True),
        ("Short trace, s", False),
    ]
