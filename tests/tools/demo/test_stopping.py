"""The demo ends at the first fault that the rest depends on, and does not wait for what cannot
come.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cloudcard_tools.demo.programs import must
from cloudcard_tools.demo.stage import Stage
from cloudcard_tools.demo.timeline import Halted, StepFailed, Timeline
from cloudcard_tools.shared.processes import Nursery


def test_a_step_that_others_need_ends_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline()
    with timeline.step("this one is a pity"):
        raise StepFailed("no sound")
    with pytest.raises(Halted), timeline.step("this one is the stage", needed=True):
        raise StepFailed("no slots")
    assert timeline.failed == ["this one is a pity", "this one is the stage"]
    printed = capsys.readouterr().out
    assert printed.count("FAILED") == 2
    assert printed.count("were left out") == 1
    with pytest.raises(StepFailed, match="this one is the stage"):
        timeline.end()


def test_an_application_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    begun = time.monotonic()
    with Nursery(tmp_path) as nursery:
        nursery.start("reader-0", "sleep", "60")
        stage = Stage(tmp_path, nursery, interactive=False)
        with pytest.raises(StepFailed, match=r"(?s)ended before.*sh ended with 3:\nNo slots"):
            stage.while_deciding(
                stage.approve_push, lambda: must(["sh", "-c", "echo No slots; exit 3"])
            )
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("event", ["port_busy", "refused", "pcscd_not_running"])
def test_a_reader_that_says_why_not_is_not_waited_for(
    tmp_path: Path, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Nursery(tmp_path) as nursery:
        stage = Stage(tmp_path, nursery, interactive=False)
        said = f'echo \'{{"event": "{event}", "text": "why"}}\'; exec sleep 60'
        monkeypatch.setattr(
            Stage, "start_reader", lambda *_: nursery.start("reader-0", "sh", "-c", said)
        )
        with pytest.raises(StepFailed, match=event):
            stage.insert(0, "1000", "push")
