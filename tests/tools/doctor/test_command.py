"""What the doctor prints: one line a check with its fix, at 80 columns, and its exit status."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard_tools.doctor import checks, command, every
from cloudcard_tools.doctor.checks import Check, Finding
from support import terminal
from support.guides import run_by
from support.listeners import enrolled

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([checks.ok("yes"), checks.warning("hm [x]", "look")], 0),
        ([checks.ok("yes"), checks.failed("no", "mend")], 1),
    ],
)
def test_the_exit_status_says_whether_something_failed(
    monkeypatch: pytest.MonkeyPatch, findings: list[Finding], status: int
) -> None:
    table = tuple(
        Check(f"a.{i}", str(i), partial(replace, each)) for i, each in enumerate(findings)
    )
    monkeypatch.setattr(every, "checks", lambda _places: table)
    text = CliRunner().invoke(command.doctor, [])
    assert text.exit_code == status
    assert findings[1].cause in text.output
    assert findings[1].fix in text.output
    document = CliRunner().invoke(command.doctor, ["--json"])
    assert document.exit_code == status
    shown = json.loads(document.output)
    assert shown["ok"] is (status == 0)
    assert shown["milliseconds"] >= 0
    assert [(row["id"], row["level"], row["fix"]) for row in shown["checks"]] == [
        (f"a.{i}", each.level.value, each.fix) for i, each in enumerate(findings)
    ]


def test_nothing_is_cut_in_a_terminal_of_80_columns(tmp_path: Path, own_home: Path) -> None:
    own_home.mkdir(mode=0o700)
    enrolled(own_home / "workstation", 1)
    status, shown = terminal.show(
        "doctor", folder=tmp_path, environment={"CLOUDCARD_HOME": str(own_home)}
    )
    assert status in (0, 1)
    assert all(len(line) <= terminal.COLUMNS for line in shown.splitlines())
    words = " ".join(shown.split())
    assert "…" not in words
    assert "cloudcard reader enrol" not in words  # there is one
    # The folder's path is one word, which is broken only where it is longer than a line.
    joined = "".join(shown.split())
    assert "isoneofanoperator,notofanworkstation" in joined
    assert f"rm-r{own_home / 'workstation'}" in joined


def test_the_page_can_be_typed(tmp_path: Path, own_home: Path) -> None:
    lines = [line for block in run_by("doctor.md", __file__) for line in block.commands]
    environment = {"CLOUDCARD_HOME": str(own_home)}
    shown = ""
    for line in lines:
        _, *words = shlex.split(line)
        status, shown = terminal.show(*words, folder=tmp_path, environment=environment)
        assert status in (0, 1)
        assert "Readers" in shown
    assert "Left out:" in shown
    assert (tmp_path / "support.zip").is_file()


def test_a_report_on_this_computer_ends_and_has_every_check(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own_home.mkdir(mode=0o700)
    enrolled(own_home / "operator", 1)
    done = CliRunner().invoke(command.doctor, ["--json"])
    shown = json.loads(done.output)
    ids = [row["id"] for row in shown["checks"]]
    assert len(ids) == len(set(ids))
    rows = PAGE.read_text("utf-8").splitlines()
    told = [match[1] for row in rows if (match := re.match(r"\| `([a-z.]+)` \|", row))]
    assert told == ids
    assert {row["level"] for row in shown["checks"]} <= {"ok", "warn", "fail"}
    assert all(bool(row["fix"]) is (row["level"] != "ok") for row in shown["checks"])
