"""Keys to approve by, lost phones and alerts from the command line, at a real keystore."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from cloudcard.registry.v1 import identities_pb2
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.command import authenticator
from cloudcard_tools.authenticator.phone import Phone, Ringing
from cloudcard_tools.authenticator.screen import REPORTED
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import PASSCODE, KeystoreProcess, Workstation, code


@dataclass
class Town:
    """A keystore with Ada, her first phone, her card and a workstation."""

    keystore: KeystoreProcess
    user_id: str
    ada: identity.Identity
    pc: identity.Identity

    def workstation(self) -> Workstation:
        """At it, a card of Ada's that nobody else has used."""
        serial = self.keystore.card(self.user_id, self.ada)
        stub = workstation_pb2_grpc.WorkstationServiceStub(identity.channel(self.pc))
        return Workstation(stub, serial)

    def token(self) -> str:
        """For Ada's next phone."""
        request = identities_pb2.CreateDeviceTokenRequest(user_id=self.user_id)
        token: str = self.keystore.registry.identities.CreateDeviceToken(request).device_token.text
        return token

    def alerts(self, serial: str, *options: str) -> list[dict[str, str | None]]:
        """Those of a card."""
        listed = json.loads(self.ra("alerts", "list", *options).output)
        return [each for each in listed if each["card"] == serial]

    def ra(self, *arguments: str) -> Result:
        own = ("--identity", str(self.keystore.operator.folder), "--json")
        return CliRunner().invoke(ra, [*arguments, *own])


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        user_id, ada = keystore.holder("Ada")
        yield Town(keystore, user_id, ada, keystore.workstation("PC1"))


def enrol(town: Town, folder: Path, *arguments: str) -> Phone:
    done = CliRunner().invoke(
        authenticator, ["enrol", town.token(), "--identity", str(folder), *arguments]
    )
    assert done.exit_code == 0, done.output
    own = identity.load(folder)
    return Phone(own, identity.channel(own))


@pytest.mark.parametrize(
    ("choice", "kind", "file"),
    [
        ("tls", "native", "key.pem"),
        ("p256", "native", "approval.pem"),
        ("ed25519", "native", "approval.pem"),
        ("passkey", "passkey", "passkey.json"),
    ],
)
def test_a_phone_approves_by_each_kind_of_key(
    town: Town, tmp_path: Path, choice: str, kind: str, file: str
) -> None:
    folder = tmp_path / "phone"
    phone = enrol(town, folder, "--approval-key", choice)
    assert (folder / file).stat().st_mode & 0o777 == 0o600
    pc = town.workstation()
    for _ in range(2):  # a passkey counts from one to the next
        operation = pc.create(os.urandom(16))
        assert phone.approve(phone.find(operation.id), operation.number) == "approved"
        assert pc.perform(operation.id)
    listed = json.loads(town.ra("device", "list", town.user_id).output)
    (own,) = [each for each in listed if each["id"] == identity.load(folder).id]
    assert (own["kind"], own["state"], own["backed_up"]) == (kind, "active", False)


def test_a_phone_with_a_passkey_agrees_to_an_unlock_by_it(town: Town, tmp_path: Path) -> None:
    phone, pc = enrol(town, tmp_path / "phone", "--approval-key", "passkey"), town.workstation()
    wrong = workstation_pb2.VerifyPasscodeRequest(
        card_serial=pc.serial, key_ref=0x80, passcode=b"999999"
    )
    for _ in range(3):
        pc.stub.VerifyPasscode(wrong)
    assert town.ra("card", "unlock", pc.serial).exit_code == 0
    assert phone.unlock(pc.serial).passcode_state == "ok"
    assert pc.proof()  # so that no other test finds a card that was unlocked


@pytest.mark.parametrize("content", [b"", b"{}", b"junk", b'{"private": "00"}'])
def test_a_passkey_that_is_broken(town: Town, tmp_path: Path, content: bytes) -> None:
    phone = enrol(town, tmp_path / "phone", "--approval-key", "passkey")
    (tmp_path / "phone" / "passkey.json").write_bytes(content)
    operation = town.workstation().create(os.urandom(16))
    with pytest.raises(Failure, match=r"is damaged: .* and enrol"):
        phone.deny(phone.find(operation.id))


def test_a_removed_phone_is_cut_off_while_it_watches(town: Town, tmp_path: Path) -> None:
    phone = enrol(town, tmp_path / "phone")
    rang, ended = threading.Event(), list[grpc.RpcError]()

    def watch() -> None:
        try:
            for event in phone.watch():
                if isinstance(event, Ringing):
                    rang.set()
        except grpc.RpcError as error:
            ended.append(error)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    operation = town.workstation().create(os.urandom(16))
    assert rang.wait(60)
    ringing = phone.find(operation.id)
    device = identity.load(tmp_path / "phone").id
    assert town.ra("device", "remove", device).exit_code == 2  # it takes a reason
    removed = town.ra("device", "remove", device, "--reason", "lost", "--yes")
    assert json.loads(removed.output)["state"] == "removed"
    watching.join(60)
    assert not watching.is_alive()
    (error,) = ended
    # Refused at its next look, or already without a connection
    assert code(error) is grpc.StatusCode.UNAVAILABLE or "removed" in explain(error).message
    with pytest.raises(grpc.RpcError):
        phone.approve(ringing, operation.number)
    again = town.ra("device", "remove", "none", "--reason", "lost", "--yes")
    assert again.exit_code == 1
    assert 'no phone "none"' in again.output


