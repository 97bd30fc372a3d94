"""The auditor's day of docs/journal.md, played literally; what the guide shows is seen."""

from __future__ import annotations

import os
import re
import shlex
from functools import partial
from pathlib import Path

from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.guides import run_by, shows
from support.keystore_process import KeystoreProcess, Workstation
from support.terminal import show

[DAY] = run_by("journal.md", __file__)
CARD = "1500000000000017"  # the guide's


def test_a_day_of_an_auditor(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        user, phone = keystore.holder("Ada Byron", "ada@example.org")
        serial = keystore.card(user, phone)
        with identity.channel(keystore.workstation("WARD7-PC3")) as channel:
            stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
            Workstation(stub, serial).create(os.urandom(16))
        meant = {CARD: serial}
        seen = ""
        for line in DAY.commands:
            for written, here in meant.items():
                line = line.replace(written, here)
            _, *words = shlex.split(line, comments=True)
            told = partial(
                show,
                *words,
                folder=tmp_path,
                environment={"CLOUDCARD_HOME": str(tmp_path)},
                answers={"Token: ": meant.get("TOKEN", "")},
            )
            status, shown = told()
            # The first checkpoint is made about a second after the first entry.
            while "no checkpoint yet" in shown:
                status, shown = told()
            assert status == 0, f"{line}\n{shown}"
            if token := re.search(r"^Token +(cc1\.\S+)", shown):
                meant["TOKEN"] = token[1]
            if key := re.search(r"^Key +(\S+)$", shown, re.MULTILINE):
                meant["KEY"] = key[1]
            seen += shown
    assert shows(DAY.shown, seen), seen
    assert (tmp_path / "november.checkpoint").exists()
