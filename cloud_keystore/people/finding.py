"""Finds people, cards and the rest by what people call them, for operators and auditors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from cloud_keystore.audit import acting
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model import finding
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import OVER
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import LONGEST_TEXT, Findable, Sort
from cloud_keystore.model.people import Identity, IdentityState, Role, User, UserState
from cloud_keystore.people.alerts import organisation_of
from cloud_keystore.storage import alerts, cards, journal, organisations, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.listing import users as listing

MOST_OPERATIONS = 1000  # that one beginning finds


@dataclass(frozen=True, slots=True)
class Finding:
    """Finds things among those that whoever asks sees."""

    database: Database
    clock: Clock

    def find(self, sort: Sort, text: str, *, actor: Actor) -> list[Findable]:
        """What a text names, oldest first, and last what has ended. Raises InvalidInput for a text
        that names nothing.
        """
        text = finding.as_written(text_field("text", text, LONGEST_TEXT))
        with acting.looking(self.database, actor, self.clock()) as by:
            return finding.find(text, FINDABLE[sort](by, text))


def _users(by: Acting, text: str) -> Iterable[Findable]:
    connection = by.connection
    users = people.with_ids(connection, _holding(by, text))
    serials = _serials(connection, users)
    for user in users:
        own = serials.get(user.id, ())
        yield Findable(
            user.id,
            (user.id, user.uuid12 or "", *own),
            _called(user),
            user.display_name,
            (*_addresses(user), *(f"card {serial}" for serial in own)),
            user.state,
            user.state is UserState.CLOSED,
            user.create_time,
        )


def _cards(by: Acting, text: str) -> Iterable[Findable]:
    connection = by.connection
    found = {card.id: card for card in cards.beginning(connection, text)}
    meant = listing.search(connection, text)
    found |= {card.id: card for card in cards.of_holders(connection, meant)}
    seen = by.seen_users({card.user_id for card in found.values()})
    holders = _holders(connection, seen)
    for _, card in sorted(found.items()):
        if card.user_id not in seen:
            continue
        holder = holders.get(card.user_id)
        yield Findable(
            card.serial,
            (card.serial, card.id, card.guid.hex()),
            _called(holder),
            _name(holder),
            (card.profile, *_addresses(holder)),
            card.state,
            card.state in OVER,
            card.create_time,
        )


def _devices(by: Acting, text: str) -> Iterable[Findable]:
    connection = by.connection
    devices = {each.id: each for each in people.devices_of(connection, _holding(by, text))}
    devices |= {each.id: each for each in _named(by, Role.DEVICE, text)}
    holders = _holders(connection, {each.user_id or "" for each in devices.values()})
    serials = _serials(connection, holders.values())
    for _, device in sorted(devices.items()):
        holder = holders.get(device.user_id or "")
        own = serials.get(device.user_id or "", ())
        called = (device.display_name, *_called(holder), *own)
        about = (f"of {_name(holder)}", *_addresses(holder))
        yield _identity(device, called, about)


def _identities(role: Role) -> Callable[[Acting, str], Iterable[Findable]]:
    def of_role(by: Acting, text: str) -> Iterable[Findable]:
        for identity in _named(by, role, text):
            yield _identity(identity, (identity.display_name,), (identity.site,))

    return of_role


def _organisations(by: Acting, _text: str) -> Iterable[Findable]:
    for each in organisations.list_all(by.connection):
        if by.held.sees(each.id):
            named, since = (each.name,), each.create_time
            yield Findable(each.id, (each.id,), named, each.name, create_time=since)


def _alerts(by: Acting, _text: str) -> Iterable[Findable]:
    connection = by.connection
    known = [
        each
        for each in alerts.list_all(connection, include_acknowledged=True)
        if by.held.sees_all or by.held.sees(organisation_of(by, each))
    ]
    holders = _holders(connection, {each.user_id or "" for each in known})
    named = {each for alert in known for each in (alert.card_id, alert.workstation_id) if each}
    names = {**cards.serials(connection, named), **people.names(connection, named)}
    for alert in known:
        serials, places = (
            (names[each],) if each in names else ()
            for each in (alert.card_id, alert.workstation_id)
        )
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


def _operations(by: Acting, text: str) -> Iterable[Findable]:
    if not by.held.sees_all:
        return
    for each in journal.operations_beginning(by.connection, finding.folded(text), MOST_OPERATIONS):
        yield Findable(each, (each,), (), "")


FINDABLE: Mapping[Sort, Callable[[Acting, str], Iterable[Findable]]] = {
    Sort.USER: _users,
    Sort.CARD: _cards,
    Sort.DEVICE: _devices,
    Sort.WORKSTATION: _identities(Role.WORKSTATION),
    Sort.OPERATOR: _identities(Role.OPERATOR),
    Sort.AUDITOR: _identities(Role.AUDITOR),
    Sort.CLIENT: _identities(Role.CLIENT),
    Sort.SHARED_DEVICE: _identities(Role.SHARED_DEVICE),
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


def _holding(by: Acting, text: str) -> Collection[str]:
    """Users whom a text can name, by themselves or by their cards."""
    connection = by.connection
    found = listing.search(connection, text) | cards.holders_by_serial(connection, text)
    return by.seen_users(found)


def _serials(connection: Connection, users: Iterable[User]) -> Mapping[str, Sequence[str]]:
    """The serial numbers of the cards of some users, by user."""
    serials: dict[str, list[str]] = {}
    for card in cards.of_holders(connection, [user.id for user in users]):
        serials.setdefault(card.user_id, []).append(card.serial)
    return serials


def _named(by: Acting, role: Role, text: str) -> list[Identity]:
    """Those identities of a role that a text can name."""
    part = finding.unaccented(text)
    found = people.with_identity_ids(
        by.connection,
        [
            each
            for each, name in people.identity_names(by.connection, role)
            if part in finding.unaccented(name) or each.startswith(part)
        ],
    )
    return [each for each in found if by.sees_identity(each)]


def _holders(connection: Connection, ids: Collection[str]) -> Mapping[str, User]:
    return {user.id: user for user in people.with_ids(connection, ids)}


def _called(user: User | None) -> tuple[str, ...]:
    if user is None:
        return ()
    return (user.display_name, user.email, user.upn, user.uuid12 or "")


def _name(user: User | None) -> str:
    return "" if user is None else user.display_name


def _addresses(user: User | None) -> tuple[str, ...]:
    return () if user is None else (f"UUID {user.uuid12}", user.email)
