"""The scripts by which shells complete commands, run by the shells that are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard_tools.__main__ import cloudcard


def completed(words: str, number: int) -> list[str]:
    """What the program offers for a word of a command line, as bash asks it."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(number), "_CLOUDCARD_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "cloudcard_tools"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_options_are_offered() -> None:
    assert completed("cloudcard re", 1) == ["reader", "restore"]
    assert completed("cloudcard ra card s", 3) == ["show", "suspend"]
    assert "--approval" in completed("cloudcard reader --a", 2)
    assert completed("cloudcard trace mi", 2) == ["minimise"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_takes_its_script(shell: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cloudcard, ["completion", shell], prog_name="cloudcard")
    assert done.exit_code == 0, done.output
    assert "_CLOUDCARD_COMPLETE" in done.output
    script = tmp_path / "script"
    script.write_text(done.output)
    if program := shutil.which(shell):
        subprocess.run([program, "-n", str(script)], check=True)
