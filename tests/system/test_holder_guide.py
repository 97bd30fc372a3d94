"""docs/holder.md, played by a holder at a PC and with a phone, shows what it says; so does the PC's
part in docs/reader.md.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.demo.programs import must
from cloudcard_tools.demo.stage import Stage
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from support import pkcs11_signer
from support.guides import Block, run_by, shows
from support.terminal import Terminal, show

[READER] = run_by("reader.md", __file__)
BEGIN, CHANGE, ON_PHONE, UNBLOCK, BY_PUK, SESSIONS = run_by("holder.md", __file__)
PASSCODE, CHANGED, CHOSEN = "135790", "246801", "975310"
WRONG = "000000"
BLOCKED = bytes.fromhex("6983")


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with a phone at a PC, who puts the RA's words in for those in capitals."""

    folder: Path
    environment: Mapping[str, str]
    words: Mapping[str, str]

    def type(self, line: str, known: str = "") -> str:
        """What a command for the phone shows. `known` is what it asks for before a new passcode."""
        for word, meant in self.words.items():
            line = re.sub(rf"\b{word}\b", meant, line)
        _, *arguments = shlex.split(line, comments=True)
        answers = {
            "6 to 8 digits: ": PASSCODE,
            "The same again: ": PASSCODE,
            "^Token: ": self.words["PC'S TOKEN"],
            "^(Passcode in force|PUK): ": known,
        }
        status, seen = show(
            *arguments, folder=self.folder, environment=self.environment, answers=answers
        )
        assert status == 0, seen
        return seen

    def watch(self, line: str, phone: Terminal) -> str:
        """What a phone shows that is left running."""
        phone.type(line)
        phone.expect(r"\n")  # the line itself
        return phone.expect(r"Watching for requests.*\n")

    def passcode(self, block: Block, asked: str, known: str, new: str) -> None:
        """Choose another passcode with OpenSC: it asks for what is known, then twice for the new
        one.
        """
        [line] = block.commands
        with Terminal(self.folder, self.environment) as pc:
            seen = pc.run(line, {asked: known, r"new PIN \[PIN\]: ": new, r"again \[PIN\]: ": new})
            assert shows(block.shown, seen), seen
            assert pc.run("echo status $?").split() == ["status", "0"]


def verify(client: pcsc.Client, passcode: str) -> bytes:
    """The status word of a VERIFY."""
    with client.connect(0) as card:
        return card.transmit(bytes.fromhex("0020008008") + passcode.encode().ljust(8, b"\xff"))


def test_a_holder_follows_the_guide(
    nursery: Nursery, virtual_readers: pcsc.Client, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, nursery, interactive=False)
    holder = with_a_card(stage)
    *first, watch = BEGIN.commands
    seen = "".join(map(holder.type, first))
    puk = seen.split()[-1]
    with Terminal(tmp_path, holder.environment) as phone:
        seen += holder.watch(watch, phone)
        assert shows(BEGIN.shown, seen), seen
        *prepare, insert = READER.commands
        said = "".join(map(holder.type, prepare))
        words = shlex.split(insert.replace("SERIAL", holder.words["SERIAL"]), comments=True)
        own = {"CLOUDCARD_HOME": str(stage.ask.home)}
        reader = nursery.start_python("reader", "-m", "cloudcard_tools", *words[1:], **own)
        said += reader.wait_for("is in the reader", timeout=60).string
        assert shows(READER.shown, said), said
        signer = [sys.executable, pkcs11_signer.__file__, PASSCODE, "1"]
        # A card that nobody is connected to loses its power, and so its session.
        with virtual_readers.connect(0), ThreadPoolExecutor(1) as threads:
            running = threads.submit(must, signer)
            phone.expect("there is one guess.*\n.*: ")
            phone.type(reader.wait_for(r"number (\d\d)")[1])
            running.result()
            seen = "".join(map(holder.type, SESSIONS.commands))
            assert shows(SESSIONS.shown, seen), seen
            assert stage.ask.json("authenticator", "sessions", "list") == []
    holder.passcode(CHANGE, r"old PIN \[PIN\]: ", PASSCODE, CHANGED)
    assert verify(virtual_readers, CHANGED) == b"\x90\x00"
    assert [verify(virtual_readers, WRONG) for _ in range(3)][-1] == BLOCKED
    holder.passcode(UNBLOCK, r"PUK \[PIV PUK\]: ", puk, CHOSEN)
    assert verify(virtual_readers, CHOSEN) == b"\x90\x00"
    seen = holder.type(ON_PHONE.commands[0], CHOSEN)
    assert shows(ON_PHONE.shown, seen), seen
    assert verify(virtual_readers, PASSCODE) == b"\x90\x00"
    assert [verify(virtual_readers, WRONG) for _ in range(3)][-1] == BLOCKED
    seen = holder.type(BY_PUK.commands[0], puk)
    assert shows(BY_PUK.shown, seen), seen
    assert verify(virtual_readers, PASSCODE) == b"\x90\x00"


def with_a_card(stage: Stage) -> Holder:
    """Start a keystore that allows sessions; the RA makes a card and the phone's token."""
    stage.start_keystore()
    ada = stage.ask.json("ra", "user", "add", "Ada Byron", "--email", "ada@example.org")
    pc = stage.ask.json("ra", "workstation", "add", "WARD7-PC3", "--site", "Ward 7")
    stage.ask("ra", "policy", "set", "--session-uses", "500", "--session-minutes", "480")
    card = stage.ask.json("ra", "card", "issue", "Ada Byron", "--profile", "p256")
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CLOUDCARD_HOME": str(stage.ask.home),
    }
    words = {"TOKEN": ada["token"], "SERIAL": card["serial"], "PC'S TOKEN": pc["token"]}
    return Holder(stage.folder, environment, words)
