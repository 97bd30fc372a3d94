"""The support bundle: what is in it, and that no secret is, wherever it was."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard_tools.doctor import command, every
from cloudcard_tools.doctor.checks import Check, failed
from cloudcard_tools.doctor.reducing import Reducer, log_lines
from cloudcard_tools.shared import home
from support.listeners import KEY, enrolled, pem

TOKEN = "cc1.Zm9vYmFyLWNhbmFyeS10b2tlbi10aGF0LWlzLWxvbmc.AAAA"
PASSCODE, WORD = "135790", "hunter-canary"
E_MAIL, SERIAL, NAME = "ada.canary@example.org", "1500000000000017", "Ada Canary"
JOURNAL_KEY = "q83vEjRWeJASNFZ4kBI0VniQEjRWeJASNFZ4kBI0Vng="
HEX_KEY = "0123456789abcdef" * 4
USER_ID = "01932c07-1111-7222-8333-94445555cafe"
PROXY = "http://ada:proxy-canary@proxy.example.org:3128"
CANARIES = (
    *(TOKEN, PASSCODE, WORD, E_MAIL, SERIAL, NAME, JOURNAL_KEY, HEX_KEY, USER_ID),
    *("proxy-canary", "keystore.canary.example", "BEGIN PRIVATE KEY"),
)
EVERYWHERE = " ".join((TOKEN, E_MAIL, SERIAL, NAME, JOURNAL_KEY, HEX_KEY, USER_ID, PASSCODE, PROXY))
LOG = f"""\
2026-11-28T20:00:00.123456Z [warning  ] the reader has dropped the card    reason=6
2026-11-28T20:00:01.123456Z [error    ] card failed    passcode={PASSCODE} {WORD}
{{"event": "approval", "via": "handler", "slot": 0, "card": "{SERIAL}", "number": "{PASSCODE}"}}
{{"event": "{WORD} {PASSCODE}", "key": "{JOURNAL_KEY}"}}
Card {SERIAL} is in the reader (slot 0).
{WORD} {EVERYWHERE}
"""


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in an identity, the environment, a check's finding, and the reader's log."""
    home.folder().mkdir(mode=0o700)
    folder = enrolled(home.of_role("operator"), 7443)
    facts = json.loads((folder / "identity.json").read_text())
    facts |= {"display_name": NAME, "id": USER_ID, "address": "keystore.canary.example:7443"}
    (folder / "identity.json").write_text(json.dumps(facts))
    (folder / "operator.token").write_text(TOKEN)
    monkeypatch.setenv("CLOUDCARD_PASSCODE", WORD)
    monkeypatch.setenv("CLOUDCARD_PROXY", PROXY)
    said = failed(f"{EVERYWHERE}\n{pem(KEY).decode()}", f"ask {NAME} at {E_MAIL}")
    monkeypatch.setattr(every, "checks", lambda _places: (Check("a.b", NAME, lambda: said),))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "log").write_text(LOG)
    journalctl = programs / "journalctl"
    journalctl.write_text(f"#!/bin/sh\ncat {programs}/log\n")
    journalctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.usefixtures("canaries")
def test_no_secret_is_in_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "support.zip"
    done = CliRunner().invoke(command.doctor, ["--support-bundle", str(path)])
    assert done.exit_code == 1  # a check has failed, and the bundle was written
    found = contents(path)
    whole = "\n".join(found.values())
    for canary in CANARIES:
        assert canary not in whole, canary
        assert canary.encode() not in path.read_bytes()
    private = pem(KEY).decode().splitlines()[1]
    assert private not in whole
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = done.output.partition(f"{path} holds:")[2]
    assert all(name in told for name in found)
    assert "Left out:" in told
    assert "passcodes" in told


@pytest.mark.usefixtures("canaries")
def test_what_helps_is_in_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "support.zip"
    CliRunner().invoke(command.doctor, ["--support-bundle", str(path), "--json"])
    found = contents(path)
    assert json.loads(found["report.json"])["checks"][0]["id"] == "a.b"
    assert "Python" in json.loads(found["versions.json"])
    settings = json.loads(found["configuration.json"])
    assert "CLOUDCARD_PROXY" in settings["variables"]
    assert settings["roles"] == ["operator"]
    assert found["log.txt"].splitlines() == [
        "2026-11-28T20:00:00.123456Z [warning] the reader has dropped the card",
        "2026-11-28T20:00:01.123456Z [error] card failed",
        '{"event": "approval", "via": "handler", "slot": 0}',
        *[f"[a line of {len(LOG.splitlines()[3])} characters left out]"],
        "inserted",
        *[f"[a line of {len(LOG.splitlines()[5])} characters left out]"],
    ]


def test_a_file_that_exists_stays(tmp_path: Path) -> None:
    path = tmp_path / "support.zip"
    path.write_text("mine")
    done = CliRunner().invoke(command.doctor, ["--support-bundle", str(path)])
    assert done.exit_code == 1
    assert "exists" in done.output
    assert path.read_text() == "mine"


def test_the_same_value_is_replaced_in_the_same_way() -> None:
    reduce = Reducer({"Ada Byron": "name of operator", "a": "user"})
    first, second = reduce.text(f"{SERIAL} {E_MAIL}"), reduce.text(f"{E_MAIL} {SERIAL}")
    assert sorted(first.split("] ")) != []
    assert set(first.replace("] ", "]|").split("|")) == set(second.replace("] ", "]|").split("|"))
    assert reduce.text("Ada Byron's a, 2026-11-28, port 35963") == (
        "[name of operator]'s a, 2026-11-28, port 35963"
    )
    library = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
    assert reduce.text(library) == library
    assert list(log_lines(["x"])) == ["[a line of 1 characters left out]"]
