"""Small programs under a supervisor: those that fail, hang, talk and do not end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from cloud_keystore.notify.siblings import ALIVE, ENDING, READY, Siblings
from cloudcard_tools.serve import supervisor
from cloudcard_tools.serve.supervisor import Part, Supervisor, WorkerFailed
from support.warm_starts import context

Program: TypeAlias = Callable[[Siblings, Path], int]

SECONDS = 60.0


def supervise(
    folder: Path, programs: Sequence[Program], *, ends: bool = True, **constants: float
) -> str:
    """Supervise programs in a process of its own, with other values of the supervisor's constants.
    Returns why it failed, or an empty text. If `ends`, it is told to end once all serve.
    """
    hears, says = multiprocessing.Pipe(duplex=False)
    process = context.Process(target=_supervise, args=(folder, programs, ends, constants, says))
    process.start()
    says.close()
    try:
        assert hears.poll(SECONDS), "the supervisor does not end"
        return str(hears.recv())
    finally:
        process.kill()
        process.join()


def _supervise(
    folder: Path,
    programs: Sequence[Program],
    ends: bool,
    constants: Mapping[str, float],
    says: Connection,
) -> None:
    for name, value in constants.items():
        setattr(supervisor, name, value)
    parts = [
        Part("worker", number, partial(_run, program, folder), waits=True, rank=0)
        for number, program in enumerate(programs)
    ]
    failure = ""
    try:
        Supervisor(parts).run(_end if ends else (folder / "ready").touch)
    except WorkerFailed as failed:
        failure = str(failed)
    says.send(failure)


def _run(program: Program, folder: Path, siblings: Siblings) -> int:
    return program(siblings, folder)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def lasts(siblings: Siblings, folder: Path) -> int:
    """Serve until told to end, and note that."""

    def note(*_: object) -> None:
        (folder / f"told {os.getpid()}").touch()
        os._exit(0)

    signal.signal(signal.SIGTERM, note)
    siblings.tell_ready()
    while os.read(siblings.hears, 1 << 16):
        pass
    return 0


def fails(_: Siblings, _folder: Path) -> int:
    """Do not start."""
    return 1


def breaks(_: Siblings, _folder: Path) -> int:
    """Do not start, with an exception."""
    raise RuntimeError("broken")


def is_silent(siblings: Siblings, _: Path) -> int:
    """Never say that it serves."""
    os.read(siblings.hears, 1)
    return 0


def ends_at_once(siblings: Siblings, folder: Path) -> int:
    """Serve, and end."""
    siblings.tell_ready()
    _count(folder)
    return 3


def ends_often(most: int, siblings: Siblings, folder: Path) -> int:
    """Serve, and end until it has been started so often; then end the supervisor."""
    siblings.tell_ready()
    if _count(folder) >= most:
        os.kill(os.getppid(), signal.SIGTERM)
        os.read(siblings.hears, 1)
    return 3


def is_deaf(siblings: Siblings, _: Path) -> int:
    """Do not end when told to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    siblings.tell_ready()
    time.sleep(SECONDS)
    return 0


def hangs_once(hang: Callable[[], None], siblings: Siblings, folder: Path) -> int:
    """Hang the first time; the second time end the supervisor."""
    siblings.tell_ready()
    again = _count(folder, str(siblings.number)) > 1
    if again:
        os.kill(os.getppid(), signal.SIGTERM)
    elif not siblings.number:
        hang()
    while True:
        os.write(siblings.says, ALIVE)
        time.sleep(0.05)


def stops() -> None:
    """Hang by being stopped."""
    os.kill(os.getpid(), signal.SIGSTOP)


def spins() -> None:
    """Hang in an endless loop."""
    while True:
        pass


def starves(siblings: Siblings, folder: Path) -> int:
    """Work a little, in silence, beside a process that takes the same processor nearly whole; then
    end the supervisor.
    """
    _count(folder)
    siblings.tell_ready()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    own = os.getpid()
    if os.fork() == 0:
        while os.getppid() == own:
            pass
        os._exit(0)
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    enough = time.process_time() + 0.05  # seconds, of which it gets one in seventy
    while time.process_time() < enough:
        pass
    os.kill(os.getppid(), signal.SIGTERM)
    os.read(siblings.hears, 1)
    return 0


def ends_slowly(siblings: Siblings, folder: Path) -> int:
    """Say that it ends in order, take some time for it, and note that; then end the supervisor."""
    again = _count(folder) > 1
    # At once: from the first on it must say something in time.
    os.write(siblings.says, READY + ENDING)
    if again:
        os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(1.5)
    (folder / "ended in order").touch()
    return 0


def talks(count: int, siblings: Siblings, folder: Path) -> int:
    """Say a topic when all serve, and write down what the others say."""
    siblings.tell_ready()
    while not (folder / "ready").exists():
        time.sleep(0.01)
    siblings.tell([f"topic-of-{siblings.number}"])
    heard = b""
    while heard.count(b"\n") < count - 1:
        heard += os.read(siblings.hears, 1 << 16)
    draft = folder / f"draft {siblings.number}"
    draft.write_text(" ".join(sorted(heard.decode().split())))
    draft.rename(folder / f"heard {siblings.number}")
    if siblings.number == 0:
        while len(list(folder.glob("heard *"))) < count:
            time.sleep(0.01)
        os.kill(os.getppid(), signal.SIGTERM)
    os.read(siblings.hears, 1)
    return 0


def _count(folder: Path, name: str = "x") -> int:
    """How often this was called with a name."""
    with (folder / "starts").open("a") as file:
        file.write(name)
    return (folder / "starts").read_text().count(name)
