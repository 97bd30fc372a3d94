"""Four eyes by command, at a real keystore: one operator asks, another one approves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudcard.registry.v1 import identities_pb2
from cloudcard_tools.enrolment import spending
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess


@dataclass(frozen=True, slots=True)
class Desk:
    """Two operators at a command line."""

    first: Path
    second: Path
    serial: str

    def run(self, who: Path, *words: str) -> Result:
        return CliRunner().invoke(ra, [*words, "--identity", str(who)])

    def waiting(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(
            self.run(self.first, "request", "list", "--json").stdout
        )
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("requests")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        user, phone = keystore.holder("Ada Byron")
        serial = keystore.card(user, phone)
        asked = identities_pb2.CreateOperatorRequest(display_name="Olga")
        token = keystore.registry.identities.CreateOperator(asked).token.text
        second = spending.enrol(token, folder / "second", "operator").folder
        yield Desk(folder / "operator", second, serial)


def test_one_asks_and_another_one_approves(desk: Desk) -> None:
    alone = desk.run(desk.first, "request", "rules")
    assert "Each operator acts alone" in alone.stdout
    rule = ("request", "require", "--operation", "revoke")
    assert desk.run(desk.first, *rule).exit_code == 0
    revoke = ("card", "revoke", desk.serial, "--reason", "left the trust", "--yes")
    asked = desk.run(desk.first, *revoke)
    assert asked.exit_code == 1
    assert "cloudcard ra request approve" in asked.output
    (waiting,) = desk.waiting()
    assert waiting["about"] == desk.serial
    own = desk.run(desk.first, "request", "approve", desk.serial, "--yes")
    assert own.exit_code == 1
    assert "nobody approves what they have asked for" in own.output
    unsure = desk.run(desk.second, "request", "approve", desk.serial)
    assert unsure.exit_code == 2
    assert f"first operator has asked to revoke card {desk.serial} (" in " ".join(
        unsure.output.split()
    )
    approved = desk.run(desk.second, "request", "approve", waiting["id"][:8], "--yes", "--json")
    assert json.loads(approved.stdout)["state"] == "approved"
    shown = json.loads(desk.run(desk.second, "card", "show", desk.serial, "--json").stdout)
    assert shown["state"] == "revoked"
    assert desk.waiting() == []
    before = desk.run(desk.second, "request", "show", desk.serial)
    assert "left the trust" in before.stdout
    assert "Olga" in before.stdout


def test_a_request_is_refused(desk: Desk) -> None:
    loosened = desk.run(desk.first, "request", "require")
    assert loosened.exit_code == 1
    (waiting,) = desk.waiting()
    refused = desk.run(desk.second, "request", "refuse", waiting["id"])
    assert refused.exit_code == 0
    assert desk.run(desk.second, "request", "refuse", waiting["id"]).exit_code == 1
    rules = json.loads(desk.run(desk.second, "request", "rules", "--json").stdout)
    assert [each["operations"] for each in rules] == ["revoke"]
