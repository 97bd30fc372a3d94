"""The bench of signatures with PostgreSQL, and what it needs; its figures are no test's matter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import pytest

from cloudcard_tools.bench.signing import clients, measuring, native
from cloudcard_tools.bench.signing.measuring import Plan
from support import postgres

SMALL = {"seconds": 0.2, "rounds": 1, "workstations": 2, "sessions": 4}


@pytest.mark.timeout(600)
def test_postgresql_is_measured_beside_sqlite(tmp_path: Path) -> None:
    said = Counter[str]()

    def done(what: str, steps: int) -> None:
        said[what] += steps

    with postgres.server() as server:
        plan = Plan(**SMALL, postgres=server.new_database(), clients=("python",))
        result = measuring.measure(tmp_path, plan, done)["python"]
    assert said.total() == plan.steps
    assert set(said) == {
        "Enrolling workstations",
        "Issuing cards",
        "Opening sessions",
        "Warming up",
        "Measuring",
    }
    facts = result.facts()["postgres"]
    assert all(isinstance(each, int | float) and each > 0 for each in facts.values())


def test_what_is_missing_for_the_native_client_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.ClickException, match=r"without make, cc, .*libnghttp2-dev.*python"):
        clients.command("native")


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "LIBRARIES", ("libssl", "libmissing"))
    with pytest.raises(click.ClickException, match="without libmissing: apt-get install"):
        native.build(tmp_path)


def test_outside_of_the_repository_another_client_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "SOURCES", tmp_path / "nowhere")
    with pytest.raises(click.ClickException, match="--client python"):
        native.build(tmp_path)
