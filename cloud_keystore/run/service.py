"""Builds the service from its parts and runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus

import grpc
import structlog
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select

from cloud_keystore.config import Address, Settings
from cloud_keystore.custody.backends.starting import new_keys, token_keys
from cloud_keystore.custody.sealing import journal_key
from cloud_keystore.custody.sealing.seal import SealingKeyError, load_or_make_key
from cloud_keystore.custody.sealing.sealing_keys import FILE, Source, is_sealed, open_seal
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.notify.listening import Relay
from cloud_keystore.notify.siblings import Siblings
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.observability.traces import from_environment
from cloud_keystore.operations.watching import Watching
from cloud_keystore.people.people import People, Token
from cloud_keystore.pki import authorities as authority
from cloud_keystore.rpc.health import Health
from cloud_keystore.rpc.limits import Limiter, Workers
from cloud_keystore.rpc.watch import Watch
from cloud_keystore.run.owning import Lock, own, share
from cloud_keystore.run.timekeeping import check_clock, start_clock
from cloud_keystore.run.upkeep import Upkeep
from cloud_keystore.run.wiring import SERVICES, Parts, add_enrolment, add_reflection, add_services
from cloud_keystore.storage import operations
from cloud_keystore.storage.engine import Database
from cloud_keystore.web.probe import Probe

log = structlog.get_logger()

UPKEEP_SECONDS = 1.0
GRACE_SECONDS = 5.0  # for calls under way when the service is told to stop
LARGEST_MESSAGE = 256 * 1024  # a batch of 250 blocks of RSA-4096
LARGEST_METADATA = 8 * 1024
SPARE_CALLS = 1000  # above the limit, to be told so; still further ones are cut off by gRPC
SERVER_OPTIONS = (
    ("grpc.max_metadata_size", LARGEST_METADATA),
    ("grpc.absolute_max_metadata_size", LARGEST_METADATA),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_concurrent_streams", 200),  # of one connection
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class DatabaseGone(KeystoreError):
    """The data folder has a keystore's other files."""


class CannotListen(KeystoreError):
    """A port cannot be opened; says which."""


