"""Prompts in a program of its own, which this computer's Python or the user's choice runs.

JSON lines go to its standard input and come from its standard output (docs/prompt.md). It ends when
its input ends, so none outlives the reader.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TypeAlias

import structlog

from reader_bridge.prompt_program.lines import LONGEST, VERSION, Malformed, json_object, text
from reader_bridge.prompter import Outcome, Prompt, Prompter, Withdraw
from reader_bridge.prompts.json_lines import Line, decided, drawn

log = structlog.get_logger()

READY_SECONDS = 10.0  # a desktop that has just been logged in to is slow
END_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Launch:
    """A program that can show prompts."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None  # None: this process's


@dataclass(frozen=True, slots=True)
class Open:
    """An operation that waits, and since when."""

    prompt: Prompt
    withdraw: Withdraw
    since: float

    def line(self, now: float) -> Line:
        """The event `approval`, with the time that is left now."""
        passed = now - self.since
        left = (max(0.0, each - passed) for each in (self.prompt.seconds, self.prompt.qr_seconds))
        seconds, qr_seconds = left
        return drawn(replace(self.prompt, seconds=seconds, qr_seconds=qr_seconds))


class Child:
    """A running program. Its lines are read on a thread of its own."""

    def __init__(self, launch: Launch, programs: ProgramPrompter) -> None:
        """Raises OSError if it cannot be started."""
        self.launch = launch
        self.why = "it ended without a word"
        self._programs = programs
        self._process = subprocess.Popen(  # noqa: S603 (our own program, or the user's choice)
            list(launch.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=None if launch.environment is None else dict(launch.environment),
            start_new_session=True,  # Ctrl-C is the reader's
        )
        self._answered = threading.Event()
        self._ready = False
        threading.Thread(target=self._read, name=f"prompt {launch.name}", daemon=True).start()

    @property
    def runs(self) -> bool:
        """Whether it can still be told something."""
        return self._process.poll() is None

    def begin(self) -> bool:
        """Ask whether it can show prompts here; end it if it cannot, or says nothing for long."""
        if self.tell({"event": "begin", "version": VERSION}):
            self._answered.wait(READY_SECONDS)
        if not self._ready:
            self.end()
        return self._ready

    def tell(self, line: Line) -> bool:
        """Write a line; False if it reads no more."""
        pipe = _pipe(self._process.stdin)
        try:
            pipe.write(json.dumps(line).encode() + b"\n")
            pipe.flush()
        except (OSError, ValueError):
            return False
        return True

    def end(self) -> None:
        """Let it read the end of its input, and kill it if that is not enough."""
        with suppress(OSError, ValueError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        with _pipe(self._process.stdout) as out:
            while line := out.readline(LONGEST + 1):
                try:
                    self._take(line)
                except Malformed as malformed:
                    log.warning("prompt program", program=self.launch.name, said=str(malformed))
                    self._programs.answer(self, {"event": "refused", "text": str(malformed)})
                    while line and not line.endswith(b"\n"):  # the rest of a line that is too long
                        line = out.readline(LONGEST)
        self._answered.set()
        self._programs.gone(self)

    def _take(self, line: bytes) -> None:
        fields = json_object(line)
        match text(fields, "event"):
            case "ready":
                self._ready = True
                self._answered.set()
            case "cancel":
                self._programs.cancelled(text(fields, "operation"))
            case "failed":
                self.why = text(fields, "text")
            case "refused":
                log.warning("prompt program", program=self.launch.name, said=text(fields, "text"))
            case _:
                return  # of a newer program


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise ValueError("the program has no pipe")
    return end


Job: TypeAlias = "partial[None]"


class ProgramPrompter:
    """Shows prompts by the first of some programs that works here, which is started at the first
    prompt; by `otherwise` if none does. A program that ends while something waits is not started
    again: the next one takes over.
    """

    def __init__(self, launches: Sequence[Launch], otherwise: Prompter) -> None:
        self._launches = list(launches)
        self._otherwise = otherwise
        self._child: Child | None = None
        self.ended = 0
        """How many programs that showed prompts have ended."""
        self._lock = threading.Lock()  # guards `_open`
        self._open: dict[str, Open] = {}
        # Operations do not wait for a program: it is started and told on this thread.
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="prompts", daemon=True)
        self._thread.start()

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        """Show an operation as soon as a program is ready."""
        with self._lock:
            self._open[prompt.operation_id] = Open(prompt, withdraw, time.monotonic())
        self._jobs.put(partial(self._show, prompt.operation_id))

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Tell how an operation has ended."""
        with self._lock:
            ended = self._open.pop(operation_id, None)
        if ended is not None:
            self._jobs.put(partial(self._clear, operation_id, outcome))

    def close(self) -> None:
        """End the program; nothing is shown any more."""
        self._jobs.put(None)
        self._thread.join()

    def cancelled(self, operation_id: str) -> None:
        """Withdraw an operation, if it still waits."""
        with self._lock:
            found = self._open.get(operation_id)
        if found is not None:
            found.withdraw()

    def answer(self, child: Child, line: Line) -> None:
        """Tell a program something on the thread that tells all."""
        self._jobs.put(partial(self._answer, child, line))

    def gone(self, child: Child) -> None:
        """A program has ended."""
        self._jobs.put(partial(self._replace, child))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # a bug; the phone rings all the same
                log.exception("prompt failed")
        if self._child is not None:
            self._child.end()

    def _show(self, operation_id: str) -> None:
        with self._lock:
            shown = self._open.get(operation_id)
        if shown is None:  # it has ended meanwhile
            return
        if self._child is None:
            self._child = self._started()
        # If the program does not read, it is gone, and `_replace` shows what waits.
        if self._child is None:
            self._otherwise.show(shown.prompt, shown.withdraw)
        else:
            self._child.tell(shown.line(time.monotonic()))

    def _clear(self, operation_id: str, outcome: Outcome) -> None:
        if self._child is None:
            self._otherwise.clear(operation_id, outcome)
        else:
            self._child.tell(decided(operation_id, outcome))

    def _answer(self, child: Child, line: Line) -> None:
        child.tell(line)

    def _replace(self, child: Child) -> None:
        if self._child is not child:
            return
        child.end()
        self._child = None
        self.ended += 1
        with self._lock:
            waiting = list(self._open)
        if waiting:
            log.warning("prompt program ended", program=child.launch.name)
            self._launches = [each for each in self._launches if each is not child.launch]
        for operation_id in waiting:
            self._show(operation_id)

    def _started(self) -> Child | None:
        """The first program that works here; those before it are not tried again."""
        while self._launches:
            launch = self._launches[0]
            try:
                child = Child(launch, self)
            except OSError as error:
                log.info("no prompt program", program=launch.name, why=error.strerror)
            else:
                if child.begin():
                    return child
                log.info("no prompt program", program=launch.name, why=child.why)
            self._launches.pop(0)
        return None
