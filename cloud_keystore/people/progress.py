"""How far people's enrolment has come: what is missing, and since when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cloud_keystore.model.cards import IN_USE, OVER, Card, CardState
from cloud_keystore.model.people import (
    Identity,
    IdentityState,
    Progress,
    Stage,
    User,
    UserState,
)
from cloud_keystore.storage.enrolment.tokens import Terms

STAGES: Mapping[CardState, Stage] = {
    CardState.ISSUING: Stage.CARD_INCOMPLETE,
    CardState.FAILED: Stage.CARD_FAILED,
    CardState.PENDING: Stage.NO_PASSCODE,
    CardState.ACTIVE: Stage.ENROLLED,
    CardState.SUSPENDED: Stage.ENROLLED,
}


def progress_of(
    user: User,
    devices: Sequence[Identity],
    terms: Mapping[str, Terms],
    cards: Sequence[Card],
    now: datetime,
) -> Progress:
    """How far a user has come, of whom these are all devices and cards, oldest first. `terms` are
    those of the devices' enrolment tokens, by device.
    """
    live = [card for card in cards if card.state not in OVER]
    best = next((card for card in live if card.state in IN_USE), live[-1] if live else None)
    serial = "" if best is None else best.serial
    if user.state is UserState.CLOSED:
        return Progress(Stage.CLOSED, user.create_time)
    if best is not None and best.state is CardState.FAILED:
        # The registration authority has to act, whatever the holder does.
        return Progress(Stage.CARD_FAILED, best.create_time, card=serial)
    phone = next((each for each in devices if each.is_active(now)), None)
    if phone is None:
        return _without_phone(user, devices, terms, serial, now)
    _, use_time = terms.get(phone.id, (None, None))
    enrolled = use_time or phone.create_time
    if best is None:
        return Progress(Stage.NO_CARD, enrolled)
    return Progress(STAGES[best.state], max(enrolled, best.create_time), card=serial)


def _without_phone(
    user: User, devices: Sequence[Identity], terms: Mapping[str, Terms], card: str, now: datetime
) -> Progress:
    invited = [each for each in devices if each.state is IdentityState.INVITED]
    if invited:
        last = invited[-1]
        end, _ = terms.get(last.id, (last.create_time, None))
        if now < end:
            return Progress(Stage.INVITED, last.create_time, end, card)
        return Progress(Stage.INVITATION_EXPIRED, end, card=card)
    ends = [each.expire_time for each in devices if each.state is IdentityState.ACTIVE]
    since = max([user.create_time, *(end for end in ends if end is not None)])
    return Progress(Stage.NO_PHONE, since, card=card)
