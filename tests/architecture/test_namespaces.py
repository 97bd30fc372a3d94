"""The namespaces of the tests' processes: what is changed in them is changed for nobody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import namespaces


def test_nothing_is_changed_where_others_are() -> None:
    outside = Path("/proc/self/ns/net").readlink().name
    command = [sys.executable, namespaces.__file__, outside, "echo", "entered"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing is changed in them" in done.stderr
