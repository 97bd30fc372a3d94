"""What `cloudcard reader` prints, and the cards of which it tells."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from card_os.piv import CardImage
from reader_bridge.prompter import JsonPrompter, Prompter, TerminalPrompter
from reader_bridge.tasks import CancellableKeys


@dataclass(frozen=True, slots=True)
class Screen:
    """What the command prints: sentences, or one JSON object a line."""

    out: TextIO
    as_json: bool

    def say(self, event: str, text: str, **more: str | int) -> None:
        """Print an event. A card stays in use when nobody reads the output any more."""
        line = json.dumps({"event": event, **more, "text": text}) if self.as_json else text
        with suppress(OSError, ValueError):
            print(line, file=self.out, flush=True)

    def prompter(self) -> Prompter:
        """Shows numbers and codes on the same output."""
        return JsonPrompter(self.out) if self.as_json else TerminalPrompter(self.out)


@dataclass(frozen=True, slots=True)
class Inserted:
    """A card that is ready to be put into a slot."""

    slot: int
    image: CardImage
    keys: CancellableKeys
