"""What `bench --peer` says if vsmartcard's emulator cannot be installed, or does not run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cloudcard_tools.bench import apdu, command, peer
from cloudcard_tools.shared.processes import Nursery

# What makes an environment: a Python that does it, and a pip in it.
PYTHON = """\
#!/bin/sh
mkdir -p "$3/bin"
cp "${0%/*}/pip" "$3/bin/pip"
"""
NO_VENV = """\
#!/bin/sh
echo "The virtual environment was not created successfully because ensurepip is not available."
exit 1
"""
PIP = """\
#!/bin/sh
echo "$@" >>"${0%/*}/asked"
"""
NO_NETWORK = """\
#!/bin/sh
echo "WARNING: Retrying" >&2
echo "ERROR: No matching distribution found for pycryptodome>=3.19" >&2
exit 1
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the programs that make an environment. The emulator's package is there."""
    monkeypatch.setattr(peer, "PROGRAM", Path("/bin/true"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "python3", PYTHON)
    write(tmp_path / "pip", PIP)
    return tmp_path


def write(path: Path, script: str) -> Path:
    """Write a program."""
    path.write_text(script)
    path.chmod(0o755)
    return path


def test_a_pip_that_fails_is_told_and_tried_again(tools: Path) -> None:
    write(tools / "pip", NO_NETWORK)
    for _ in range(2):
        with pytest.raises(click.ClickException) as failed:
            peer.python()
        assert "(ERROR: No matching distribution found for pycryptodome>=3.19)" in str(failed.value)
        assert str(failed.value).endswith("from the package index: is the network up?")
    write(tools / "pip", PIP)
    [python] = peer.python()
    assert peer.python() == [python]
    asked = (Path(python).parent / "asked").read_text().splitlines()
    assert asked == [f"install --quiet --no-input {peer.REQUIREMENT}"]


def test_a_pip_that_is_not_there_is_told(tools: Path) -> None:
    write(tools / "python3", "#!/bin/sh\n")
    with pytest.raises(click.ClickException, match="pip: No such file or directory: --peer needs"):
        peer.python()


def test_a_python_without_venv_is_told(tools: Path) -> None:
    write(tools / "python3", NO_VENV)
    with pytest.raises(
        click.ClickException, match=r"ensurepip.*: apt-get install python3\.\d+-venv"
    ):
        peer.python()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo broken >&2; exit 1", "vsmartcard's emulator failed: broken"),
        ("exit 1", "vsmartcard's emulator failed: no reason given"),
        ("kill -9 $$", "vsmartcard's emulator failed: no reason given"),
        ("echo Hello.", "vsmartcard's emulator told no times, but: Hello."),
        ("echo '{}'", "vsmartcard's emulator told no times, but: {}"),
        ("true", "vsmartcard's emulator told no times, but: nothing"),
    ],
)
def test_an_emulator_that_fails_is_told(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = write(tmp_path / "python3", f"#!/bin/sh\n{script}\n")
    monkeypatch.setattr(peer, "python", lambda: [str(emulator)])
    done = CliRunner().invoke(command.bench, ["card", "--count", "1", "--cards", "1", "--peer"])
    assert done.exit_code == 1
    assert f"Error: {said}\n" in done.output


def test_the_emulators_times_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("select_us", "get_data_2k_us", "get_data_12k_us", "verify_us")
    times = json.dumps(dict.fromkeys(names, 5.0))
    emulator = write(tmp_path / "python3", f"#!/bin/sh\necho '{times}'\n")
    monkeypatch.setattr(peer, "python", lambda: [str(emulator)])
    asked = ["card", "--count", "1", "--cards", "1", "--peer", "--json"]
    facts = json.loads(CliRunner().invoke(command.bench, asked).stdout)
    assert {facts[f"peer_{name}"] for name in names} == {5.0}


def test_an_emulator_that_ends_without_a_card_is_not_waited_for(tmp_path: Path) -> None:
    vicc = write(tmp_path / "vicc", "#!/bin/sh\necho 'no module named Crypto' >&2\nexit 1\n")
    with Nursery(tmp_path / "logs") as nursery:
        program = nursery.start("other", "/bin/sh", str(vicc))
        with pytest.raises(click.ClickException, match="vicc ended without a card: no module"):
            apdu.wait_for_card(lambda: False, program)


def test_an_emulator_without_a_card_is_waited_for_so_long(tmp_path: Path) -> None:
    vicc = write(tmp_path / "vicc", "#!/bin/sh\nexec sleep 60\n")
    looks = iter((False, False, True))
    with Nursery(tmp_path / "logs") as nursery:
        program = nursery.start("other", "/bin/sh", str(vicc))
        apdu.wait_for_card(lambda: next(looks), program)
        with pytest.raises(click.ClickException, match="vicc has put no card into the reader in 0"):
            apdu.wait_for_card(lambda: False, program, seconds=0)
