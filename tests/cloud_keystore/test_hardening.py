"""A keystore's process gives nothing of its memory away, not even when it dies."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_keystore.hardening import SCOPED_SINCE
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has prctl")

NOBODY = 65534
DUMPABLE = 4  # prctl(2), PR_SET_DUMPABLE
# A process has another one of its own user read its environment, as a debugger reads its memory.
LOOKED_INTO = f"""
import ctypes, os, sys
from cloud_keystore.hardening import harden
if os.geteuid() == 0:
    os.setuid({NOBODY})
    ctypes.CDLL(None).prctl({DUMPABLE}, 1, 0, 0, 0)
if "hardened" in sys.argv:
    harden()
looked_into = os.getpid()
if (child := os.fork()) == 0:
    try:
        open(f"/proc/{{looked_into}}/environ").close()
    except PermissionError:
        os._exit(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("hardened", [False, True])
def test_no_process_of_the_same_user_looks_into_it(*, hardened: bool) -> None:
    """A program of the service's user read the sealing key from its memory."""
    arguments = ["hardened"] if hardened else []
    done = subprocess.run([sys.executable, "-c", LOOKED_INTO, *arguments], check=False)
    assert done.returncode == (1 if hardened else 0)


def test_a_keystore_leaves_no_core_and_starts_nothing_with_more_rights(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        pids = KeystoreProcess(tmp_path, nursery).pids
        assert len(pids) == 4  # supervisor, custody, and one for each port
        for process in (Path(f"/proc/{pid}") for pid in pids):
            limits = (process / "limits").read_text().splitlines()
            (core,) = (line.split() for line in limits if line.startswith("Max core file size"))
            assert core[4:6] == ["0", "0"]
            assert "NoNewPrivs:\t1" in (process / "status").read_text().splitlines()


CONFINED = """
import os, sys
from cloud_keystore import hardening
key, parent = sys.argv[1], os.getppid()
folder = os.open(os.path.dirname(key), os.O_PATH)
assert hardening.confine(hardening.program_files())
tries = (
    lambda: open(key, "rb"),
    lambda: os.open(os.path.basename(key), os.O_RDONLY, dir_fd=folder),
    lambda: open(key + ".new", "wb"),
    lambda: os.unlink(key),
    lambda: os.listdir(os.path.dirname(key)),
    lambda: open(f"/proc/{parent}/mem", "rb"),
    lambda: os.kill(parent, 0) if len(sys.argv) > 2 else open(key, "rb"),
)
for number, each in enumerate(tries):
    try:
        each()
    except OSError:
        continue
    sys.exit(f"{number} was allowed")
import email.mime.audio, zoneinfo  # what the program loads later
zoneinfo.ZoneInfo("Europe/London")
"""


def test_a_process_that_faces_the_network_reads_no_key(tmp_path: Path) -> None:
    """Whoever took over the service's only process had the sealing key's file before them."""
    version = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)
    if version < 1:
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "sealing.key").write_bytes(b"secret")
    signals = ["signals"] if version >= SCOPED_SINCE else []
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(tmp_path / "sealing.key"), *signals],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sealing.key").read_bytes() == b"secret"
