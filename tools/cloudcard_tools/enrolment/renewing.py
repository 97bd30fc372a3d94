"""Renews identities on this computer: the next key is made here, and the present one signs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import click
import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cloudcard.enrolment.v1.renewal_pb2 import RenewRequest, RenewResponse
from cloudcard.enrolment.v1.renewal_pb2_grpc import RenewalServiceStub
from cloudcard_tools.enrolment.requests import bundle, fresh_key
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, OutOfReach
from cloudcard_tools.shared.identity import CA, RENEWED, Identity
from private_files import writing
from private_files.rules import FileRefused

PART = 3  # of its life, less than one in so many is left when an identity is renewed
WARNING_TIME = timedelta(days=60)
TIMEOUT_SECONDS = 10.0
RENEWAL_DOMAIN = b"cloudcard renewal v1\0"


class NotRenewed(Failure):
    """The identity has its certificate of before; the text says why."""


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether it is time to renew an identity with this certificate."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < end and end - now < (end - begin) / PART


def keep(own: Identity, now: datetime | None = None) -> None:
    """Renew an identity if it is time. If that fails, the next command tries again; people hear of
    it when little time is left. Raises IdentityUnusable if the identity cannot be read.
    """
    now = datetime.now(UTC) if now is None else now
    _, certificate = own.pair()
    if not is_due(certificate, now):
        return
    try:
        renew(own, now)
    except OutOfReach:
        return  # whoever calls next finds out why
    except Failure as failure:
        end = certificate.not_valid_after_utc
        if end - now < WARNING_TIME:
            text = f"The identity in {own.folder} ends at {end:%Y-%m-%d} and was not renewed: "
            click.echo(f"{text}{failure.message}", err=True)


def renew(own: Identity, now: datetime) -> None:
    """Give an identity that is due its next key and certificate, unless another program does.

    The certificates of the keystore's authorities come first, and then key and certificate as one
    file: however this ends, the identity is the old one or the new one. Raises Failure.
    """
    try:
        with _alone(own.folder) as alone:
            # Another program can have renewed it meanwhile.
            if alone and is_due(own.pair()[1], now):
                _renew(own)
    except FileRefused as refused:
        raise NotRenewed(str(refused)) from None
    except OSError as error:
        raise NotRenewed(f"{error.filename or own.folder}: {error.strerror}") from None


def _renew(own: Identity) -> None:
    present, certificate = own.pair()
    key, csr = fresh_key()
    der = certificate.public_bytes(Encoding.DER)
    statement = RENEWAL_DOMAIN + sha256(der).digest() + sha256(csr).digest()
    request = RenewRequest(csr=csr, signature=present.sign(statement, ec.ECDSA(SHA256())))
    try:
        with identity.channel(own) as channel:
            response = RenewalServiceStub(channel).Renew(request, timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        raise explain(error) from None
    _check(response, key, certificate)
    writing.replace(own.folder / CA, bundle(response.ca_certificates))
    writing.replace(own.folder / RENEWED, key + bundle([response.certificate]))


def _check(response: RenewResponse, key: bytes, before: x509.Certificate) -> None:
    """Raise NotRenewed unless the certificate is for the new key and the same identity, by an
    authority of those that will be trusted.
    """
    try:
        issued = x509.load_der_x509_certificate(response.certificate)
        authorities = [x509.load_der_x509_certificate(each) for each in response.ca_certificates]
    except ValueError:
        raise NotRenewed("the keystore's answer cannot be read") from None
    own = load_pem_private_key(key, None)
    fits = issued.subject == before.subject and issued.public_key() == own.public_key()
    if not fits or not any(_issued(issued, each) for each in authorities):
        raise NotRenewed("the keystore's certificate is not the one that was asked for")


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Keep other programs from renewing the identity: the certificate of the one that asks last
    counts, and it has to be the one that stays. False if another one has begun.
    """
    if sys.platform == "win32":
        yield True
        return
    # Missing on Windows.
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
