"""The way to a keystore: each fault by its name, in time, and how its clock differs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloud_keystore.model.clock import TOLD_AS
from cloudcard_tools.doctor import identities, keystore
from cloudcard_tools.doctor.checks import Finding, Level, Once
from cloudcard_tools.doctor.report import examined
from cloudcard_tools.shared import home
from cloudcard_tools.shared.reaching import NOT_USED, PROXY
from support.listeners import AUTHORITY, DAY, KEY, NOW, Issuer, enrolled, listening, pem, tls

SOON = 5.0  # seconds in which all has to be said


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NOT_USED, PROXY):
        monkeypatch.delenv(name, raising=False)


def enrol(place: int | str) -> None:
    """An operator's identity at a keystore."""
    home.folder().mkdir(mode=0o700, exist_ok=True)
    enrolled(home.of_role("operator"), place)


def looked() -> dict[str, Finding]:
    return {check.id: check.look() for check in keystore.checks()}


class Health:
    """Whether a keystore serves, and by how much its clock is ahead; None: it does not tell."""

    def __init__(self) -> None:
        self.status = health_pb2.HealthCheckResponse.SERVING
        self.ahead: timedelta | None = timedelta()

    def Check(
        self, _request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if self.ahead is not None:
            now = (datetime.now(UTC) + self.ahead).isoformat()
            context.set_trailing_metadata(((TOLD_AS, now),))
        return health_pb2.HealthCheckResponse(status=self.status)

    List = Watch = Check  # the doctor calls neither


@contextmanager
def serving(health: Health) -> Iterator[int]:
    """A server of gRPC in a keystore's place."""
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    certificate = AUTHORITY.issue(KEY.public_key()).public_bytes(Encoding.PEM)
    credentials = grpc.ssl_server_credentials([(pem(KEY), certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def test_no_identity_names_a_keystore() -> None:
    assert looked()["keystore.reachable"].level is Level.WARNING


def test_a_keystore_that_serves_and_one_without_its_database() -> None:
    health = Health()
    with serving(health) as port:
        enrol(port)
        found = looked()
        assert found["keystore.reachable"] == Finding(Level.OK, f"127.0.0.1:{port}")
        assert found["keystore.clock"].level is Level.OK
        health.status = health_pb2.HealthCheckResponse.NOT_SERVING
        finding = looked()["keystore.reachable"]
    assert (finding.level, "database" in finding.cause) == (Level.FAILED, True)


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [
        (timedelta(hours=2), Level.WARNING, "s ahead of this computer's"),
        (-timedelta(hours=2), Level.WARNING, "s behind this computer's"),
        (None, Level.WARNING, "does not tell its time"),
    ],
)
def test_the_clocks(ahead: timedelta | None, level: Level, says: str) -> None:
    health = Health()
    health.ahead = ahead
    with serving(health) as port:
        enrol(port)
        finding = looked()["keystore.clock"]
    assert (finding.level, says in finding.cause) == (level, True)


@pytest.mark.parametrize(
    ("difference", "doubt", "level"),
    [(29, 0, Level.OK), (-31, 0, Level.WARNING), (31, 2, Level.OK), (90, 2, Level.WARNING)],
)
def test_a_slow_way_is_no_difference(difference: int, doubt: int, level: Level) -> None:
    seen = keystore.Seen(None, True, timedelta(seconds=difference), timedelta(seconds=doubt))
    assert keystore.clock(Once(lambda: seen)).level is level


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (AUTHORITY.issue(KEY.public_key(), NOW - 2 * DAY, NOW - DAY), "certificate ended at"),
        (AUTHORITY.issue(KEY.public_key(), NOW + DAY, NOW + 2 * DAY), "certificate begins at"),
        (AUTHORITY.issue(KEY.public_key(), host="127.0.0.2"), "has no certificate for 127.0.0.1"),
        (Issuer().issue(KEY.public_key()), 'by another authority ("CN=authority")'),
    ],
    ids=["expired", "not yet valid", "wrong name", "unknown authority"],
)
def test_tls_that_fails(certificate: x509.Certificate, says: str, tmp_path: Path) -> None:
    with listening(tls(tmp_path / "server", certificate)) as port:
        enrol(port)
        found = looked()
    finding = found["keystore.reachable"]
    assert finding.level is Level.FAILED
    assert says in f"{finding.cause}. {finding.fix}"
    assert finding.fix
    assert found["keystore.clock"] == keystore.NOT_TRIED


def test_a_proxy_that_ends_tls_is_thought_of(tmp_path: Path) -> None:
    with listening(tls(tmp_path / "server", Issuer().issue(KEY.public_key()))) as port:
        enrol(port)
        assert "proxy or firewall on the way ends TLS" in looked()["keystore.reachable"].fix


def test_a_closed_port_and_an_unknown_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    enrol(port)
    assert f"nobody listens at 127.0.0.1:{port}" in looked()["keystore.reachable"].cause
    enrol("keystore.invalid:7443")
    assert "keystore.invalid is not known" in looked()["keystore.reachable"].cause


def test_damaged_files_are_told_before_the_way_is_tried() -> None:
    enrol(1)
    (home.of_role("operator") / "key.pem").unlink()
    assert "key.pem is missing" in looked()["keystore.reachable"].cause


@pytest.mark.usefixtures("as_shipped")
def test_all_is_said_in_time_when_the_network_swallows_packets() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)  # the kernel drops what would be more connections than that
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        address = f"127.0.0.1:{server.getsockname()[1]}"
        enrol(",".join([address] * 5))
        report = examined((*identities.checks(), *keystore.checks()))
    found = {check.id: finding for check, finding in report.findings}
    assert report.milliseconds < 1000 * SOON
    assert found["keystore.reachable"].level is Level.FAILED
    assert "firewall" in found["keystore.reachable"].fix
    assert found["identity.operator"].level is not Level.OK
