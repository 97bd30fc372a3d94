"""Child processes for the demo, benches and tests. No child outlives its parent."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Protocol, Self, TypeAlias

import click

from cloudcard_tools.shared.lines import Found, Lines

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

PATIENCE_SECONDS = 30.0  # for a line or an end that is due at once, on a slow computer too
GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL
TAIL_LINES = 12


class ProcessFailed(click.ClickException):
    """A child ended, or did not print the expected line in time. The text has its last lines."""


class Process(Protocol):
    """What `Popen` offers of a running program."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


def launch(command: Sequence[str], errors: IO[bytes], environment: Mapping[str, str]) -> Process:
    """Start a program with pipes for its input and output. It ends when its parent ends."""
    return subprocess.Popen(  # noqa: S603 (the programs are the caller's own)
        [*_tether(), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        # Ctrl-C then reaches only the parent, which stops all children in order.
        start_new_session=True,
    )


def answered(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str] | None:
    """How a program of the system ended, which asks for no input; None if it cannot be run, or has
    not ended in time.
    """
    try:
        return subprocess.run(  # noqa: S603 (the programs are the caller's own)
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None


class Child:
    """One process. Output and errors go to `log`; each output line can be waited for once."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        process: Process,
    ) -> None:
        """`start` makes it."""
        self.name = name
        self.command = tuple(command)
        self.log = log
        self.environment = environment
        self._lines = Lines()
        self._process = process
        self._copier = threading.Thread(
            target=self._copy_output, name=f"output of {name}", daemon=True
        )

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> Self:
        """Start the process, and a thread that copies its output."""
        with log.open("ab") as errors:
            process = launch(command, errors, {**os.environ, **environment})
        child = cls(name, command, log, environment, process)
        child._copier.start()
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        return self._process.poll()

    def wait_for(self, pattern: str, timeout: float = PATIENCE_SECONDS) -> re.Match[str]:
        """The match in the first unread output line that has one.

        Raises ProcessFailed when there is none in `timeout` seconds or before the end.
        """
        return self._first(re.compile(pattern).search, pattern, timeout)

    def wait_for_json(self, timeout: float = PATIENCE_SECONDS, **fields: Json) -> dict[str, Json]:
        """The first unread output line that is a JSON object with these fields.

        Raises ProcessFailed when there is none in `timeout` seconds or before the end.
        """

        def match(line: str) -> dict[str, Json] | None:
            try:
                found: Json = json.loads(line)
            except ValueError:
                return None
            return found if isinstance(found, dict) and fields.items() <= found.items() else None

        return self._first(match, json.dumps(fields), timeout)

    def unread(self) -> list[str]:
        """The output lines that no wait has read. They count as read from now on."""
        return self._lines.take_all()

    def send(self, line: str) -> None:
        """Write one line to standard input. Raises ProcessFailed if the process no longer
        reads it.
        """
        try:
            _pipe(self._process.stdin).write(line.encode() + b"\n")
            _pipe(self._process.stdin).flush()
        except (OSError, ValueError):
            raise self._failure("reads no more input") from None

    def close_input(self) -> None:
        """Let the process read the end of its standard input."""
        with suppress(BrokenPipeError):  # the process ended with input unread
            _pipe(self._process.stdin).close()

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Wait for the exit status. Raises ProcessFailed after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._failure(f"still runs after {timeout:g} s") from None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal. After SIGKILL, wait for the end of the process."""
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.wait()

    def stop(self) -> None:
        """Ask the process to end, and kill it if it does not. A second call does nothing."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.close_input()
        self._copier.join(
            GRACE_SECONDS
        )  # it takes longer only if a grandchild holds the pipe, which is then left alone
        if not self._copier.is_alive():
            _pipe(self._process.stdout).close()

    def tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def _copy_output(self) -> None:
        with self.log.open("ab", buffering=0) as log:
            for raw in _pipe(self._process.stdout):
                log.write(raw)
                self._lines.put(raw.decode(errors="replace").rstrip("\r\n"))
        self._lines.end()

    def _first(self, match: Callable[[str], Found | None], wanted: str, timeout: float) -> Found:
        try:
            return self._lines.first(match, timeout)
        except EOFError:
            raise self._failure(f"ended without saying {wanted}") from None
        except TimeoutError:
            raise self._failure(f"has not said {wanted} in {timeout:g} s") from None

    def _failure(self, what: str) -> ProcessFailed:
        return ProcessFailed(f"{self.name} {what}\n{self.tail()}".rstrip())


class Nursery:
    """Keeps child processes while its `with` block lasts, then stops them in reverse order.

    The block can also end by an exception, SIGTERM or SIGHUP. If this program is killed, the
    kernel kills the children (Linux). Start children in a thread that lives at least as long as
    they do: the kernel takes the end of that thread for the end of the parent.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: dict[str, Child] = {}
        self._signals = ExitStack()

    def __enter__(self) -> Nursery:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._signals.enter_context(ending_by_exception())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._signals, ExitStack() as stack:
            for child in self._children.values():
                stack.callback(child.stop)

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def start(self, name: str, *command: str, **environment: str) -> Child:
        """Start a process under a new name; `environment` is added to this program's
        environment.
        """
        if name in self._children:
            raise ValueError(f"there is already a child called {name}: restart it")
        child = Child.start(name, command, self._logs / f"{name}.log", environment)
        self._children[name] = child
        return child

    def start_python(self, name: str, *arguments: str, **environment: str) -> Child:
        """Start a Python program with this interpreter: `start_python("x", "-m", "module")`."""
        return self.start(name, sys.executable, "-u", *arguments, **environment)

    def restart(self, name: str) -> Child:
        """Start a child again, and stop it first if it still runs. The log is continued."""
        old = self._children.pop(name)
        old.stop()
        return self.start(name, *old.command, **old.environment)

    def stop(self, name: str) -> None:
        """Stop one child and forget it."""
        self._children.pop(name).stop()


@contextmanager
def ending_by_exception() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit within the block, so that `with` blocks end in
    order.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread can set handlers, and only it would be interrupted.
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]
    # A signal that is ignored (nohup) stays ignored, and an existing handler is kept.
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _tether() -> list[str]:
    """A command prefix (util-linux) that makes the kernel kill the process when its parent has
    ended.
    """
    if sys.platform != "linux":
        return []
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "KILL", "--"] if program else []


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """The pipe, which Popen was asked to open."""
    if stream is None:
        raise ValueError("the process has no such pipe")
    return stream
