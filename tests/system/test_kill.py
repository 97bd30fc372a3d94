"""kill -9 of each part at any moment: nothing is lost, nothing is signed without or twice for one
approval.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cloudcard_tools.demo.programs import Ended, Pkcs11
from cloudcard_tools.demo.stage import PASSCODE, Stage, wait_for_card
from cloudcard_tools.shared.processes import Nursery

SUCCEEDED = 6
PIN = "246802"


@pytest.fixture
def stage(nursery: Nursery, tmp_path: Path) -> Stage:
    stage = Stage(tmp_path, nursery, interactive=False)
    stage.start_keystore()
    stage.meet_ada()
    stage.start_phone()
    stage.insert(0, stage.issue("p256"), approval="push")
    return stage


def sign(stage: Stage, decide: Callable[[], None]) -> Ended:
    """An application that signs while `decide` happens."""
    (stage.folder / "document").write_bytes(b"document")
    application = Pkcs11(0, PASSCODE)
    signing = application.signing(
        "01", "ECDSA-SHA256", stage.folder / "document", stage.folder / "signature"
    )
    return stage.while_deciding(decide, lambda: application.attempt(*signing))


def uses(stage: Stage) -> list[tuple[int, bool]]:
    """State of each operation, and whether it was approved."""
    with (
        closing(sqlite3.connect(stage.ask.home / "keystore" / "keystore.db")) as database,
        database,
    ):
        rows = database.execute("SELECT state, decision = 1 FROM operation ORDER BY id").fetchall()
    database.close()
    return [(state, bool(approved)) for state, approved in rows]


def restart_keystore(stage: Stage) -> None:
    stage.nursery["keystore"].kill()
    stage.nursery.restart("keystore").wait_for("Keystore ready", timeout=60)


def test_the_keystore_is_killed_while_the_holder_thinks(stage: Stage) -> None:
    def decide() -> None:
        prompt = stage.prompt(0)
        stage.ringing(prompt)
        restart_keystore(stage)
        stage.type_number(prompt)

    assert sign(stage, decide).code == 0
    assert uses(stage) == [(SUCCEEDED, True)]


def test_the_keystore_is_killed_before_the_holder_gives_the_pin_of_the_phone(stage: Stage) -> None:
    stage.ask("authenticator", "pin", "--choose", "--pin-stdin", stdin=PIN)

    def decide() -> None:
        prompt = stage.prompt(0)
        stage.ringing(prompt)
        for typed, event in ((str(prompt["number"]), "pin"), (PIN, "decided")):
            restart_keystore(stage)
            stage.nursery["phone"].send(typed)
            stage.nursery["phone"].wait_for_json(event=event, operation=prompt["operation"])

    assert sign(stage, decide).code == 0
    assert uses(stage) == [(SUCCEEDED, True)]


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02])
def test_the_keystore_is_killed_right_after_the_approval(stage: Stage, delay: float) -> None:
    def decide() -> None:
        prompt = stage.prompt(0)
        stage.ringing(prompt)
        stage.type_number(prompt)
        time.sleep(delay)
        restart_keystore(stage)

    ended = sign(stage, decide)
    ((state, approved),) = uses(stage)
    assert approved
    assert (ended.code == 0) is (state == SUCCEEDED)


def test_the_phone_is_killed_while_it_rings(stage: Stage) -> None:
    def decide() -> None:
        prompt = stage.prompt(0)
        stage.ringing(prompt)
        stage.nursery["phone"].kill()
        stage.nursery.restart("phone")
        stage.ringing(prompt)  # what waits rings again
        stage.type_number(prompt)

    assert sign(stage, decide).code == 0
    assert uses(stage) == [(SUCCEEDED, True)]


def test_the_reader_is_killed_while_the_holder_thinks(stage: Stage) -> None:
    def kill() -> None:
        prompt = stage.prompt(0)
        stage.ringing(prompt)
        stage.nursery["reader-0"].kill()

    assert sign(stage, kill).code != 0
    assert [state for state, _ in uses(stage)].count(SUCCEEDED) == 0
    stage.nursery.restart("reader-0").wait_for_json(event="inserted", timeout=60)
    wait_for_card(0)
    assert sign(stage, stage.approve_push).code == 0
    assert [state for state, _ in uses(stage)].count(SUCCEEDED) == 1
