"""A keystore is killed while a token makes a card's keys, or finds its token away: what is there
afterwards, and what the registration authority's commands say and do (CARD-07, BUG-19, BUG-20).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import grpc
import pytest
from click.testing import CliRunner, Result

from cloudcard.registry.v1 import cards_pb2
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess
from support.polling import until
from support.softhsm import CONFIGURATION, LABEL, MODULE, PIN, new_token

KEYS = 4  # of a card


@dataclass
class Office:
    """An operator at a keystore whose keys are in a token."""

    keystore: KeystoreProcess
    tokens: Path
    holder: str

    def run(self, *arguments: str) -> Result:
        operator = str(self.keystore.folder / "operator")
        return CliRunner().invoke(ra, [*arguments, "--identity", operator])

    def ask(self, *arguments: str) -> list[dict[str, str]]:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        told: list[dict[str, str]] = json.loads(done.stdout)
        return told

    @property
    def objects(self) -> int:
        """How many objects the token holds: two for each key pair."""
        return len(list(self.tokens.rglob("*.object"))) - 1  # and one of its own

    def begin(self) -> Thread:
        """Ask for a card of RSA keys, and do not wait for it."""
        request = cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=self.holder, profile="v2"
        )

        def issue() -> None:
            with suppress(grpc.RpcError):
                self.keystore.registry.cards.IssueCard(request, timeout=60)

        asking = Thread(target=issue)
        asking.start()
        return asking

    def states(self) -> list[str]:
        return [each["state"] for each in self.ask("card", "list")]


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setenv(CONFIGURATION, str(new_token(tmp_path / "tokens")))
    pin_file = tmp_path / "pin"
    pin_file.write_text(PIN)
    pin_file.chmod(0o600)
    token = ("--hsm-module", MODULE, "--hsm-token", LABEL, "--hsm-pin-file", str(pin_file))
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery, ("--key-backend", "pkcs11", *token))
        holder, _ = keystore.holder("Ada")
        yield Office(keystore, tmp_path / "tokens", holder)


def test_a_keystore_that_was_killed_goes_on_by_itself(office: Office) -> None:
    """kill -9 after one key, and after three: the card is there soon after the start, with its keys
    and no others in the token.
    """
    for cards, made in ((1, 1), (2, 3)):
        before = office.objects
        asking = office.begin()
        until(lambda least=before + 2 * made: office.objects >= least)  # type: ignore[misc]
        office.keystore.kill()
        asking.join()
        office.keystore.restart()
        until(lambda count=cards: office.states() == ["pending"] * count)  # type: ignore[misc]
        until(lambda count=cards: office.objects == 2 * KEYS * count)  # type: ignore[misc]
    time.sleep(2.0)  # in which upkeep would destroy too much
    assert office.objects == 2 * KEYS * 2


def test_a_token_that_is_away_leaves_a_card_that_says_what_to_do(office: Office) -> None:
    """The cause in words, and the next step; it is resumed, or given up."""
    away = office.tokens.with_name("away")
    office.tokens.rename(away)
    refused = [office.run("card", "issue", "Ada", "--profile", "p256") for _ in range(2)]
    for each in refused:
        assert each.exit_code != 0
        assert "cloudcard ra card resume" in each.output
        assert "Traceback" not in each.output
    assert office.states() == ["failed"] * 2
    (waits,) = office.ask("pending")
    assert waits["stage"] == "card failed"
    assert waits["cause"]
    assert waits["cause"] in waits["next"]
    first, second = (each["serial"] for each in office.ask("card", "list"))
    shown = office.run("card", "show", first).output
    assert "Cause" in shown
    assert f"cloudcard ra card resume {first}" in shown
    assert office.run("card", "resume", first).exit_code != 0
    assert office.states() == ["failed"] * 2
    away.rename(office.tokens)
    assert office.run("card", "resume", first).exit_code == 0
    assert office.run("card", "cancel", second).exit_code == 0
    assert sorted(office.states()) == ["cancelled", "pending"]
    until(lambda: office.objects == 2 * KEYS)
    assert office.run("card", "cancel", first).exit_code != 0
    assert [each["stage"] for each in office.ask("pending")] == ["no passcode"]
