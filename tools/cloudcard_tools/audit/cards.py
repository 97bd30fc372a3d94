"""Cards and their keys, as the entries of a journal tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cloud_keystore.model.cards import CARD_TRANSITIONS, CardEvent, CardState
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.profiles import PROFILES
from cloudcard.approval.v1 import approval_pb2
from cloudcard_tools.audit.grounds import Ground, Wrong

EVENTS: Mapping[Kind, CardEvent] = {
    Kind.CARD_COMPLETED: CardEvent.COMPLETE,
    Kind.CARD_ACTIVATED: CardEvent.ACTIVATE,
    Kind.CARD_SUSPENDED: CardEvent.SUSPEND,
    Kind.CARD_RESUMED: CardEvent.RESUME,
    Kind.CARD_REVOKED: CardEvent.REVOKE,
}
KEY = "key_"  # and a reference: a detail that names a key of a new card
NOT_TOLD = "which card some keys are on, because entries of before about cards do not name the keys"


@dataclass(slots=True)
class Card:
    """A card, and its keys with their references."""

    user_id: str | None
    state: CardState
    serial: str | None  # None: the card's entry is of before, and names neither number nor keys
    is_told: bool  # whether `keys` are all keys of the card
    keys: dict[str, int | None] = field(default_factory=dict)


class Cards:
    """All cards, in their states of now."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._cards: dict[str, Card] = {}
        self._destroyed: set[str] = set()
        self._learnt: dict[str, str] = {}  # cards of keys that no entry of theirs has named

    def issue(self, entry: Entry) -> None:
        if entry.card_id is None or entry.card_id in self._cards:
            raise Wrong("a card was issued twice")
        details = entry.details
        serial = details.get("serial")
        keys: dict[str, int | None] = {
            str(value): _reference(name.removeprefix(KEY))
            for name, value in details.items()
            if name.startswith(KEY)
        }
        self._cards[entry.card_id] = Card(
            user_id=entry.user_id,
            state=_first_state(entry),
            serial=None if serial is None else str(serial),
            is_told=bool(keys),
            keys=keys,
        )

    def move(self, entry: Entry) -> None:
        card = self._cards.get(entry.card_id or "")
        if card is None:
            self._ground.lacks("a card changed that was never issued")
            return
        state = CARD_TRANSITIONS.get((card.state, EVENTS[entry.kind]))
        if state is None:
            # Entries of a pack can tell of the same card with a gap between them.
            self._ground.lacks(f"the card was {card.state}: it cannot change like this")
        else:
            card.state = state

    def put_key(self, entry: Entry) -> None:
        """A key was made or imported, in place of the one before."""
        if (card := self._cards.get(entry.card_id or "")) is not None:
            reference = _reference(str(entry.details.get("key_ref")))
            card.keys = {name: ref for name, ref in card.keys.items() if ref != reference}
            card.keys[str(entry.details.get("key"))] = reference

    def move_key(self, entry: Entry) -> None:
        if (card := self._cards.get(entry.card_id or "")) is not None:
            source = _reference(str(entry.details.get("key_ref")))
            to = _reference(str(entry.details.get("to")))
            moved = {name: to if ref == source else ref for name, ref in card.keys.items()}
            card.keys = {name: ref for name, ref in moved.items() if ref is not None}

    def reset(self, entry: Entry) -> None:
        if (card := self._cards.get(entry.card_id or "")) is not None:
            card.keys.clear()

    def destroy_key(self, entry: Entry) -> None:
        if entry.key_id is not None:
            self._destroyed.add(entry.key_id)

    def check_use(self, entry: Entry, payload: approval_pb2.Payload) -> None:
        """Raise Wrong unless the card was in use, is the holder's, and has the key, as the payload
        says.
        """
        if entry.key_id in self._destroyed:
            raise Wrong("the key had been destroyed")
        card = self._cards.get(entry.card_id or "")
        if card is None:
            self._ground.lacks("the card was never issued")
            return
        if card.user_id != payload.user_id:
            raise Wrong("the card is somebody else's")
        if card.state is not CardState.ACTIVE:
            raise Wrong(f"the card was {card.state}")
        self._check_key(card, entry, payload)

    def _check_key(self, card: Card, entry: Entry, payload: approval_pb2.Payload) -> None:
        if card.serial is None:
            # What the first request tells must be so in all others.
            card.serial = payload.card_serial
            self._ground.cannot_show(NOT_TOLD)
        if card.serial != payload.card_serial:
            raise Wrong("the device signed this for another card")
        if payload.key_id in card.keys:
            if card.keys[payload.key_id] != payload.key_ref:
                raise Wrong("the key has another reference than the device was told")
        elif card.is_told:
            self._ground.lacks("the card has no such key")
        elif self._learnt.setdefault(payload.key_id, entry.card_id or "") != entry.card_id:
            raise Wrong("the key is on another card")


def _first_state(entry: Entry) -> CardState:
    """The state of a new card; entries of before name its profile alone."""
    said = entry.details.get("state")
    if said is not None:
        return CardState(str(said)) if said in set(CardState) else CardState.PENDING
    profile = PROFILES.get(str(entry.details.get("profile")))
    is_known = profile is not None and profile.factory_passcodes
    return CardState.ACTIVE if is_known else CardState.PENDING


def _reference(text: str) -> int | None:
    """A key reference of two hexadecimal digits; None for other texts."""
    try:
        return int(text, 16)
    except ValueError:
        return None
