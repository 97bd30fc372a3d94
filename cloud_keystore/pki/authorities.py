"""The service's own keys: made at the first start, kept sealed in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from sqlalchemy import Connection

from card_os.piv.algorithms import PUBLIC_EXPONENT
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.pki.building import ca, content_signer, self_signed
from cloud_keystore.pki.issuers import Authorities, Authority
from cloud_keystore.storage import authorities
from cloud_keystore.storage.engine import Database


def load_or_make(database: Database, seal: Seal, now: datetime) -> Authorities:
    """Read the service's keys, and make those that do not exist; raises SealBroken if the sealing
    key is wrong.

    It is one transaction, because other replicas can start on the same database at the same time.
    """
    with database.write(long=True) as connection:

        def own(name: str, make: Callable[[], Authority]) -> Authority:
            found = _load(connection, seal, name)
            return found or _add(connection, seal, name, make())

        def own_ca(name: str, common_name: str) -> Authority:
            return own(name, lambda: ca(common_name, ec.generate_private_key(ec.SECP256R1()), now))

        cards = own(
            "cards",
            lambda: ca("cloudcard card CA", rsa.generate_private_key(PUBLIC_EXPONENT, 3072), now),
        )
        return Authorities(
            transport=own_ca("transport", "cloudcard transport CA"),
            cards=cards,
            content=own("content", lambda: content_signer(cards, ec.SECP256R1(), now)),
            content_p384=own("content P-384", lambda: content_signer(cards, ec.SECP384R1(), now)),
            attestation=own_ca("attestation", "cloudcard attestation CA"),
            request=own("request", lambda: self_signed("cloudcard request key", now)),
            enrolment=own("enrolment", lambda: self_signed("cloudcard enrolment", now)),
        )


def _load(connection: Connection, seal: Seal, name: str) -> Authority | None:
    row = authorities.find(connection, name)
    if row is None:
        return None
    certificate, sealed = row
    # The seal authenticates the key, so the slow check of an RSA key is not needed.
    pkcs8 = seal.open(sealed, _context(name))
    private = load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError(f"authority {name} has a key of an unknown kind")
    return Authority(x509.load_der_x509_certificate(certificate), private)


def _add(connection: Connection, seal: Seal, name: str, made: Authority) -> Authority:
    pkcs8 = made.private.private_bytes(
        Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authorities.add(connection, name, made.der, seal.close(pkcs8, _context(name)))
    return made


def _context(name: str) -> str:
    return f"authority {name}"
