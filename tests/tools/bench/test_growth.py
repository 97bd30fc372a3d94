"""The bench of growth makes rows as the keystore does, and says what it promises; its figures are
no test's matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from cloud_keystore.model.sessions import Session
from cloud_keystore.storage import sessions
from cloud_keystore.storage.authentic import upgrading
from cloudcard_tools.bench.command import bench
from cloudcard_tools.bench.growth import measuring
from cloudcard_tools.bench.growth.filling import CARDS_OF_WORKSTATION, Model, fill
from cloudcard_tools.bench.growth.keystore import Ward, of_kind, opened
from cloudcard_tools.bench.growth.measuring import Result, Size
from support.postgres import Server

FEW = Size(1000, 100.0, 200.0, 300.0, 9000.0, 17000.0)
MANY = Size(1_000_000, 110.0, 250.0, 300.0, 8000.0, 16000.0)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with opened(tmp_path / "keystore") as ward:
        yield ward


def test_what_is_added_can_be_used_like_what_the_keystore_made(ward: Ward) -> None:
    place = ward.open_session(ward.passcode_proof())
    ward.use([place])
    parts: list[int] = []
    places = fill(ward, Model.of(ward, place.session_id), 2 * CARDS_OF_WORKSTATION, parts.append)
    assert sum(parts) == len(places) == 2 * CARDS_OF_WORKSTATION
    ward.use(places)
    ward.tend()
    with ward.parts.database.read() as connection:
        examined = upgrading.examine(connection)
        found = [of_kind(Session, sessions.find(connection, each.session_id)) for each in places]
    assert (examined.wrong, examined.named) == (0, [])
    assert len({each.card_id for each in found}) == len(found)
    assert len({each.workstation_id for each in found}) == 2


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_both_sizes_are_measured(
    engine: str,
    tmp_path: Path,
    postgresql: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, less in {"KEPT_USES": 1024, "GROUPS": 2, "ALONE": 2, "OPENED": 2, "TICKS": 2}.items():
        monkeypatch.setattr(measuring, name, less)
    address = "" if engine == "sqlite" else postgresql.new_database()
    parts: list[int] = []
    result = measuring.measure(tmp_path, 60, address, parts.append, waiters=20)
    assert sum(parts) == 60 + 1024 + 20
    assert (result.few.cards, result.many.cards) == (30, 60)
    facts = result.facts()
    assert list(facts)[: len(measuring.GOALS)] == list(measuring.GOALS)
    # In so few streams a process can have room left; everything else costs something.
    assert [name for name, most in measuring.GOALS.items() if facts[name] == 0] in (
        [],
        ["waiting_kib"],
    )


def test_what_has_grown_too_much_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Result(FEW, MANY, 301.0, 7.5, "a computer")

    def measure(*_: object) -> Result:
        structlog.get_logger().critical("a keystore in this process has something to say")
        return result

    monkeypatch.setattr(measuring, "measure", measure)
    told = CliRunner().invoke(bench, ["growth", "--json"])
    facts = json.loads(told.stdout)
    assert (facts["use_ratio"], facts["background_ratio"], facts["rows"]) == (1.1, 1.25, 1_000_000)
    table = CliRunner().invoke(bench, ["growth"]).stdout.splitlines()
    met = [line.endswith(", met") for line in table[1:-1]]
    assert met == [True, False, True, False, True, True, True]
