"""The service's own keys: made at the first start and when a successor is due, kept sealed in the
database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from sqlalchemy import Connection

from card_os.piv.algorithms import PUBLIC_EXPONENT
from cloud_keystore.audit import alerts, entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.journal import Kind
from cloud_keystore.pki.building import ca, content_signer, self_signed
from cloud_keystore.pki.issuers import (
    DEVELOPER,
    ISSUERS,
    NOTICE,
    PRODUCTION,
    SUCCESSIONS,
    Authorities,
    Authority,
    Generations,
    Own,
)
from cloud_keystore.storage import authorities
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.revocation import lists

RENEWED = timedelta(days=60)  # before it ends, a pinned certificate of before gets another

CA_NAMES: Mapping[Own, str] = MappingProxyType(
    {
        Own.TRANSPORT: "cloudcard transport CA",
        Own.CARDS: "cloudcard card CA",
        Own.DEVELOPER_CARDS: "cloudcard developer card CA, not for production",
        Own.ATTESTATION: "cloudcard attestation CA",
    }
)
# Those that an authority of cards has certified are made with it.
CONTENT_NAMES: Mapping[Own, str] = MappingProxyType(
    {
        Own.CARDS: "cloudcard content signer",
        Own.DEVELOPER_CARDS: "cloudcard developer content signer",
    }
)
CURVES = (ec.SECP256R1(), ec.SECP384R1())  # of content signers
KINDS = (PRODUCTION, DEVELOPER)
PINNED: Mapping[Own, str] = MappingProxyType(
    {Own.REQUEST: "cloudcard request key", Own.ENROLMENT: "cloudcard enrolment"}
)


def load_or_make(database: Database, seal: Seal, clock: Clock) -> Authorities:
    """Read the service's keys, and make those that do not exist; raises SealBroken if the sealing
    key is wrong.

    It is one transaction, because other replicas can start on the same database at the same time.
    """
    now = clock()
    with database.write(long=True) as connection:
        found = {name: _load(connection, seal, name, ()) for name in Own}
        for name, called in CA_NAMES.items():
            if not found[name]:
                found[name] = (_add(connection, seal, name, 1, _ca(name, called, now)),)
        for issuer, *signers in KINDS:
            for name, curve in zip(signers, CURVES, strict=True):
                if not found[name]:
                    made = content_signer(CONTENT_NAMES[issuer], found[issuer][0], curve, now)
                    found[name] = (_add(connection, seal, name, 1, made),)
        for name, called in PINNED.items():
            if not found[name]:
                found[name] = (_add(connection, seal, name, 1, self_signed(called, now)),)
        # Its tokens know it by its hash: those that wait have to be made anew.
        if found[Own.ENROLMENT][0].end < now + RENEWED:
            authorities.remove(connection, Own.ENROLMENT)
            made = self_signed(PINNED[Own.ENROLMENT], now)
            found[Own.ENROLMENT] = (_add(connection, seal, Own.ENROLMENT, 1, made),)
    return Authorities(found, clock)


def succeed(
    database: Database, seal: Seal, own: Authorities, now: datetime, random: Random
) -> list[Own]:
    """Make the successors that are due, and take over those that other processes have made; returns
    those that this one has made.
    """
    with database.read() as connection:
        stored = authorities.count(connection)
    due = _due(own.generations, now)
    if not due and stored == sum(map(len, own.generations.values())):
        return []
    made: list[Own] = []
    with database.write(long=True) as connection:
        found = {name: _load(connection, seal, name, own.generations[name]) for name in Own}
        for name in _due(found, now):
            made.append(name)
            number = len(found[name]) + 1
            called = f"{CA_NAMES[name]} {number}"
            fresh = _add(connection, seal, name, number, _ca(name, called, now))
            found[name] += (fresh,)
            for signers in (kind[1:] for kind in KINDS if kind[0] is name):
                for signer, curve in zip(signers, CURVES, strict=True):
                    certified = content_signer(CONTENT_NAMES[name], fresh, curve, now)
                    found[signer] += (_add(connection, seal, signer, number, certified),)
            # Whoever checks cards in production must not trust those of developers.
            if name is Own.CARDS:
                alerts.card_authority(connection, called, now + NOTICE, now, random)
            said = {"authority": called, "ends": fresh.end.date().isoformat()}
            journal.append(
                connection,
                entries.about_keystore(
                    Kind.AUTHORITY_MADE, now, KEYSTORE, said, {"certificate": fresh.der}
                ),
            )
    own.generations = found
    return made


def _due(known: Generations, now: datetime) -> list[Own]:
    return [
        name
        for name, succession in SUCCESSIONS.items()
        if known[name][-1].end - succession.before <= now
    ]


def _ca(name: Own, called: str, now: datetime) -> Authority:
    make: Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = (
        (lambda: rsa.generate_private_key(PUBLIC_EXPONENT, 3072))
        if name is Own.CARDS
        else (lambda: ec.generate_private_key(ec.SECP256R1()))
    )
    return ca(called, make(), now)


def _load(
    connection: Connection, seal: Seal, own: Own, known: Iterable[Authority]
) -> tuple[Authority, ...]:
    """The generations of a key, the oldest first; `known` are those that were read before."""
    found = list(known)
    while (row := authorities.find(connection, _name(own, len(found) + 1))) is not None:
        certificate, sealed = row
        name = _name(own, len(found) + 1)
        # The seal authenticates the key, so the slow check of an RSA key is not needed.
        pkcs8 = seal.open(sealed, _context(name))
        private = load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise TypeError(f"authority {name} has a key of an unknown kind")
        found.append(Authority(x509.load_der_x509_certificate(certificate), private))
    return tuple(found)


def _add(connection: Connection, seal: Seal, own: Own, number: int, made: Authority) -> Authority:
    pkcs8 = made.private.private_bytes(
        Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    name = _name(own, number)
    authorities.add(connection, name, made.der, seal.close(pkcs8, _context(name)))
    if own in ISSUERS:
        lists.begin(connection, made.key_id)
    return made


def _name(own: Own, number: int) -> str:
    """The name of a generation in the database."""
    return own.value if number == 1 else f"{own.value} {number}"


def _context(name: str) -> str:
    return f"authority {name}"
