"""The agent as a process, with a keystore, a phone, and a stand-in for vpcd's port."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import grpc
import pytest
from click.testing import CliRunner

from cloudcard.authenticator.v1 import authenticator_pb2
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard.registry.v1 import cards_pb2, external_pb2
from cloudcard_tools.authenticator.command import scan
from cloudcard_tools.authenticator.phone import Phone, Ringing
from cloudcard_tools.authenticator.screen import facts, show
from cloudcard_tools.authenticator.sign_ins import sign_ins
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Child, Nursery
from support.endings import wait_until_gone
from support.external_ca import new_ca
from support.keystore_process import KeystoreProcess
from support.logind import desktop
from support.polling import until
from support.vpcd_end import GET_ATR, Reader

SECONDS = 60.0


@dataclass
class Place:
    """A keystore, Ada and her phone, and a workstation with one slot."""

    keystore: KeystoreProcess
    folder: Path
    own: identity.Identity
    phone: Phone
    device: AuthenticatorServiceStub
    serial: str
    bus: str = ""  # the address of a system bus, if there is one

    def ask(self, *arguments: str) -> dict[str, str]:
        """What a command of the same user prints."""
        done = self._run(arguments)
        found: dict[str, str] = json.loads(done.stdout or "{}") or {"error": done.stderr}
        return found

    def slots(self) -> list[dict[str, str]]:
        """The agent's slots."""
        found: list[dict[str, str]] = json.loads(self._run(("status",)).stdout)["slots"]
        return found

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cloudcard_tools", "reader", *arguments, "--json"],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
            timeout=SECONDS,
            check=False,
        )

    def scan(self, text: str) -> Ringing:
        """Scan a code and approve."""
        ringing = self.phone.claim(text)
        assert facts(ringing)["key_use"].startswith("SIGN IN")
        assert self.phone.approve(ringing, "") == "approved"
        return ringing

    @property
    def environment(self) -> dict[str, str]:
        nowhere = f"unix:path={self.folder / 'no-bus'}"
        return {
            "XDG_RUNTIME_DIR": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "DBUS_SYSTEM_BUS_ADDRESS": self.bus or nowhere,
            "DBUS_SESSION_BUS_ADDRESS": nowhere,
        }


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("agent")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        user, phone = keystore.holder("ada", "ada@example.org")
        serial = keystore.card(user, phone)
        own = keystore.workstation("WARD7-PC3")
        with identity.channel(phone) as channel:
            stub = AuthenticatorServiceStub(channel)
            yield Place(keystore, folder, own, Phone(phone, channel), stub, serial)


@pytest.fixture
def place(at_work: Place, tmp_path: Path) -> Place:
    """The same, with a user who has just logged in."""
    return replace(at_work, folder=tmp_path)


@dataclass
class Running:
    """An agent, and the port at which its card arrives."""

    place: Place
    nursery: Nursery
    listener: socket.socket
    child: Child | None = None
    readers: list[Reader] = field(default_factory=list)

    def start(self) -> Child:
        port = str(self.listener.getsockname()[1])
        self.child = self.nursery.start_python(
            "agent",
            *("-m", "cloudcard_tools", "reader", "--identity", str(self.place.own.folder)),
            *("--via", "vpcd", "--port", port, "--json"),
            "--no-hold-pcscd",
            **self.place.environment,
        )
        return self.child

    def accept(self) -> Reader:
        reader = Reader(self.listener.accept()[0])
        reader.sock.settimeout(SECONDS)
        self.readers.append(reader)
        return reader

    def sign_in(self) -> Reader:
        """Sign in with the code that the agent shows; the card, in the reader."""
        assert self.child is not None
        shown = self.child.wait_for_json(event="approval", timeout=SECONDS)
        self.place.scan(str(shown["qr"]))
        reader = self.accept()
        assert reader.ask(GET_ATR).startswith(b"\x3b")
        self.child.wait_for_json(event="signed_in", timeout=SECONDS)
        return reader


@pytest.fixture
def running(place: Place, tmp_path: Path) -> Iterator[Running]:
    with Nursery(tmp_path) as nursery, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        begun = Running(place, nursery, listener)
        yield begun
        if begun.child is not None:
            begun.child.stop()
        for each in begun.readers:
            each.hang_up()


@contextmanager
def two_ports() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two listeners at ports that follow one another, as vpcd's slots do."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            try:
                second = socket.create_server(("127.0.0.1", first.getsockname()[1] + 1))
            except OSError:
                continue
            with second:
                second.settimeout(SECONDS)
                first.settimeout(SECONDS)
                yield first, second
                return


