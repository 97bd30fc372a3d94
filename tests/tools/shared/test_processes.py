"""Children of a Nursery: what they say, how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cloudcard_tools.shared.lines import Lines
from cloudcard_tools.shared.processes import Nursery, ProcessFailed
from support.endings import wait_until_gone

REPEAT = "import sys\nfor line in sys.stdin: print('got', line, end='', flush=True)"
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf")
time.sleep(60)
"""


@pytest.fixture
def nursery(tmp_path: Path):
    with Nursery(tmp_path / "logs") as nursery:
        yield nursery


def test_lines_go_both_ways_and_into_the_log(nursery: Nursery) -> None:
    child = nursery.start_python("repeat", "-c", REPEAT)
    child.send("one")
    child.send("two 22")
    assert child.wait_for(r"two (\d+)")[1] == "22"
    child.close_input()
    assert child.wait() == 0
    assert child.log.read_text().splitlines() == ["got one", "got two 22"]


def test_json_lines_are_found_among_others(nursery: Nursery) -> None:
    text = "\\n".join(["noise", "[1]", '{"event": "a"}', '{"event": "b", "n": 2}', "rest"])
    child = nursery.start_python("events", "-c", f"print('''{text}''')")
    assert child.wait_for_json(event="b") == {"event": "b", "n": 2}
    child.wait()
    with pytest.raises(ProcessFailed, match="ended without saying"):
        child.wait_for_json(event="a")  # it went by


def test_a_child_that_ends_early_shows_its_last_words(nursery: Nursery) -> None:
    child = nursery.start_python("broken", "-c", "import sys; sys.exit('no such card')")
    with pytest.raises(ProcessFailed, match=r"(?s)broken ended without saying ready.*no such card"):
        child.wait_for("ready")
    assert child.wait() == 1


def test_waits_end_in_time(nursery: Nursery) -> None:
    child = nursery.start_python("silent", "-c", "import time; time.sleep(60)")
    with pytest.raises(ProcessFailed, match=r"has not said ready in 0\.1 s"):
        child.wait_for("ready", timeout=0.1)
    with pytest.raises(ProcessFailed, match=r"still runs after 0\.1 s"):
        child.wait(0.1)


def test_an_ended_child_reads_no_input(nursery: Nursery) -> None:
    child = nursery.start_python("brief", "-c", "pass")
    child.wait()
    with pytest.raises(ProcessFailed, match="reads no more input"):
        child.send("hello")


def test_kill_and_restart(nursery: Nursery) -> None:
    first = nursery.start_python("counter", "-c", "import time; print('up'); time.sleep(60)", X="1")
    first.wait_for("up")
    first.kill()
    assert first.returncode == -signal.SIGKILL
    second = nursery.restart("counter")
    second.wait_for("up")
    assert second is nursery["counter"]
    assert (second.pid, second.environment) != (first.pid, {})
    assert second.log.read_text() == "up\nup\n"


def test_names_are_unique(nursery: Nursery) -> None:
    nursery.start_python("one", "-c", "pass")
    with pytest.raises(ValueError, match="already"):
        nursery.start_python("one", "-c", "pass")


def test_children_are_stopped_in_reverse_order_whatever_happens(tmp_path: Path) -> None:
    notes = tmp_path / "ends"
    script = (
        "import signal, sys\n"
        f"def end(*_):\n  open({str(notes)!r}, 'a').write(sys.argv[1])\n  sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up')\nsignal.pause()\nsignal.pause()"
    )

    def fail() -> None:
        with Nursery(tmp_path) as nursery:
            for name in "abc":
                nursery.start_python(name, "-c", script, name).wait_for("up")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert notes.read_text() == "cba"


def test_a_child_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudcard_tools.shared.processes.GRACE_SECONDS", 0.2)
    with Nursery(tmp_path) as nursery:
        child = nursery.start_python("deaf", "-c", DEAF)
        child.wait_for("deaf")
    assert child.returncode == -signal.SIGKILL


PARENT = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # even under nohup
from pathlib import Path
from cloudcard_tools.shared import processes
processes.GRACE_SECONDS = 0.2
with processes.Nursery(Path(sys.argv[1])) as nursery:
    child = nursery.start_python("deaf", "-c", sys.argv[2])
    child.wait_for("deaf")
    try:
        print(child.pid, flush=True)
        time.sleep(60)
    finally:
        print("left in order", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "last_words"),
    [(signal.SIGKILL, ""), (signal.SIGTERM, "left in order\n"), (signal.SIGHUP, "left in order\n")],
)
def test_no_child_outlives_its_parent(
    tmp_path: Path, number: signal.Signals, last_words: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path, DEAF],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, number)
        assert parent.stdout.read() == last_words
    wait_until_gone(pid)


def test_lines_wake_a_waiting_thread() -> None:
    lines = Lines()
    timer = threading.Timer(0.05, lines.put, ["hello"])
    timer.start()
    assert lines.first(lambda line: line or None, timeout=60) == "hello"
    lines.put("rest")
    lines.end()
    assert lines.take_all() == ["rest"]
    with pytest.raises(EOFError):
        lines.first(lambda line: line, timeout=60)
    timer.join()
