"""What docs/ci.md tells others to run does run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "ci.md").read_text()
CORPUS = ROOT / "tests" / "traces"
BLOCKS = re.findall(r"```(yaml|sh)\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = sorted(
    {
        found[1]
        for _, block in BLOCKS
        for found in re.finditer(
            r"^(?: *- (?:run: )?)?((?:cloudcard|pytest) .*)$", block, re.MULTILINE
        )
    }
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project with a few traces."""
    shutil.copytree(CORPUS / "probes", tmp_path / "traces")
    shutil.copytree(CORPUS / "cards", tmp_path / "traces" / "cards")
    return tmp_path


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(command)
    modules = {"cloudcard": "cloudcard_tools", "pytest": "pytest"}
    return subprocess.run(
        [sys.executable, "-m", modules[program], *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_are_commands_for_all_that_is_told() -> None:
    assert len(COMMANDS) == 2
    assert [language for language, _ in BLOCKS] == ["yaml", "yaml", "sh"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_passes_and_fails(command: str, checkout: Path) -> None:
    ended = run(command, checkout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    changed = checkout / "traces" / "gnupg.trace"
    changed.write_text(changed.read_text().replace("< 6a82", "< 6a80"))
    ended = run(command, checkout)
    assert ended.returncode == 1
    assert "gnupg.trace" in ended.stdout
    assert "expected  6A80 (wrong data), 0 bytes of data" in ended.stdout
    if "--junit" in command:
        assert "<failure" in (checkout / "traces.xml").read_text()


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "yaml"])
def test_the_examples_are_laid_out_as_yaml_is(block: str) -> None:
    assert "\t" not in block
    depth = 0
    for line in block.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        assert indent % 2 == 0
        assert indent <= depth + 2
        assert re.match(r" *(- )?([\w-]+:( .+)?|- .+|[\w-].*)$", line), line
        depth = indent + 2 * line.lstrip(" ").startswith("- ")
