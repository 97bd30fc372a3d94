"""The corpus can be recorded anew: real programs at a card in the real reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from card_os.trace.lines import Step, read_all
from cloudcard_tools.shared import pcsc
from cloudcard_tools.trace.replay.replaying import replay
from recording.sessions import SESSIONS
from recording.stage import Studio

CORPUS = Path(__file__).parent.parent / "traces"
QUICK = ("opensc/look-p256", "yubico-piv-tool/passcodes")


def steps(path: Path) -> list[str]:
    with path.open(encoding="ascii") as file:
        return [line.name for _, line in read_all(file) if isinstance(line, Step)]


@pytest.mark.parametrize("name", QUICK)
def test_a_session_is_recorded(name: str, virtual_readers: pcsc.Client, tmp_path: Path) -> None:
    (session,) = [each for each in SESSIONS if each.name == name]
    path = Studio(virtual_readers, tmp_path / "kept", tmp_path / "scratch").record(session)
    outcome = replay(path)
    assert outcome.passed
    assert outcome.commands > 50
    assert steps(path) == steps(CORPUS / f"{name}.trace")
