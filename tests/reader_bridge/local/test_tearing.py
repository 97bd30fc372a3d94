"""Whatever ends the process, and wherever: the card's file holds the state before or the one after,
and nobody gains a try by it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from card_os.administration import (
    GenerateKey,
    ImportKey,
    MoveKey,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    Verified,
    VerifyPasscode,
)
from card_os.piv.sizes import FACTORY_PIN, FACTORY_PUK
from private_files import writing
from reader_bridge.local import passcodes
from reader_bridge.local.card import LocalCard, Passcode
from reader_bridge.local.encoding import Damaged, decode, encode
from reader_bridge.local.file_store import FileStore
from reader_bridge.local.keys import LocalKeys
from support.local_world import ID, administrator_proof, card, passcode_proof
from support.torn_disk import CUTS, ERRORS, Disk, Fault, PowerCut

WRONG = b"000000"
MOST_TRIES = 15
Ask: TypeAlias = Callable[[LocalKeys], KeyRequest]

COMMANDS: dict[str, Ask] = {
    "right pin": lambda _: VerifyPasscode(ID, 0x80, FACTORY_PIN),
    "wrong pin": lambda _: VerifyPasscode(ID, 0x80, WRONG),
    "change pin": lambda _: ChangePasscode(ID, 0x80, FACTORY_PIN, b"111111"),
    "change pin, wrong": lambda _: ChangePasscode(ID, 0x80, WRONG, b"111111"),
    "change puk": lambda _: ChangePasscode(ID, 0x81, FACTORY_PUK, b"11111111"),
    "reset pin": lambda _: ResetPasscode(ID, 0x80, FACTORY_PUK, b"111111"),
    "reset pin, wrong": lambda _: ResetPasscode(ID, 0x80, b"87654321", b"111111"),
    "put data": lambda keys: WriteObject(administrator_proof(keys), 0x5FC109, b"contents"),
    "generate": lambda keys: GenerateKey(administrator_proof(keys), 0x9A, 0x11),
    "import": lambda keys: ImportKey(administrator_proof(keys), 0x9A, 0x11, bytes(range(1, 33))),
    "move": lambda keys: MoveKey(administrator_proof(keys), 0x9E, 0x82),
    "management key": lambda keys: SetManagementKey(
        administrator_proof(keys), 0x0C, bytes(range(32))
    ),
    "tries": lambda keys: SetTries(administrator_proof(keys), passcode_proof(keys), 5, 6),
}


@pytest.fixture(scope="module")
def start() -> LocalCard:
    """A card with a key, and a try of each passcode spent."""
    keys = LocalKeys(card("developer"), os.urandom)
    keys.perform(GenerateKey(administrator_proof(keys), 0x9E, 0x11))
    keys.perform(VerifyPasscode(ID, 0x80, WRONG))
    keys.perform(ResetPasscode(ID, 0x80, b"87654321", b"111111"))
    return keys.card


class Torn:
    """A card in a file on a disk that fails, and every state that was to be stored."""

    def __init__(self, path: Path, start: LocalCard) -> None:
        self.path = path
        self.states = [start]
        with FileStore.take(path) as store:
            store.save(encode(start))

    def run(self, ask: Ask, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> KeyResult | None:
        """The answer, None if there came none."""
        with FileStore.take(self.path) as store:
            request = self._prepared(ask)

            def save(state: LocalCard) -> None:
                self.states.append(state)
                store.save(encode(state))

            self.keys = LocalKeys(self.states[0], self._random, save)
            with monkeypatch.context() as patch:
                patch.setattr(writing, "os", disk)
                try:
                    return self.keys.perform(request)
                except PowerCut:
                    return None

    def _prepared(self, ask: Ask) -> KeyRequest:
        """The request, with proofs of an administrator: a process of its own would have them."""
        return ask(LocalKeys(self.states[0], self._random))

    def _random(self, size: int) -> bytes:
        return bytes(size)

    def stored(self) -> LocalCard:
        with FileStore.take(self.path) as store:
            data = store.load()
        assert data is not None
        return decode(data)


def tries(card: LocalCard) -> tuple[int, int]:
    return card.passcodes[0x80].tries, card.passcodes[0x81].tries


@pytest.mark.parametrize("fault", [*CUTS, *ERRORS])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_cut_at_every_operation(
    start: LocalCard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    fault: Fault,
) -> None:
    answered_by_itself = False
    for step in range(1, 100):
        torn, disk = Torn(tmp_path / f"{step}", start), Disk(step, fault)
        answer = torn.run(COMMANDS[command], disk, monkeypatch)
        stored = torn.stored()
        if not disk.failed:
            answered_by_itself = True
            assert stored == torn.states[-1] == torn.keys.card
            break
        assert answer in (None, Refusal.UNAVAILABLE) or stored == torn.states[-1]
        assert stored in torn.states[-2:]
        if answer is Refusal.UNAVAILABLE:
            assert torn.keys.card in torn.states[:-1]  # not what was perhaps not stored
        if "wrong" in command:
            assert tries(stored) <= tries(start)
        if stored is not start and stored.passcodes[0x80].value != FACTORY_PIN:
            assert stored.passcodes[0x80].tries == 3  # changed, and restored, in one
    assert answered_by_itself
    assert step > 1, "the command stored nothing"


def test_a_reset_of_the_card_is_cut_at_every_operation(
    start: LocalCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = start
    for key_ref in (0x80, 0x81):
        none_left = replace(start.passcodes[key_ref], tries=0)
        blocked = blocked.with_passcode(key_ref, none_left)
    outcomes = set()
    for step in range(1, 20):
        for fault in CUTS:
            torn, disk = Torn(tmp_path / f"{step}{fault}", blocked), Disk(step, fault)
            torn.run(lambda _: ResetCard(), disk, monkeypatch)
            outcomes.add(torn.stored() == blocked)
            assert torn.stored() in (blocked, card("developer"))
    assert outcomes == {True, False}


@pytest.mark.parametrize("fault", ERRORS)
def test_a_broken_disk_is_no_way_to_guess(
    start: LocalCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Each PIN is tried while the disk fails somewhere: no answer tells which was right."""
    for step in range(1, 8):
        for pin in (WRONG, FACTORY_PIN):
            torn, disk = Torn(tmp_path / f"{step}{pin!r}", start), Disk(step, fault)
            answer = torn.run(lambda _, pin=pin: VerifyPasscode(ID, 0x80, pin), disk, monkeypatch)
            if not disk.failed:
                continue
            assert answer is Refusal.UNAVAILABLE
            assert tries(torn.stored()) <= tries(start)


