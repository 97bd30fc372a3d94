"""The command as a process, at a stand-in for vpcd's port."""

from __future__ import annotations

import io
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from card_os.piv import CardImage
from cloudcard.registry.v1 import identities_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.reader import command, keystore_watch, of_keystore
from cloudcard_tools.reader.ready import Ready as ReadyCard
from cloudcard_tools.reader.screen import Screen
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.processes import Child, Nursery
from reader_bridge.agent import Insertion
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.carriers.vpcd_port import VpcdPort
from reader_bridge.prompts.json_lines import JsonPrompter
from reader_bridge.remote.keys import RemoteKeys
from support.fakes import CannedKeys, new_card
from support.keystore_process import PASSCODE, KeystoreProcess
from support.prompts import PUSHED, unheard
from support.scripted_keystore import Keystore, Reply, Script
from support.vpcd_end import GET_ATR, OK, SIGN, VERIFY, Reader, Ready

SECONDS = 60.0


@dataclass
class Bench:
    """A port that stands for vpcd's, and processes."""

    folder: Path
    nursery: Nursery
    listener: socket.socket

    def start(self, *arguments: str) -> Child:
        port = str(self.listener.getsockname()[1])
        return self.nursery.start_python(
            "reader", *("-m", "cloudcard_tools", "reader", "--port", port, *arguments)
        )

    def accept(self) -> Reader:
        return Reader(self.listener.accept()[0])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Nursery(tmp_path) as nursery, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        yield Bench(tmp_path, nursery, listener)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_local_card_from_insertion_to_the_end(bench: Bench, number: signal.Signals) -> None:
    child = bench.start("--local", "--algorithm", "p256", "--json", "--no-hold-pcscd")
    vpcd = bench.accept()
    assert vpcd.ask(GET_ATR).startswith(b"\x3b")
    inserted = child.wait_for_json(event="inserted", timeout=SECONDS)
    assert inserted["slot"] == 0
    assert vpcd.ask(VERIFY) == OK
    assert vpcd.ask(SIGN).endswith(OK)
    child.kill(number)
    child.wait_for_json(event="stopped", timeout=SECONDS)
    assert child.wait() == 0
    assert vpcd.receive() == b""
    vpcd.hang_up()
    assert "Traceback" not in child.tail()


def test_words_for_people(bench: Bench) -> None:
    child = bench.start("--local", "--algorithm", "p256", "--no-hold-pcscd")
    child.wait_for("PIN 123456", timeout=SECONDS)
    vpcd = bench.accept()
    vpcd.ask(GET_ATR)
    child.wait_for("is in the reader", timeout=SECONDS)
    vpcd.hang_up()
    child.wait_for("Inserting it again", timeout=SECONDS)
    child.kill(signal.SIGTERM)
    child.wait_for("The reader is empty", timeout=SECONDS)
    assert child.wait() == 0


def test_a_keystore_that_goes_and_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    keystore = KeystoreProcess(bench.folder, bench.nursery)
    user, phone = keystore.holder("Ada")
    ward = keystore.workstation("ward")
    serial = keystore.card(user, phone)
    options = ("--identity", str(ward.folder), "--no-hold-pcscd", "--json")

    unknown = bench.start("--card", "4711", *options)
    assert unknown.wait(SECONDS) == 1
    assert "4711" in unknown.tail()
    bench.nursery.stop("reader")

    keystore.child.kill()
    child = bench.start("--card", serial, *options)
    child.wait_for_json(event="waiting", timeout=SECONDS)
    keystore.restart()
    vpcd = bench.accept()
    vpcd.ask(GET_ATR)
    assert child.wait_for_json(event="inserted", timeout=SECONDS)["card"] == serial
    assert vpcd.ask(bytes.fromhex("0020008008") + PASSCODE.encode() + b"\xff\xff") == OK

    keystore.child.kill()
    child.wait_for_json(event="keystore_lost", timeout=SECONDS)
    keystore.restart()
    child.wait_for_json(event="keystore_back", timeout=SECONDS)
    told = removed_while_connected(keystore, serial, monkeypatch)
    assert "removed" in told

    removal = identities_pb2.RemoveWorkstationRequest(workstation_id=ward.id, reason="lost")
    keystore.registry.identities.RemoveWorkstation(removal)
    keystore.kill_and_restart()  # a removal alone would be noticed within a minute, as above
    told = child.wait_for_json(event="rejected", timeout=SECONDS)
    assert "removed" in str(told)
    vpcd.hang_up()


