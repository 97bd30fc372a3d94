"""Files that are no traces, or want to be too much: told by line, in little memory and time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from card_os.trace.lines import HEADER
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.replay import cards
from support.fakes import sample_image

MEGABYTE = 1024 * 1024
MOST_MEMORY = 400 * MEGABYTE  # of addresses, the interpreter and its libraries included
LIMITED = ("prlimit", f"--as={MOST_MEMORY}")
COMMANDS = ("replay", "minimise", "show")
SECONDS, PROCESSOR_SECONDS = 120.0, 10.0


def head(folder: Path) -> bytes:
    return f"{HEADER}\n@ card sha256:{cards.save(sample_image(), folder).hex()}\n".encode()


def arguments(command: str, path: Path) -> list[str]:
    return [command, str(path)] + (["-o", str(path) + ".short"] if command == "minimise" else [])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", "line 1: "),
        (b"# ", "line 3: the line has more than 400,000 characters"),
        (b"> ", "line 3: the line has more than 400,000 characters"),
    ],
)
def test_a_line_of_a_gigabyte_is_not_taken_in(
    command: str, start: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "huge.trace"
    with path.open("wb") as file:
        file.write(head(tmp_path) + start if start else b"")
        file.truncate(1024 * MEGABYTE)  # NULs that take no room on the disk
    begun = os.times()
    done = subprocess.run(
        [*LIMITED, sys.executable, "-m", "cloudcard_tools", "trace", *arguments(command, path)],
        capture_output=True,
        timeout=SECONDS,
        text=True,
    )
    assert (done.returncode, said in done.stdout + done.stderr) == (1, True), done
    assert "Memory" not in done.stderr
    ended = os.times()  # of the processor: the computer may be busy
    assert ended.children_user - begun.children_user < PROCESSOR_SECONDS


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (b"> 00\x00\n", "line 3: the line holds control characters"),
        (b"# \xc3\xa9\n", "line 3: "),
        ("# x\n".encode("utf-16"), "line 3: "),
        (b"\x7fELF\x02\x01\x01\n", "line 3: "),
        (b"> 00a4040\n", "line 3: "),
        (b"\n\n! ok\n", "line 5: "),
        (b"? sign\n", "line 3: "),
        (b"@ seed \n", "line 3: "),
        (b"~ 99999999999999999999\n", "line 3: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    command: str, rest: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.trace"
    path.write_bytes(head(tmp_path) + rest)
    result = CliRunner().invoke(trace, arguments(command, path))
    assert (result.exit_code, said in result.output) == (1, True), result.output


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rest=st.lists(
        st.binary(max_size=20)
        | st.sampled_from(
            [
                *(b"> 00a40400", b"> 0020008008303030303030ffff", b"! verified #1"),
                *(b"! refused denied", b"? status 80", b"< 9000", b"@ reset", b"@ hang-up"),
                *(b"@ power-off", b"@ seed 00"),
            ]
        ),
        max_size=8,
    ),
    command=st.sampled_from(COMMANDS),
)
def test_whatever_is_in_a_file_nothing_breaks(
    rest: list[bytes], command: str, tmp_path: Path
) -> None:
    path = tmp_path / "any.trace"
    path.write_bytes(head(tmp_path) + b"\n".join(rest))
    result = CliRunner().invoke(trace, arguments(command, path))
    (tmp_path / "any.trace.short").unlink(missing_ok=True)
    assert result.exit_code in (0, 1), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
