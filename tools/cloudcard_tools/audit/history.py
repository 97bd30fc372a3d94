"""Whether each entry agrees with all entries before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from cloud_keystore.model.journal import Entry, Kind
from cloudcard_tools.audit.cards import EVENTS, Cards
from cloudcard_tools.audit.enrolments import Enrolments
from cloudcard_tools.audit.evidence import DECISIONS, SIGN_INS
from cloudcard_tools.audit.grounds import Ground, Wrong, is_later
from cloudcard_tools.audit.guesses import FORGIVEN, Guesses
from cloudcard_tools.audit.operations import Counts, Operations


class History:
    """What has happened up to now, collected while entries are read in their order."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.since: datetime | None = None
        self.until: datetime | None = None
        self._enrolments = Enrolments(ground)
        cards = Cards(ground)
        self._operations = Operations(ground, self._enrolments, cards)
        operations = self._operations
        # A passcode that is right is an event of both.
        self._guesses = Guesses()
        self._checks: Mapping[Kind, Callable[[Entry], None]] = {
            Kind.IDENTITY_INVITED: self._enrolments.invite,
            Kind.IDENTITY_ENROLLED: self._enrolments.enrol,
            Kind.IDENTITY_RENEWED: self._enrolments.renew,
            Kind.IDENTITY_REKEYED: self._enrolments.rekey,
            Kind.IDENTITY_REMOVED: self._enrolments.remove,
            Kind.CLIENT_ADDED: self._enrolments.add_client,
            Kind.CARD_ISSUED: cards.issue,
            **dict.fromkeys(EVENTS, cards.move),
            Kind.CARD_RESET: cards.reset,
            Kind.KEY_MADE: cards.put_key,
            Kind.KEY_IMPORTED: cards.put_key,
            Kind.KEY_MOVED: cards.move_key,
            Kind.KEY_DESTROYED: cards.destroy_key,
            Kind.PASSCODE_WRONG: self._guesses.wrong,
            Kind.KEYSTORE_RESTORED: self._guesses.restored,
            Kind.PASSCODE_RIGHT: operations.passcode,
            Kind.OPERATION_ASKED: operations.ask,
            Kind.OPERATION_CLAIMED: operations.claim,
            **dict.fromkeys(DECISIONS, operations.decide),
            **dict.fromkeys(SIGN_INS, operations.decide_sign_in),
            Kind.OPERATION_USED: operations.use,
            Kind.SESSION_OPENED: operations.use,
            Kind.SESSION_USED: operations.use_session,
            Kind.SESSION_ENDED: operations.end_session,
            Kind.OPERATION_EXPIRED: operations.end,
            Kind.OPERATION_CANCELLED: operations.end,
            Kind.OPERATION_FAILED: operations.fail,
            Kind.OPERATION_UNSETTLED: operations.fail,
        }

    @property
    def counts(self) -> Counts:
        """What was checked up to now."""
        return self._operations.counts

    def check(self, entry: Entry) -> str | None:
        """What is wrong with an entry, given all entries before it; None if it is right."""
        try:
            self._check_time(entry.time)
            if entry.kind in FORGIVEN:
                self._guesses.forgive(entry)
            if (check := self._checks.get(entry.kind)) is not None:
                check(entry)
            self._enrolments.check_actor(entry.actor, entry.time)
        except Wrong as wrong:
            return str(wrong)
        # Nearly at the end of the calendar
        except OverflowError:
            return "no entry can be of this time"
        return None

    def _check_time(self, time: datetime) -> None:
        if self.until is not None and is_later(self.until, time):
            raise Wrong(f"time goes back here, from {self.until} to {time}")
        self.since = self.since or time
        self.until = max(time, self.until or time)
