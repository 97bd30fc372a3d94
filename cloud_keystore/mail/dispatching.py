"""Gives each letter to what sends by its medium."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloud_keystore.mail.letters import Letter
from cloud_keystore.mail.sending import Sender, Tried
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import Outcome


@dataclass(frozen=True, slots=True)
class Dispatching:
    """Sends by several media."""

    senders: Mapping[Medium, Sender]

    async def send(self, letter: Letter) -> Tried:
        """Try to send a letter."""
        sender = self.senders.get(letter.medium)
        if sender is None:
            return Tried(Outcome.REFUSED, f"this keystore sends nothing by {letter.medium}")
        return await sender.send(letter)

    async def end_portion(self) -> None:
        """End what the letters of a portion have shared."""
        for each in self.senders.values():
            await each.end_portion()
