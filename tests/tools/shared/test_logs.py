from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from cloudcard_tools.shared import logs


def fail(passcode: str) -> None:
    raise ValueError(f"a passcode of {len(passcode)} digits")


def test_no_local_variable_in_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO)
    # No literal, as tracebacks show the source; a time can have any six digits by chance.
    passcode = str(1_234_070_009 * 2)
    try:
        fail(passcode)
    except ValueError:
        structlog.get_logger().exception("failed")
    finally:
        structlog.reset_defaults()
    printed = capsys.readouterr()
    assert "a passcode of 10 digits" in printed.err
    assert passcode not in printed.err
    assert printed.out == ""


AT_THE_END = """
import logging, structlog, sys
from cloudcard_tools.shared import logs
logs.configure(logging.INFO)
log = structlog.get_logger()
log.info("before")
sys.stderr.close()
log.info("after")
kept = logs.Losing(open(sys.argv[1], "w"))
kept.write("x")
kept._file.close()
sys.kept = kept  # goes after the modules
"""


def test_a_stream_that_is_closed_loses_the_rest_without_a_word(tmp_path: Path) -> None:
    """At the end of a program, whose standard streams go before its threads and loggers."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", AT_THE_END, tmp_path / "file"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("\n") == 1
    assert "before" in done.stderr
