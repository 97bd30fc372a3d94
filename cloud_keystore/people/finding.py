"""Finds people, cards and the rest by what people call them, for operators and auditors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from cloud_keystore.model import finding
from cloud_keystore.model.cards import Card, CardState
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import LONGEST_TEXT, Findable, Sort
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.storage import alerts, cards, journal, organisations, people
from cloud_keystore.storage.engine import Database

MOST_OPERATIONS = 1000  # that one beginning finds


@dataclass(frozen=True, slots=True)
class Finding:
    """Finds things; whoever asks is already known to be allowed to."""

    database: Database

    def find(self, sort: Sort, text: str) -> list[Findable]:
        """What a text names, oldest first; raises InvalidInput for a text that names nothing."""
        text = text_field("text", text, LONGEST_TEXT)
        with self.database.read() as connection:
            return finding.find(text, FINDABLE[sort](connection, text))


def _users(connection: Connection, _text: str) -> Iterable[Findable]:
    serials: dict[str, list[str]] = {}
    for card in cards.list_all(connection):
        serials.setdefault(card.user_id, []).append(card.serial)
    for user in people.list_users(connection):
        own = serials.get(user.id, [])
        yield Findable(
            user.id,
            (user.id, *own),
            _called(user),
            user.display_name,
            (user.email, *(f"card {serial}" for serial in own)),
            create_time=user.create_time,
        )


def _cards(connection: Connection, _text: str) -> Iterable[Findable]:
    holders = _holders(connection)
    for card in cards.list_all(connection):
        holder = holders.get(card.user_id)
        yield Findable(
            card.serial,
            (card.serial, card.id, card.guid.hex()),
            _called(holder),
            _name(holder),
            (card.profile, *_addresses(holder)),
            card.state,
            card.state is CardState.REVOKED,
            card.create_time,
        )


def _devices(connection: Connection, _text: str) -> Iterable[Findable]:
    holders = _holders(connection)
    for device in people.list_identities(connection, Role.DEVICE):
        holder = holders.get(device.user_id or "")
        called = (device.display_name, *_called(holder))
        about = (f"of {_name(holder)}", *_addresses(holder))
        yield _identity(device, called, about)


def _identities(role: Role) -> Callable[[Connection, str], Iterable[Findable]]:
    def of_role(connection: Connection, _text: str) -> Iterable[Findable]:
        for identity in people.list_identities(connection, role):
            yield _identity(identity, (identity.display_name,), (identity.site,))

    return of_role


def _organisations(connection: Connection, _text: str) -> Iterable[Findable]:
    for each in organisations.list_all(connection):
        yield Findable(each.id, (each.id,), (each.name,), each.name, create_time=each.create_time)


def _alerts(connection: Connection, _text: str) -> Iterable[Findable]:
    holders = _holders(connection)
    known = {card.id: card for card in cards.list_all(connection)}
    workstations = {
        each.id: each.display_name for each in people.list_identities(connection, Role.WORKSTATION)
    }
    for alert in alerts.list_all(connection, include_acknowledged=True):
        card: Card | None = known.get(alert.card_id or "")
        serials = () if card is None else (card.serial,)
        at = workstations.get(alert.workstation_id or "")
        places = () if at is None else (at,)
        done = alert.acknowledge_time is not None
        yield Findable(
            alert.id,
            (alert.id,),
            (*serials, *places),
            _name(holders.get(alert.user_id or "")),
            (alert.kind.value, *(f"card {serial}" for serial in serials), *places),
            "acknowledged" if done else "open",
            done,
            alert.create_time,
        )


def _operations(connection: Connection, text: str) -> Iterable[Findable]:
    for each in journal.operations_beginning(connection, finding.folded(text), MOST_OPERATIONS):
        yield Findable(each, (each,), (), "")


FINDABLE: Mapping[Sort, Callable[[Connection, str], Iterable[Findable]]] = {
    Sort.USER: _users,
    Sort.CARD: _cards,
    Sort.DEVICE: _devices,
    Sort.WORKSTATION: _identities(Role.WORKSTATION),
    Sort.OPERATOR: _identities(Role.OPERATOR),
    Sort.AUDITOR: _identities(Role.AUDITOR),
    Sort.ORGANISATION: _organisations,
    Sort.ALERT: _alerts,
    Sort.OPERATION: _operations,
}


def _identity(identity: Identity, called: tuple[str, ...], about: tuple[str, ...]) -> Findable:
    return Findable(
        identity.id,
        (identity.id,),
        called,
        identity.display_name,
        about,
        identity.state,
        identity.state is IdentityState.REMOVED,
        identity.create_time,
    )


def _holders(connection: Connection) -> Mapping[str, User]:
    return {user.id: user for user in people.list_users(connection)}


def _called(user: User | None) -> tuple[str, ...]:
    return () if user is None else (user.display_name, user.email, user.upn)


def _name(user: User | None) -> str:
    return "" if user is None else user.display_name


def _addresses(user: User | None) -> tuple[str, ...]:
    return () if user is None else (user.email,)
