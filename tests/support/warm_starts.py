"""Starts our programs from a process that has imported them already.

The suite starts keystores, readers and phones hundreds of times, and each would import for a second
or two before it does anything. A server of Python's `multiprocessing` imports once and forks. The
forked process then is as a started one: session, pipes, environment, folder and arguments of its
own, and the kernel kills it when its parent ends.
"""

from __future__ import annotations

import ctypes
import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

from cloudcard_tools.demo import programs
from cloudcard_tools.shared import processes

OURS = ("-m", "cloudcard_tools")
SECONDS = 120.0
IMPORTED = (
    "cloudcard_tools.shell.lazy",
    "cloudcard_tools.serve.command",
    "cloudcard_tools.reader.command",
    "cloudcard_tools.authenticator.command",
    "cloudcard_tools.ra.command",
    "cloudcard_tools.audit.command",
    "cloudcard_tools.backup.command",
    "cloud_keystore.run.serving",
)
PR_SET_PDEATHSIG = 1


class Forked:
    """A forked program, with what `Popen` offers of one."""

    def __init__(self, process: ForkServerProcess, stdin: int, stdout: int) -> None:
        """Take over the ends of its pipes."""
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb")
        self._process = process
        # The server tells the exit status once.
        self._asking = Lock()

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    def poll(self) -> int | None:
        """The exit status, or None while the program runs."""
        with self._asking:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Raises TimeoutExpired after `timeout` seconds."""
        multiprocessing.connection.wait([self._process.sentinel], timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("forked", timeout or 0)
        return status

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, sig)


def launch(
    command: Sequence[str], errors: IO[bytes], environment: Mapping[str, str]
) -> processes.Process:
    """Fork a program of ours, and start any other as usual."""
    arguments = ours(command)
    if arguments is None:
        return started(command, errors, environment)
    (theirs_in, stdin), (stdout, theirs_out) = os.pipe(), os.pipe()
    streams = theirs_in, theirs_out, os.dup(errors.fileno())
    return Forked(fork(arguments, environment, os.getcwd(), streams), stdin, stdout)


def run(
    *arguments: str,
    stdin: str = "",
    environment: Mapping[str, str] = {},
    folder: Path | None = None,
    timeout: float = SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run `cloudcard` to its end; `environment` is added to ours.

    Raises TimeoutExpired, after killing it, if it lasts longer than `timeout` seconds.
    """
    with TemporaryFile() as given, TemporaryFile() as output, TemporaryFile() as errors:
        given.write(stdin.encode())
        given.seek(0)
        streams = [os.dup(stream.fileno()) for stream in (given, output, errors)]
        place = str(folder or Path.cwd())
        process = fork(arguments, {**os.environ, **environment}, place, streams)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(["cloudcard", *arguments], timeout)
        said = [written(stream) for stream in (output, errors)]
        return subprocess.CompletedProcess(["cloudcard", *arguments], process.exitcode, *said)


def run_program(command: Sequence[str], stdin: str = "", **environment: str) -> programs.Ended:
    """What the demo runs programs with: a program of ours is forked."""
    arguments = ours(command)
    if arguments is None:
        return ran(command, stdin, **environment)
    done = run(*arguments, stdin=stdin, environment=environment)
    return programs.Ended(done.returncode, done.stdout, done.stderr)


def ours(command: Sequence[str]) -> tuple[str, ...] | None:
    """The arguments of `cloudcard`, if it is what a command starts."""
    program, *rest = command
    rest = rest[1:] if rest[:1] == ["-u"] else rest
    return tuple(rest[2:]) if program == sys.executable and tuple(rest[:2]) == OURS else None


def written(stream: IO[bytes]) -> str:
    """What a program wrote into a file."""
    stream.seek(0)
    return stream.read().decode(errors="replace")


def fork(
    arguments: Sequence[str], environment: Mapping[str, str], folder: str, streams: Sequence[int]
) -> ForkServerProcess:
    """A forked `cloudcard` that takes over three descriptors."""
    theirs = [Connection(stream) for stream in streams]
    process = context.Process(target=become, args=(arguments, dict(environment), folder, theirs))
    process.start()
    for connection in theirs:
        connection.close()
    return process


def become(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    streams: Sequence[Connection],
) -> None:
    """Be the program, in the forked process."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, connection in enumerate(streams):
        os.dup2(connection.fileno(), number)
        connection.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (it lasts as long as we)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", write_through=True)
        for number in (1, 2)
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["cloudcard", *arguments]
    runpy.run_module("cloudcard_tools", run_name="__main__", alter_sys=True)


started, ran = processes.launch, programs.run
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(list(IMPORTED))
