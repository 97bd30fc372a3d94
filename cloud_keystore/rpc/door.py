"""The door of every service: who calls, how often, and on which thread the use case runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from cloud_keystore.model.errors import Overloaded, SessionNotFound
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.tracing import TRACE_ID, TraceParent
from cloud_keystore.observability.traces import Traces
from cloud_keystore.rpc import calls
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.peer import certificate_sha256, identify
from cloud_keystore.rpc.refusals import Context, refuse
from cloud_keystore.storage import operations
from cloud_keystore.storage.engine import Database

R = TypeVar("R")

BUSY_SECONDS = 0.1  # before a stream tries again to get a thread
PATIENCE_SECONDS = (45.0, 75.0)  # at random, so that streams opened at once do not look at once

PASSCODE_METHODS = frozenset(
    f"/cloudcard.workstation.v1.WorkstationService/{verb}Passcode"
    for verb in ("Verify", "Change", "Reset")
)


def patience() -> float:
    """Seconds after which a stream that nobody has woken looks for itself. Rarely, as wake-ups and
    the process's look at all changes come long before.
    """
    return random.uniform(*PATIENCE_SECONDS)  # noqa: S311 (no secret)


@dataclass(frozen=True, slots=True)
class Door:
    """Lets in the callers of one role. What is raised behind it becomes the call's status."""

    database: Database
    limiter: Limiter
    role: Role
    traces: Traces = field(default_factory=Traces)

    async def call(self, context: Context, use_case: Callable[[Identity], R]) -> R:
        """Run a use case for the caller on a thread, as it may block on the database or on
        arithmetic.
        """
        try:
            fingerprint = self._admit(context)
            return await asyncio.to_thread(self._run, use_case, fingerprint)
        except Exception as error:
            await refuse(context, error)

    async def gathered(self, context: Context, use_case: Callable[[bytes], Awaitable[R]]) -> R:
        """Run a use case that itself knows its caller, by the certificate's SHA-256, and takes
        threads for itself. One who is told of no session may be no workstation at all.
        """
        try:
            fingerprint = self._admit(context)
            try:
                return await use_case(fingerprint)
            except SessionNotFound:
                await asyncio.to_thread(self._identify, fingerprint)
                raise
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
            with self.limiter.stream(fingerprint):
                async with self.limiter.looks:
                    identity = await asyncio.to_thread(self._identify, fingerprint)
                yield identity
        except Exception as error:
            await refuse(context, error)

    async def look(self, use_case: Callable[[], R]) -> R:
        """Run what a stream wants to know on a thread. Of many at once most wait for their turn, so
        that calls are served in between; and while there is no place they wait on.
        """
        async with self.limiter.looks:
            while True:
                try:
                    return await asyncio.to_thread(use_case)
                except Overloaded:
                    await asyncio.sleep(BUSY_SECONDS)

    def _admit(self, context: Context) -> bytes:
        fingerprint = certificate_sha256(context)
        self.limiter.admit(self.role.name.lower(), fingerprint)
        if card := calls.current().card_serial:
            self.limiter.admit("card", card)
            if calls.current().method in PASSCODE_METHODS:
                self.limiter.admit("passcode", card)
        return fingerprint

    def _run(self, use_case: Callable[[Identity], R], fingerprint: bytes) -> R:
        identity = self._identify(fingerprint)
        call = calls.current()
        if self.role is Role.DEVICE and call.operation_id:
            self._join(call)
        parent = TraceParent(call.trace_id, call.trace_id[:16]) if call.joined else None
        with self.traces.span("use case", parent):
            return use_case(identity)

    def _join(self, call: calls.Call) -> None:
        """What the phone does about a request belongs to the trace of the request."""
        with self.database.read() as connection:
            asked = operations.trace_id(connection, call.operation_id)
        if asked:
            call.trace_id, call.joined = asked, True
            TRACE_ID.set(asked)  # of this thread's copy of the context: the use case's

    def _identify(self, fingerprint: bytes) -> Identity:
        identity = identify(self.database, fingerprint, self.role)
        call = calls.current()
        call.role, call.identity_id = self.role.name.lower(), identity.id
        return identity
