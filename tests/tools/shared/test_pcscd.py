"""What is said about pcscd without one, and the lock that keeps its users apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudcard_tools.shared import pcsc, pcscd
from cloudcard_tools.shared.processes import Nursery

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


@pytest.fixture
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lock = tmp_path / "lock"
    monkeypatch.setattr(pcscd, "LOCK", lock)
    monkeypatch.delenv(pcscd.HELD, raising=False)
    return lock


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of sockets in place of the kernel's."""
    path = tmp_path / "tcp"
    monkeypatch.setattr(pcscd, "TCP_TABLE", path)
    return path


def row(port: int, state: str, address: str = "00000000") -> str:
    return f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 0 0\n"


def test_the_kernels_table_says_who_listens_and_who_is_connected(table: Path) -> None:
    table.write_text(
        HEADER
        + row(35963, "0A")
        + row(35964, "0A", "0100007F")
        + row(35964, "01", "0100007F")
        + row(35963, "06")  # TIME_WAIT: the card has gone
        + row(22, "01")
    )
    assert pcscd.listening() == {35963: "0.0.0.0", 35964: "127.0.0.1"}
    assert pcscd.occupied() == {35964}
    assert pcscd.wait_for_ports(0)
    pcscd.require_free(0)
    with pytest.raises(pcscd.PcscdFailed, match=r"slot 1 \(port 35964\) holds a card"):
        pcscd.require_free(0, 1)


def test_without_a_table_nothing_listens(table: Path) -> None:
    assert pcscd.listening() == {}
    assert not table.exists()
    assert not pcscd.wait_for_ports(0)


def test_a_missing_program_is_named(
    tmp_path: Path, own_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcscd, "SOCKET", tmp_path / "nobody")
    monkeypatch.setattr(pcscd, "program", lambda: None)
    with (
        pytest.raises(pcscd.PcscdFailed, match="apt-get install pcscd"),
        pcscd.available(tmp_path / "log"),
    ):
        pass
    assert own_lock.stat().st_mode & 0o777 == 0o666


def test_a_pcscd_that_dies_at_once_is_reported_in_time(
    tmp_path: Path, own_lock: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "pcscd"
    broken.write_text("#!/bin/sh\necho no driver\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(pcscd, "SOCKET", tmp_path / "nobody")
    monkeypatch.setattr(pcscd, "PID_FILE", tmp_path / "pid")
    monkeypatch.setattr(pcscd, "program", lambda: str(broken))
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # asks for no sudo
    with pytest.raises(pcscd.PcscdFailed, match="ended at once"), pcscd.available(tmp_path / "log"):
        pass
    assert (tmp_path / "log").read_text() == "no driver\n"
    assert own_lock.exists()
    assert not table.exists()


def test_a_folder_of_ones_own_needs_no_root(
    tmp_path: Path, own_lock: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcscd, "SOCKET", tmp_path / "nobody")
    monkeypatch.setattr(pcscd, "PID_FILE", tmp_path / "pid")
    monkeypatch.setattr(pcscd, "program", lambda: "/bin/false")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")  # with no sudo
    with pytest.raises(pcscd.PcscdFailed, match="ended at once"), pcscd.available(tmp_path / "log"):
        pass
    assert own_lock.exists()
    assert not table.exists()


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("known", "started_with"),
    [("  --disable-polkit\tdisable polkit support", "--disable-polkit"), ("  -a, --apdu", "")],
    ids=["2.3", "1.9"],
)
def test_a_pcscd_of_ours_asks_no_polkit_if_it_knows_how(
    tmp_path: Path,
    own_lock: Path,
    monkeypatch: pytest.MonkeyPatch,
    known: str,
    started_with: str,
) -> None:
    program = tmp_path / "pcscd"
    program.write_text(f'#!/bin/sh\n[ "$1" != --help ] || exec echo "{known}"\necho "run $*"\n')
    program.chmod(0o755)
    monkeypatch.setattr(pcscd, "SOCKET", tmp_path / "nobody")
    monkeypatch.setattr(pcscd, "PID_FILE", tmp_path / "pid")
    monkeypatch.setattr(pcscd, "program", lambda: str(program))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(pcscd.PcscdFailed), pcscd.available(tmp_path / "log"):
        pass
    assert (tmp_path / "log").read_text() == f"run --foreground {started_with}".strip() + "\n"
    assert own_lock.exists()


@pytest.mark.usefixtures("refusing_pcscd")
def test_a_pcscd_that_refuses_this_user_is_named_before_it_is_used(
    tmp_path: Path,
    own_lock: Path,
    table: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table.write_text(HEADER + row(35963, "0A") + row(35964, "0A"))
    monkeypatch.setattr(pcscd, "answers", lambda: True)
    with (
        pytest.raises(pcscd.PcscdFailed, match=r"polkit.*--disable-polkit"),
        pcscd.available(tmp_path / "log"),
    ):
        pass
    assert own_lock.exists()


def test_a_pcscd_that_is_just_starting_is_asked_again(
    tmp_path: Path, own_lock: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.write_text(HEADER + row(35963, "0A") + row(35964, "0A"))
    answers = iter([pcsc.PcscError("Service not available."), None])

    def ask() -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    monkeypatch.setattr(pcscd, "answers", lambda: True)
    monkeypatch.setattr(pcsc, "require_admission", ask)
    with pcscd.available(tmp_path / "log") as ours:
        assert not ours
    assert list(answers) == []
    monkeypatch.setattr(pcscd, "ADMISSION_SECONDS", 0)
    answers = iter([pcsc.PcscError("Service not available.")] * 9)
    with (
        pytest.raises(pcscd.PcscdFailed, match=r"not available.: start or restart"),
        pcscd.available(tmp_path / "log"),
    ):
        pass
    assert own_lock.exists()


HOLDER = """
import sys
from pathlib import Path
from cloudcard_tools.shared import pcscd
pcscd.LOCK = Path(sys.argv[1])
with pcscd.reserved(lambda: print("waits")):
    print("holds")
    sys.stdin.readline()
"""


def test_two_programs_take_turns(tmp_path: Path, own_lock: Path) -> None:
    with Nursery(tmp_path) as nursery:
        first = nursery.start_python("first", "-c", HOLDER, str(own_lock))
        first.wait_for("holds")
        second = nursery.start_python("second", "-c", HOLDER, str(own_lock))
        second.wait_for("waits")
        assert second.unread() == []
        first.kill()  # however it ends, the lock is free
        second.wait_for("holds")


def test_a_programs_own_children_do_not_wait_for_it(own_lock: Path) -> None:
    command = [sys.executable, "-u", "-c", HOLDER, own_lock]
    with pcscd.reserved(), pcscd.reserved():
        child = subprocess.run(command, input="\n", capture_output=True, text=True, check=True)
    assert child.stdout == "holds\n"
    assert pcscd.HELD not in os.environ
