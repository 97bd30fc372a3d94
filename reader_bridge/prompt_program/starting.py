"""Starts one kind of prompt, and connects it with the agent: lines in, lines out."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import BinaryIO, Protocol, TypeAlias

from reader_bridge.prompt_program import lines
from reader_bridge.prompt_program.waiting import Waiting

Cancel: TypeAlias = Callable[[str], None]


class Toolkit(Protocol):
    """A way to show what waits. All but `post` is called on its own thread."""

    def run(self) -> None:
        """Show things until `stop`."""

    def refresh(self) -> None:
        """Look at what waits, and show it."""

    def post(self, call: Callable[[], None], /) -> None:
        """Have something called on the toolkit's thread. Called from any thread."""

    def stop(self) -> None:
        """Let `run` return."""


NewToolkit: TypeAlias = Callable[[Waiting, Cancel], Toolkit]

# Modules with a function `new`, which raises Unusable, or ImportError without its bindings.
KINDS: Mapping[str, str] = {
    kind: f"reader_bridge.prompt_program.{kind}" for kind in ("gtk", "tk", "notify")
}


class Unusable(Exception):
    """Prompts cannot be shown in this way here. The text tells why."""


def main(arguments: Sequence[str]) -> int:
    """Show prompts until standard input ends; the exit status."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no line of the protocol
    if len(arguments) != 1 or arguments[0] not in KINDS:
        out.write(lines.failed(f"give one of {', '.join(KINDS)}"))
        return 2
    waiting = Waiting()
    talk = Talk(waiting, sys.stdin.buffer, out)
    try:
        toolkit: Toolkit = import_module(KINDS[arguments[0]]).new(waiting, talk.cancel)
    except (ImportError, ValueError, Unusable) as error:  # ValueError: GTK's bindings alone
        out.write(lines.failed(" ".join(str(error).split())[: lines.LONGEST_TEXT]))
        return 1
    threading.Thread(target=talk.listen, args=(toolkit,), daemon=True).start()
    toolkit.run()
    return 0


class Talk:
    """The conversation with the agent."""

    def __init__(self, waiting: Waiting, source: BinaryIO, out: BinaryIO) -> None:
        self._waiting = waiting
        self._source = source
        self._out = out

    def cancel(self, operation: str) -> None:
        """Tell the agent that the holder cancels an operation."""
        self._say(lines.cancel(operation))

    def listen(self, toolkit: Toolkit) -> None:
        """Take the agent's lines until they end; then stop the toolkit."""
        while line := self._source.readline(lines.LONGEST + 1):
            try:
                told = lines.parsed(line)
            except lines.Malformed as malformed:
                self._say(lines.refused(str(malformed)))
                while line and not line.endswith(b"\n"):  # the rest of a line that is too long
                    line = self._source.readline(lines.LONGEST)
                continue
            match told:
                case lines.Begin():
                    self._say(lines.begin())
                case lines.Approval() | lines.Decided():
                    toolkit.post(self._change(told, toolkit))
        toolkit.post(toolkit.stop)

    def _change(self, told: lines.Approval | lines.Decided, toolkit: Toolkit) -> Callable[[], None]:
        def change() -> None:
            if isinstance(told, lines.Approval):
                self._waiting.add(told, time.monotonic())
            else:
                self._waiting.end(told.operation, told.outcome, time.monotonic())
            toolkit.refresh()

        return change

    def _say(self, line: bytes) -> None:
        try:
            self._out.write(line)
        except OSError:
            return  # the agent has gone: the end of the input comes too
