"""Lets cards feel what external authorities have revoked: revoked certificates end a card, those on
hold suspend it until they are off the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from types import MappingProxyType

import structlog
from cryptography import x509
from sqlalchemy import Connection

from cloud_keystore.audit import alerts
from cloud_keystore.cards.life import TOLD, move_card
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import IN_USE, OVER, Card, CardEvent, CardState
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.pki.external import ExternalAuthority
from cloud_keystore.model.pki.lists import ExternalList, Felt
from cloud_keystore.model.pki.revocation import RevocationReason, Revoked
from cloud_keystore.pki import external as external_pki
from cloud_keystore.pki.revocation import external as reading
from cloud_keystore.storage import cards
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import external
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.revocation import external_lists, felt

log = structlog.get_logger()

MOST_CARDS = 500  # that feel something in one look, each in a transaction of its own
MOST_STOPPED = 500  # keys of cards that a stale list stops, in one look
LARGEST_SERIAL = 1 << 168  # more than certificates have (RFC 5280, 4.1.2.2)
UNSPECIFIED, HOLD = RevocationReason.UNSPECIFIED, RevocationReason.CERTIFICATE_HOLD
WHY: Mapping[CardEvent, str] = MappingProxyType(
    {
        CardEvent.REVOKE: "{who} has revoked a certificate of it",
        CardEvent.SUSPEND: "{who} has put a certificate of it on hold, or tells nothing any longer",
        CardEvent.RESUME: "{who} has taken its certificates off hold",
    }
)


@dataclass(frozen=True, slots=True)
class Heeding:
    """What each process of custody looks after every second. What one leaves half done, the next
    look finishes.
    """

    database: Database
    clock: Clock
    random: Random

    def look(self) -> set[str]:
        """Apply what has come, and warn of what is stale; return the topics to wake."""
        with self.database.read() as connection:
            held = external_lists.list_all(connection)
            known = {each.id: each for each in external.list_all(connection)} if held else {}
        now, topics = self.clock(), set[str]()
        for each in held:
            authority = known.get(each.authority_id)
            try:
                if authority is not None:
                    self._see(each, Line.of(authority, known, held), now)
            # Those of the other authorities are seen to all the same.
            except RecordDamaged as error:
                log.critical("a revocation list cannot be applied", reason=str(error))
        with self.database.read() as connection:
            waiting = felt.waiting(connection, MOST_CARDS)
        for card_id in waiting:
            try:
                topics |= self._settle(card_id, known, now)
            # A damaged card keeps no other one in use.
            except RecordDamaged as error:
                log.critical("a card cannot feel a revocation", card=card_id, reason=str(error))
        return topics

    def _see(self, held: ExternalList, line: Line, now: datetime) -> None:
        authority = line.authority
        if line.mark != held.applied:
            self._apply(held, line)
        if held.is_stale(now):
            if held.warn_time is None:
                self._warn(held, authority, now)
            if held.stops:
                self._stop(held, now)

    def _apply(self, held: ExternalList, line: Line) -> None:
        """Note what a list says of cards' certificates; others are none of ours. Where a list above
        has the authority itself, all that it has issued is as that is.
        """
        authority = line.authority
        with self.database.read() as connection:
            said = _said(connection, held, authority)
            whole = line.revoked(connection)
            if whole is not None:
                subject = x509.load_der_x509_certificate(authority.certificate).subject
                for each in felt.issued(connection, authority, subject.public_bytes()):
                    if each.key_id not in said or said[each.key_id].is_hold:
                        said[each.key_id] = replace(each, revoked=whole)
        with self.database.write() as connection:
            now_held = external_lists.find(connection, authority.id)
            if now_held is None or now_held.number != held.number:
                return
            for each in _changes(felt.of_authority(connection, authority.id), said):
                felt.put(connection, each)
            external_lists.put(connection, replace(now_held, applied=line.mark))
        log.info("a revocation list was applied", authority=authority.name, known=len(said))

    def _stop(self, held: ExternalList, now: datetime) -> None:
        """Put certificates of cards in use on hold until there is another list."""
        with self.database.read() as connection:
            if not felt.untouched(connection, held.authority_id, 1):
                return
        stopped = Revoked(RevocationReason.CERTIFICATE_HOLD, now)
        with self.database.write() as connection:
            now_held = external_lists.find(connection, held.authority_id)
            if now_held is None or not (now_held.stops and now_held.is_stale(now)):
                return
            for each in felt.untouched(connection, held.authority_id, MOST_STOPPED):
                felt.put(connection, replace(each, revoked=stopped))
            # The next list takes off hold what it does not have.

    def _warn(self, held: ExternalList, authority: ExternalAuthority, now: datetime) -> None:
        with self.database.write() as connection:
            now_held = external_lists.find(connection, held.authority_id)
            if now_held is None or now_held.warn_time is not None or not now_held.is_stale(now):
                return
            external_lists.put(connection, replace(now_held, warn_time=now))
            alerts.stale_list(
                connection, authority.name, now_held.next_time or now, now, self.random
            )

    def _settle(
        self, card_id: str, known: Mapping[str, ExternalAuthority], now: datetime
    ) -> set[str]:
        """Let a card feel what was noted, unless it has."""
        with self.database.write() as connection:
            card = cards.find(connection, card_id)
            noted = felt.of_card(connection, card_id)
            if card is None or not any(each.waits for each in noted):
                return set()
            return {card.user_id, *_feel(connection, card, noted, known, now)}


@dataclass(frozen=True, slots=True)
class Line:
    """An authority, and those above it up to the trusted one, each with its list, if one is held.
    `mark` says which lists these are.
    """

    steps: Sequence[tuple[ExternalAuthority, ExternalList | None]]

    @classmethod
    def of(
        cls,
        authority: ExternalAuthority,
        known: Mapping[str, ExternalAuthority],
        held: Sequence[ExternalList],
    ) -> Line:
        """The line of an authority among those that are known."""
        lists = {each.authority_id: each for each in held}
        others = [
            each
            for each in known.values()
            if authority.above_id and authority.chief_id in (each.id, each.above_id)
        ]
        steps = [(authority, lists.get(authority.id))]
        while steps[-1][0].above_id and others:
            lower = steps[-1][0]
            others = [each for each in others if each.id != lower.id]
            above = next((each for each in others if external_pki.is_below(lower, each)), None)
            if above is None:
                break
            steps.append((above, lists.get(above.id)))
        return cls(steps)

    @property
    def authority(self) -> ExternalAuthority:
        """The one that it begins with."""
        return self.steps[0][0]

    @property
    def mark(self) -> str:
        """The numbers of the lists; for one that is below none, that of its own."""
        numbers = ["" if held is None else held.number for _, held in self.steps]
        return "/".join(numbers) if any(numbers) else ""

    def revoked(self, connection: Connection) -> Revoked | None:
        """What the lists above say of the authority, or of one between; None if nothing."""
        found: list[Revoked] = []
        for (lower, _), (_, held) in pairwise(self.steps):
            if held is not None and held.number:
                serial = x509.load_der_x509_certificate(lower.certificate).serial_number
                said = reading.held(external_lists.document(connection, held)).get(serial)
                found += [] if said is None else [said]
        return min(found, key=lambda each: each.reason is HOLD, default=None)


def _said(
    connection: Connection, held: ExternalList, authority: ExternalAuthority
) -> dict[str, Felt]:
    """What an authority's own list says of keys of cards."""
    if not held.number:
        return {}
    revoked = reading.held(external_lists.document(connection, held))
    issuer = x509.load_der_x509_certificate(authority.certificate).subject.public_bytes()
    names = {
        _named(issuer, serial): each
        for serial, each in revoked.items()
        if 0 <= serial < LARGEST_SERIAL
    }
    found = felt.named(connection, authority, names)
    return {each.key_id: replace(each, revoked=names[name]) for name, each in found.items()}


