"""Alerts: what needs the registration authority's attention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique


@unique
class AlertKind(StrEnum):
    """What an alert is about. A name that was once written keeps its meaning for ever."""

    NOT_ME = "not-me"
    TOO_MANY_REFUSALS = "too-many-refusals"
    REPEATED_UNLOCKS = "repeated-unlocks"
    REPEATED_CODES = "repeated-codes"  # unlock codes of one card
    CODE_USED_UP = "code-used-up"  # an unlock code was guessed at
    CODE_REFUSED = "code-refused"  # an unlock code was given on a phone of its maker
    WRONG_PASSCODES = "wrong-passcodes"  # at one workstation
    IDENTITY_ENDS = "identity-ends"  # and was not renewed
    CARD_AUTHORITY = "card-authority"  # the authority of cards has a successor
    REVOCATION_LIST = "revocation-list"  # that of an authority cannot be signed
    STALE_LIST = "stale-list"  # that of an external authority has ended
    LOCAL_OPERATOR = "local-operator"  # somebody was invited on the keystore's computer
    JOURNAL_BUDGET = "journal-budget"  # an identity causes very many entries
    NEW_DEVICE = "new-device"
    DEVICE_REMOVED = "device-removed"  # by its holder
    UNDELIVERED = "undelivered"  # somebody was not told by e-mail
    MANY_LEAVE = "many-leave"  # a directory closes very many people
    WEBHOOK_DISABLED = "webhook-disabled"  # an API client is told of nothing there any more


TOLD_TO_HOLDERS = frozenset(
    {
        AlertKind.REPEATED_UNLOCKS,
        AlertKind.REPEATED_CODES,
        AlertKind.CODE_USED_UP,
        AlertKind.CODE_REFUSED,
    }
)
# Told to the holder alone, for a time that no operator can shorten.
NOTICES = frozenset({AlertKind.NEW_DEVICE, AlertKind.DEVICE_REMOVED})
NOTICE_TIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `text` says what happened and what to do."""

    id: str
    kind: AlertKind
    card_id: str | None
    user_id: str | None
    text: str
    create_time: datetime
    acknowledge_time: datetime | None = None
    acknowledged_by: str | None = None  # an operator
    workstation_id: str | None = None
