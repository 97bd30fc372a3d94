from __future__ import annotations

import logging

import pytest
import structlog

from cloudcard_tools.shared import logs


def fail(passcode: str) -> None:
    raise ValueError(f"a passcode of {len(passcode)} digits")


def test_no_local_variable_in_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO)
    passcode = str(123_407 * 2)  # no literal: tracebacks show the source
    try:
        fail(passcode)
    except ValueError:
        structlog.get_logger().exception("failed")
    finally:
        structlog.reset_defaults()
    printed = capsys.readouterr()
    assert "a passcode of 6 digits" in printed.err
    assert passcode not in printed.err
    assert printed.out == ""
