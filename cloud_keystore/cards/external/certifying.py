"""Cards whose keys an authority outside of the keystore certifies: it is asked by requests, and a
card is complete when the certificates of all its keys were brought.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.cards import contents
from cloud_keystore.cards.external import checking, renewing
from cloud_keystore.cards.renewal import Renewal
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import Card, CardEvent, CardState, HeldKey, Key
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.external import (
    MOST_CERTIFICATES,
    Brought,
    Csr,
    ExternalAuthority,
    Outcome,
    Standing,
)
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.pki import csrs, external
from cloud_keystore.pki.certificates import Subject
from cloud_keystore.pki.external import Certified, NotCertified
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs as rows
from cloud_keystore.storage.issuing import external as trusted
from cloud_keystore.storage.outbox import notifications as outbox

UNKNOWN = "its key is none for which a certificate was asked"
BRING = "bring what was issued for `cloudcard ra card requests export`"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A key that waits for its certificate."""

    card: Card
    user: User
    key_ref: int
    asked: Csr
    authority: str

    @property
    def csr(self) -> bytes:
        """PKCS#10, DER."""
        return self.asked.csr


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """The external authority that certifies a card: its name and certificate, DER; empty if the
    keystore does so itself.
    """

    name: str = ""
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class Import:
    """What became of each certificate that was brought, in their order; `done` is whether anything
    could be changed at all.
    """

    brought: tuple[Brought, ...]
    done: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """A certificate that was brought, and the key for which it is."""

    der: bytes
    card: Card
    key: Key
    authority: str
    standing: Standing
    certified: Certified | None  # None: it was brought before


@dataclass(frozen=True, slots=True)
class Certifying:
    """Tells what waits for certificates, and takes them."""

    database: Database
    clock: Clock
    authorities: Authorities
    data_objects: DataObjects
    renewal: Renewal
    wake: Wake

    def waiting(self, *, actor: Actor) -> list[Waiting]:
        """The keys that wait for certificates, of cards whose holders the actor sees, oldest
        first.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            found = _waiting(by)
            return sorted(
                found, key=lambda each: (each.asked.create_time, each.card.id, each.key_ref)
            )

    def issuer(self, serial: str, *, actor: Actor) -> ExternalIssuer:
        """Which external authority certifies a card; raises CardNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            card = by.card(serial, Right.VIEW)
            asked = rows.of_card(by.connection, card.id)
            found = trusted.of(by.connection, asked[0]) if asked else None
        return ExternalIssuer() if found is None else ExternalIssuer(found.name, found.certificate)

    def install(
        self,
        certificates: Sequence[bytes],
        between: Sequence[bytes] = (),
        *,
        dry_run: bool = False,
        actor: Actor,
    ) -> Import:
        """Take certificates, DER, each for the key that is in it. A card that has all of them then
        is complete, or renewed, in one step, and ends with the first of them. `between` are those
        of authorities by way of which they lead to the trusted one.

        If one is refused, or with `dry_run`, nothing is changed. Raises InvalidInput, NotAllowed.
        """
        if not 1 <= len(certificates) <= MOST_CERTIFICATES or len(between) > MOST_CERTIFICATES:
            raise InvalidInput(f"bring 1 to {MOST_CERTIFICATES} certificates at a time")
        authorities, now = [external.read(each) for each in between], self.clock()
        with acting.changing(self.database, actor, now) as by:
            looked = [_looked(by, each, authorities, now) for each in dict.fromkeys(certificates)]
            looked = [*_without_rivals(looked)]
            found = [each for each in looked if isinstance(each, _Found)]
            complete = _complete(by.connection, found, now)
            done = not dry_run and len(found) == len(looked)
            topics = self._install(by, found, complete, now) if done else set()
        if topics:
            self.wake(sorted(topics))
        return Import(tuple(_brought(each, complete) for each in looked), done)

    def _install(
        self, by: Acting, found: Sequence[_Found], complete: Mapping[str, Card], now: datetime
    ) -> set[str]:
        """Keep certificates, and finish cards that have all; returns the topics to wake."""
        connection, topics = by.connection, set[str]()
        for each in found:
            if each.certified is not None:
                rows.receive(connection, each.key.id, each.der, each.certified.named_sha256)
                journal.append(connection, _told(each, each.certified, now, by.actor))
        for card in complete.values():
            if card.state is CardState.ISSUING:
                self._finish(connection, card, now, by.actor)
                topics.add(card.user_id)
            else:
                topics.update(renewing.finish(connection, self.renewal, card, now, by.actor))
        for each in found:
            if each.standing is Standing.NEXT and each.card.id not in complete:
                _ask_again(connection, each.card, now)
        return topics

    def _finish(self, connection: Connection, card: Card, now: datetime, actor: Actor) -> None:
        """Give a card all its certificates and objects, so that its holder can use it."""
        came = {each.key_id: each.certificate for each in rows.of_card(connection, card.id)}
        keys = [
            replace(key, certificate=came.get(key.id, key.certificate))
            for key in cards.keys(connection, card.id)
        ]
        for key_id, certificate in came.items():
            cards.set_certificate(connection, key_id, certificate)
        ends = (external.read(each).not_valid_after_utc for each in came.values())
        end = min(card.expire_time, *ends)
        cards.set_end(connection, card.id, end)
        whole, user = replace(card, expire_time=end), people.holder(connection, card)
        objects = contents.build(whole, user, keys, self.authorities, now)
        self.data_objects.add(connection, card.id, objects)
        if not cards.move(connection, card.id, CardEvent.COMPLETE):
            raise IllegalCardChange(f"card {card.serial} is {card.state}: it cannot be completed")
        said = {"expires": end.isoformat()}
        told = entries.about_card(Kind.CARD_COMPLETED, card, now, actor, said)
        journal.append(connection, told)
        outbox.about_card(connection, Template.CARD_ISSUED, whole, now, card.id)


