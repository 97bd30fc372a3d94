"""Opens the port of the REST API, with the service's certificate, which is renewed meanwhile."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import structlog

from cloud_keystore.config import Address
from cloud_keystore.est.tls import load_pair
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rest.application import DESCRIBED_AT, application
from cloud_keystore.rest.cards import CardCalls
from cloud_keystore.rest.gate import Gate
from cloud_keystore.rest.listening import Listener
from cloud_keystore.rest.people import PeopleCalls
from cloud_keystore.rest.repeating import Repeating
from cloud_keystore.rpc.connections.addresses import network, packed
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.certifying import Certifying
from cloud_keystore.run.offering.use_cases import RestUseCases
from cloud_keystore.run.ports import CannotListen, cause, wait_until_free

log = structlog.get_logger()

LOOK_SECONDS = 60.0  # between two looks at the certificate


@dataclass(frozen=True, slots=True)
class Api:
    """The port that is open."""

    listener: Listener
    certifying: Certifying
    tls: ssl.SSLContext

    @classmethod
    async def start(
        cls,
        address: Address,
        use_cases: RestUseCases,
        limiter: Limiter,
        metrics: Metrics,
        clock: Clock,
    ) -> Api:
        """Open the port; raises CannotListen."""
        certifying = Certifying(use_cases.announcing, clock)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        certifying.changed()
        load_pair(tls, *certifying.pair())
        gate = gate_of(use_cases, limiter, metrics, clock)
        listener = Listener(address, gate, tls, lambda host: network(packed(host)))
        wait_until_free(address)
        try:
            await listener.start()
        except OSError:
            raise CannotListen(f"cannot listen on {address}: {cause(address)}") from None
        return cls(listener, certifying, tls)

    async def keep_certified(self) -> None:
        """Renew the certificate in time, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await asyncio.to_thread(self.certifying.changed) is not None:
                    load_pair(self.tls, *self.certifying.pair())
            # Custody starts again; the next look asks it.
            except KeystoreError as error:
                log.warning("the certificate was not looked after", error=type(error).__name__)

    async def close(self) -> None:
        """Close the port."""
        await self.listener.close()


def gate_of(use_cases: RestUseCases, limiter: Limiter, metrics: Metrics, clock: Clock) -> Gate:
    """The API behind its gate."""
    people = PeopleCalls(
        people=use_cases.people,
        showing=use_cases.showing,
        leaving=use_cases.leaving,
        reports=use_cases.reports,
        devices=use_cases.devices,
        identities=use_cases.identities,
        clock=clock,
    )
    cards = CardCalls(
        issuing=use_cases.issuing,
        cards=use_cases.cards,
        prolonging=use_cases.prolonging,
        replacing=use_cases.replacing,
        unlocking=use_cases.unlocking,
        organisations=use_cases.organisations,
    )
    return Gate(
        Repeating(application(people, cards), use_cases.repeats),
        use_cases.callers,
        admit=limiter.admit,
        held=limiter.call,
        place_of=lambda host: network(packed(host)),
        metrics=metrics,
        public={DESCRIBED_AT},
    )
