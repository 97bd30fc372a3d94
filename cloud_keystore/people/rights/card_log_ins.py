"""Operators log in by their own cards. A browser has shown the card's certificate in TLS at a port
of its own; the process there says so, and nobody else can. What can be known here is checked here:
whose certificate it is, whether it is good, and that the card's key was used just now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from card_os.piv.names import KeyRef
from cloud_keystore.audit import acting
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.model.people import Identity
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.card_log_ins import (
    BROWSER_BYTES,
    DRAWN_BYTES,
    LARGEST_CERTIFICATE,
    USE_TIME,
    CardCode,
)
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.rights.log_in_operators import one_of
from cloud_keystore.people.rights.visits import Visits, enter
from cloud_keystore.pki.issuers import Authorities, Authority, Own
from cloud_keystore.pki.revocation.recording import serial_bytes
from cloud_keystore.storage import cards
from cloud_keystore.storage.directories import mappings
from cloud_keystore.storage.revocation import certificates
from cloud_keystore.storage.rights import recent_uses

LATE = "this has taken longer than a minute, was done before, or in another browser: begin again"
FOREIGN = "this certificate is not one by which people log in with a card of this keystore"
OVER = "this card's certificate was revoked, replaced or has ended"
NOT_IN_USE = "this card is not in use: it is suspended, revoked, has ended or has no passcode yet"
NOT_USED = "the keystore has not used this card's key just now: put the card in and begin again"
NOBODY = (
    "the holder of this card is no operator who is known here by it: log in in another way, and "
    "have an RA manager say who you are (cloudcard ra directory operator)"
)
SEVERAL = "the holder of this card is several operators: log in in another way"


@dataclass(frozen=True, slots=True)
class Shown:
    """A card that was shown, and the operator whose it is."""

    card: Card
    key: Key
    operator: Identity


@dataclass(frozen=True, slots=True)
class CardLogIns:
    """Begins visits of operators who have shown their cards."""

    visits: Visits
    seal: Seal = field(repr=False)
    authorities: Authorities

    def trusted(self) -> tuple[bytes, ...]:
        """The authorities whose cards a browser is asked for, DER."""
        return tuple(each.der for each in self._issuers(self.visits.clock()))

    def make_code(self, certificate: bytes, browser: bytes) -> str:
        """A code for the browser that has shown a card in TLS, which brings it back within a
        minute. Raises TokenRejected.
        """
        own, now = self.visits, self.visits.clock()
        if len(browser) != BROWSER_BYTES:
            raise TokenRejected(LATE)
        with own.database.read() as connection:
            shown = self._checked(connection, certificate, now)
            if not recent_uses.since(connection, shown.key, now - USE_TIME):
                raise TokenRejected(NOT_USED)
        made = CardCode(now, own.random(DRAWN_BYTES), certificate, b"")
        return str(CardCode(now, made.drawn, certificate, self._mac(made, browser)))

    def begin(self, code: str, browser: bytes) -> str:
        """Begin the visit of an operator who has shown a card in the same browser; returns its
        secret, which is new. Raises TokenRejected, NotAllowed.
        """
        own, now = self.visits, self.visits.clock()
        found = CardCode.parse(code)
        if found is None or not compare_digest(found.mac, self._mac(found, browser)):
            raise TokenRejected(LATE)
        if not found.is_fresh(now):
            raise TokenRejected(LATE)
        with own.database.read() as connection:
            operator = self._checked(connection, found.certificate, now).operator
        try:
            with acting.changing(own.database, operator.actor, now) as by:
                by.need_somewhere(Right.VIEW)
                # Again, in the transaction: the card can have been suspended meanwhile.
                shown = self._checked(by.connection, found.certificate, now)
                if shown.operator.id != operator.id:
                    raise TokenRejected(LATE)
                how = {"by": "card", "card": shown.card.id}
                return enter(
                    by, own.random, shown.operator, found.sha256, how, card_id=shown.card.id
                )
        # There is a visit, which has begun with the same code.
        except IntegrityError:
            raise TokenRejected(LATE) from None

    def _mac(self, code: CardCode, browser: bytes) -> bytes:
        return self.seal.derive("\0".join(("card log-in", browser.hex())), code.coded)

    def _issuers(self, now: datetime) -> list[Authority]:
        """Those of cards for production: developers' cards log in nobody."""
        return [each for each in self.authorities.generations[Own.CARDS] if now < each.end]

    def _checked(self, connection: Connection, der: bytes, now: datetime) -> Shown:
        """The card of a certificate, and its operator. Raises TokenRejected."""
        certificate = _parsed(der)
        issuer = next((one for one in self._issuers(now) if _issued(one, certificate)), None)
        if issuer is None:
            raise TokenRejected(FOREIGN)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise TokenRejected(OVER)
        serial = serial_bytes(certificate.serial_number)
        issued = certificates.find(connection, issuer.key_id, serial)
        if issued is None:
            raise TokenRejected(FOREIGN)
        card = cards.find(connection, issued.card_id)
        key = cards.key_under(connection, issued.card_id, KeyRef.AUTHENTICATION)
        if card is None or key is None or key.id != issued.key_id:
            raise TokenRejected(FOREIGN)
        if PROFILES[card.profile].developer:
            raise TokenRejected(FOREIGN)
        if not card.is_in_use(now):
            raise TokenRejected(NOT_IN_USE)
        if issued.revoked is not None or not compare_digest(key.certificate, der):
            raise TokenRejected(OVER)
        said = mappings.persons(connection, [card.user_id])
        return Shown(card, key, one_of(connection, said, now, NOBODY, SEVERAL))


def _parsed(der: bytes) -> x509.Certificate:
    """A certificate for clients of TLS; raises TokenRejected for anything else."""
    if len(der) > LARGEST_CERTIFICATE:
        raise TokenRejected(FOREIGN)
    try:
        found = x509.load_der_x509_certificate(der)
        usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise TokenRejected(FOREIGN) from None
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages or found.serial_number <= 0:
        raise TokenRejected(FOREIGN)
    return found


def _issued(authority: Authority, certificate: x509.Certificate) -> bool:
    """Whether an authority has signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
