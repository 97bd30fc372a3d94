"""What `cloudcard reader` prints."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from reader_bridge.agent import Insertion
from reader_bridge.prompter import JsonPrompter, Prompter, TerminalPrompter
from reader_bridge.slot import SlotState

SAYINGS = {
    SlotState.INSERTED: "Card {card} is in the reader (port {port}).",
    SlotState.REMOVED: "The reader has dropped card {card} (port {port}). Inserting it again.",
    SlotState.PORT_BUSY: "The reader at port {port} has taken card {card} but does not ask for it: "
    "another card is in it, or pcscd is very busy. Card {card} waits: stop the other program, or "
    "choose another --port.",
    SlotState.HANGS_UP: "The program at port {port} hangs up at once: is it pcscd, with vpcd? "
    "`cloudcard doctor` checks. Trying again with card {card}.",
    SlotState.STRANGER: "The program at port {port} is not pcscd: it is neither root's nor yours. "
    "Card {card} is kept from it. Find it with `ss -ltnp 'sport = :{port}'`, end it, and start "
    "pcscd.",
    SlotState.PCSCD_NOT_RUNNING: "Nobody listens at port {port}: is pcscd running, with vpcd? "
    "`cloudcard doctor` checks. Card {card} is inserted when pcscd is there.",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """What the command prints: sentences, or one JSON object per line."""

    out: TextIO
    as_json: bool

    def say(self, event: str, text: str, **more: str | int) -> None:
        """Print an event. If nobody reads the output any more, the card stays in use."""
        line = json.dumps({"event": event, **more, "text": text}) if self.as_json else text
        with suppress(OSError, ValueError):
            print(line, file=self.out, flush=True)

    def prompter(self) -> Prompter:
        """The prompter that shows numbers and codes on the same output."""
        return JsonPrompter(self.out) if self.as_json else TerminalPrompter(self.out)

    def tell(self, insertion: Insertion, state: SlotState) -> None:
        """Print the new state of a slot and its card."""
        port, card = insertion.port, insertion.name
        text = SAYINGS[state].format(card=card, port=port)
        self.say(state.value, text, slot=insertion.slot, port=port, card=card)