def _feel(
    connection: Connection,
    card: Card,
    noted: Sequence[Felt],
    known: Mapping[str, ExternalAuthority],
    now: datetime,
) -> list[str]:
    """Let a card feel what its authority says now; return the topics to wake."""
    there = [each for each in noted if each.on_list]
    final = [each for each in there if not each.is_hold]
    suspended = any(each.suspended for each in noted)
    who = next((known[each.authority_id].name for each in noted if each.authority_id in known), "")
    # A card that is not in use yet feels a hold once it is.
    waits = bool(there) and not final and card.state not in (*OVER, *IN_USE)
    moved: list[str] = []
    if final and card.state not in OVER:
        moved = _move(connection, card, CardEvent.REVOKE, who, _worst(final).revoked, now)
    elif there and not final and card.state is CardState.ACTIVE:
        moved, suspended = _move(connection, card, CardEvent.SUSPEND, who, None, now), True
    for each in noted:
        stays = each.on_list and not waits
        felt.put(
            connection,
            replace(each, waits=each.on_list and waits, suspended=suspended and stays),
        )
    if not there and suspended and card.state is CardState.SUSPENDED:
        moved = _move(connection, card, CardEvent.RESUME, who, None, now)
    return moved


def _move(
    connection: Connection,
    card: Card,
    event: CardEvent,
    who: str,
    revoked: Revoked | None,
    now: datetime,
) -> list[str]:
    reason = WHY[event].format(who=who)
    code = UNSPECIFIED if revoked is None else revoked.reason
    invalid_time = None if revoked is None else revoked.invalid_time
    withdrawn = move_card(connection, card, event, now, KEYSTORE, reason, code, invalid_time)
    by = f'the authority "{who}"'
    outbox.about_card(connection, TOLD[event], card, now, reason=reason, who=by)
    return withdrawn


def _worst(final: list[Felt]) -> Felt:
    """The one that counts for the card: a compromised key more than anything else."""
    compromised = (each for each in final if each.revoked.reason is RevocationReason.KEY_COMPROMISE)
    return next(compromised, final[0])


def _changes(before: Mapping[str, Felt], said: Mapping[str, Felt]) -> Iterator[Felt]:
    """What differs between what a list says and what was noted. What was revoked stays so: lists
    leave out certificates that have ended.
    """
    for key_id, each in said.items():
        known = before.get(key_id)
        if known is None or (known.is_hold and not (each.is_hold and known.on_list)):
            suspended = known is not None and known.suspended
            yield replace(each, suspended=suspended)
    for key_id, known in before.items():
        if known.is_hold and known.on_list and key_id not in said:
            yield replace(known, on_list=False, waits=True)


def _named(issuer: bytes, serial: int) -> bytes:
    """As what names a certificate is kept: see pki.external."""
    return sha256(issuer + serial.to_bytes(21)).digest()
