"""The demo is the first thing that a newcomer runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cloudcard_tools.shared import pcsc


def processes_naming(text: str) -> list[str]:
    """Command lines of running processes that hold `text`."""
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has ended meanwhile
    return [line for line in lines if text in line]


def demo(*options: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """The demo, with what somebody types at its terminal."""
    return subprocess.run(
        [sys.executable, "-m", "cloudcard_tools", "demo", *options],
        input=typed,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def test_the_demo_shows_everything_and_leaves_nothing(virtual_readers: pcsc.Client) -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed." in done.stdout
    assert done.stdout.count("Verified OK") == 3
    assert processes_naming("cloudcard-demo-") == []
    for slot in (0, 1):
        virtual_readers.wait_for_absence(slot)


def test_whoever_denies_all_in_the_demo_is_told_so_and_it_goes_on(
    virtual_readers: pcsc.Client,
) -> None:
    """Two codes are among it. A denial by one once went wrong, and the application waited."""
    done = demo("--interactive", typed="d\nd\nd\nd\nn\nd\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 ended as you decided, 0 failed." in done.stdout
    assert done.stdout.count("Your phone says: Denied.") == 4
    assert done.stdout.count("Your phone says: Denied, and reported.") == 1
    for slot in (0, 1):
        virtual_readers.wait_for_absence(slot)