def requests(
    card: Card, user: User, keys: Sequence[HeldKey], authority: ExternalAuthority, custody: Keys
) -> list[Csr]:
    """What an authority is asked for a new card's keys. Raises what using them raises."""
    templates = {each.key_ref: each.certificate for each in PROFILES[card.profile].keys}
    return [
        Csr(
            key_id=key.id,
            card_id=card.id,
            authority_id=authority.id,
            csr=csrs.build(templates[key.key_ref], Subject(card, user), key, custody),
            public_sha256=sha256(key.public_key).digest(),
            create_time=card.create_time,
        )
        for key in keys
        if key.key_ref in templates
    ]


def _waiting(by: Acting) -> Iterator[Waiting]:
    known = {each.id: each.name for each in trusted.list_all(by.connection)}
    asked = rows.waiting(by.connection)
    held = {each: cards.find(by.connection, each) for each in {each.card_id for each in asked}}
    seen = by.seen_users({card.user_id for card in held.values() if card is not None})
    for each in asked:
        card, key = held[each.card_id], cards.find_key(by.connection, each.key_id)
        if card is not None and key is not None and card.user_id in seen:
            user = people.holder(by.connection, card)
            name = known.get(each.authority_id, "")
            yield Waiting(card, user, key.key_ref, each, name)


def _looked(
    by: Acting, der: bytes, between: Sequence[x509.Certificate], now: datetime
) -> _Found | Brought:
    """Find the key of a certificate, and check it; or say why it is refused."""
    try:
        certificate = external.read(der)
    except InvalidInput as error:
        return Brought(Outcome.REFUSED, reason=str(error), fix=BRING)
    connection = by.connection
    asked = rows.find(connection, external.public_sha256(certificate))
    card = None if asked is None else cards.find(connection, asked.card_id)
    key = None if asked is None else cards.find_key(connection, asked.key_id)
    if asked is None or key is None or card is None or not by.sees_user(card.user_id):
        return Brought(Outcome.REFUSED, reason=UNKNOWN, fix=BRING)
    by.card(card.serial, Right.ISSUE)
    if asked.certificate == der:
        return _Found(der, card, key, "", asked.standing, None)
    authority = trusted.of(connection, asked)
    try:
        checking.check_waits(card, asked)
        certified = external.check(certificate, asked, authority.certificate, between, now)
        checking.check_number(connection, certified)
        checking.check_good(connection, authority, certified.chain)
        checking.check_longer(card, asked, certified)
    except NotCertified as error:
        reason, fix = str(error), error.fix
        return Brought(Outcome.REFUSED, card.serial, key.key_ref, reason=reason, fix=fix)
    return _Found(der, card, key, authority.name, asked.standing, certified)


def _without_rivals(looked: Sequence[_Found | Brought]) -> Iterator[_Found | Brought]:
    """What was found, of which no two are for the same key, or have the same number."""
    keys, names = set[str](), set[bytes]()
    for each in looked:
        if isinstance(each, _Found) and each.certified is not None:
            if each.key.id in keys or each.certified.named_sha256 in names:
                yield Brought(
                    Outcome.REFUSED,
                    each.card.serial,
                    each.key.key_ref,
                    reason="another one of those brought is for this key, or has this number",
                    fix="bring one for each key",
                )
                continue
            keys.add(each.key.id)
            names.add(each.certified.named_sha256)
        yield each


def _complete(connection: Connection, found: Sequence[_Found], now: datetime) -> dict[str, Card]:
    """Cards that have all certificates with those that were found, by their identifiers."""
    new = {each.key.id for each in found if each.certified is not None}
    held = {each.card.id: each for each in found if each.certified is not None}
    return {
        card_id: one.card
        for card_id, one in held.items()
        if all(
            each.key_id in new or _is_there(connection, each, now)
            for each in rows.of_card(connection, card_id, one.standing)
        )
    }


def _is_there(connection: Connection, each: Csr, now: datetime) -> bool:
    """Whether a certificate came before, and is of use for a card that is renewed with it."""
    return bool(each.certificate) and not (
        each.standing is Standing.NEXT and checking.is_spoilt(connection, each, now)
    )


def _ask_again(connection: Connection, card: Card, now: datetime) -> None:
    """Have those keys of a card certified anew whose certificates came to be of no use."""
    for each in rows.of_card(connection, card.id, Standing.NEXT):
        if each.certificate and checking.is_spoilt(connection, each, now):
            rows.ask_again(connection, each.key_id)


def _brought(each: _Found | Brought, complete: Collection[str]) -> Brought:
    if isinstance(each, Brought):
        return each
    if each.certified is None:
        return Brought(Outcome.THERE, each.card.serial, each.key.key_ref)
    outcome = Outcome.COMPLETED if each.card.id in complete else Outcome.KEPT
    return Brought(outcome, each.card.serial, each.key.key_ref, each.certified.subject)


def _told(found: _Found, certified: Certified, now: datetime, actor: Actor) -> Entry:
    said: dict[str, Detail] = {
        "key_ref": f"{found.key.key_ref:02X}",
        "authority": found.authority,
        "number": certified.serial,
        "certificate_sha256": sha256(found.der).hexdigest(),
    }
    if certified.subject:
        said["subject"] = certified.subject  # which is not the one that was asked for
    return entries.about_card(
        Kind.CERTIFICATE_RECEIVED, found.card, now, actor, said, key=found.key
    )
