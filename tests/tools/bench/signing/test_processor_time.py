"""The time of a family of processes: of children, of theirs, and of those that have ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cloudcard_tools.bench.signing import processor_time

SECONDS = 0.3  # that each burns; nothing is expected of the clock's
BURN = f"""
import subprocess, sys, threading, time

def burn():
    while time.process_time() < {SECONDS}:
        pass

def start(*arguments):
    return subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[1], *arguments])

burn()
if "ends" in sys.argv:
    start("leaf").wait()  # its time is this one's from now on
elif "stays" in sys.argv:
    thread = threading.Thread(target=lambda: start("ends").wait())  # the child of another thread
    thread.start()
    thread.join()
    kept = start("waits")
    print("burnt", flush=True)
    sys.stdin.readline()
    kept.kill()
    kept.wait()
elif "waits" in sys.argv:
    time.sleep(600)
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has burnt, as have a child that is gone and that one's child."""
    with subprocess.Popen(
        [sys.executable, "-c", BURN, BURN, "stays"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        yield process
        process.communicate(b"\n")


def test_a_whole_family_is_counted(parent: subprocess.Popen[bytes]) -> None:
    ticks = 4 / processor_time.TICKS  # those that have ended are counted in ticks, rounded down
    assert processor_time.spent([parent.pid]) >= 3 * SECONDS - ticks


def test_a_family_that_does_nothing_spends_nothing(parent: subprocess.Popen[bytes]) -> None:
    del parent
    with subprocess.Popen(["sleep", "600"]) as idle:
        first = processor_time.spent([idle.pid])
        assert 0 <= processor_time.spent([idle.pid]) - first < SECONDS / 3
        idle.kill()


def test_a_parent_is_found() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        assert processor_time.parent(child.pid) == os.getpid()
        child.kill()


def test_nobody_has_no_time() -> None:
    with pytest.raises(OSError, match="No such"):
        processor_time.parent(2**22 + 1)
