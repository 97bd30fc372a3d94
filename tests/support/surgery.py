"""Where prescriptions are signed: a keystore, a signer with a card of v2, and a workstation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from click.testing import CliRunner

from cloudcard.registry.v1 import organisations_pb2
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.authenticator.screen import facts
from cloudcard_tools.eps.batches import MOST
from cloudcard_tools.eps.desk import Desk
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.output import Row
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.remote.keys import PUSH
from support.keystore_process import PASSCODE, KeystoreProcess


@dataclass
class Signer:
    """Who decides on the phone as soon as something is asked."""

    phone: Phone
    approves: bool = True
    seen: list[Row] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def show(self, prompt: Prompt, _withdraw: Withdraw) -> None:
        ringing = self.phone.find(prompt.operation_id)
        self.seen.append(facts(ringing))
        assert self.seen[-1]["check_code"] == prompt.check_code
        if self.approves:
            self.phone.approve(ringing, prompt.number)
        else:
            self.phone.deny(ringing)

    def clear(self, _operation_id: str, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class Surgery:
    """A keystore, a signer with a card, and a workstation."""

    keystore: KeystoreProcess
    user_id: str
    phone: identity.Identity
    own: identity.Identity
    serial: str

    def desk(self, serial: str = "", channel: grpc.Channel | None = None) -> tuple[Desk, Signer]:
        signer = Signer(Phone(self.phone, identity.channel(self.phone)))
        at = channel or identity.channel(self.own)
        return Desk(at, "PC", serial or self.serial, signer, [PUSH]), signer


@contextmanager
def open_surgery(folder: Path) -> Iterator[Surgery]:
    """Start everything."""
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        keystore.registry.organisations.SetPolicy(
            organisations_pb2.SetPolicyRequest(
                policy=organisations_pb2.Policy(largest_batch=1, largest_commitment_batch=MOST)
            )
        )
        user_id, phone = keystore.holder("Ada")
        serial = keystore.card(user_id, phone, "v2")
        yield Surgery(keystore, user_id, phone, keystore.workstation("PC"), serial)


def in_time(surgery: Surgery, *arguments: str | Path) -> tuple[int, str, str]:
    """`cloudcard eps sign` as a program runs it, while its holder approves."""
    with subprocess.Popen(
        [sys.executable, "-m", "cloudcard_tools", "eps", "sign", "--passcode-stdin", "--json"]
        + ["--card", surgery.serial, "--identity", str(surgery.own.folder)]
        + [str(each) for each in arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stderr is not None
        program.stdin.write(f"{PASSCODE}\n")
        program.stdin.flush()
        asked = program.stderr.readline()
        if '"number"' in asked:
            told = json.loads(asked)
            phone = Phone(surgery.phone, identity.channel(surgery.phone))
            assert phone.approve(phone.find(told["operation"]), told["number"]) == "approved"
        out, error = program.communicate(timeout=60)
        return program.returncode, out, asked + error


def authority_files(surgery: Surgery, folder: Path) -> tuple[Path, Path]:
    """The keystore's authority of cards, and its list."""
    runner = CliRunner()
    as_operator = ["--identity", str(surgery.keystore.operator.folder)]
    authority, crl = folder / "ca.pem", folder / "ca.crl"
    if not authority.exists():
        listed = runner.invoke(cloudcard, ["ra", "ca", "list", "--json", *as_operator])
        name = next(each["name"] for each in json.loads(listed.output))
        for command, path in (("show", authority), ("crl", crl)):
            asked = ["ra", "ca", command, name, "--export", str(path), *as_operator]
            done = runner.invoke(cloudcard, asked)
            assert done.exit_code == 0, done.output
    return authority, crl
