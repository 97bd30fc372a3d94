"""The guide to CI: its files can be read, their commands do what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cloudcard_tools.shared.processes import Nursery
from support import warm_starts
from support.guides import run_by
from support.keystore_process import KeystoreProcess

ROOT = Path(__file__).parents[2]
PROBES = ROOT / "tests" / "traces" / "probes"
GUIDE = (ROOT / "docs" / "ci.md").read_text()
NAMES = ("gnupg", "libykpiv", "opensc")
# By its module: an environment made before the plugin was has no entry point for it.
PLUGIN = ("-p", "no:cloudcard_traces", "-p", "cloudcard_tools.trace.pytest_plugin")
PROGRAMS = {
    "cloudcard": ("-m", "cloudcard_tools"),
    "pytest": ("-m", "pytest", "-p", "no:cacheprovider", *PLUGIN),
}
KEY = re.compile(r"([\w-]+):(?: (.+))?")
# No mark that means something in YAML at the begin, nothing within that would end the scalar
PLAIN = re.compile(r"(?![-?:,\[\]{}#&*!|>'\"%@` ])(?:(?!: | #).)+(?<![ :])")
QUOTED = re.compile(r'"([^"\\]*)"')

Value = str | list["Value"] | dict[str, "Value"] | None


def blocks(language: str) -> list[str]:
    """What the guide shows in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def read_yaml(text: str) -> Value:
    """The part of YAML that the guide uses: lists, mappings, scalars of a line; no comments."""
    lines = [(len(line) - len(line.lstrip(" ")), line.lstrip(" ")) for line in text.splitlines()]
    value = _node(lines, lines[0][0])
    if lines:
        raise ValueError(f"indented wrongly: {lines[0][1]}")
    return value


def _node(lines: list[tuple[int, str]], indent: int) -> Value:
    """Take the list or the mapping that begins here."""
    return _list(lines, indent) if lines[0][1].startswith("- ") else _mapping(lines, indent)


def _list(lines: list[tuple[int, str]], indent: int) -> Value:
    items: list[Value] = []
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        item = lines[0][1][2:]
        if KEY.fullmatch(item):
            lines[0] = (indent + 2, item)
            items.append(_mapping(lines, indent + 2))
        else:
            items.append(_scalar(lines.pop(0)[1][2:]))
    return items


def _mapping(lines: list[tuple[int, str]], indent: int) -> Value:
    entries: dict[str, Value] = {}
    while lines and lines[0][0] == indent:
        found = KEY.fullmatch(lines[0][1])
        if found is None or found[1] in entries:
            raise ValueError(f"no key, or one twice: {lines[0][1]}")
        lines.pop(0)
        if found[2]:
            entries[found[1]] = _scalar(found[2])
        elif lines and lines[0][0] == indent + 2:
            entries[found[1]] = _node(lines, indent + 2)
        else:
            entries[found[1]] = None
    return entries


def _scalar(text: str) -> str:
    if quoted := QUOTED.fullmatch(text):
        return quoted[1]
    if PLAIN.fullmatch(text) is None:
        raise ValueError(f"no plain scalar: {text}")
    return text


def commands(value: Value, key: str = "") -> Iterator[str]:
    """What the jobs run."""
    match value:
        case str() if key in ("run", "script"):
            yield value
        case list():
            for each in value:
                yield from commands(each, key)
        case dict():
            for name, each in value.items():
                yield from commands(each, name)


DOCUMENTS = [read_yaml(text) for text in blocks("yaml")]
LINES = sorted({line for each in DOCUMENTS for line in commands(each)})
REPLAYS = [line for line in LINES if not line.startswith("pip ")]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder as the guide says that it is committed."""
    images = tmp_path / "traces" / "cards"
    images.mkdir(parents=True)
    for name in NAMES:
        path = PROBES / f"{name}.trace"
        shutil.copy(path, images.parent)
        image = re.findall(r"^@ card sha256:(\w+)$", path.read_text(), re.MULTILINE)[0]
        shutil.copy(PROBES.parent / "cards" / f"{image}.json", images)
    return tmp_path


def change(repository: Path) -> None:
    """Let a trace say what the card does not."""
    path = repository / "traces" / "libykpiv.trace"
    path.write_text(path.read_text().replace("< 63c3\n", "< 63c2\n"))


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line of the guide with this Python."""
    program, *arguments = shlex.split(line)
    return subprocess.run(
        [sys.executable, *PROGRAMS[program], *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=False,
    )


def test_jobs_for_both_and_both_ways_to_replay() -> None:
    github, step, gitlab, script = DOCUMENTS
    assert isinstance(github, dict)
    assert {"on", "jobs"} <= set(github)
    assert isinstance(step, list)
    assert isinstance(gitlab, dict)
    assert isinstance(gitlab["traces"], dict)
    assert {"image", "cache", "script", "artifacts"} <= set(gitlab["traces"])
    assert isinstance(script, dict)
    for one, other in ((github, step), (gitlab, script)):
        assert any(line.startswith("cloudcard ") for line in commands(one))
        assert any(line.startswith("pytest ") for line in commands(other))
    assert set(LINES) - set(REPLAYS) == {"pip install -r traces/requirements.txt"}


@pytest.mark.parametrize("line", REPLAYS)
def test_commands_end_with_0_where_all_is_the_same_and_else_with_1(
    line: str, repository: Path
) -> None:
    ran = run(line, repository)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert failures(repository) == (3, 0)
    change(repository)
    ran = run(line, repository)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert failures(repository) == (3, 1)


def failures(repository: Path) -> tuple[int, int]:
    """How many tests the JUnit file has, and how many of them failed."""
    cases = list(ElementTree.parse(repository / "traces.xml").iter("testcase"))
    return len(cases), sum(case.find("failure") is not None for case in cases)


def test_a_difference_is_shown_as_the_guide_shows_it_and_accepted(repository: Path) -> None:
    change(repository)
    path = repository / "traces" / "libykpiv.trace"
    before = path.read_text().splitlines()
    [shown] = blocks("text")
    block, _ = run_by("ci.md", __file__)
    accept, look = block.commands
    ran = run(accept, repository)
    assert (ran.returncode, ran.stdout) == (0, shown)
    assert look == "git diff traces"
    [diff] = blocks("diff")
    head, *lines = diff.splitlines()
    assert head.startswith("@@ -19,4 +19,4 @@")
    assert before[18:] == [line[1:] for line in lines if line[0] in " -"]
    assert path.read_text().splitlines()[18:] == [line[1:] for line in lines if line[0] in " +"]
    assert path.read_text() == (PROBES / path.name).read_text()


def test_a_failure_for_programs_is_the_one_of_the_guide(tmp_path: Path) -> None:
    _, block = run_by("ci.md", __file__)
    [line] = block.commands
    with Nursery(tmp_path / "logs") as nursery:
        port = KeystoreProcess(tmp_path, nursery).address.rpartition(":")[2]
    _, *words = shlex.split(line)
    ended = warm_starts.run(*words, environment={"CLOUDCARD_HOME": str(tmp_path)})
    [shown] = blocks("json")
    assert (ended.returncode, ended.stdout.replace(port, "7443")) == (1, shown)


@pytest.mark.parametrize(
    "text",
    [
        "a: b: c",
        "a:\n   b: c",
        "a: b\na: c",
        "a: [b",
        "- a\nb: c",
        "a:\n\tb: c",
        "a: b # c",
        "a: 'b",
        "script:\n  - echo: x: y",
    ],
)
def test_what_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"indented|key|scalar"):
        read_yaml(text)
