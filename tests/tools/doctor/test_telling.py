"""What the doctor finds, told to a keystore: operators read the same words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.doctor import checks, command, every, telling
from cloudcard_tools.doctor.checks import Check, Finding
from cloudcard_tools.doctor.report import examined
from cloudcard_tools.ra.command import ra
from cloudcard_tools.reader.service import reporting
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess

SECONDS = 60
FOUND = {
    "python.version": checks.ok("Python 3.11"),
    "pcscd.running": checks.failed("nobody answers", "sudo systemctl start pcscd"),
    "agent.window": checks.warning(f"{Path.home()}/x\nhas\x1b no window", "w" * 600),
}


def table(found: dict[str, Finding]) -> tuple[Check, ...]:
    return tuple(Check(each, f"Name of {each}", partial(_same, it)) for each, it in found.items())


def _same(finding: Finding) -> Finding:
    return finding


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("telling")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


def ask(keystore: KeystoreProcess, *words: str) -> str:
    own = ("--identity", str(keystore.folder / "operator"))
    done = CliRunner().invoke(ra, ["workstation", *words, *own])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_operators_read_what_the_doctor_says(
    keystore: KeystoreProcess, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CARD-09: the doctor's exit status, and the same cause and fix for operators."""
    monkeypatch.setattr(every, "checks", lambda _places: table(FOUND))
    refused = CliRunner().invoke(command.doctor, ["--report"])
    assert refused.exit_code == 1
    assert "ask your registration authority" in " ".join(refused.output.split())
    own_home.mkdir(mode=0o700)
    keystore.workstation("PC9")
    (keystore.folder / "PC9").rename(own_home / "workstation")
    assert "PC9 has not said what is wrong." in ask(keystore, "problems", "PC9")
    done = CliRunner().invoke(command.doctor, ["--report"])
    assert done.exit_code == 1
    assert telling.TOLD in done.output
    (listed,) = json.loads(ask(keystore, "list", "--json"))
    assert listed["problems"] == "1 failed, 1 to look at"
    found = json.loads(ask(keystore, "problems", "PC9", "--json"))
    assert found == [
        {
            "check": "pcscd.running",
            "level": "failed",
            "cause": "nobody answers",
            "fix": "sudo systemctl start pcscd",
        },
        {
            "check": "agent.window",
            "level": "warning",
            "cause": "~/x has no window",
            "fix": "w" * 499 + "…",
        },
    ]


class Recorder(workstation_pb2_grpc.WorkstationServiceServicer):
    """A keystore that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []
        self.came = threading.Event()

    def ReportProblems(
        self, request: workstation_pb2.ReportProblemsRequest, context: grpc.ServicerContext
    ) -> workstation_pb2.ReportProblemsResponse:
        self.told.append([each.check for each in request.problems])
        if len(self.told) == 2:
            self.came.set()
        if len(self.told) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return workstation_pb2.ReportProblemsResponse()


@pytest.fixture
def recorder() -> Iterator[tuple[Recorder, grpc.Channel]]:
    server, recorder = grpc.server(ThreadPoolExecutor(2)), Recorder()
    workstation_pb2_grpc.add_WorkstationServiceServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield recorder, channel
    server.stop(None)


def test_the_agent_tells_by_itself_and_again(
    recorder: tuple[Recorder, grpc.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(reporting, "AGAIN_SECONDS", 0.01)
    keystore, channel = recorder
    with reporting.reported(channel, lambda: examined(table(FOUND))):
        assert keystore.came.wait(SECONDS)
    assert keystore.told[:2] == [["pcscd.running", "agent.window"]] * 2


def test_every_finding_can_be_told(recorder: tuple[Recorder, grpc.Channel]) -> None:
    keystore, channel = recorder
    keystore.told.append([])  # it does not refuse
    many = {f"check.{each}": checks.failed("bad", "mend") for each in range(65)}
    telling.send(examined(table(many)), channel)
    assert len(keystore.told[-1]) == 64