def test_the_card_goes_on_when_the_disk_does(
    start: LocalCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileStore.take(tmp_path / "card") as store:
        keys = LocalKeys(start, os.urandom, lambda state: store.save(encode(state)))
        with monkeypatch.context() as patch:
            patch.setattr(writing, "os", Disk(3, Fault.ERROR_BEFORE))
            assert keys.perform(VerifyPasscode(ID, 0x80, WRONG)) is Refusal.UNAVAILABLE
        assert keys.perform(PasscodeStatus(ID, 0x80)) == TriesLeft(2, factory=True)
        assert keys.perform(VerifyPasscode(ID, 0x80, WRONG)) == TriesLeft(1, factory=True)
        assert isinstance(keys.perform(VerifyPasscode(ID, 0x80, FACTORY_PIN)), Verified)


def test_the_fault_that_the_disk_is_for_is_found(
    start: LocalCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without synchronisation before the renaming, a power cut would damage the file."""

    class Careless(Disk):
        def fsync(self, _descriptor: int) -> None:
            """Do nothing."""

    damaged = 0
    for step in range(1, 20):
        torn = Torn(tmp_path / f"{step}", start)
        disk = Careless(step, Fault.CUT_AFTER_UNWRITTEN_CONTENTS)
        torn.run(COMMANDS["put data"], disk, monkeypatch)
        try:
            torn.stored()
        except Damaged:
            damaged += 1
    assert damaged


CHILD = """
import os, sys
from pathlib import Path
from card_os.keys import ChangePasscode, VerifyPasscode
from card_os.administration import WriteObject
from support.local_world import ID, administrator_proof
from reader_bridge.local.file_store import FileStore
from reader_bridge.local.encoding import Damaged, decode, encode
from reader_bridge.local.keys import LocalKeys

store = FileStore.take(Path(sys.argv[1]))
card = decode(store.load())
keys = LocalKeys(card, os.urandom, lambda state: store.save(encode(state)))
proof = administrator_proof(keys)
number = int(card.objects.get(0x5FFF10, b"0"))
pin = card.passcodes[0x80].value

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

while True:
    number += 1
    say("write", number)
    keys.perform(WriteObject(proof, 0x5FFF10, b"%d" % number))
    say("written", number)
    new = b"%06d" % number
    say("change", new.decode())
    keys.perform(ChangePasscode(ID, 0x80, pin, new))
    pin = new
    say("changed", new.decode())
    for _ in range(2):
        say("wrong")
        left = keys.perform(VerifyPasscode(ID, 0x80, b"wrong"))
        say("left", left.tries)
    keys.perform(VerifyPasscode(ID, 0x80, pin))
    say("right")
"""


def run_and_kill(path: Path, seconds: float) -> list[list[str]]:
    """What a process said before it was killed in the middle of something."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(seconds)
    child.kill()
    rest = child.stdout.read()
    child.stdout.close()
    assert child.wait() == -9
    return [line.split() for line in (first + rest).decode().splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_a_killed_process_leaves_a_whole_card(tmp_path: Path, start: LocalCard) -> None:
    path = tmp_path / "card"
    # Each kill may cost a try, that of the right PIN too.
    patient = start.with_passcode(0x80, Passcode(FACTORY_PIN, MOST_TRIES, MOST_TRIES))
    with FileStore.take(path) as store:
        store.save(encode(patient))
    chance = random.Random(7)
    ended_with = set()
    number = "0"  # which the child takes for what is not there yet
    for kill in range(100):
        if kill >= 8 and len(ended_with) > 1:
            break
        said = run_and_kill(path, chance.uniform(0, 0.15))
        with FileStore.take(path) as store:
            data = store.load()
        assert data is not None
        card = decode(data)
        last = said[-1]
        ended_with.add(last[0])
        told = {words[0]: words[-1] for words in said}
        before_and_after = {told.get("written", number), told["write"]}
        number = card.objects.get(0x5FFF10, b"0").decode()
        assert number in before_and_after
        pin, left = card.passcodes[0x80].value.decode(), card.passcodes[0x80].tries
        match last:
            case ["change", new]:
                assert pin in (new, told.get("changed", pin))
            case ["left", count]:
                assert left <= int(count) or left == MOST_TRIES  # the right one came meanwhile
            case ["wrong"]:
                before = int(said[-2][1]) if said[-2][0] == "left" else MOST_TRIES
                assert left in (before, before - 1)
        if "changed" in told and last[0] != "change":
            assert pin == told["changed"]
    assert len(ended_with) > 1


@pytest.mark.parametrize(
    ("ask", "order"),
    [
        (VerifyPasscode(ID, 0x80, FACTORY_PIN), ["store", "compare", "store"]),
        (VerifyPasscode(ID, 0x80, WRONG), ["store", "compare"]),
        (ChangePasscode(ID, 0x81, FACTORY_PUK, b"1"), ["store", "compare", "store"]),
        (ResetPasscode(ID, 0x80, WRONG, b"1"), ["store", "compare"]),
    ],
)
def test_a_try_is_stored_as_spent_before_the_comparison(
    ask: KeyRequest, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    def compare(one: bytes, other: bytes) -> bool:
        happened.append("compare")
        return one == other

    monkeypatch.setattr(passcodes, "compare_digest", compare)
    LocalKeys(card(), os.urandom, lambda _: happened.append("store")).perform(ask)
    assert happened == order
