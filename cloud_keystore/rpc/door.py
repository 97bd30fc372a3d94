"""The door of every service: checks who calls and how often, and runs use cases on threads."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from google.protobuf.message import Message

from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.model.errors import KeystoreError, Overloaded, SessionNotFound
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.tracing import TRACE_ID, TraceParent
from cloud_keystore.observability.traces import Traces
from cloud_keystore.people.callers import Callers
from cloud_keystore.rpc import calls
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.peer import certificate_sha256, user_agent
from cloud_keystore.rpc.refusals import Context, refuse

R = TypeVar("R")
M = TypeVar("M", bound=Message)
# Role and identifier of whoever called with a certificate (SHA-256); empty if it was let in nowhere
Named: TypeAlias = Callable[[bytes], tuple[str, str]]

CHUNK_BYTES = 128 * 1024  # of a list in one response; clients take 1 MiB
CLIENTS = (Role.WORKSTATION, Role.DEVICE)  # which say what they are
BUSY_SECONDS = 0.1  # before a stream tries again to get a thread
MOST_JOINED = 10_000  # operations whose traces are remembered: a device calls about one repeatedly
PATIENCE_SECONDS = (45.0, 75.0)  # random, so that streams opened together do not look together

PASSCODE_METHODS = frozenset(
    f"/cloudcard.{service}/{verb}Passcode"
    for service, verbs in (
        ("workstation.v1.WorkstationService", ("Verify", "Change", "Reset")),
        ("authenticator.v1.AuthenticatorService", ("Set", "Change", "Reset")),
    )
    for verb in verbs
) | {
    "/cloudcard.authenticator.v1.AuthenticatorService/UseUnlockCode",
    "/cloudcard.registry.v1.CardService/CreateUnlockCode",
}
PIN_METHODS = frozenset(
    f"/cloudcard.authenticator.v1.AppPinService/{verb}AppPin"
    for verb in ("Choose", "Change", "Check", "Reset")
)


def patience() -> float:
    """Seconds after which a stream looks for changes without a wake-up. This is rarely needed,
    because wake-ups and the process's own look at all changes come long before.
    """
    return random.uniform(*PATIENCE_SECONDS)  # noqa: S311 (no secret)


@dataclass(frozen=True, slots=True)
class Door:
    """Lets in the callers of one role, or of all, and turns exceptions of use cases into the call's
    status.
    """

    callers: Callers
    limiter: Limiter
    role: Role | None
    named: Named | None = None  # where use cases find the caller themselves
    traces: Traces = field(default_factory=Traces)
    _joined: OrderedDict[str, str] = field(default_factory=OrderedDict)  # traces, by operation

    async def call(self, context: Context, use_case: Callable[[Identity], R]) -> R:
        """Run a use case for the caller on a thread, because it can block on the database or on
        arithmetic.
        """
        try:
            fingerprint = self._admit(context)
            said = self._said(context, fingerprint)
            return await asyncio.to_thread(self._run, use_case, fingerprint, said)
        except Exception as error:
            await refuse(context, error)

    async def listed(
        self, context: Context, use_case: Callable[[Identity], Iterable[M]]
    ) -> AsyncIterator[list[M]]:
        """Run a use case that makes a list, however long, and divide it among responses."""
        messages = await self.call(context, lambda caller: list(use_case(caller)))
        for some in chunks(messages):
            yield some

    async def gathered(self, context: Context, use_case: Callable[[bytes], Awaitable[R]]) -> R:
        """Run a use case that identifies its caller itself, by the SHA-256 of the certificate, and
        chooses its own threads. If it finds no session, the caller is identified here, because it
        is perhaps no workstation, and the use case runs once more.
        """
        try:
            fingerprint = self._admit(context)
            try:
                return await use_case(fingerprint)
            except SessionNotFound:
                # A session does not know a certificate before its first use, which another call can
                # make meanwhile.
                await self.meet(fingerprint)
                return await use_case(fingerprint)
        except Exception as error:
            await refuse(context, error)

    async def meet(self, fingerprint: bytes) -> Identity:
        """The identity of a certificate; raises IdentityRejected if it has another role."""
        return await asyncio.to_thread(self._identify, fingerprint)

    async def greet(self, context: Context) -> None:
        """Let in a caller with a certificate, without asking the database."""
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
                said = self._said(context, fingerprint)
                async with self.limiter.looks:
                    identity = await asyncio.to_thread(self._meet, fingerprint, said)
                yield identity
        except Exception as error:
            await refuse(context, error)

    async def look(self, use_case: Callable[[], R]) -> R:
        """Run a stream's query on a thread. Only some streams look at the same time, so that calls
        are served in between; while the queue of threads is full, the stream tries again.
        """
        async with self.limiter.looks:
            while True:
                try:
                    return await asyncio.to_thread(use_case)
                except Overloaded:
                    await asyncio.sleep(BUSY_SECONDS)

    async def look_for(self, fingerprint: bytes, use_case: Callable[[Identity], R]) -> R:
        """Run a stream's query like `look`, for a caller who is identified anew each time: who was
        removed meanwhile is told nothing more.
        """
        return await self.look(lambda: use_case(self._caller(fingerprint)))

    def _admit(self, context: Context) -> bytes:
        fingerprint = certificate_sha256(context)
        PRESENTED.set(Presented(fingerprint, self.role))
        self.limiter.connections.heard(context.peer(), fingerprint)
        self.limiter.admit("renewal" if self.role is None else self.role.name.lower(), fingerprint)
        # Each for its own: nobody can use up what others may do with a card.
        if card := calls.current().card_serial:
            self.limiter.admit("card", (card, fingerprint))
            if calls.current().method in PASSCODE_METHODS:
                self.limiter.admit("passcode", (card, fingerprint))
        elif calls.current().method in PIN_METHODS:
            self.limiter.admit("passcode", ("", fingerprint))
        return fingerprint

    def _said(self, context: Context, fingerprint: bytes) -> str | None:
        """What a client says of itself; None if it is not asked now."""
        due = self.role in CLIENTS and self.limiter.heard.is_due(context.peer(), fingerprint)
        return user_agent(context) if due else None

    def _meet(self, fingerprint: bytes, said: str | None) -> Identity:
        identity = self._identify(fingerprint)
        self._hear(identity, said)
        return identity

    def _hear(self, caller: Identity, said: str | None) -> None:
        """Keep what the client says, without which the call goes on all the same."""
        if said is not None:
            with suppress(KeystoreError):
                self.callers.heard(said, caller)

    def _run(
        self, use_case: Callable[[Identity], R], fingerprint: bytes, said: str | None = None
    ) -> R:
        call = calls.current()
        caller = self._caller(fingerprint)
        self._hear(caller, said)
        if self.role is Role.DEVICE and call.operation_id:
            self._join(call)
        parent = TraceParent(call.trace_id, call.trace_id[:16]) if call.joined else None
        try:
            with self.traces.span("use case", parent):
                return use_case(caller)
        finally:
            if self.named is not None:
                call.role, call.identity_id = self.named(fingerprint)

    def _caller(self, fingerprint: bytes) -> Identity:
        """The caller, or its stand-in where use cases find the caller themselves."""
        if self.named is None:
            return self._identify(fingerprint)
        return Presented(fingerprint, self.role).stand_in()

    def _join(self, call: calls.Call) -> None:
        """Join the distributed trace of the request about which the device calls."""
        asked = self._joined.get(call.operation_id) or self.callers.trace_id(call.operation_id)
        if asked:
            self._joined[call.operation_id] = asked
            if len(self._joined) > MOST_JOINED:
                with suppress(KeyError):  # another thread was first
                    self._joined.popitem(last=False)
            call.trace_id, call.joined = asked, True
            # This thread has a copy of the context, which only the use case sees.
            TRACE_ID.set(asked)

    def _identify(self, fingerprint: bytes) -> Identity:
        identity = self.callers.identify(fingerprint, self.role)
        call = calls.current()
        call.role, call.identity_id = identity.role.name.lower(), identity.id
        return identity


def chunks(messages: Iterable[M]) -> Iterator[list[M]]:
    """Divide messages among responses of a bounded size; one that is larger is alone."""
    some: list[M] = []
    size = 0
    for each in messages:
        bytes_ = each.ByteSize()
        if some and size + bytes_ > CHUNK_BYTES:
            yield some
            some, size = [], 0
        some.append(each)
        size += bytes_
    if some:
        yield some
