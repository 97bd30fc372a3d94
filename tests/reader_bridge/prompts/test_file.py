"""A file that tells what waits."""

from __future__ import annotations

import json
from pathlib import Path

from reader_bridge.prompter import Outcome
from reader_bridge.prompts.file import FilePrompter
from reader_bridge.prompts.json_lines import drawn
from support.prompts import BOTH, prompt, unheard


def test_the_file_is_there_while_something_waits(tmp_path: Path) -> None:
    path = tmp_path / "prompt.json"
    path.write_text("of a reader that was killed")
    prompter = FilePrompter(path)
    assert not path.exists()
    prompter.show(BOTH, unheard)
    assert json.loads(path.read_text()) == [drawn(BOTH)]
    assert path.stat().st_mode & 0o777 == 0o600
    prompter.show(prompt("second"), unheard)
    prompter.clear("id", Outcome.APPROVED)
    assert [each["operation"] for each in json.loads(path.read_text())] == ["second"]
    prompter.clear("second", Outcome.EXPIRED)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_costs_the_prompt_alone(tmp_path: Path) -> None:
    prompter = FilePrompter(tmp_path / "missing" / "prompt.json")
    prompter.show(BOTH, unheard)
    prompter.clear("id", Outcome.APPROVED)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "prompt.json", tmp_path / "other"
    other.write_text("kept")
    path.symlink_to(other)
    FilePrompter(path).show(BOTH, unheard)
    assert other.read_text() == "kept"
    assert not path.is_symlink()