class Service:
    """The keystore: its database, its use cases and its two ports. Built and run inside one event
    loop.
    """

    def __init__(
        self, settings: Settings, clock: Clock | None = None, siblings: Siblings | None = None
    ) -> None:
        """Open or make the data folder, or join the workers of one. Raises KeystoreError with what
        to do where it cannot be used.
        """
        self._settings = settings
        self._siblings = siblings
        self._serving = False
        self._clock = clock = start_clock() if clock is None else clock
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = own(settings) if siblings is None else share(settings)
        if siblings is None:
            _check_there(settings)
        self.database = Database(settings.database_url)
        if siblings is None:
            self.database.migrate()
        check_clock(self.database, clock())
        sources = _sealing_keys(settings, self.database)
        seal = open_seal(self.database, sources, clock(), os.urandom)
        self._token = token_keys(settings.token, seal)
        authorities = authority.load_or_make(self.database, seal, clock())
        journal = journal_key.load_or_make(self.database, seal)
        custody = new_keys(seal, os.urandom, self._token, settings.key_backend)
        sessions = UsingSessions(self.database, seal, clock, os.urandom, custody)
        watching = Watching(self.database, time.monotonic)
        self._upkeep = Upkeep(self.database, clock, seal, self._token, journal, sessions, watching)
        self._metrics = Metrics()
        self._limiter = Limiter(settings.limits, time.monotonic, self._metrics)
        self._parts = Parts(
            settings,
            clock,
            self.database,
            seal,
            custody,
            sessions,
            authorities,
            journal,
            People(
                self.database,
                clock,
                os.urandom,
                str(Address(settings.public_host, settings.enrol_listen.port)),
                sha256(authorities.enrolment.der).digest(),
            ),
            self._limiter,
            from_environment(os.environ),
        )
        self._health = Health(SERVICES, self._database_answers)
        self.has_operators = self._parts.people.has_operators()
        if not self.has_operators and not self._parts.people.awaits_operator():
            self._first_operator()

    def hand_over(self) -> Lock:
        """Leave the serving to workers, which find everything made; instead of `run`. They may use
        the data folder while the lock is held.
        """
        self._upkeep.sweep_at_start()
        self._close()
        return self._lock

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; call `ready` once both ports answer."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, stop.set)
            except NotImplementedError:  # Windows' event loop has no signal handlers
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        loop.set_default_executor(Workers(self._settings.limits))
        wakeups = Wakeups(loop)
        if self._siblings is None:
            self._upkeep.sweep_at_start()
        else:
            self._siblings.listen(wakeups)
        relaying = asyncio.create_task(self._keep_relaying(wakeups))
        servers = [self._main_server(wakeups), self._enrolment_server()]
        probe = self._probe()
        await self._health.look()
        for server in servers:
            await server.start()
        looking = asyncio.create_task(self._health.keep_looking())
        upkeep = asyncio.create_task(self._keep_up(wakeups))
        self._serving = True
        ready()
        await stop.wait()
        log.info("stopping")
        self._serving = False
        for task in (looking, upkeep):
            task.cancel()
        self._health.stop()
        wakeups.close()  # streams end, and calls under way may: clients go on elsewhere
        await asyncio.gather(*(server.stop(GRACE_SECONDS) for server in servers))
        relaying.cancel()
        self._upkeep.finish()
        if probe is not None:
            probe.stop()
        self._close()
        self._lock.close()

    def _close(self) -> None:
        if self._token is not None:
            self._token.pool.close()
        self._parts.traces.close()
        self.database.close()

    def _probe(self) -> Probe | None:
        if self._settings.http_listen is None:
            return None
        first = self._settings.http_listen
        number = 0 if self._siblings is None else self._siblings.number
        probe = Probe(
            Address(first.host, first.port + number),
            {
                "/metrics": self._metrics_page,
                "/health/live": lambda: (HTTPStatus.OK, b"live\n"),
                "/health/ready": self._readiness,
            },
        )
        probe.start()
        return probe

    def _readiness(self) -> tuple[HTTPStatus, bytes]:
        if not self._serving:
            return HTTPStatus.SERVICE_UNAVAILABLE, b"starting or stopping\n"
        if not self._database_answers():
            return HTTPStatus.SERVICE_UNAVAILABLE, b"the database does not answer\n"
        return HTTPStatus.OK, b"ready\n"

    def _database_answers(self) -> bool:
        try:
            with self.database.read() as connection:
                connection.execute(select(1))
        except Exception as error:
            log.warning("not ready", error=type(error).__name__)
            return False
        return True

    def _metrics_page(self) -> tuple[HTTPStatus, bytes]:
        try:
            with self.database.read() as connection:
                self._metrics.waiting.set(operations.count_waiting(connection))
        except Exception as error:  # the others are still worth to be seen
            log.warning("waiting operations not counted", error=type(error).__name__)
        return HTTPStatus.OK, self._metrics.text()

    def _server(self) -> grpc.aio.Server:
        return grpc.aio.server(
            interceptors=(Watch(self._metrics, self._parts.traces, self._limiter),),
            # but among workers a second service on the port is an error, not a rival
            options=(*SERVER_OPTIONS, ("grpc.so_reuseport", int(self._siblings is not None))),
            maximum_concurrent_rpcs=self._settings.limits.under_way + SPARE_CALLS,
        )

    def _main_server(self, wakeups: Wakeups) -> grpc.aio.Server:
        transport = self._parts.authorities.transport
        names = frozenset(
            {"localhost", "127.0.0.1", socket.gethostname(), self._settings.public_host}
            | {each.host for each in self._settings.service_addresses}
        )
        own = authority.server_certificate(transport, names, self._clock())
        credentials = grpc.ssl_server_credentials(
            [(_pem_key(own), _pem(own))],
            root_certificates=_pem(transport),
            require_client_auth=True,
        )
        server = self._server()
        add_services(server, self._parts, wakeups)
        self._health.add_to(server)
        add_reflection(server)
        _listen(server, self._settings.listen, credentials)
        return server

    def _enrolment_server(self) -> grpc.aio.Server:
        own = self._parts.authorities.enrolment
        server = self._server()
        add_enrolment(server, self._parts)
        _listen(
            server,
            self._settings.enrol_listen,
            grpc.ssl_server_credentials([(_pem_key(own), _pem(own))]),
        )
        return server

    async def _keep_relaying(self, wakeups: Wakeups) -> None:
        if self.database.is_shared:
            relay = Relay(self.database.driver_url, wakeups)
            wakeups.tell_others = relay.tell
            await relay.run()
        elif self._siblings is not None:
            wakeups.tell_others = self._siblings.tell

    async def _keep_up(self, wakeups: Wakeups) -> None:
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            for task in self._upkeep.tasks(wakeups.wake, wakeups.wake_own):
                try:
                    await asyncio.to_thread(task)
                except Exception:  # the next second may be better; no decision depends on it
                    log.exception("the upkeep failed")

    def _first_operator(self) -> None:
        """Invite the first operator: whoever may read the data folder may run the registry."""
        token: Token = self._parts.people.add_operator("first operator", actor=KEYSTORE)
        path = self._settings.operator_token
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token.text + "\n")


def _check_there(settings: Settings) -> None:
    """Refuse to make a new keystore where there was one: its cards would all be unknown."""
    was_one = settings.sealing_key.exists() or settings.operator_token.exists()
    if not settings.database and was_one and not settings.database_file.exists():
        raise DatabaseGone(
            f"{settings.database_file} is gone, though {settings.data} is a keystore's: restore it "
            "from a backup, name another with --database, or make a new keystore in a new folder"
        )


def _sealing_keys(settings: Settings, database: Database) -> list[Source]:
    """The sealing keys; the default one is made with a new database, and never for one that is
    there already.
    """
    if settings.sealing_keys:
        return [Source.parse(text, settings.token) for text in settings.sealing_keys]
    if is_sealed(database) and not settings.sealing_key.exists():
        raise SealingKeyError(
            f"{settings.sealing_key} is missing, and the database cannot be opened without it: "
            "restore it from the backup, or copy it from another replica"
        )
    load_or_make_key(settings.sealing_key, os.urandom)
    return [Source(FILE, str(settings.sealing_key))]


def _listen(server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials) -> None:
    try:
        bound = server.add_secure_port(str(address), credentials)
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise CannotListen(f"cannot listen on {address}: is another keystore running there?")


def _pem(own: authority.Authority) -> bytes:
    return own.certificate.public_bytes(Encoding.PEM)


def _pem_key(own: authority.Authority) -> bytes:
    return own.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
