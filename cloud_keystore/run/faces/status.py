"""Opens the port for whoever checks cards."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from cloud_keystore.config import Address
from cloud_keystore.model.clock import Clock
from cloud_keystore.plain.listener import Listener
from cloud_keystore.plain.status import Status
from cloud_keystore.rpc.connections.addresses import network, packed
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.offering.use_cases import StatusUseCases
from cloud_keystore.run.ports import CannotListen, cause, wait_until_free

EVERYBODY = "everybody"


async def listen(
    address: Address | None, use_cases: StatusUseCases, limiter: Limiter, clock: Clock
) -> Listener | None:
    """Open the port, if it has an address; raises CannotListen."""
    if address is None:
        return None
    one = threading.Lock()

    def admit(place: Hashable) -> None:
        with one:
            limiter.admit("status", place)
            limiter.admit("status-all", EVERYBODY)

    status = Status(use_cases.publishing, use_cases.responding, clock, admit)
    listener = Listener(address, status.answer, lambda host: network(packed(host)))
    wait_until_free(address)
    try:
        await listener.start()
    except OSError:
        raise CannotListen(f"cannot listen on {address}: {cause(address)}") from None
    return listener
