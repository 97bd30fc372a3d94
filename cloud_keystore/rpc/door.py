"""The door of every service: who calls, how often, and on which thread the use case runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from cloud_keystore.model.people import Identity, Role
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.peer import certificate_sha256, identify
from cloud_keystore.rpc.refusals import Context, refuse
from cloud_keystore.storage.engine import Database

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Door:
    """Lets in the callers of one role. What is raised behind it becomes the call's status."""

    database: Database
    limiter: Limiter
    role: Role

    async def call(self, context: Context, use_case: Callable[[Identity], R]) -> R:
        """Run a use case for the caller on a thread, as it may block on the database or on
        arithmetic.
        """
        try:
            fingerprint = self._admit(context)
            return await asyncio.to_thread(lambda: use_case(self._identify(fingerprint)))
        except Exception as error:
            await refuse(context, error)

    async def greet(self, context: Context) -> None:
        """Let in whoever has a certificate, asking the database nothing."""
        try:
            self._admit(context)
        except Exception as error:
            await refuse(context, error)

    @asynccontextmanager
    async def stream(self, context: Context) -> AsyncIterator[Identity]:
        """Give the caller's identity to the block that serves a stream."""
        try:
            fingerprint = self._admit(context)
            yield await asyncio.to_thread(self._identify, fingerprint)
        except Exception as error:
            await refuse(context, error)

    def _admit(self, context: Context) -> bytes:
        fingerprint = certificate_sha256(context)
        self.limiter.admit(fingerprint)
        return fingerprint

    def _identify(self, fingerprint: bytes) -> Identity:
        return identify(self.database, fingerprint, self.role)