def test_what_was_not_the_holder_suspends_the_card_and_tells(town: Town) -> None:
    pc = town.workstation()
    operation = pc.create(os.urandom(16))
    own = ("--identity", str(town.ada.folder))
    done = CliRunner().invoke(authenticator, ["not-me", operation.id, *own])
    assert done.exit_code == 0, done.output
    assert "suspended" in done.output
    shown = json.loads(town.ra("card", "show", pc.serial).output)
    assert shown["state"] == "suspended"
    (alert,) = town.alerts(pc.serial)
    assert (alert["kind"], alert["holder"]) == ("not-me", "Ada")
    assert alert["acknowledged"] is None
    seen = json.loads(town.ra("alerts", "acknowledge", str(alert["id"])).output)
    assert seen["acknowledged"]
    assert town.alerts(pc.serial) == []
    assert town.alerts(pc.serial, "--all") == [seen]
    assert town.ra("alerts", "acknowledge", "none").exit_code == 1


def test_operator_and_holder_unlock_a_card_and_both_are_told_when_it_is_repeated(
    town: Town,
) -> None:
    pc = town.workstation()
    own = ("--identity", str(town.ada.folder), "--json")
    agree = ["unlock", pc.serial, *own]
    wrong = workstation_pb2.VerifyPasscodeRequest(
        card_serial=pc.serial, key_ref=0x80, passcode=b"999999"
    )
    for _ in range(3):
        pc.stub.VerifyPasscode(wrong)
    assert CliRunner().invoke(authenticator, agree).exit_code == 1  # nobody has asked
    child = town.keystore.nursery.start_python(
        "warned",
        *("-m", "cloudcard_tools", "authenticator", "watch", "--json"),
        *("--identity", str(town.ada.folder)),
    )
    child.wait_for_json(event="watching", timeout=60)
    for before in ("locked", "3 tries left"):
        asked = json.loads(town.ra("card", "unlock", pc.serial).output)
        assert (asked["passcode"], bool(asked["agree_until"])) == (before, True)
        rung = child.wait_for_json(event="unlock", card=pc.serial, timeout=60)
        assert f"cloudcard authenticator unlock {pc.serial}" in str(rung["text"])
        done = CliRunner().invoke(authenticator, agree)
        assert json.loads(done.output)["passcode_state"] == "ok"
        if before == "locked":
            child.wait_for_json(event="closed", card=pc.serial, timeout=60)
    (alert,) = town.alerts(pc.serial)
    assert alert["kind"] == "repeated-unlocks"
    warned = child.wait_for_json(event="alert", alert=alert["id"], timeout=60)
    assert warned["card"] == pc.serial
    assert warned["text"] == alert["text"]
    town.ra("alerts", "acknowledge", str(alert["id"]))


def test_the_screen_takes_a_third_answer(town: Town) -> None:
    pc = town.workstation()
    child = town.keystore.nursery.start_python(
        "watch",
        *("-m", "cloudcard_tools", "authenticator", "watch", "--json"),
        *("--identity", str(town.ada.folder)),
    )
    child.wait_for_json(event="watching", timeout=60)
    operation = pc.create(os.urandom(16))
    child.wait_for_json(event="request", operation=operation.id)
    child.send("n")
    decided = child.wait_for_json(event="decided", operation=operation.id)
    assert decided["text"] == f"Denied. {REPORTED}"
    assert json.loads(town.ra("card", "show", pc.serial).output)["state"] == "suspended"


def test_a_watch_ends_when_its_phone_is_removed(town: Town, tmp_path: Path) -> None:
    enrol(town, tmp_path / "phone")
    child = town.keystore.nursery.start_python(
        "lost",
        *("-m", "cloudcard_tools", "authenticator", "watch", "--json"),
        *("--identity", str(tmp_path / "phone")),
    )
    child.wait_for_json(event="watching", timeout=60)
    device = identity.load(tmp_path / "phone").id
    assert town.ra("device", "remove", device, "--reason", "lost", "--yes").exit_code == 0
    child.wait_for_json(event="failure")
    assert child.wait() == 0


def test_a_holder_chooses_another_passcode(town: Town) -> None:
    serial = town.keystore.card(town.user_id, town.ada)

    def choose(known: str, new: str, *options: str) -> Result:
        own = ("--identity", str(town.ada.folder), "--passcode-stdin", "--json")
        return CliRunner().invoke(
            authenticator, ["passcode", serial, *options, *own], input=f"{known}\n{new}\n"
        )

    changed = choose(PASSCODE, "246802", "--change")
    assert json.loads(changed.output) == {"serial": serial, "passcode": "set"}
    for known, new, said in (
        (PASSCODE, "975310", "the passcode is wrong: 2 tries are left"),
        ("246802", "12", "a passcode must be 6 to 8 digits: nothing was changed"),
        (PASSCODE, "975310", "the passcode is wrong: 1 try is left"),
        (PASSCODE, "975310", "the passcode is locked: choose another one with the PUK (--puk)"),
    ):
        failed = choose(known, new, "--change")
        assert (failed.exit_code, said in failed.output) == (1, True), failed.output
    failed = choose("0000 0000", "975310", "--puk")
    assert "the PUK is wrong: 2 tries are left" in failed.output
    code = json.loads(town.ra("card", "code", serial).output)["code"]
    failed = choose("0000000000", "975310", "--code")
    assert "the unlock code is wrong: 4 tries are left" in failed.output
    changed = choose(f"{code[:5]} {code[5:]}", "975310", "--code")
    told = json.loads(changed.output)
    assert (told["serial"], told["passcode"], len(told["puk"])) == (serial, "set", 8)
