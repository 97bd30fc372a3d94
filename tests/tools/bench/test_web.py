"""The bench of the pages measures all that it names; its figures are no test's matter."""

from __future__ import annotations

import json
import resource

import click
import pytest
from click.testing import CliRunner

from cloudcard_tools.bench.web import command, crowd, measuring
from cloudcard_tools.bench.web.measuring import GOALS, Figures, Task


@pytest.mark.timeout(600)
def test_all_is_measured_at_real_pages() -> None:
    """PORT-01: each list is asked for, requests ring and are approved, and all streams are open at
    the end.
    """
    asked = ["--users", "100", "--calls", "20", "--streams", "30", "--json"]
    done = CliRunner().invoke(command.web_command, asked)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts.keys() == GOALS.keys() | {"streams"}
    assert facts["streams"] == 30
    assert all(facts[each] > 0 for each in GOALS)


def test_people_read_which_goals_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = dict.fromkeys(GOALS, 1.0) | {"first_load_kb": 151.0}
    found = Figures(figures, 9, {"/ra/people": 1.0, "/ra/mail": 2.0}, "a computer")
    monkeypatch.setattr(measuring, "measure", lambda *_: found)
    done = CliRunner().invoke(command.web_command, ["--users", "100"])
    lines = [" ".join(each.split()) for each in done.stdout.splitlines()]
    assert lines[:4] == [
        "/ra/mail 2.00",
        "/ra/people 1.00",
        "100 people, 9 pages of the authenticator open.",
        "list_p95_ms 1.00 goal 100, met",
    ]
    assert "first_load_kb 151.00 goal 150, not met" in lines
    assert lines[-1] == "a computer"


def test_more_streams_than_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("it was set"))
    with pytest.raises(click.ClickException, match="ulimit -n"):
        crowd.allow_files(5000)


def test_each_stream_has_a_phone() -> None:
    assert Task(100, "", 20, 100).phones == 100
    assert Task(1000, "", 20, 100).phones == 950
