"""Makes what calls authorities outside of the keystore, from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cloud_keystore.config import Settings
from cloud_keystore.est.client import Client
from cloud_keystore.est.fetching import Fetching
from cloud_keystore.est.lists import Lists
from cloud_keystore.run.offering import hosts
from cloud_keystore.run.offering.sending import OutsideUseCases


def keep_calling(
    cases: OutsideUseCases, settings: Settings
) -> Callable[[asyncio.Event], Awaitable[None]]:
    """What asks for certificates, and fetches revocation lists, until told to stop."""
    allowed = hosts.places(settings)
    asking, fetching = Fetching(cases.errands, Client(allowed)), Lists(cases.list_errands, allowed)

    async def call(stop: asyncio.Event) -> None:
        await asyncio.gather(asking.keep_fetching(stop), fetching.keep_fetching(stop))

    return call
