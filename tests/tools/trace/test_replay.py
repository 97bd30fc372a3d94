"""Traces by the command line: recorded from a reader, replayed without one."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from card_os.trace.lines import HEADER
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.replay import cards
from support.fakes import sample_image
from support.vpcd_end import GET_ATR, OK, RESET, SIGN, VERIFY, Reader

SECONDS = 60.0
WRONG = bytes.fromhex("00200080 08 393939393939FFFF")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trace, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace that a reader has written."""
    folder = tmp_path_factory.mktemp("recorded")
    path = folder / "login.trace"
    with Nursery(folder) as nursery, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        child = nursery.start_python(
            "reader",
            *("-m", "cloudcard_tools", "reader", "--local", "--algorithm", "p256", "--json"),
            *("--no-hold-pcscd", "--port", str(listener.getsockname()[1]), "--record", str(path)),
        )
        vpcd = Reader(listener.accept()[0])
        assert vpcd.ask(GET_ATR).startswith(b"\x3b")
        vpcd.send(RESET)
        assert vpcd.ask(bytes.fromhex("00A4040005A000000308")).endswith(OK)
        assert vpcd.ask(WRONG) == b"\x63\xc2"
        assert vpcd.ask(VERIFY) == OK
        assert vpcd.ask(SIGN).endswith(OK)
        child.kill(signal.SIGTERM)
        assert child.wait() == 0
        vpcd.hang_up()
    return path


def test_what_was_recorded_replays(recorded: Path) -> None:
    result = run("replay", recorded)
    assert result.exit_code == 0, result.output
    assert "1 of 1 traces the same, 4 commands." in result.output


def test_no_passcode_is_in_the_file(recorded: Path) -> None:
    text = recorded.read_text()
    assert "? verify 80 ******" in text
    for passcode in (VERIFY[5:11], WRONG[5:11]):
        assert passcode.hex() not in text


def test_the_first_difference_is_told_in_words(recorded: Path, tmp_path: Path) -> None:
    other = copy(recorded, tmp_path, recorded.read_text().replace("< 63c2", "< 63c1"))
    result = run("replay", other)
    assert result.exit_code == 1
    assert "VERIFY P1-P2 0080" in result.output
    assert "63C1 (1 tries left)" in result.output
    assert "63C2 (2 tries left)" in result.output
    (document,) = json.loads(run("replay", other, "--json").output)
    (difference,) = document["differences"]
    assert (difference["expected"], difference["actual"]) == ("< 63c1", "< 63c2")
    assert not document["passed"]


