"""The supervisor with small programs for workers: those that fail, hang, talk and do not end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud_keystore.config import Address
from cloud_keystore.run.ports import CannotListen
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.serve import supervisor
from cloudcard_tools.serve.supervisor import Supervisor, WorkerFailed, holding

READY = "import os, sys, time; print('ready', flush=True);"
LASTS = READY + "sys.stdin.read()"


def run(
    programs: list[str], ready: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM)
) -> None:
    """Supervise Python programs, by default until all have said that they serve."""

    def command(number: int) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", programs[number]]

    async def supervise() -> None:
        await Supervisor(len(programs), command).run(ready)

    asyncio.run(supervise())


def never() -> None:
    raise AssertionError("not all serve")


def test_all_serve_and_all_end(tmp_path: Path) -> None:
    note = (
        f"import signal; f = {str(tmp_path)!r} + '/' + str(os.getpid());"
        "signal.signal(signal.SIGTERM, lambda *_: (open(f, 'w').close(), sys.exit()));"
    )
    program = f"import os, sys; {note} print('ready', flush=True); sys.stdin.read()"
    run([program] * 3)
    assert len(list(tmp_path.iterdir())) == 3  # asked to end, not killed


def test_a_worker_that_does_not_start_is_an_error_and_not_an_endless_try() -> None:
    with pytest.raises(WorkerFailed, match="worker 1 does not start"):
        run([LASTS, "raise SystemExit(1)"], never)


def test_a_worker_that_says_nothing_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", 0.2)
    with pytest.raises(WorkerFailed, match="worker 0 does not start"):
        run(["import sys; sys.stdin.read()"], never)


def test_a_worker_that_ends_is_started_again_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.01)
    count = tmp_path / "count"
    counts = f"open({str(count)!r}, 'a').write('x');"
    with pytest.raises(WorkerFailed, match="worker 0 ended 5 times in a row"):
        run([READY + counts + "sys.exit(3)", LASTS], lambda: None)
    assert count.read_text() == "x" * supervisor.MOST_FAILURES


def test_a_steady_worker_has_its_ends_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STEADY_SECONDS", 0.0)
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.0)
    count = tmp_path / "count"
    most = supervisor.MOST_FAILURES + 2
    program = (
        f"{READY} f = {str(count)!r}; open(f, 'a').write('x');"
        f"len(open(f).read()) >= {most} and (os.kill({os.getpid()}, 15), sys.stdin.read())"
    )
    run([program], lambda: None)
    assert count.read_text() == "x" * most


def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    began = time.monotonic()
    deaf = f"import signal; signal.signal(15, signal.SIG_IGN); {READY} time.sleep(60)"
    run([deaf, LASTS])
    assert 0.2 <= time.monotonic() - began < 10


def test_a_worker_that_hangs_is_killed_and_one_that_says_that_it_lives_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker stopped within a transaction of SQLite would keep the others waiting for ever."""
    monkeypatch.setattr(supervisor, "MOST_SILENT", 0.3)
    monkeypatch.setattr(supervisor, "ALIVE_SECONDS", 0.1)
    starts = tmp_path / "starts"

    def program(number: int) -> str:
        return (
            f"{READY} import signal; f = open({str(starts)!r}, 'a'); f.write('{number}');"
            f"f.close(); again = open({str(starts)!r}).read().count('{number}') > 1\n"
            f"if again: os.kill({os.getpid()}, 15)\n"
            f"if not {number} and not again: os.kill(os.getpid(), signal.SIGSTOP)\n"
            "while True: print('alive', flush=True); time.sleep(0.05)"
        )

    run([program(0), program(1)], lambda: None)
    assert sorted(starts.read_text()) == ["0", "0", "1"]


def test_what_one_says_all_others_hear(tmp_path: Path) -> None:
    folder = str(tmp_path)

    def program(number: int) -> str:
        ends = f"os.kill({os.getpid()}, 15)" if number == 2 else "None"
        return (
            f"{READY} open({folder!r} + '/serves{number}', 'w').close();\n"
            f"while len(os.listdir({folder!r})) < 3: time.sleep(0.01)\n"
            f"print('topic-of-{number}', flush=True)\n"
            "heard = sorted(sys.stdin.readline() for _ in range(2))\n"
            f"open({folder!r} + '/serves{number}', 'w').write(''.join(heard))\n"
            f"while not all(os.path.getsize({folder!r} + f'/serves{{i}}') for i in range(3)):\n"
            "    time.sleep(0.01)\n"
            f"{ends}\n"
            "sys.stdin.read()"
        )

    run([program(number) for number in range(3)], lambda: None)
    for number in range(3):
        others = "".join(f"topic-of-{other}\n" for other in range(3) if other != number)
        assert (tmp_path / f"serves{number}").read_text() == others


def test_ports_are_asked_for_and_held() -> None:
    (port,) = free_ports(1)
    address = Address("127.0.0.1", port)
    with (
        socket.create_server((address.host, port), reuse_port=True),
        pytest.raises(CannotListen, match=str(port)),
        holding([address]),
    ):
        pass
    with holding([address]):
        with pytest.raises(OSError, match="in use"), socket.socket() as rival:
            rival.bind((address.host, port))
        socket.create_server((address.host, port), reuse_port=True).close()  # what a worker does
    socket.create_server((address.host, port)).close()


def test_a_name_that_stands_for_several_addresses_is_held_at_those_there_are() -> None:
    (port,) = free_ports(1)
    with holding([Address("localhost", port)]):
        pass
    with pytest.raises(CannotListen), holding([Address("no.such.name.invalid", port)]):
        pass
