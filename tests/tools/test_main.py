"""The root of `cloudcard`: a table, quick help, and errors of one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import click
import pytest
from click.testing import CliRunner

from cloudcard_tools import __main__ as root
from cloudcard_tools.shell.lazy import Row
from cloudcard_tools.trace.command import COMMANDS as TRACE_COMMANDS
from cloudcard_tools.trace.command import trace


@pytest.mark.parametrize(
    ("group", "rows", "name"),
    [
        (group, rows, name)
        for group, rows in ((root.cloudcard, root.COMMANDS), (trace, TRACE_COMMANDS))
        for name in rows
    ],
)
def test_each_row_leads_to_a_command_that_says_the_same(
    group: click.Group, rows: Mapping[str, Row], name: str
) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == rows[name].help
    shown = CliRunner().invoke(group, [name, "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.output


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom cloudcard_tools.__main__ import cloudcard\n"
        "cloudcard.main(['--help'], standalone_mode=False)\n"
        "print(sorted({'grpc', 'rich', 'cryptography', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, modules = done.stdout.splitlines()
    assert modules == "[]"
    for name in root.COMMANDS:
        assert any(line.split()[:1] == [name] for line in text)


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["--version"], 0), ([], 2), (["nosuch"], 2)]
)
def test_exit_status(arguments: list[str], status: int) -> None:
    assert CliRunner().invoke(root.cloudcard, arguments).exit_code == status


def test_an_error_before_a_command_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: click.Group, _ctx: click.Context, _name: str) -> click.Command:
        raise ModuleNotFoundError(name="smartcard.scard")

    monkeypatch.setattr(root.LazyGroup, "get_command", fail)
    monkeypatch.setattr(sys, "argv", ["cloudcard", "doctor"])
    with pytest.raises(SystemExit) as ended:
        root.main()
    assert ended.value.code == 1
    assert "pip install 'cloudcard[pcsc]'" in capsys.readouterr().err
