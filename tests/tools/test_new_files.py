"""What a person names for a command to write is never overwritten, by any command."""

from __future__ import annotations

import ast
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from architecture.imports import modules
from cloudcard_tools import ending, new_files
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.new_files import INTO, NEW_FILE, NEW_FOLDER, Output
from cloudcard_tools.shared.failures import Failure, FileExists
from cloudcard_tools.streams import OutputLost
from support.commands import walk

ADVICE = "name another file, or remove it first"
TRACES = Path(__file__).parents[1] / "traces"
TRACE = str(next((TRACES / "opensc").glob("*.trace")))
PRESCRIPTION = str(Path(__file__).parents[1] / "samples" / "prescription.xml")
# Paths that may exist or not, and are never written as a person's new file.
KEPT = {
    "--data": "the data folder of a keystore: made once, then used",
    "--hsm-module": "a library, which is loaded; a keystore says if it is missing",
    "--hsm-pin-file": "read; a keystore says if it is missing",
    "--identity": "enrolment refuses a folder that holds anything (tests/tools/enrolment)",
    "--sms-file": "holds messages, which are added to those of before",
    "--state": "holds a local card, which goes on with it; another file is refused",
}
# What may replace a file: only one that the same command has made before.
MADE_ANEW = {
    ("trace replay", "--junit"): "a report, which CI makes at each run",
    ("manual", "folder"): "manual pages, which the next version writes over its own",
}
# Modules that write files by other means.
WRITERS = {
    "cloudcard_tools.audit.pack": "a pack, portion by portion, into a draft of new_files",
    "cloudcard_tools.bench.signing.bare": "a key and certificates, in a folder that it makes",
    "cloudcard_tools.bench.own_pcscd": "logs and readers of its pcscd, in a folder of its own",
    "cloudcard_tools.bench.peer": "a mark in an environment of its own",
    "cloudcard_tools.bench.town": "a keystore of its own, in a folder that it makes",
    "cloudcard_tools.bench.trace": "a trace in a temporary folder",
    "cloudcard_tools.bench.web.measuring": "a certificate and its key, in a temporary folder",
    "cloudcard_tools.new_files": "the one home",
    "cloudcard_tools.demo.scenes": "a note to sign, in the demo's own folder",
    "cloudcard_tools.serve.supervisor": "a process's own name, which the kernel has",
    "cloudcard_tools.shared.pcscd": "logs, which grow, and a lock",
    "cloudcard_tools.shared.processes": "logs, which grow",
    "cloudcard_tools.trace.replay.cards": "an image whose name is its digest: the same content",
    "cloudcard_tools.trace.replay.replaying": "`--bless`, which is asked to write traces anew",
}
WRITING = frozenset({"write_text", "write_bytes", "touch"})
# A command with each parameter that names what it writes: "there" exists.
REFUSED: dict[tuple[str, str], tuple[str, ...]] = {
    ("audit cosign", "file"): ("--witness", "https://witness.example.org", "key"),
    ("audit export", "file"): (),
    ("audit pack", "file"): (),
    ("audit tiles", "folder"): (TRACE,),
    ("audit verify", "--keep"): (TRACE,),
    ("backup", "file"): (),
    ("doctor", "--support-bundle"): (),
    ("eps sign", "--into"): (PRESCRIPTION, "--card", "1"),
    ("fixture card", "--output"): (),
    ("keys authorities", "--export"): (),
    ("ra ca crl", "--export"): ("1",),
    ("ra ca show", "--export"): ("1",),
    ("ra card requests export", "into"): (),
    ("ra card requests export", "--zip"): (),
    ("ra card show", "--export"): ("1",),
    ("ra export cards", "--output"): (),
    ("ra export pending", "--output"): (),
    ("ra export users", "--output"): (),
    ("ra report access", "--output"): (),
    ("ra report cards", "--output"): (),
    ("ra import", "--rejected"): (TRACE,),
    ("ra import", "--tokens"): (TRACE,),
    ("reader", "--record"): ("--local",),
    ("trace export", "--output"): (TRACE, "--to", "hex"),
    ("trace fuzz", "--out"): (TRACE,),
    ("trace import", "--output"): (TRACE,),
    ("trace minimise", "--output"): (TRACE,),
    ("trace record", "--output"): ("--reader", "none", "--script", TRACE),
    ("trace show", "--html"): (TRACE,),
}


def parameters() -> Iterator[tuple[str, str, click.Path]]:
    """Each parameter of each command that is a path, by the command and its own longest name."""
    for path, command in walk(cloudcard):
        for each in command.params:
            if isinstance(each.type, click.Path):
                yield path, max(each.opts, key=len), each.type


OUTPUTS = {(path, name): kind for path, name, kind in parameters() if isinstance(kind, Output)}


def unaccounted(name: str, kind: click.Path) -> bool:
    """Whether a parameter may be a file to write, and nobody says what happens to an old one."""
    return not (isinstance(kind, Output) or kind.exists or name in KEPT)


def test_every_path_is_read_or_kept_or_new() -> None:
    found = [(path, name) for path, name, kind in parameters() if unaccounted(name, kind)]
    assert found == []
    assert {name for _, name, _ in parameters()} >= set(KEPT)


def test_a_path_that_a_command_would_overwrite_is_found() -> None:
    assert unaccounted("--html", click.Path(dir_okay=False, path_type=Path))
    assert not unaccounted("file", click.Path(exists=True))
    assert not unaccounted("--html", NEW_FILE)


