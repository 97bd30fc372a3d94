"""The two ports of gRPC: one for enrolled clients, one for callers with an enrolment token."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from cloud_keystore.config import Address, Settings
from cloud_keystore.custody.use.using_sessions import Used, UseRequest
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.observability.traces import Traces
from cloud_keystore.rpc.door import Named
from cloud_keystore.rpc.gathering import Ask
from cloud_keystore.rpc.health import Health
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.watch import Watch
from cloud_keystore.run.certifying import Certifying
from cloud_keystore.run.offering.use_cases import EnrolmentUseCases, MainUseCases
from cloud_keystore.run.offering.wiring import add_enrolment, add_reflection, add_services

LARGEST_MESSAGE = 256 * 1024  # a batch of 250 blocks of RSA-4096
LARGEST_ENROLMENT = 64 * 1024  # from anybody
# As many times the largest message are received, to be refused with a reason; gRPC itself cuts off
# what is larger still.
RECEIVED = 16
LARGEST_METADATA = 8 * 1024
FREED_SECONDS = 1.0  # in which the kernel closes the sockets of a killed process, after its locks
SPARE_CALLS = 1000  # above the limit, which get a refusal; gRPC itself cuts off further ones
SERVER_OPTIONS = (
    ("grpc.max_metadata_size", LARGEST_METADATA),
    ("grpc.absolute_max_metadata_size", LARGEST_METADATA),
    ("grpc.max_concurrent_streams", 200),  # of one connection
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Anybody can connect and then be silent, and each connection takes a descriptor.
    ("grpc.server_handshake_timeout_ms", 5_000),
)
# Who has a certificate can connect and be silent too. Clients connect anew when they have a call.
# An old connection ends when its calls have, so that workers share the load.
MAIN_OPTIONS = (
    ("grpc.max_connection_idle_ms", 120_000),
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
)
# A stranger gets through the handshake of enrolment, and could hold connections without a call.
ENROLMENT_OPTIONS = (("grpc.max_connection_idle_ms", 5_000), ("grpc.max_connection_age_ms", 60_000))

CAUSES = {
    errno.EADDRINUSE: "is another keystore running there?",
    errno.EADDRNOTAVAIL: "this computer does not have the address: use one of its own, or 0.0.0.0",
    errno.EACCES: "ports below 1024 are root's: choose another",
}


class CannotListen(KeystoreError):
    """A port cannot be opened; the message says which."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Makes the servers of one process; its methods raise CannotListen for a port that is taken."""

    settings: Settings
    clock: Clock
    traces: Traces
    limiter: Limiter
    metrics: Metrics
    shared: bool  # whether other workers of this keystore use the same ports

    def main(
        self,
        use_cases: MainUseCases,
        wakeups: Wakeups,
        health: Health,
        named: Named | None,
        ask_uses: Ask[UseRequest, Used] | None,
    ) -> grpc.aio.Server:
        """The server for enrolled clients, with mutual TLS."""
        certifying = Certifying(use_cases.announcing, self.clock)
        server = self._server(LARGEST_MESSAGE, SERVER_OPTIONS + MAIN_OPTIONS)
        add_services(
            server,
            use_cases,
            self.limiter,
            wakeups,
            self.clock,
            self.traces,
            self.metrics,
            named,
            ask_uses,
        )
        health.add_to(server)
        if self.settings.reflection:
            add_reflection(server)
        self._listen(server, self.settings.listen, certifying.credentials())
        return server

    def enrolment(self, use_cases: EnrolmentUseCases) -> grpc.aio.Server:
        """The server for callers that have a token and no certificate yet."""
        own = use_cases.announcing.enrolment_port()
        server = self._server(LARGEST_ENROLMENT, SERVER_OPTIONS + ENROLMENT_OPTIONS)
        addresses = ",".join(map(str, self.settings.service_addresses))
        add_enrolment(server, use_cases, self.limiter, addresses)
        credentials = grpc.ssl_server_credentials([(own.private, own.certificate)])
        self._listen(server, self.settings.enrol_listen, credentials)
        return server

    def _server(self, largest: int, options: Sequence[tuple[str, int]]) -> grpc.aio.Server:
        return grpc.aio.server(
            interceptors=(Watch(self.metrics, self.traces, self.limiter, largest),),
            options=(
                *options,
                ("grpc.max_receive_message_length", RECEIVED * largest),
                ("grpc.max_allowed_incoming_connections", self.settings.limits.connections),
                # Only workers share a port: a second keystore on it must be an error, and not get
                # a part of the calls.
                ("grpc.so_reuseport", int(self.shared)),
            ),
            maximum_concurrent_rpcs=self.settings.limits.under_way + SPARE_CALLS,
        )

    def _listen(
        self, server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials
    ) -> None:
        if not self.shared:
            wait_until_free(address)
        try:
            bound = server.add_secure_port(str(address), credentials)
        except RuntimeError:
            bound = 0
        if bound == 0:
            raise CannotListen(f"cannot listen on {address}: {cause(address)}")


def wait_until_free(address: Address) -> None:
    """Wait a moment for the port of a keystore that was killed: whoever has its lock can come
    before its sockets are closed.
    """
    deadline = time.monotonic() + FREED_SECONDS
    while time.monotonic() < deadline:
        refusal = _refusal(address)
        if refusal is None or refusal.errno != errno.EADDRINUSE:
            return
        time.sleep(0.02)


def cause(address: Address) -> str:
    """Why a port cannot be opened, which gRPC does not tell."""
    refusal = _refusal(address)
    if refusal is None:
        return CAUSES[errno.EADDRINUSE]
    return CAUSES.get(refusal.errno or 0, f"{refusal.strerror}: look at the address")


def _refusal(address: Address) -> OSError | None:
    """What the system says to whoever would listen there alone; None if it allows that."""
    try:
        for family, kind, _, _, place in socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind) as trying:
                trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trying.bind(place)
    except OSError as error:
        return error
    return None
