"""A workstation's screen that is read by a program."""

from __future__ import annotations

from queue import Queue

from reader_bridge.prompter import Outcome, Prompt

SECONDS = 60.0


class Screen:
    """What is shown waits until it is read."""

    def __init__(self) -> None:
        self._prompts: Queue[Prompt] = Queue()

    def show(self, prompt: Prompt) -> None:
        self._prompts.put(prompt)

    def clear(self, _operation_id: str, _outcome: Outcome) -> None:
        """Nobody looks whether it is gone."""

    def read(self) -> Prompt:
        """The next prompt; waits for it."""
        return self._prompts.get(timeout=SECONDS)
