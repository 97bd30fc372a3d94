"""Whether a certificate that was brought for a key can be taken, besides what it says itself, at
which `pki.external` looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from sqlalchemy import Connection

from cloud_keystore.model.cards import OVER, Card, CardState
from cloud_keystore.model.pki.external import Csr, ExternalAuthority, Standing
from cloud_keystore.pki import external
from cloud_keystore.pki.external import Certified, NotCertified
from cloud_keystore.pki.revocation import external as revoked_lists
from cloud_keystore.storage.issuing import csrs
from cloud_keystore.storage.issuing import external as trusted
from cloud_keystore.storage.revocation import external_lists


def check_waits(card: Card, asked: Csr) -> None:
    """Raise NotCertified unless a key of a card waits for a certificate."""
    if card.state in OVER:
        raise NotCertified(
            f"card {card.serial} is {card.state}, and its keys are destroyed",
            "have the certificate revoked where it was issued",
        )
    if asked.standing is Standing.FORMER:
        raise NotCertified(
            "the key is no longer on its card, or never came there",
            "have the certificate revoked where it was issued",
        )
    if asked.standing is Standing.NEXT and card.state is CardState.SUSPENDED:
        raise NotCertified(
            f"card {card.serial} is suspended: it cannot renew",
            "resume the card, and bring it then",
        )
    waits = asked.standing is Standing.NEXT or card.state is CardState.ISSUING
    if asked.certificate or not waits:
        raise NotCertified(
            "the key has another certificate already",
            "have this one revoked where it was issued",
        )


def check_number(connection: Connection, certified: Certified) -> None:
    """Raise NotCertified if another certificate has this number."""
    if csrs.is_named(connection, certified.named_sha256):
        raise NotCertified(
            "another key has a certificate of this serial number",
            "ask the authority, which must not give a number twice",
        )


def check_good(
    connection: Connection, authority: ExternalAuthority, chain: Iterable[x509.Certificate]
) -> None:
    """Raise NotCertified if a certificate, or one of an authority between it and the trusted one,
    is revoked already, as far as the lists of those that have issued them are held.
    """
    issuers = trusted.issuers(connection, authority)
    subjects = {each.id: external.read(each.certificate).subject for each in issuers}
    for certificate in chain:
        for issuer in issuers:
            if certificate.issuer == subjects[issuer.id] and _is_named(
                connection, issuer, certificate
            ):
                raise NotCertified(
                    "the authority has revoked it: it is on the revocation list that is held"
                    if not external.is_authority(certificate)
                    else f"{certificate.subject.rfc4514_string()}, which has issued it, is on the "
                    "revocation list that is held",
                    "have the key certified again",
                )


def _is_named(
    connection: Connection, issuer: ExternalAuthority, certificate: x509.Certificate
) -> bool:
    held = external_lists.find(connection, issuer.id)
    if held is None or not held.number:
        return False
    document = external_lists.document(connection, held)
    return revoked_lists.names(document, certificate.serial_number)


def check_longer(card: Card, asked: Csr, certified: Certified) -> None:
    """Raise NotCertified for what would let a card that is renewed end no later than it does."""
    if asked.standing is Standing.NEXT and certified.end <= card.expire_time:
        raise NotCertified(
            f"it ends on {certified.end:%Y-%m-%d}, no later than card {card.serial} does now",
            "have the key certified for longer",
        )


def is_spoilt(connection: Connection, each: Csr, now: datetime) -> bool:
    """Whether a certificate that was kept has ended or was revoked before the others came."""
    certificate, authority = external.read(each.certificate), trusted.of(connection, each)
    known = [external.read(one.certificate) for one in trusted.issuers(connection, authority)]
    above = [one for one in known if one.subject == certificate.issuer]
    try:
        check_good(connection, authority, [certificate, *above])
    except NotCertified:
        return True
    return certificate.not_valid_after_utc <= now
