"""Opens the port of EST for workstations."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from cloud_keystore.config import Address
from cloud_keystore.model.clock import Clock
from cloud_keystore.plain.est import Est
from cloud_keystore.plain.listener import Listener
from cloud_keystore.rpc.connections.addresses import network, packed
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.own_tls import OwnTls
from cloud_keystore.run.offering.use_cases import EstUseCases
from cloud_keystore.run.ports import CannotListen, cause, wait_until_free


@dataclass(frozen=True, slots=True)
class EstPort:
    """The port that is open."""

    listener: Listener
    tls: OwnTls

    @classmethod
    async def start(
        cls, address: Address, use_cases: EstUseCases, limiter: Limiter, clock: Clock
    ) -> EstPort:
        """Open the port; raises CannotListen."""
        tls = OwnTls.of(use_cases.announcing, clock, asks_clients=True)

        def admit(place: Hashable) -> None:
            limiter.admit("enrolment", place)

        est = Est(
            use_cases.enrolment,
            use_cases.renewing,
            use_cases.callers,
            use_cases.announcing,
            admit,
        )
        listener = Listener(address, est.answer, lambda host: network(packed(host)), tls.context)
        wait_until_free(address)
        try:
            await listener.start()
        except OSError:
            raise CannotListen(f"cannot listen on {address}: {cause(address)}") from None
        return cls(listener, tls)

    async def keep_certified(self) -> None:
        """Renew the certificate in time, until cancelled."""
        await self.tls.keep_certified()

    async def close(self) -> None:
        """Close the port."""
        self.listener.close()