def test_an_object_is_shown_as_a_tree(recorded: Path, tmp_path: Path) -> None:
    lines = recorded.read_text().splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if line.startswith("< 61"))
    lines[at] = lines[at].replace("4f", "50", 1)
    result = run("replay", copy(recorded, tmp_path, "".join(lines)))
    assert result.exit_code == 1
    assert "61 application properties, " in result.output
    assert "  4F AID, " in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("no trace", "line 1"),
        (HEADER, "no commands"),
        (HEADER + "\n> 00a40400\n", "line 2: no card is named"),
        (HEADER + "\n@ card sha256:" + "00" * 32 + "\n", "commit it with the trace"),
        (HEADER + "\n# caf\xe9\n", "line 2"),
    ],
)
def test_a_file_that_is_no_trace(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.trace"
    path.write_text(text, encoding="utf-8")
    result = run("replay", path)
    assert result.exit_code == 1
    assert said in result.output


def test_an_image_that_was_changed_is_refused(recorded: Path, tmp_path: Path) -> None:
    path = copy(recorded, tmp_path, recorded.read_text())
    (image,) = (tmp_path / cards.FOLDER).iterdir()
    image.write_bytes(image.read_bytes() + b"\n")
    result = run("replay", path)
    assert result.exit_code == 1
    assert "has changed" in result.output


def test_a_folder_and_images_elsewhere(recorded: Path, tmp_path: Path) -> None:
    inner = tmp_path / "opensc"
    inner.mkdir()
    (inner / "a.trace").write_text(recorded.read_text())
    (inner / "b.txt").write_text("no trace")
    result = run("replay", tmp_path, "--cards", recorded.parent / cards.FOLDER)
    assert result.exit_code == 0, result.output
    assert "1 of 1" in result.output


def test_an_empty_folder_is_no_success(tmp_path: Path) -> None:
    result = run("replay", tmp_path)
    assert result.exit_code == 1
    assert "No traces found" in result.output


def copy(recorded: Path, folder: Path, text: str) -> Path:
    """The trace with another text, and its image beside it."""
    path = folder / "other.trace"
    path.write_text(text)
    (folder / cards.FOLDER).mkdir()
    for image in (recorded.parent / cards.FOLDER).iterdir():
        (folder / cards.FOLDER / image.name).write_bytes(image.read_bytes())
    return path


def test_an_image_is_saved_once(tmp_path: Path) -> None:
    digest = cards.save(sample_image(), tmp_path)
    assert cards.save(sample_image(), tmp_path) == digest
    assert len(list((tmp_path / cards.FOLDER).iterdir())) == 1
    assert cards.find(digest, tmp_path / "x.trace") == sample_image()


def test_what_differs_can_be_blessed(recorded: Path, tmp_path: Path) -> None:
    path = copy(recorded, tmp_path, recorded.read_text().replace("< 63c2", "< 63c1"))
    result = run("replay", path, "--bless")
    assert result.exit_code == 0, result.output
    assert "63C1 (1 tries left)" in result.output
    assert path.read_text() == recorded.read_text()


def test_what_cannot_be_read_is_not_blessed(recorded: Path, tmp_path: Path) -> None:
    path = copy(recorded, tmp_path, recorded.read_text() + "junk\n")
    result = run("replay", path, "--bless")
    assert result.exit_code == 1
    assert "nothing was written" in result.output
    assert path.read_text().endswith("junk\n")
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["other.trace"]


def test_several_at_once_and_as_junit(recorded: Path, tmp_path: Path) -> None:
    good = copy(recorded, tmp_path, recorded.read_text())
    bad = tmp_path / "x.trace"
    bad.write_text(good.read_text().replace("< 63c2", "< 63c1"))
    (tmp_path / "y.trace").write_text("junk")
    report = tmp_path / "report.xml"
    assert run("replay", tmp_path, "--jobs", 2, "--junit", report).exit_code == 1
    suite = ElementTree.parse(report).getroot()
    assert suite.attrib["tests"] == "3"
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("1", "1")
    failed = suite.find(f"testcase[@name='{bad}']/failure")
    assert failed is not None
    assert failed.text is not None
    assert "63C2" in failed.text


def pytest_run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    plugin = ("-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", *plugin, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=False,
    )


def test_traces_are_tests(recorded: Path, tmp_path: Path) -> None:
    good = copy(recorded, tmp_path, recorded.read_text())
    (tmp_path / "x.trace").write_text(good.read_text().replace("< 63c2", "< 63c1"))
    ran = pytest_run(tmp_path, "--apdu-traces", tmp_path, "--rootdir", tmp_path)
    assert ran.returncode == 1
    assert "1 failed, 1 passed" in ran.stdout
    assert "other.trace::replay PASSED" in ran.stdout
    assert "63C2 (2 tries left)" in ran.stdout
    assert "Traceback" not in ran.stdout
    (tmp_path / "x.trace").unlink()
    assert pytest_run(tmp_path, "--apdu-traces", tmp_path, "--rootdir", tmp_path).returncode == 0


def test_a_folder_of_traces_that_is_not_there(tmp_path: Path) -> None:
    ran = pytest_run(tmp_path, "--apdu-traces", tmp_path / "nowhere")
    assert ran.returncode == 4
    assert "is no folder" in ran.stderr
