"""The same prompts in two places."""

from __future__ import annotations

from reader_bridge.prompter import Outcome, Prompt, Prompter, Withdraw


class Both:
    """Shows each operation by all of some prompters."""

    def __init__(self, *prompters: Prompter) -> None:
        self._prompters = prompters

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        """Show an operation everywhere."""
        for each in self._prompters:
            each.show(prompt, withdraw)

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Clear an operation everywhere."""
        for each in self._prompters:
            each.clear(operation_id, outcome)
