"""The local cards of docs/reader.md, and the recording of docs/traces.md, in the real reader."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from card_os.piv.names import AID
from cloudcard_tools.demo.programs import must
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from support.guides import run_by, shows

LOCAL, YUBICO = run_by("reader.md", __file__)
[TRACES] = run_by("traces.md", __file__)
SELECT = bytes([0x00, 0xA4, 0x04, 0x00, len(AID)]) + AID
PROGRAMS = {
    "cloudcard": (sys.executable, "-m", "cloudcard_tools"),
    # By its module: an environment made before the plugin was has no entry point for it.
    "pytest": (
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
        *("-p", "no:cloudcard_traces", "-p", "cloudcard_tools.trace.pytest_plugin"),
    ),
    "ykman": (str(Path(sys.executable).with_name("ykman")),),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(line: str) -> list[str]:
    """A command with the programs of this environment."""
    program, *words = shlex.split(line, comments=True)
    return [*PROGRAMS.get(program, (program,)), *words]


def insert(nursery: Nursery, client: pcsc.Client, line: str, folder: Path) -> str:
    """Start a reader, and see that its card is a PIV card; what the reader has said."""
    _, *options = command(line)
    nursery.start_python("reader", *options).wait_for("is in the reader", timeout=60)
    with client.connect(0) as card:
        assert card.transmit(SELECT)[-2:] == b"\x90\x00"
    return (folder / "logs" / "reader.log").read_text()


@pytest.mark.parametrize("line", LOCAL.commands)
def test_local_cards(
    line: str, nursery: Nursery, virtual_readers: pcsc.Client, folder: Path
) -> None:
    said = insert(nursery, virtual_readers, line, folder)
    assert shows(LOCAL.shown, said) == (line == LOCAL.commands[0]), said
    assert (folder / "card.json").exists() == ("--state" in line)
    if "--profile developer" in line:
        seen = "".join(must(command(each), stdin="\n") for each in YUBICO.commands)
        assert shows(YUBICO.shown, seen), seen


def test_a_recording_and_its_replay(
    nursery: Nursery, virtual_readers: pcsc.Client, folder: Path
) -> None:
    record, *replays = TRACES.commands
    insert(nursery, virtual_readers, record, folder)
    must(["pkcs15-tool", "--list-certificates"])
    nursery.stop("reader")
    traces = folder / "traces"
    traces.mkdir()
    shutil.copy(folder / "login.trace", traces)
    shutil.copytree(folder / "cards", traces / "cards")
    seen = "".join(must(command(each)) for each in replays)
    assert shows(TRACES.shown, seen), seen
    assert "1 passed" in seen
    assert (folder / "traces.xml").exists()
