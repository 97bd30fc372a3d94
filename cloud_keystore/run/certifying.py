"""The service's TLS certificate, which is renewed while the service runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.pki.announcing import Announcing, ServiceCertificate

log = structlog.get_logger()

LOOK_TIME = timedelta(minutes=1)  # between two looks at whom to trust


@dataclass(slots=True)
class Certifying:
    """Makes keys for the service's TLS, and lets custody certify them."""

    announcing: Announcing
    clock: Clock
    _private: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    _certified: ServiceCertificate | None = None
    _looked: datetime | None = None
    _one: threading.Lock = field(default_factory=threading.Lock)

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that use the present certificate in each new handshake."""
        self.changed()
        # None means that nothing has changed, which the types of grpc do not know.
        fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], self._changed_configuration)
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), fetch, require_client_authentication=True
        )

    def changed(self) -> ServiceCertificate | None:
        """The service's certificate and the authorities of its clients, if either has changed."""
        with self._one:
            now = self.clock()
            if self._certified is not None and not self._is_due(self._certified, now):
                return None
            private = ec.generate_private_key(ec.SECP256R1())
            public = private.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
            self._certified = self.announcing.certify(public)
            self._private, self._looked = private, now
            return self._certified

    def _is_due(self, certified: ServiceCertificate, now: datetime) -> bool:
        if certified.renew_time <= now:
            return True
        if self._looked is not None and self._looked <= now < self._looked + LOOK_TIME:
            return False
        self._looked = now
        return self.announcing.terms().transports != certified.trusted

    def _changed_configuration(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            return None if self.changed() is None else self._configuration()
        # Custody starts again; the next handshake asks it.
        except KeystoreError as error:
            log.warning("the certificate was not looked after", error=type(error).__name__)
            return None

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        assert self._certified is not None  # noqa: S101 (a first one was made)
        roots = b"".join(map(_pem, self._certified.trusted))
        return grpc.ssl_server_certificate_configuration([self.pair()], roots)

    def pair(self) -> tuple[bytes, bytes]:
        """The key and its certificate, PEM, once `changed` was called."""
        assert self._certified is not None  # noqa: S101
        assert self._private is not None  # noqa: S101
        private = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private, _pem(self._certified.certificate)


def _pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
