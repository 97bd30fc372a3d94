"""A stream of a workstation without its network: what it sends, takes, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Generic, Protocol, TypeVar

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from cloud_keystore.model.limits import Limits
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rpc.calls import CALL, Call
from cloud_keystore.rpc.connections.connections import Connections
from cloud_keystore.rpc.connections.first_messages import Messages
from cloud_keystore.rpc.refusals import Context
from support.keystore_world import Enrolled

SECONDS = 60.0
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)

Response = TypeVar("Response", bound=Message)


class Aborted(grpc.aio.AbortError):
    """The call has ended with a status."""


class Serving(Protocol):
    """What serves streams."""

    async def serve(self, messages: Messages, context: Context) -> None: ...


@dataclass
class Line(Generic[Response]):
    """A call of one workstation: what it sends, and what it has been sent."""

    pem: bytes
    sent: asyncio.Queue[Message | Exception | None] = field(default_factory=asyncio.Queue)
    outcomes: asyncio.Queue[Response] = field(default_factory=asyncio.Queue)
    takes: asyncio.Event = field(default_factory=asyncio.Event)  # outcomes
    read: int = 0  # messages
    status: status_pb2.Status | None = None
    call: Call = field(default_factory=lambda: Call(trace_id="f" * 32))
    serving: asyncio.Task[None] = field(init=False)

    def auth_context(self) -> Mapping[str, tuple[bytes, ...]]:
        return {"x509_pem_cert": (self.pem,)}

    def peer(self) -> str:
        return "ipv4:192.0.2.1:1234"

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    async def abort_with_status(self, status: grpc.Status) -> None:
        (raw,) = (raw for key, raw in status.trailing_metadata if key == "grpc-status-details-bin")
        self.status = status_pb2.Status.FromString(raw)
        raise Aborted

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self.sent.get()) is not None:
            if isinstance(message, Exception):
                raise message
            self.read += 1
            yield message

    async def write(self, response: Response) -> None:
        await self.takes.wait()
        self.outcomes.put_nowait(response)

    async def outcome(self) -> Response:
        """The next outcome; raises what ends the call before there is one."""
        getting = asyncio.create_task(self.outcomes.get())
        async with asyncio.timeout(SECONDS):
            await asyncio.wait((getting, self.serving), return_when=asyncio.FIRST_COMPLETED)
            if not getting.done() and self.serving.done():
                getting.cancel()
                self.serving.result()
            return await getting

    async def reason(self) -> str:
        """Why the call has ended; OK if it was not refused."""
        async with asyncio.timeout(SECONDS):
            try:
                await self.serving
            except Aborted:
                assert self.status is not None
                info = error_details_pb2.ErrorInfo()
                assert self.status.details[0].Unpack(info)
                return str(info.reason)
        return "OK"

    def begin(self, streams: Serving) -> None:
        """Open the call; outcomes are taken."""
        self.takes.set()

        async def serve() -> None:
            CALL.set(self.call)
            await streams.serve(self.messages(), self)

        self.serving = asyncio.create_task(serve())


def pem(who: Enrolled) -> bytes:
    """The certificate of a caller."""
    return x509.load_der_x509_certificate(who.certificate).public_bytes(Encoding.PEM)


def self_signed(private: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1)
    builder = builder.not_valid_before(BEGIN).not_valid_after(BEGIN + timedelta(days=1))
    return builder.sign(private, SHA256()).public_bytes(Encoding.PEM)


@dataclass
class CutOff(Connections):
    """Remembers which connections were to end."""

    limits: Limits = field(default_factory=Limits)
    monotonic: Callable[[], float] = lambda: 0.0
    told: list[str] = field(default_factory=list)

    def cut_off(self, peer: str) -> None:
        self.told.append(peer)


@dataclass
class Clock:
    """That of the event loop, which a test moves."""

    ahead: float = 0.0

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + self.ahead  # type: ignore[method-assign]


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    """A metric's value."""
    return metrics.registry.get_sample_value(name, labels) or 0.0


def in_a_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(test(**fixtures))

    return run


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    async with asyncio.timeout(SECONDS):
        while not true():
            await asyncio.sleep(0.005)
