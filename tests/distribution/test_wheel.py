"""The wheel, in an environment of its own with nothing but what it always requires."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import venv
from email.message import Message
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

from architecture.imports import PACKAGES, ROOT
from cloudcard_tools.__main__ import COMMANDS
from distribution.requirements import EXTRAS, NAME, PROJECT, installed_with, required
from support.guides import run_by

TRACE = ROOT / "tests" / "traces" / "probes" / "opensc.trace"
SECONDS = 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(
        [*command, "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
    [path] = folder.glob("*.whl")
    return path


INSTALL, LINK, SAY = run_by("install.md", __file__)[0].commands


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel, and what it requires without extras."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    # An environment with its own pip takes seconds to make: ours installs into it.
    line = INSTALL.replace("/tmp/wheel", str(wheel.parent))
    line = line.replace("/opt/cloudcard/bin/pip", '"$PYTHON" -m pip --python "$INTO"')
    own = {"PYTHON": sys.executable, "INTO": str(interpreter), "PIP_NO_INDEX": "1"}
    subprocess.run(["bash", "-c", line], check=True, timeout=SECONDS, env={**os.environ, **own})
    [packages] = folder.glob("lib/python3*/site-packages")
    for name in installed_with(required()):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            place = Path(str(found.locate_file(top)))
            if place.exists() and not (packages / top).exists():
                (packages / top).symlink_to(place)
    return interpreter


def run(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The installed command, from a folder that is not the repository."""
    return subprocess.run(
        [python.with_name("cloudcard"), *arguments],
        cwd=python.parent,
        env={"HOME": str(python.parents[1]), "PATH": str(python.parent)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_it_holds_the_packages_with_types_and_schema_and_nothing_else(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    packages = {*PACKAGES, NAME}
    assert {name.partition("/")[0] for name in names} == {
        *packages,
        f"{NAME}-{PROJECT['version']}.dist-info",
    }
    assert {f"{package}/py.typed" for package in packages} <= names
    schema = {
        path.relative_to(ROOT / "proto").as_posix()
        for path in (ROOT / "proto" / NAME).rglob("*.proto")
    }
    assert schema
    assert {name for name in names if name.endswith(".proto")} == schema
    assert {f"{name.removesuffix('.proto')}_pb2.pyi" for name in schema} <= names


def test_it_says_what_it_requires_and_where_it_is_from(wheel: Path) -> None:
    said = metadata(wheel)
    assert set(said.get_all("Provides-Extra", [])) == set(EXTRAS)
    assert {each.partition(", ")[0] for each in said.get_all("Project-URL", [])} == {
        "Changelog",
        "Documentation",
        "Issues",
        "Source",
    }
    assert said["License-Expression"] == "Apache-2.0"


def test_links_of_its_description_work_on_an_index(wheel: Path) -> None:
    description = metadata(wheel).get_payload()
    assert isinstance(description, str)
    links = re.findall(r"\]\(([^)]+)\)", description)
    assert f"{PROJECT['urls']['Source']}/blob/main/docs/start.md" in links
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_linked_command_says_its_version(python: Path, tmp_path: Path) -> None:
    link = LINK.replace("/opt/cloudcard/bin", str(python.parent))
    lines = "\n".join((link.replace("/usr/local/bin", str(tmp_path)), SAY))
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    said = subprocess.check_output(["bash", "-c", lines], text=True, env=path)
    assert said == f"cloudcard {PROJECT['version']}\n"


def test_help_has_every_command(python: Path) -> None:
    ran = run(python, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    for name in COMMANDS:
        assert any(line.split()[:1] == [name] for line in ran.stdout.splitlines())


def test_it_is_a_module_too(python: Path) -> None:
    said = subprocess.check_output([python, "-m", "cloudcard_tools", "--version"], text=True)
    assert said == f"cloudcard {PROJECT['version']}\n"


def test_a_trace_is_replayed(python: Path) -> None:
    ran = run(python, "trace", "replay", TRACE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("same ")


def test_a_card_of_this_computer_is_put_into_a_slot(python: Path) -> None:
    arguments = ("reader", "--local", "--algorithm", "p256", "--json", "--no-hold-pcscd")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS)
        with subprocess.Popen(
            [python.with_name("cloudcard"), *arguments, "--port", str(server.getsockname()[1])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(bytes.fromhex("0001 01 0001 04"))  # power on; tell the ATR
                    assert connection.recv(1) == b"\x00"
                    program.send_signal(signal.SIGINT)
                    out, err = program.communicate(timeout=SECONDS)
            finally:
                program.kill()
    assert (program.returncode, err) == (0, "")
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "stopped"


@pytest.mark.parametrize("name", [name for name, row in COMMANDS.items() if row.extra])
def test_a_command_whose_extra_is_missing_says_what_to_install(python: Path, name: str) -> None:
    ran = run(python, name, "--help")
    assert (ran.returncode, ran.stdout) == (1, "")
    [line] = ran.stderr.splitlines()
    assert line.startswith(f"Error: cloudcard {name} needs the Python module ")
    assert line.endswith(f": pip install 'cloudcard[{COMMANDS[name].extra}]'")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("reader", "--card", "1000"), "reader"),
        (("reader", "enrol", "token"), "reader"),
        (("demo",), "all"),
        (("trace", "record", "--reader", "x", "--script", "/dev/null", "--output", "x"), "pcsc"),
    ],
)
def test_so_does_a_part_of_a_command(python: Path, arguments: tuple[str, ...], extra: str) -> None:
    ran = run(python, *arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    [line] = ran.stderr.splitlines()
    assert line.endswith(f": pip install 'cloudcard[{extra}]'")


def test_the_doctor_knows_what_was_not_tried(python: Path) -> None:
    ran = run(python, "doctor", "--json")
    findings = {each["name"]: each for each in json.loads(ran.stdout)["checks"]}
    assert findings["PC/SC"]["fix"] == "pip install 'cloudcard[pcsc]'"
    assert findings["Python"]["ok"]
    assert ran.stderr == ""
