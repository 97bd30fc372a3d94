"""What `cloudcard reader` prints."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TextIO

from reader_bridge.agent import Insertion
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.prompter import Prompter
from reader_bridge.prompts import choosing
from reader_bridge.prompts.both import Both
from reader_bridge.prompts.json_lines import JsonPrompter
from reader_bridge.prompts.later import Later

SAYINGS: Mapping[SlotState, str] = {
    SlotState.INSERTED: "Card {card} is in the reader ({place}).",
    SlotState.REMOVED: "The reader has dropped card {card} ({place}). Inserting it again.",
    SlotState.PORT_BUSY: "The reader at {place} has taken card {card} but does not ask for it: "
    "another card is in it, or pcscd is very busy. Card {card} waits: stop the other program, or "
    "choose another --port.",
    SlotState.SLOT_TAKEN: "There is no free slot for card {card} ({place}). It waits: take another "
    "card out, or choose another --slot.",
    SlotState.NO_SLOT: "The reader has no such slot ({place}): choose another --slot for card "
    "{card}, or add the slot to /etc/reader.conf.d/cloudcard and restart pcscd.",
    SlotState.FORBIDDEN: "This user may not put card {card} into this computer's readers: use it "
    "in a session at this computer's screen, or become a member of the group cloudcard and log in "
    "again. `cloudcard doctor` checks.",
    SlotState.OTHER_VERSION: "The reader's driver is of another version than this program: install "
    "both from the same release, and restart pcscd. Card {card} waits.",
    SlotState.HANGS_UP: "The program at {place} hangs up at once: is it pcscd, with {driver}? "
    "`cloudcard doctor` checks. Trying again with card {card}.",
    SlotState.STRANGER: "The program at {place} is not pcscd: it is neither root's nor yours. "
    "Card {card} is kept from it. Find it with `{finder}`, end it, and start pcscd.",
    SlotState.NOT_ATTACHED: "The USB reader waits for a computer ({place}): attach it there with a "
    "USB/IP client. Card {card} is inserted then.",
    SlotState.PORT_TAKEN: "Another program listens at the port ({place}): find it with `{finder}`, "
    "and end it, or choose another --port. Card {card} waits.",
    SlotState.PCSCD_NOT_RUNNING: "Nobody listens at {place}: is pcscd running, with {driver}? "
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
            self.out.write(f"{line}\n")  # in one piece: other threads print too
            self.out.flush()

    @contextmanager
    def prompter(self, prompt: str | None = None, qr_after: int = 0) -> Iterator[Prompter]:
        """What shows numbers and codes, for the time of the block: by default on this output if
        programs read it, else the best that works here. Codes come so many seconds later.
        """
        with ExitStack() as stack:
            shown: list[Prompter] = [JsonPrompter(self.out)] if self.as_json else []
            if prompt is not None or not self.as_json:
                wanted = prompt or choosing.AUTO
                opened = choosing.opened(wanted, self.out, os.environ)
                shown.append(stack.enter_context(opened))
            prompter = shown[0] if len(shown) == 1 else Both(*shown)
            yield Later(prompter, qr_after) if qr_after else prompter

    def tell(self, insertion: Insertion, state: SlotState) -> None:
        """Print the new state of a slot and its card."""
        where, card = insertion.carrier.where, insertion.name
        text = SAYINGS[state].format(
            card=card, place=where.place, driver=where.driver, finder=where.finder
        )
        port = {} if where.port is None else {"port": where.port}
        self.say(state.value, text, slot=insertion.slot, via=where.via, **port, card=card)
