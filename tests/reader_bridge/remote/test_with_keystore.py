"""The reader's side against the real keystore: what its refusals mean to the card."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from card_os.keys import (
    PasscodeStatus,
    ReadObject,
    Refusal,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
    drive,
)
from card_os.piv import new_card
from card_os.piv.names import ObjectTag
from card_os.uses import KeyUse
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.authenticator.screen import facts
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.output import Row
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.remote.keys import RemoteKeys
from reader_bridge.tasks import Cancellation
from support.keystore_process import PASSCODE, KeystoreProcess

PIN = 0x80


@dataclass
class DecidingScreen:
    """A holder who decides as soon as something is shown."""

    phone: Phone
    approves: bool = True
    shown: list[Prompt] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    seen: list[Row] = field(default_factory=list)  # on the phone

    def show(self, prompt: Prompt, _withdraw: Withdraw) -> None:
        self.shown.append(prompt)
        ringing = self.phone.find(prompt.operation_id)
        self.seen.append(facts(ringing))
        if self.approves:
            self.phone.approve(ringing, prompt.number)
        else:
            self.phone.deny(ringing)

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


@pytest.fixture
def at_card(keystore: KeystoreProcess) -> tuple[RemoteKeys, DecidingScreen]:
    name = os.urandom(4).hex()
    user_id, phone = keystore.holder(name)
    serial = keystore.card(user_id, phone)
    workstation = keystore.workstation(f"PC {name}")
    screen = DecidingScreen(Phone(phone, identity.channel(phone)))
    return RemoteKeys(identity.channel(workstation), serial, screen), screen


def verified(keys: RemoteKeys) -> bytes:
    result = keys.perform(VerifyPasscode(os.urandom(16), PIN, PASSCODE.encode()), Cancellation())
    assert isinstance(result, Verified)
    return result.proof


def use(proof: bytes) -> UseKey:
    return UseKey(os.urandom(16), KeyUse.SIGN, 0x9C, 0x11, b"\x11" * 32, proof)


def test_an_approved_use(at_card: tuple[RemoteKeys, DecidingScreen]) -> None:
    keys, screen = at_card
    assert isinstance(keys.perform(use(verified(keys)), Cancellation()), bytes)
    assert screen.outcomes == [Outcome.APPROVED]


def test_workstation_and_phone_show_the_same_check_code(
    at_card: tuple[RemoteKeys, DecidingScreen],
) -> None:
    keys, screen = at_card
    for _ in range(2):
        keys.perform(use(verified(keys)), Cancellation())
    codes = [prompt.check_code for prompt in screen.shown]
    assert codes == [each["check_code"] for each in screen.seen]
    assert len(set(codes)) == 2


def test_a_proof_that_is_spent_asks_for_the_passcode(
    at_card: tuple[RemoteKeys, DecidingScreen],
) -> None:
    keys, screen = at_card
    request = use(verified(keys))
    keys.perform(request, Cancellation())
    again = replace(request, request_id=os.urandom(16))
    assert keys.perform(again, Cancellation()) is Refusal.PASSCODE_NEEDED
    assert len(screen.shown) == 1


def test_a_denied_use_is_asked_once(at_card: tuple[RemoteKeys, DecidingScreen]) -> None:
    keys, screen = at_card
    screen.approves = False
    for _ in range(3):
        assert keys.perform(use(verified(keys)), Cancellation()) is Refusal.DENIED
    assert len(screen.shown) == 1


def test_tries(at_card: tuple[RemoteKeys, DecidingScreen]) -> None:
    keys, _ = at_card
    wrong = VerifyPasscode(os.urandom(16), PIN, b"000000")
    assert keys.perform(wrong, Cancellation()) == TriesLeft(2)
    status = PasscodeStatus(os.urandom(16), PIN)
    assert keys.perform(status, Cancellation()) == TriesLeft(2)


def test_the_image_is_a_card(at_card: tuple[RemoteKeys, DecidingScreen]) -> None:
    assert set(at_card[0].get_card().keys) == {0x9A, 0x9C, 0x9D, 0x9E}


def test_the_printed_information_is_read_after_the_pin(
    at_card: tuple[RemoteKeys, DecidingScreen],
) -> None:
    keys, screen = at_card
    card = new_card(keys.get_card(), os.urandom)

    def send(apdu: str) -> str:
        exchange = card.exchange(bytes.fromhex(apdu))
        return drive(exchange, lambda asked: keys.perform(asked, Cancellation())).hex().upper()

    read, verify = "00CB3FFF 05 5C035FC109 00", f"00200080 08 {PASSCODE.encode().hex():F<16}"
    assert send(read) == "6982"
    assert send(verify) == "9000"
    printed = send(read)
    assert printed.startswith("53")
    assert printed.endswith("9000")
    card.reset()
    assert send(read) == "6982"
    assert screen.shown == []
    for proof in (b"", bytes(32)):
        asked = ReadObject(proof, ObjectTag.PRINTED_INFORMATION)
        assert keys.perform(asked, Cancellation()) is Refusal.PASSCODE_NEEDED
