"""Cards are renewed from the command line, at a keystore whose clock is stepped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudcard.registry.v1 import cards_pb2, people_pb2
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.enrolment import spending
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support import stepped_clock
from support.keystore_process import PASSCODE
from support.registry import Registry

NEAR_END = 700  # of the 730 days that a card and an identity last


@dataclass(frozen=True, slots=True)
class Office:
    """An operator, and two cards that end soon, of which one has never been in use."""

    operator: Path
    active: str
    pending: str

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(ra, [*arguments, "--identity", str(self.operator)])

    def ask(self, *arguments: str) -> object:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Nursery(tmp_path / "logs") as nursery:
        keystore, own = stepped_clock.start(nursery, tmp_path, tmp_path)
        with identity.channel(own) as channel:
            registry = Registry(channel)
            added = registry.people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada"))
            device = spending.enrol(added.device_token.text, tmp_path / "phone", "authenticator")
            serials = [_issue(registry, added.user.id) for _ in range(2)]
            with identity.channel(device) as theirs:
                Phone(device, theirs).set_passcode(serials[0], PASSCODE)
        stepped_clock.step(keystore, NEAR_END)
        yield Office(tmp_path / "operator", *serials)


def _issue(registry: Registry, user_id: str) -> str:
    asked = cards_pb2.IssueCardRequest(request_id=os.urandom(16), user_id=user_id, profile="p256")
    return registry.cards.IssueCard(asked).card.serial


def test_a_card_from_its_report_to_its_renewal(office: Office) -> None:
    """CARD-12: one command leads from what ends to its renewal, and says before what it will do."""
    before = office.ask("card", "show", office.active)
    dry = office.ask("expiring", "--renew", "--dry-run")
    assert isinstance(dry, list)
    said = {each["serial"]: each for each in dry}
    assert said.keys() == {office.active, office.pending}
    assert said[office.active]["result"].startswith("can be renewed until 2030-")
    assert "is pending: it cannot renew" in said[office.pending]["result"]
    assert not any(each["renewed"] for each in dry)
    assert office.ask("card", "show", office.active) == before
    unsure = office.run("expiring", "--renew")
    assert unsure.exit_code == 2
    assert "2 cards get new keys" in unsure.output
    assert office.ask("card", "show", office.active) == before

    done = office.ask("expiring", "--renew", "--yes")

    assert isinstance(done, list)
    results = {each["serial"]: each for each in done}
    assert results[office.active]["renewed"]
    assert results[office.active]["result"].startswith("renewed until 2030-")
    assert not results[office.pending]["renewed"]
    after = office.ask("card", "show", office.active)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["expires"] > before["expires"]
    assert [key["key_ref"] for key in after["keys"]] == ["82", "9A", "9C", "9D", "9E"]
    left = office.ask("expiring")
    assert isinstance(left, list)
    assert office.active not in {each["name"] for each in left}


def test_one_card(office: Office) -> None:
    dry = office.ask("card", "renew", office.active, "--dry-run")
    assert isinstance(dry, dict)
    assert (dry["dry_run"], dry["new_keys"], dry["retired"]) == (
        True,
        ["9A", "9C", "9D", "9E"],
        "82",
    )
    done = office.run("card", "renew", "Ada")
    assert done.exit_code == 1  # which of the two
    done = office.run("card", "renew", office.active)
    assert done.exit_code == 0, done.output
    assert re.search(r"^Expires +2030-.*\nNew keys +9A\n +9C\n", done.output, re.MULTILINE)
    assert "Retired key  82\n" in done.output
    again = office.run("card", "renew", office.active)
    assert again.exit_code == 1
    assert "can be renewed from 2030-" in again.output
    alone = office.run("expiring", "--dry-run")
    assert alone.exit_code == 2
    assert "--dry-run goes with --renew" in alone.output
