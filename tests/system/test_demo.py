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


def test_the_demo_shows_everything_and_leaves_nothing(virtual_readers: pcsc.Client) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cloudcard_tools", "demo"],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed." in done.stdout
    assert done.stdout.count("Verified OK") == 3
    assert processes_naming("cloudcard-demo-") == []
    for slot in (0, 1):
        virtual_readers.wait_for_absence(slot)
