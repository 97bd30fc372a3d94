"""What people are shown of the agent."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard_tools.reader.service import commands, control
from cloudcard_tools.reader.service.state import SOCKET_NAME, Here, Status
from reader_bridge.leaving import Slot


def shown(monkeypatch: pytest.MonkeyPatch, folder: Path, answer: control.Answer) -> str:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    (folder / "cloudcard").mkdir()
    with control.served(folder / "cloudcard" / SOCKET_NAME, answer):
        return CliRunner().invoke(commands.status).output


def test_one_slot_has_no_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status = Status("1", 1, "PC", (Here(0, Slot.TAKEN, "15001"),))
    text = shown(monkeypatch, tmp_path, lambda _: status.as_row())
    assert text.splitlines()[:2] == ["Slot            inserted", "Card            15001"]
    assert "Workstation     PC" in text


def test_of_several_each_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status = Status("1", 1, "PC", (Here(0), Here(1, Slot.TAKEN, "15001", "inserted")))
    text = shown(monkeypatch, tmp_path, lambda _: status.as_row())
    assert "Slot 0          empty" in text
    assert "Card 1          15001" in text
    assert "Reader 1        inserted" in text


def test_an_agent_of_before_is_to_be_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "start it again" in shown(monkeypatch, tmp_path, lambda _: {"state": "empty"})
