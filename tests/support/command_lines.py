"""Command lines for every command, made from what it takes; and what a failed one has told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click
import pytest

from cloud_keystore.audit.cosignatures import Witness
from cloudcard_tools.new_files import Output
from cloudcard_tools.ra import sheets
from cloudcard_tools.ra.sheets import importing
from support.commands import LEAVES

WITH_IDENTITY = {
    path: command
    for path, command in LEAVES.items()
    if any("--identity" in each.opts for each in command.params) and path[-1] != "enrol"
}
WITNESS = Witness("witness.example.org", bytes(32))
SAMPLES = Path(__file__).parents[1] / "samples"
AUTHORITY = str(SAMPLES / "authority.pem")
# What cannot be guessed from the parameters.
GIVEN = {
    ("reader",): ("--card", "1000"),
    ("eps", "sign"): ("--card", "1000", "--into", "new", str(SAMPLES / "prescription.xml")),
    ("audit", "cosign"): ("new", "--witness", "http://127.0.0.1:1", WITNESS.verifier_key),
    ("authenticator", "passcode"): ("some", "--passcode-stdin"),
    ("authenticator", "approve"): ("some", "--number", "11"),
    ("authenticator", "questions", "yes"): ("some", "--number", "11"),
    ("authenticator", "portal", "password"): ("--password-stdin",),
    ("authenticator", "portal", "questions"): ("One?", "--answers-stdin"),
    ("ra", "account", "add"): ("some", r"CORP\ada"),
    ("ra", "account", "directory", "password"): ("--password-stdin",),
    ("ra", "directory", "operator"): ("some", "--nobody"),
    ("ra", "import"): (str(files(sheets) / importing.SAMPLE),),
    ("ra", "ca", "trust"): (AUTHORITY,),
    ("ra", "ca", "est"): ("some", "--off"),
    ("ra", "ca", "crl"): ("some", "--off"),
    ("ra", "card", "requests", "export"): ("new",),
    ("ra", "card", "requests", "import"): (AUTHORITY,),
    ("ra", "user", "edit"): ("some", "--name", "Ada King"),
    ("ra", "organisation", "edit"): ("some", "--name", "Ward 7"),
    ("ra", "request", "require"): ("--operation", "revoke"),
    ("ra", "role", "edit"): ("some", "--name", "ward-clerk"),
    ("ra", "profile", "edit"): ("some", "--name", "series-8"),
}


def words(command: click.Command, folder: Path) -> Iterator[str]:
    """Arguments with which a command is parsed."""
    for each in command.params:
        if isinstance(each, click.Option) and "--yes" in each.opts:
            yield "--yes"
        if not each.required:
            continue
        if isinstance(each, click.Option):
            yield each.opts[0]
        match each.type:
            case click.Choice():
                yield str(each.type.choices[0])
            case Output():
                yield str(folder / "new")
            case click.Path(file_okay=False):
                yield str(folder)
            case click.Path(exists=True):
                yield str(folder / "file")
            case click.Path():
                yield str(folder / "new")
            case click.types.IntParamType():
                yield "1"
            case _:
                yield "some"


def takes_json(command: click.Command) -> bool:
    """Whether a command can print JSON."""
    return any("--json" in each.opts for each in command.params)


def online(path: tuple[str, ...], folder: Path) -> list[str]:
    """The arguments with which a command calls the keystore."""
    given = GIVEN.get(path, tuple(words(LEAVES[path], folder)))
    return [*path, *given, *(["--json"] if takes_json(LEAVES[path]) else [])]


def told(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> tuple[str, dict[str, object]]:
    """The message on standard error, and the object on standard output."""
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "unexpected" not in err.lower()
    assert err.count("Error: ") == 1
    found = json.loads(out)["error"] if as_json else {}
    assert as_json or out == ""
    return err, found
