"""What cannot be undone is asked about, and passcodes are checked at the prompt."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.shared.confirming import checked_passcode, irreversible, new_passcode
from cloudcard_tools.shared.failures import Failure
from support.commands import LEAVES

IRREVERSIBLE = {
    *(("ra", kind, "remove") for kind in ("workstation", "operator", "auditor", "client")),
    ("ra", "shared-device", "remove"),
    ("ra", "device", "remove"),
    ("ra", "webhook", "remove"),
    ("ra", "card", "revoke"),
    ("keys", "retire"),
    ("keys", "sweep"),
}
ENDING = ("remove", "revoke", "destroy", "delete", "retire", "sweep", "wipe", "reset")


@click.command()
@click.argument("name")
@irreversible("{name} is gone for ever.")
def remove(name: str) -> None:
    click.echo(f"removed {name}")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at the terminal."""
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True)


def test_without_a_terminal_it_is_refused() -> None:
    done = CliRunner().invoke(remove, ["ada"])
    assert done.exit_code == 2
    assert "ada is gone for ever. Nobody is here to confirm it: say --yes" in done.output
    assert "removed" not in done.output


def test_with_yes_nothing_is_asked() -> None:
    assert CliRunner().invoke(remove, ["ada", "--yes"]).output == "removed ada\n"


@pytest.mark.usefixtures("terminal")
def test_the_person_decides() -> None:
    agreed = CliRunner().invoke(remove, ["ada"], input="y\n")
    assert "ada is gone for ever.\nGo on?" in agreed.output
    assert "removed ada" in agreed.output
    kept = CliRunner().invoke(remove, ["ada"], input="n\n")
    assert kept.exit_code == 1
    assert "nothing was changed" in kept.output
    assert "removed" not in kept.output


def test_every_irreversible_command_asks() -> None:
    asking = {
        path for path, command in LEAVES.items() if any("--yes" in p.opts for p in command.params)
    }
    assert asking >= IRREVERSIBLE
    named = {path for path in LEAVES if path and path[-1] in ENDING}
    assert named <= asking


@pytest.mark.usefixtures("terminal")
def test_a_passcode_is_asked_for_again_in_place() -> None:
    """AUTH-12: what is allowed is said before anything is typed, and nothing else is taken."""

    @click.command()
    def choose() -> None:
        click.echo(new_passcode())

    typed = "123\n13579!\n123456789\n135790\n135791\n135790\n135790\n"
    done = CliRunner().invoke(choose, input=typed)
    assert "6 to 8 digits: " in done.output.splitlines()[0]
    assert done.output.count("A passcode must be 6 to 8 digits: choose another one.") == 3
    assert done.output.count("The two differ") == 1
    assert done.output.endswith("135790\n")
    assert done.exit_code == 0


def test_a_passcode_without_a_terminal() -> None:
    with pytest.raises(Failure, match="6 to 8 digits"):
        checked_passcode("12345")
    assert checked_passcode("135790") == "135790"
    done = CliRunner().invoke(cloudcard, ["authenticator", "passcode", "1000"])
    assert done.exit_code == 2
    assert "--passcode-stdin" in done.output
