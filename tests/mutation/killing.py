"""Tries one mutant after another on tests that were collected once. Each runs in a forked process,
in which the changed code takes the place of the real one. No file is changed.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import CodeType, FunctionType
from typing import NoReturn, TypeAlias

import pytest

Named: TypeAlias = "tuple[str, str]"  # file and name of a function

CO_OPTIMIZED = 1  # a flag of a function's code, which the code of a class does not have
# A mutant whose tests take this many times as long as without a change is called endless.
SLOWER = 5.0
FEWEST_SECONDS = 20.0
PAUSE = 0.01
BROKEN = 3  # the status of a process that could not put the change in place


class Fate(Enum):
    """The outcome of a trial."""

    KILLED = "killed"
    ENDLESS = "endless"  # counts as noticed
    SURVIVED = "survived"
    UNREACHED = "unreached"  # no test runs the line


@dataclass(frozen=True, slots=True)
class Trial:
    """A changed module, and the tests that can notice the change."""

    file: str
    function: str  # the changed function; "" if the change is not inside one
    before: str
    after: str
    line: int
    code: Callable[[], CodeType]  # compiles the changed module
    tests: Sequence[str]
    seconds: float = 0.0  # that the tests take without a change
    number: int = 0  # of the mutant in its file


@dataclass(eq=False)
class Killing:
    """Runs the trials in place of the tests that were collected."""

    given: Callable[[Iterable[str]], Iterable[Trial]]  # from the names of all tests
    workers: int
    done: Callable[[Trial, Fate], None]
    warm: str  # a test that makes what the tests of a session share
    failed: bool = False
    trials: deque[Trial] = field(default_factory=deque)
    put_off: list[Trial] = field(default_factory=list)  # needs a new process
    functions: dict[Named, list[FunctionType]] = field(default_factory=dict)
    running: dict[int, tuple[Trial, float]] = field(default_factory=dict)  # by process

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        first = next(iter(items.values()))
        self.trials.extend(self.given(items))
        if self.warm in items:
            _run(items[self.warm], first)
        self._find_functions()
        gc.freeze()
        while self.trials or self.running:
            while self.trials and len(self.running) < self.workers:
                self._begin(self.trials.popleft(), items)
            self._wait()
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def _find_functions(self) -> None:
        found: defaultdict[Named, list[FunctionType]] = defaultdict(list)
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                found[_named(each.__code__)].append(each)
        self.functions = dict(found)

    def _begin(self, trial: Trial, items: dict[str, pytest.Item]) -> None:
        chosen = [items[test] for test in trial.tests if test in items]
        if not chosen:
            self.done(trial, Fate.UNREACHED)
            return
        process = os.fork()
        if process == 0:
            os.setsid()
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in (1, 2):
                os.dup2(silence, descriptor)
            self._end_with(trial, chosen)
        limit = max(FEWEST_SECONDS, SLOWER * trial.seconds)
        self.running[process] = trial, time.monotonic() + limit

    def _end_with(self, trial: Trial, items: Sequence[pytest.Item]) -> NoReturn:
        """Run a trial in the process that was forked for it, and end the process."""
        code = BROKEN
        try:
            put(trial, self.functions)
            plugins = items[0].config.pluginmanager
            plugins.unregister(name="terminalreporter")
            self._run_all(items)
            code = 1 if self.failed else 0
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            # The change itself ends the process.
            code = 1
        finally:
            os._exit(code)

    def _run_all(self, items: Sequence[pytest.Item]) -> None:
        """Run tests until one fails."""
        self.failed = False
        for item, after in zip(items, [*items[1:], None], strict=True):
            _run(item, after)
            if self.failed:
                return

    def _wait(self) -> None:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process in self.running:
            trial, _ = self.running.pop(process)
            end_group(process)
            if os.waitstatus_to_exitcode(status) == BROKEN:
                self.put_off.append(trial)
                return
            self.done(trial, Fate.SURVIVED if status == 0 else Fate.KILLED)
            return
        now = time.monotonic()
        for late, (trial, deadline) in list(self.running.items()):
            if now > deadline:
                end_group(late)
                os.waitpid(late, 0)
                del self.running[late]
                self.done(trial, Fate.ENDLESS)
        time.sleep(PAUSE)


def _run(item: pytest.Item, after: pytest.Item | None) -> None:
    """Run one test; fixtures that the next test needs too stay set up."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)


def put(trial: Trial, functions: dict[Named, list[FunctionType]]) -> None:
    """Put the changed code into the functions of this process."""
    for code in _functions_in(trial.code()):
        if trial.function in ("", code.co_qualname):
            for function in functions.get(_named(code), ()):
                function.__code__ = code


def _functions_in(code: CodeType) -> Iterator[CodeType]:
    """The outermost functions of a module and of its classes."""
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_flags & CO_OPTIMIZED:
                yield each
            else:
                yield from _functions_in(each)


def _named(code: CodeType) -> Named:
    return code.co_filename, code.co_qualname


def end_group(process: int) -> None:
    """End a process and everything that it started."""
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        return
