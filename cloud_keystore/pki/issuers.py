"""The authorities of the service, its own keys with which it issues and signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.approval import statement
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.people import IDENTITY_LIFETIME
from cloud_keystore.model.profiles import PROFILES, CardProfile

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

LONGEST_CARD = timedelta(days=max(each.validity_days for each in PROFILES.values()))
# Before an authority ends, what it has issued has ended for that long.
SPARE = timedelta(days=180)
# Transport is checked by the clocks of many computers, and the keystore's own can have been ahead
# when it made a certificate.
TRANSPORT_TOLERANCE = timedelta(days=1)
# Those that rely on cards need time to install a new authority of cards.
NOTICE = timedelta(days=90)
# Other processes of the keystore know a new authority before its certificates are shown to them.
SPREADING = timedelta(days=1)


@unique
class Own(StrEnum):
    """The keys of the service; the first of each has this name in the database."""

    TRANSPORT = "transport"
    CARDS = "cards"
    CONTENT = "content"
    CONTENT_P384 = "content P-384"
    ATTESTATION = "attestation"
    DEVELOPER_CARDS = "developer cards"
    DEVELOPER_CONTENT = "developer content"
    DEVELOPER_CONTENT_P384 = "developer content P-384"
    REQUEST = "request"
    ENROLMENT = "enrolment"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and its private key."""

    certificate: x509.Certificate
    private: PrivateKey = field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate, DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def end(self) -> datetime:
        """When the certificate ends."""
        return self.certificate.not_valid_after_utc

    @property
    def key_id(self) -> bytes:
        """The key identifier, which the certificates that it issues name too."""
        found = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return found.value.digest


@dataclass(frozen=True, slots=True)
class Succession:
    """When an authority gets a successor, and after how long that one issues in its place."""

    before: timedelta  # the end of the one before
    ready: timedelta


SUCCESSIONS: Mapping[Own, Succession] = MappingProxyType(
    {
        Own.TRANSPORT: Succession(IDENTITY_LIFETIME + SPARE, SPREADING),
        Own.CARDS: Succession(LONGEST_CARD + SPARE, NOTICE),
        Own.DEVELOPER_CARDS: Succession(LONGEST_CARD + SPARE, NOTICE),
        Own.ATTESTATION: Succession(LONGEST_CARD + SPARE, SPREADING),
    }
)


@dataclass(frozen=True, slots=True)
class CardAuthorities:
    """Those of one kind of cards: `cards` certifies the keys of cards. `content` signs their data
    objects; it and `content_p384` sign the card verifiable certificates of their own curve
    (SP 800-78-5, 3.2.1).
    """

    cards: Authority
    content: Authority
    content_p384: Authority


# The keys of each kind, in the order of the fields above.
PRODUCTION = (Own.CARDS, Own.CONTENT, Own.CONTENT_P384)
DEVELOPER = (Own.DEVELOPER_CARDS, Own.DEVELOPER_CONTENT, Own.DEVELOPER_CONTENT_P384)
ISSUERS = (PRODUCTION[0], DEVELOPER[0])
Generations: TypeAlias = Mapping[Own, tuple[Authority, ...]]  # the oldest first


class Authorities:
    """All keys that are the service's own, each in generations, of which one issues now.

    There are several CAs, so that a card's certificate is never taken for an identity, nor a
    developer's card for one in production: `transport` certifies the service, workstations,
    devices, operators and auditors; those of `of_cards` certify cards. `attestation` certifies
    which keys the service made. `request` signs what devices show. `enrolment` is the certificate
    of the enrolment port, which tokens pin.
    """

    def __init__(self, generations: Generations, clock: Clock) -> None:
        self.generations = generations  # replaced as a whole by the upkeep
        self._clock = clock

    @property
    def transport(self) -> Authority:
        """The one that certifies clients."""
        return self._issuing(Own.TRANSPORT)

    @property
    def transports(self) -> list[Authority]:
        """Those that are trusted, first the one that certifies the service.

        A client knows all that there are when it is enrolled or renewed. Therefore, until SPARE
        before its end, the service is certified by the oldest: by then, whoever knows no other has
        ended.
        """
        now = self._clock()
        valid = [each for each in self.generations[Own.TRANSPORT] if now < each.end]
        newest = self.generations[Own.TRANSPORT][-1]
        server = next((each for each in valid if now < each.end - SPARE), newest)
        return [server, *(each for each in valid if each is not server)]

    def of_cards(self, profile: CardProfile) -> CardAuthorities:
        """Those that issue cards of a profile now."""
        kind = DEVELOPER if profile.developer else PRODUCTION
        place = self._place(kind[0])
        return CardAuthorities(*(self.generations[name][place] for name in kind))

    @property
    def that_issue_cards(self) -> list[Authority]:
        """All generations that have issued cards and have not ended, the oldest of each kind
        first.
        """
        now = self._clock()
        return [each for name in ISSUERS for each in self.generations[name] if now < each.end]

    def issues_cards(self, authority: Authority) -> bool:
        """Whether it is one of those that certify new cards."""
        return any(self._issuing(name) is authority for name in ISSUERS)

    @property
    def attestation(self) -> Authority:
        return self._issuing(Own.ATTESTATION)

    @property
    def request(self) -> Authority:
        return self.generations[Own.REQUEST][-1]

    @property
    def enrolment(self) -> Authority:
        return self.generations[Own.ENROLMENT][-1]

    def card_issuer(self, profile: CardProfile, certificate: bytes | None) -> Authority:
        """The authority that has issued a card's certificate, DER; the present one of its profile
        if there is none.
        """
        if certificate is not None:
            issuer = x509.load_der_x509_certificate(certificate).issuer
            # Developers' cards of before are certified like others.
            for name in ISSUERS:
                for each in self.generations[name]:
                    if each.certificate.subject == issuer:
                        return each
        return self.of_cards(profile).cards

    def attestation_of(self, attestation_object: bytes) -> Authority:
        """The authority of attestations whose certificate is in a card's object."""
        known = self.generations[Own.ATTESTATION]
        return next((each for each in known if each.der in attestation_object), self.attestation)

    def request_public_key(self) -> bytes:
        """The public request key, which devices pin; SubjectPublicKeyInfo, DER."""
        return self.request.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def sign_request(self, payload: bytes) -> bytes:
        """Sign a payload, so that the device knows which keystore asks."""
        return sign(self.request.private, statement.request(payload))

    def _issuing(self, name: Own) -> Authority:
        return self.generations[name][self._place(name)]

    def _place(self, name: Own) -> int:
        """The place of the generation that issues now: the newest that is ready."""
        now, ready = self._clock(), SUCCESSIONS[name].ready
        known = self.generations[name]
        for place in range(len(known) - 1, 0, -1):
            made = known[place].certificate.not_valid_before_utc + TRANSPORT_TOLERANCE
            if made + ready <= now or known[place - 1].end <= now:
                return place
        return 0


def sign(private: PrivateKey, data: bytes) -> bytes:
    """ECDSA with the hash that goes with the curve, DER."""
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("only EC keys sign here")
    return private.sign(data, ec.ECDSA(SHA384() if private.curve.key_size == 384 else SHA256()))
