"""Whether anybody was given more tries of a passcode than it had."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from cloud_keystore.model.journal import Entry, Kind
from cloudcard_tools.audit.grounds import Wrong, is_later

# Kinds after which failures of a passcode are counted anew; of all passcodes of the card if the
# entry names none
FORGIVEN = (Kind.PASSCODE_RIGHT, Kind.PASSCODE_SET, Kind.PASSCODE_UNBLOCKED, Kind.CARD_RESET)
FAILURES = "failures"  # in the details of a wrong passcode: how many there were, with this one

Card: TypeAlias = "str | None"


class Guesses:
    """Failures of passcodes since each was last right, or set. An entry of before has no number."""

    def __init__(self) -> None:
        self._told: dict[tuple[Card, str], dict[int, datetime]] = {}

    def wrong(self, entry: Entry) -> None:
        """A passcode was wrong. Raises Wrong if this failure was told before: somebody has given
        tries back. Two that were compared at the same time can be told in any order.
        """
        number = entry.details.get(FAILURES)
        if not isinstance(number, int):
            return
        told = self._told.setdefault((entry.card_id, str(entry.details.get("key_ref"))), {})
        earlier = told.setdefault(number, entry.time)
        if is_later(entry.time, earlier):
            raise Wrong(f"failure {number} of this passcode was told before, at {earlier}")

    def forgive(self, entry: Entry) -> None:
        """Failures are counted anew."""
        key_ref = entry.details.get("key_ref")
        for card_id, name in list(self._told):
            if card_id == entry.card_id and key_ref in (None, name):
                del self._told[card_id, name]

    def restored(self, _entry: Entry) -> None:
        """The keystore was restored from a backup, with the failures of that time."""
        self._told.clear()