def is_out(reader: Reader) -> bool:
    return reader.receive() == b""


def test_the_card_of_whoever_scans_the_code_is_in_the_reader_until_they_end_it(
    running: Running, place: Place
) -> None:
    child = running.start()
    reader = running.sign_in()
    found = place.ask("status")
    assert (found["state"], found["card"]) == ("inserted", place.serial)
    _, certificate = place.own.pair()
    assert found["identity_expires"] == certificate.not_valid_after_utc.isoformat()
    assert oct((place.folder / "cloudcard" / "agent.sock").stat().st_mode)[-4:] == "0600"
    (listed,) = place.device.ListSignIns(authenticator_pb2.ListSignInsRequest()).sign_ins
    assert (listed.workstation, listed.card_serial) == ("WARD7-PC3", place.serial)
    mine = ("--identity", str(place.phone.identity.folder))
    shown = CliRunner().invoke(sign_ins, ["list", *mine])
    assert "WARD7-PC3" in shown.output
    ended = CliRunner().invoke(sign_ins, ["end", "WARD7-PC3", *mine])
    assert ended.output == "The card is out.\n"
    assert is_out(reader)
    child.wait_for_json(event="signed_out", timeout=SECONDS)
    found = place.ask("status")
    assert (found["state"], found["card"]) == ("empty", "")
    assert "on the phone" in found["said"]


def test_a_holder_sees_what_the_code_is_for(running: Running, place: Place) -> None:
    """The command ended with a fault of its own: a sign-in has no key that it could show."""
    shown = running.start().wait_for_json(event="approval", timeout=SECONDS)
    mine = ("--identity", str(place.phone.identity.folder))
    scanned = CliRunner().invoke(scan, [str(shown["qr"]), "--yes", *mine])
    assert "SIGN IN: put the card into the reader" in scanned.output, scanned.output
    assert re.search(rf"^Card +{place.serial}$", scanned.output, re.MULTILINE)
    reader = running.accept()
    assert reader.ask(GET_ATR).startswith(b"\x3b")
    place.ask("sign-out")
    assert is_out(reader)


def test_a_holder_who_watches_sees_it_too(running: Running, place: Place) -> None:
    running.start().wait_for_json(event="approval", timeout=SECONDS)
    place.ask("sign-in", "--user", "ada@example.org")
    waiting = next(each for each in place.phone.watch() if isinstance(each, Ringing))

    @click.command()
    def shown() -> None:
        show(waiting)

    assert "SIGN IN" in CliRunner().invoke(shown, catch_exceptions=False).output
    place.phone.deny(waiting)


def test_a_person_is_rung_and_types_the_number(running: Running, place: Place) -> None:
    child = running.start()
    child.wait_for_json(event="approval", timeout=SECONDS)
    begun = place.ask("sign-in", "--user", "ada@example.org")
    assert len(begun["number"]) == 2
    waiting = next(each for each in place.phone.watch() if isinstance(each, Ringing))
    assert place.phone.approve(waiting, begun["number"]) == "approved"
    reader = running.accept()
    assert reader.ask(GET_ATR).startswith(b"\x3b")
    place.ask("sign-out")
    assert is_out(reader)


def test_the_registration_authority_takes_the_card_out(running: Running, place: Place) -> None:
    running.start()
    reader = running.sign_in()
    registry = place.keystore.registry.cards
    registry.SuspendCard(cards_pb2.SuspendCardRequest(card_serial=place.serial))
    assert is_out(reader)
    registry.ResumeCard(cards_pb2.ResumeCardRequest(card_serial=place.serial))


