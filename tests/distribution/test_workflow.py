"""Continuous integration runs what a developer runs, with every Python that is supported."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from architecture.imports import ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
JOBS = yaml.safe_load(WORKFLOW)["jobs"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGET = re.compile(r"^([\w.-]+):", re.MULTILINE)


def lines(job: str) -> list[str]:
    """What a job runs."""
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_every_target_is_one_of_the_makefile() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    made = [line.split() for job in JOBS for line in lines(job) if line.startswith("make ")]
    run = {target for _, target in made}
    assert {"lint", "test", "docs", "package", "audit"} <= run <= targets


def test_every_python_that_is_supported_is_tried() -> None:
    pythons = JOBS["test"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: "
    said = [each.removeprefix(prefix) for each in PROJECT["classifiers"] if prefix in each]
    assert pythons == said == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_packages_are_audited_as_they_are_locked() -> None:
    """OPS-06: all of them, by a program that is locked itself; also when nobody commits."""
    assert lines("audit") == ["make audit"]
    makefile = (ROOT / "Makefile").read_text()
    [audited] = re.findall(r"^LOCKS := (.*)$", makefile, re.MULTILINE)
    assert set(audited.split()) == {path.name for path in ROOT.glob("requirements*.lock")}
    assert "pip-audit==" in (ROOT / "requirements-audit.lock").read_text()
    assert "schedule" in WORKFLOW


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends_in_time_and_may_only_read(job: str) -> None:
    assert JOBS[job]["timeout-minutes"] <= 60
    assert "permissions" not in JOBS[job]
    assert yaml.safe_load(WORKFLOW)["permissions"] == {"contents": "read"}


def test_commit_hooks_use_the_programs_of_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"].split() for repo in config["repos"] for hook in repo["hooks"]]
    lint = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    assert {program for program, *_ in entries} == {".venv/bin/ruff", ".venv/bin/mypy"}
    assert all(program in lint for program, *_ in entries)
