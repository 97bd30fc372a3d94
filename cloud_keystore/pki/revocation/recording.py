"""Records the certificates of cards, and their revocation, in the caller's transaction: that in
which they are issued, or in which the card changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import count

import structlog
from cryptography import x509
from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.model.cards import CardState, Key
from cloud_keystore.model.pki.revocation import Issued, RevocationReason, Revoked
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.storage import cards
from cloud_keystore.storage.cards import PastKey
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs
from cloud_keystore.storage.revocation import certificates, lists

log = structlog.get_logger()

PAGE = 250  # keys in one transaction, for which other writers wait
TOLD = 100  # pages, after which the log says how far it is


def record(connection: Connection, keys: Iterable[Key]) -> None:
    """Record the certificates that have been issued for keys."""
    certificates.add(connection, _issued(keys))


def hold(connection: Connection, card_id: str, now: datetime) -> None:
    """Put the certificates of a suspended card on hold."""
    revoke(connection, card_id, Revoked(RevocationReason.CERTIFICATE_HOLD, now))


def release(connection: Connection, card_id: str) -> None:
    """Make the certificates of a resumed card good again."""
    certificates.release(connection, card_id)


def revoke(connection: Connection, card_id: str, revoked: Revoked) -> None:
    """Revoke the certificates of a card, also those of which somebody has deleted the record.
    Raises RowNotAuthentic.
    """
    certificates.revoke(connection, card_id, revoked)
    known = certificates.recorded(connection, [card_id])
    lost = [
        replace(each, revoked=revoked)
        for each in _issued(_own(connection, cards.keys(connection, card_id)))
        if (each.issuer, each.serial) not in known
    ]
    certificates.add(connection, lost)


def supersede(connection: Connection, card_id: str, key_id: str, now: datetime) -> None:
    """Revoke what was issued for a key so far, because it leaves its card, or gets another
    certificate.
    """
    certificates.revoke(
        connection, card_id, Revoked(RevocationReason.SUPERSEDED, now), frozenset({key_id})
    )


def begin_all(database: Database, authorities: Authorities, now: datetime) -> None:
    """Record what was issued before certificates were recorded, and begin the list of each
    authority. Lists that have begun show that this was done.
    """
    with database.read() as connection:
        waiting = _without_list(connection, authorities)
    if not waiting:
        return
    last = ""
    for number in count(1):
        with database.write(long=True) as connection:
            page = cards.keys_after(connection, last, PAGE)
            known = certificates.recorded(connection, {each.key.card_id for each in page})
            own = {each.id for each in _own(connection, [each.key for each in page])}
            before = [
                replace(each, revoked=_revoked_before(key, now))
                for key in page
                if key.key.id in own
                for each in _issued([key.key])
                if (each.issuer, each.serial) not in known
            ]
            certificates.add(connection, before)
        if not page:
            break
        last = page[-1].key.id
        if number % TOLD == 0:
            log.info("certificates of cards of before are being recorded", keys=number * PAGE)
    with database.write(long=True) as connection:
        for issuer in _without_list(connection, authorities):
            lists.begin(connection, issuer, len(certificates.entries(connection, issuer)))


def _without_list(connection: Connection, authorities: Authorities) -> list[bytes]:
    known = [each.key_id for each in authorities.that_issue_cards]
    return [each for each in known if lists.find(connection, each) is None]


def _revoked_before(key: PastKey, now: datetime) -> Revoked | None:
    """Why the certificate of a key is not good; when it was suspended, nobody has written down."""
    if key.remove_time is not None:
        return Revoked(RevocationReason.SUPERSEDED, key.remove_time)
    if key.card_state is CardState.REVOKED:
        return Revoked(RevocationReason.UNSPECIFIED, key.destroy_time or now)
    if key.card_state is CardState.SUSPENDED:
        return Revoked(RevocationReason.CERTIFICATE_HOLD, now)
    return None


def _own(connection: Connection, keys: Collection[Key]) -> list[Key]:
    """Those of some keys that the keystore certifies, and no other authority."""
    others = csrs.asked_for(connection, [key.id for key in keys])
    return [key for key in keys if key.id not in others]


def _issued(keys: Iterable[Key]) -> list[Issued]:
    """What there is to record of those keys that have certificates of X.509."""
    return [
        issued(key) for key in keys if key.certificate and key.key_ref != KeyRef.SECURE_MESSAGING
    ]


def issued(key: Key) -> Issued:
    """What there is to record of a key's certificate."""
    certificate = x509.load_der_x509_certificate(key.certificate)
    named = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    return Issued(
        issuer=named.value.key_identifier or b"",
        serial=serial_bytes(certificate.serial_number),
        card_id=key.card_id,
        key_id=key.id,
        end_time=certificate.not_valid_after_utc,
    )


def serial_bytes(number: int) -> bytes:
    """A serial number as records name it: as few bytes as it needs, without a sign."""
    return number.to_bytes((number.bit_length() + 7) // 8)