def test_every_output_is_tried_or_made_anew() -> None:
    assert set(OUTPUTS) == set(REFUSED) | set(MADE_ANEW)
    assert {kind for kind in OUTPUTS.values() if kind not in (NEW_FILE, NEW_FOLDER, INTO)} == {
        OUTPUTS["trace replay", "--junit"]
    }


@pytest.mark.parametrize(
    "command", [each for each in REFUSED if OUTPUTS.get(each) is not INTO], ids=" ".join
)
def test_what_exists_is_kept(
    command: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path, name = command
    there = Path("there")
    is_folder = OUTPUTS[command] is NEW_FOLDER
    if is_folder:
        there.mkdir()
    content = there / "found" if is_folder else there
    content.write_text("kept")
    named = ("there",) if not name.startswith("-") else (name, "there")
    assert ending.run(cloudcard, (*path.split(), *REFUSED[command], *named)) == 1
    said = "holds files: name another folder" if is_folder else f"exists: {ADVICE}"
    assert f"Error: there {said}" in capsys.readouterr().err
    assert content.read_text() == "kept"
    assert sorted(Path().rglob("*")) == sorted({there, content})


def test_the_reason_is_one_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").touch()
    arguments = ("trace", "minimise", TRACE, "-o", str(tmp_path / "there"), "--json")
    assert ending.run(cloudcard, arguments) == 1
    assert json.loads(capsys.readouterr().out)["error"]["reason"] == "EXISTS"


def test_a_card_is_not_made_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("fixture", "card", "--algorithm", "p256", "-o", str(tmp_path))
    assert ending.run(cloudcard, arguments) == 0
    (trace,) = tmp_path.glob("*.trace")
    trace.write_text("kept")
    assert ending.run(cloudcard, arguments) == 1
    assert f"Error: {trace} exists: {ADVICE}" in capsys.readouterr().err
    assert trace.read_text() == "kept"


def test_a_report_replaces_a_report_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, note = tmp_path / "traces.xml", tmp_path / "note"
    arguments = ("trace", "replay", TRACE, "--junit")
    for _ in range(2):
        assert ending.run(cloudcard, (*arguments, str(report))) == 0
    note.write_text("kept")
    assert ending.run(cloudcard, (*arguments, str(note))) == 1
    assert "is no report of before" in capsys.readouterr().err
    assert note.read_text() == "kept"


def test_a_manual_page_replaces_a_manual_page_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "cloudcard.1"
    page.write_text('.TH "CLOUDCARD" "1" "" "before"')
    assert ending.run(cloudcard, ("manual", str(tmp_path))) == 0
    assert "before" not in page.read_text()
    page.write_text("kept")
    assert ending.run(cloudcard, ("manual", str(tmp_path))) == 1
    assert "is no report of before" in capsys.readouterr().err
    assert page.read_text() == "kept"


def writes(source: str) -> list[int]:
    """The lines in which a module writes files by itself."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in WRITING:
                found.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr="open") | ast.Name(id="open"), args=args):
                modes = [each.value for each in args if isinstance(each, ast.Constant)]
                if any(isinstance(mode, str) and mode[:1] in ("w", "a", "x") for mode in modes):
                    found.append(node.lineno)
            case ast.Attribute(attr="O_CREAT"):
                found.append(node.lineno)
    return found


def test_files_are_written_in_one_place() -> None:
    """So a command is seen whose file is no click.Path, or that forgets the rule as it writes."""
    tools = {name: path for name, path in modules() if name.startswith("cloudcard_tools.")}
    assert {name for name, path in tools.items() if writes(path.read_text())} == set(WRITERS)


@pytest.mark.parametrize(
    "source",
    [
        "path.write_text(x)",
        "path.open('w', encoding='utf-8')",
        "open(path, 'ab')",
        "os.open(path, os.O_CREAT)",
        "path.touch()",
    ],
)
def test_a_module_that_writes_is_found(source: str) -> None:
    assert writes(source) == [1]
    assert writes("path.open('rb'); open(path); path.read_text()") == []


def fails(error: BaseException) -> Callable[[Path], None]:
    """Something that fails while a file is written."""

    def failing(path: Path) -> None:
        with new_files.opened(path) as file:
            file.write("half")
            raise error

    return failing


@pytest.mark.parametrize(
    "error", [Failure("no"), KeyboardInterrupt(), OutputLost(1, "no"), ConnectionResetError()]
)
def test_nothing_stays_of_what_fails(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as raised:
        fails(error)(tmp_path / "made")
    assert raised.value is error
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_of_the_file_that_was_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full") as raised:
        fails(OSError(errno.ENOSPC, "full"))(tmp_path / "made")
    assert raised.value.filename == str(tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_elsewhere_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        fails(FileNotFoundError(errno.ENOENT, "none", "other"))(tmp_path / "made")
    assert raised.value.filename == "other"


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_meanwhile_stays_taken(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made"
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    with pytest.raises(FileExists, match=ADVICE), new_files.draft(path):
        path.write_text("another's")
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_gets_its_name_when_it_is_complete(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made"
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    with new_files.opened(path) as file:
        file.write("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def without_links(source: Path, target: Path) -> None:
    """What a file system without hard links says."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(source), None, str(target))


def test_a_link_that_leads_nowhere_is_something(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExists), new_files.opened(path):
        raise AssertionError
    with pytest.raises(FileExists), new_files.growing(path):
        raise AssertionError
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_report_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("<?xml old")
    with pytest.raises(Failure), new_files.report(path, b"<?xml"):
        raise Failure("no")
    assert path.read_text() == "<?xml old"
    assert list(tmp_path.iterdir()) == [path]
