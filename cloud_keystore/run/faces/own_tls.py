"""TLS of a port that speaks HTTP: with a certificate that an operator gave, or with the service's
own, which is renewed meanwhile.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import structlog

from cloud_keystore.config import Web
from cloud_keystore.est.tls import load_pair
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput, KeystoreError
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.run.certifying import Certifying

log = structlog.get_logger()

LOOK_SECONDS = 60.0  # between two looks at the certificate


def _server_context() -> ssl.SSLContext:
    """TLS for a port, without a certificate yet."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def certificate(web: Web | None) -> ssl.SSLContext | None:
    """TLS with the certificate that an operator gave; None if there is none. It is read now,
    because the process may not do so later. Raises InvalidInput.
    """
    if web is None or web.certificate is None:
        return None
    made = _server_context()
    try:
        made.load_cert_chain(web.certificate, web.private)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"the certificate {web.certificate} cannot be used with its key "
            f"({error.strerror or error}): give both as PEM, without a passphrase"
        ) from None
    return made


@dataclass(frozen=True, slots=True)
class OwnTls:
    """TLS with a certificate that custody issues. With `asks_clients`, clients can show those of
    identities, or none.
    """

    certifying: Certifying
    context: ssl.SSLContext
    asks_clients: bool = False

    @classmethod
    def of(cls, announcing: Announcing, clock: Clock, *, asks_clients: bool = False) -> OwnTls:
        """TLS with a new key and its certificate."""
        made = cls(Certifying(announcing, clock), _server_context(), asks_clients)
        if asks_clients:
            made.context.verify_mode = ssl.CERT_OPTIONAL
        made.look()
        return made

    def look(self) -> None:
        """Use the present certificate in each new handshake."""
        if (certified := self.certifying.changed()) is None:
            return
        load_pair(self.context, *self.certifying.pair())
        if self.asks_clients:
            self.context.load_verify_locations(cadata=b"".join(certified.trusted))

    async def keep_certified(self) -> None:
        """Renew the certificate in time, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.look)
            # Custody starts again; the next look asks it.
            except KeystoreError as error:
                log.warning("the certificate was not looked after", error=type(error).__name__)