class Heard(io.StringIO):
    """An output that tells when a line was written."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def flush(self) -> None:
        self.heard.set()


def removed_while_connected(
    keystore: KeystoreProcess, serial: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """What a reader says of its removal, whose connection to the keystore stays."""
    other, out = keystore.workstation("other"), Heard()
    removal = identities_pb2.RemoveWorkstationRequest(workstation_id=other.id, reason="stolen")
    monkeypatch.setattr(keystore_watch, "STEADY_SECONDS", 0.2)
    with of_keystore.opened(
        [serial],
        other.folder,
        "push",
        "",
        Screen(out, as_json=True),
        threading.Event(),
        sessions=False,
    ) as found:
        assert [each.name for each in found] == [serial]
        assert not out.heard.wait(0.5)
        keystore.registry.identities.RemoveWorkstation(removal)
        assert out.heard.wait(SECONDS)
        out.heard.clear()
        assert not out.heard.wait(0.5)  # once
    (line,) = (json.loads(each) for each in out.getvalue().splitlines())
    assert line["event"] == "rejected"
    return str(line["text"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--record", "new.trace"], "is in reader.toml"),
        (["--no-session"], "is in reader.toml"),
        (["--local", "--card", "1"], "--card SERIAL, or --local"),
        (["--local", "--via", "usb"], "is not handler, handler:SOCKET, vpcd, usbip or qemu:SOCKET"),
        (
            ["--local", "--via", "handler:socket"],
            "is not handler, handler:SOCKET, vpcd, usbip or qemu:SOCKET",
        ),
        (["--local", "--via", "handler", "--port", "1"], "--port goes with --via vpcd"),
        (["--local", "--via", "vpcd", "--slot", "1"], "--slot goes with --via handler"),
        (["--local", "--slot", "16"], "16 is not in the range"),
        (["--card", "1", "--card", "2", "--slot", "15"], "no slot for each card"),
        (["--local", "--prompt", "qt"], "qt is not auto, gtk"),
        (["--local", "--port", "0"], "0 is not in the range"),
        (["--card", "1", "--card", "2", "--port", "65535"], "no port for each card"),
        (["enrol"], "give the token"),
        (["--local", "--application", "hello_card:new_card"], "--application MODULE:FACTORY"),
        (["--local", "--keys", "hello_card:new_card"], "goes with --application"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(command.reader, arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_without_an_identity_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.logs, "configure", lambda _level: None)  # of the whole process
    done = CliRunner().invoke(command.reader, ["--card", "1", "--identity", str(tmp_path)])
    assert done.exit_code == 1
    assert "enrol" in done.output


def fetch(replies: list[Reply]) -> tuple[list[ReadyCard], list[str]]:
    """Get a card per reply; what was inserted, and the events."""
    out = io.StringIO()
    keystore = Keystore(Script(card=replies))
    try:
        with keystore.channel() as channel:
            screen = Screen(out, as_json=True)
            keys = {
                str(number): RemoteKeys(channel, str(number), JsonPrompter(out))
                for number in range(len(replies))
            }
            found = of_keystore.fetch(keys, screen, threading.Event())
    finally:
        keystore.stop()
    return found, [json.loads(line)["event"] for line in out.getvalue().splitlines()]


def card(serial: str) -> pb.GetCardResponse:
    return pb.GetCardResponse(card=pb.Card(serial=serial, guid=bytes(16)))


def test_a_refused_card_leaves_its_slot_empty() -> None:
    found, events = fetch([grpc.StatusCode.FAILED_PRECONDITION, card("1")])
    assert [(each.slot, each.name) for each in found] == [(1, "1")]
    assert events == ["refused"]


@pytest.mark.usefixtures("refusing_pcscd")
def test_a_pcscd_that_refuses_this_users_programs_is_named_once() -> None:
    out = io.StringIO()
    tell = command.teller(Screen(out, as_json=True))
    card = Insertion(0, VpcdPort(35963), "1", new_card().card, Ready(CannedKeys()))
    for state in (SlotState.INSERTED, SlotState.REMOVED, SlotState.INSERTED):
        tell(card, state)
    deadline = time.monotonic() + SECONDS
    while "pcscd_refuses" not in out.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    (refused,) = [event["text"] for event in events if event["event"] == "pcscd_refuses"]
    assert "8010006A" in refused
    assert "--disable-polkit" in refused


def test_a_keystore_that_is_asked_and_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_keystore, "QUIET_SECONDS", 0.01)
    out, stop = io.StringIO(), threading.Event()

    class Silent(RemoteKeys):
        def get_card(self) -> CardImage:
            while not out.getvalue():
                time.sleep(0.01)
            return CardImage(serial="1", guid=bytes(16), objects={}, keys={})

    keystore = Keystore(Script())
    screen = Screen(out, as_json=True)
    with keystore.channel() as channel:
        found = of_keystore.fetch({"1": Silent(channel, "1", JsonPrompter(out))}, screen, stop)
    keystore.stop()
    assert [each.name for each in found] == ["1"]
    (said,) = out.getvalue().splitlines()
    assert json.loads(said) == {
        "event": "asking",
        "card": "1",
        "text": "The keystore has been asked for card 1 and has not answered yet.",
    }


def test_a_connection_that_is_never_answered_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a busy computer: gRPC by itself would wait for 20 s before it tries again."""
    longest = "grpc.min_reconnect_backoff_ms"
    assert dict(identity.CHANNEL_OPTIONS)[longest] <= 5000
    monkeypatch.setattr(of_keystore, "RETRY_SECONDS", 0.05)
    options = {**dict(identity.CHANNEL_OPTIONS), longest: 100}
    out, stop, tries = io.StringIO(), threading.Event(), []
    with ExitStack() as taken, socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def take() -> None:
            for _ in range(2):
                tries.append(taken.enter_context(listener.accept()[0]))
            stop.set()

        taking = threading.Thread(target=take)
        taking.start()
        with grpc.insecure_channel(address, options=[*options.items()]) as channel:
            screen = Screen(out, as_json=True)
            of_keystore.fetch({"1": RemoteKeys(channel, "1", JsonPrompter(out))}, screen, stop)
        taking.join()
    assert len(tries) == 2
    assert json.loads(out.getvalue().splitlines()[0])["event"] == "waiting"


def test_all_cards_refused() -> None:
    with pytest.raises(Failure, match="no card to insert"):
        fetch([grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION])


def test_each_line_is_written_in_one_piece() -> None:
    """What two threads said at once stood in one line, which was no JSON."""
    pieces: list[str] = []

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    Screen(Out(), as_json=True).say("inserted", "text")
    JsonPrompter(Out()).show(PUSHED, unheard)
    assert [each.count("\n") for each in pieces] == [1, 1]
    assert [json.loads(each)["event"] for each in pieces] == ["inserted", "approval"]


def test_a_card_stays_in_use_when_nobody_reads() -> None:
    out = io.StringIO()
    out.close()
    with pytest.raises(ValueError, match="closed"):
        print("text", file=out)
    Screen(out, as_json=True).say("inserted", "text")
