"""The service's TLS certificate, which is renewed while the service runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import grpc
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloud_keystore.model.clock import Clock
from cloud_keystore.pki.building import server_certificate
from cloud_keystore.pki.issuers import Authorities, Authority

RENEWED = 3  # when less than one in so many parts of its life is left


@dataclass(slots=True)
class Certifying:
    """Makes the service's certificates for its names, each by the authority that clients know."""

    authorities: Authorities
    names: frozenset[str]
    clock: Clock
    _certified: Authority | None = None
    _trusted: tuple[bytes, ...] = ()
    _renew_time: datetime | None = None
    _one: threading.Lock = field(default_factory=threading.Lock)

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that use the present certificate in each new handshake."""
        first = self.changed()
        assert first is not None  # noqa: S101 (nothing was made before)
        # None means that nothing has changed, which the types of grpc do not know.
        fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], self._changed_configuration)
        return grpc.dynamic_ssl_server_credentials(
            _configuration(*first), fetch, require_client_authentication=True
        )

    def changed(self) -> tuple[Authority, list[Authority]] | None:
        """The service's certificate and the authorities of its clients, if either has changed."""
        with self._one:
            now, trusted = self.clock(), self.authorities.transports
            ders = tuple(each.der for each in trusted)
            due = self._renew_time is None or self._renew_time <= now
            if self._certified is not None and not due and ders == self._trusted:
                return None
            self._certified = server_certificate(trusted[0], self.names, now)
            self._trusted = ders
            self._renew_time = self._certified.end - (self._certified.end - now) / RENEWED
            return self._certified, trusted

    def _changed_configuration(self) -> grpc.ServerCertificateConfiguration | None:
        found = self.changed()
        return None if found is None else _configuration(*found)


def _configuration(own: Authority, trusted: list[Authority]) -> grpc.ServerCertificateConfiguration:
    roots = b"".join(pem(each) for each in trusted)
    return grpc.ssl_server_certificate_configuration([(pem_key(own), pem(own))], roots)


def pem(own: Authority) -> bytes:
    """The certificate, PEM."""
    return own.certificate.public_bytes(Encoding.PEM)


def pem_key(own: Authority) -> bytes:
    """The private key, PEM."""
    return own.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