def test_what_an_external_authority_revokes_is_taken_out(
    running: Running, place: Place, tmp_path: Path
) -> None:
    """CIS-01: a list that has come takes the card out of its reader, and nobody does anything."""
    ca, registry = new_ca(tmp_path / "ca"), place.keystore.registry.external
    registry.TrustAuthority(
        external_pb2.TrustAuthorityRequest(name=ca.name, certificate=ca.certificate)
    )
    user, phone = place.keystore.holder("hedy", "hedy@example.org")
    for authority in (ca.name, ""):
        choice = external_pb2.IssuerChoice(authority=authority)
        registry.ChooseIssuer(external_pb2.ChooseIssuerRequest(choice=choice))
        if authority:
            serial = place.keystore.issue(user)
    some = registry.ListCardRequests(external_pb2.ListCardRequestsRequest())
    made = [ca.certify(each.csr) for part in some for each in part.requests]
    registry.ImportCertificates(external_pb2.ImportCertificatesRequest(certificates=made))
    place.keystore.set_passcode(serial, phone)
    with identity.channel(phone) as channel:
        stub = AuthenticatorServiceStub(channel)
        running.place = replace(place, phone=Phone(phone, channel), device=stub, serial=serial)
        running.start()
        reader = running.sign_in()
        ca.revoke(made[0], "keyCompromise")
        brought = external_pb2.BringListRequest(authority=ca.name, document=ca.revocations())
        registry.BringList(brought)
        assert is_out(reader)
        said = running.place.ask("status")
        assert (said["state"], said["card"]) == ("empty", "")


def test_a_locked_screen_takes_the_card_out_and_ends_the_sign_in(
    running: Running, place: Place, tmp_path: Path
) -> None:
    with desktop(tmp_path) as here:
        path = here.log_in(os.getuid())
        running.place = replace(place, bus=here.address)
        child = running.start()
        reader = running.sign_in()
        # logind is asked on a thread of its own, which may just be beginning.
        locked = threading.Event()
        lock = threading.Thread(
            target=lambda: until(lambda: here.lock(path) or locked.wait(0.5), SECONDS)
        )
        lock.start()
        assert is_out(reader)
        locked.set()
        lock.join(SECONDS)
        child.wait_for_json(event="signed_out", timeout=SECONDS)
        assert place.ask("status")["said"].startswith("The card is out: lock")
        until(lambda: _open(place) == 0, SECONDS)


def test_an_agent_that_was_killed_goes_on_with_the_sign_in(running: Running, place: Place) -> None:
    child = running.start()
    reader = running.sign_in()
    pid = child.pid
    child.kill()
    wait_until_gone(pid)
    assert is_out(reader)
    running.child = running.nursery.restart("agent")
    again = running.accept()
    assert again.ask(GET_ATR).startswith(b"\x3b")
    assert place.ask("status")["state"] == "inserted"
    place.keystore.kill()  # the card stays meanwhile
    until(lambda: place.ask("status")["keystore"] != "reached", SECONDS)
    place.keystore.restart()
    until(lambda: place.ask("status")["keystore"] == "reached", SECONDS)
    assert again.ask(GET_ATR).startswith(b"\x3b")
    place.ask("sign-out")
    assert is_out(again)
    until(lambda: _open(place) == 0, SECONDS)


def _open(place: Place) -> int:
    try:
        return len(place.device.ListSignIns(authenticator_pb2.ListSignInsRequest()).sign_ins)
    except grpc.RpcError:
        return -1


def test_with_two_slots_two_people_have_their_cards_in_at_once(
    running: Running, place: Place
) -> None:
    user, device = place.keystore.holder("grace", "grace@example.org")
    theirs = place.keystore.card(user, device)
    (place.folder / "cloudcard").mkdir(exist_ok=True)
    (place.folder / "cloudcard" / "reader.toml").write_text("slots = 2\n")
    with two_ports() as (first, second), identity.channel(device) as channel:
        running.listener = first
        child = running.start()
        ada = running.sign_in()
        begun = place.ask("sign-in")
        running.listener, running.place = second, replace(place, phone=Phone(device, channel))
        running.place.scan(begun["qr_text"])
        other = running.accept()
        assert other.ask(GET_ATR).startswith(b"\x3b")
        child.wait_for_json(event="signed_in", timeout=SECONDS)
        assert [(each["state"], each["card"]) for each in place.slots()] == [
            ("inserted", place.serial),
            ("inserted", theirs),
        ]
        place.ask("sign-out", "--card", place.serial)
        assert is_out(ada)
        assert other.ask(GET_ATR).startswith(b"\x3b")
        until(lambda: _open(place) == 0, SECONDS)
        place.ask("sign-out")
        assert is_out(other)


def test_a_second_agent_of_the_same_user_says_that_there_is_one(
    running: Running, place: Place
) -> None:
    running.start().wait_for_json(event="approval", timeout=SECONDS)
    port = str(running.listener.getsockname()[1])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cloudcard_tools", "reader", "--no-hold-pcscd"),
            *("--identity", str(place.own.folder), "--via", "vpcd", "--port", port),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **place.environment},
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "runs already" in done.stderr
