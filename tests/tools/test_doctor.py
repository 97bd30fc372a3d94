"""Every check of the doctor: how it sees a good and a bad state, and that it ends in time."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import IPAddress, SubjectAlternativeName
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.doctor import checks, command, computer, keystore
from cloudcard_tools.doctor.checks import Check, Level
from cloudcard_tools.shared import home, pcsc, pcscd

LIBRARY = "LIBPATH {}/libifdvpcd.so\nDEVICENAME {}\n"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDCARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def enrol(role: str, address: str, begin: timedelta, end: timedelta) -> None:
    """Write an identity with a certificate that is valid from `begin` to `end` from now."""
    folder = home.of_role(role)
    folder.mkdir(mode=0o700, parents=True)
    facts = {
        "role": role,
        "id": "1",
        "display_name": "desk 1",
        "address": address,
        "request_key": "00",
    }
    (folder / "identity.json").write_text(json.dumps(facts))
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .add_extension(SubjectAlternativeName([IPAddress(ip_address("127.0.0.1"))]), False)
        .sign(key, SHA256())
    )
    pem = ssl.DER_cert_to_PEM_cert(certificate.public_bytes(Encoding.DER))
    (folder / "certificate.pem").write_text(pem)
    (folder / "ca.pem").write_text(pem)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    for each in folder.iterdir():
        each.chmod(0o600)


def test_examining_keeps_order_and_survives_bad_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LIMIT_SECONDS", 2.0)
    released = threading.Event()

    def broken() -> checks.Finding:
        raise ValueError("odd")

    def hangs() -> checks.Finding:
        released.wait()
        return checks.ok("too late")

    found = checks.examine(
        [
            Check("hangs", hangs),
            Check("broken", broken),
            Check("good", lambda: checks.ok("fine")),
        ]
    )
    released.set()  # it has not been waited for
    assert [finding.level for finding in found] == [Level.FAILED, Level.FAILED, Level.OK]
    assert "no answer" in found[0].cause
    assert "ValueError: odd" in found[1].cause


def test_python_and_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert computer.python().level is Level.OK
    assert computer.clock().level is Level.OK
    monkeypatch.setattr(computer, "OLDEST_PYTHON", (99, 0))
    monkeypatch.setattr(computer, "RELEASED", datetime(2999, 1, 1, tzinfo=UTC))
    assert computer.python().level is Level.FAILED
    assert computer.clock().level is Level.FAILED


@pytest.mark.parametrize(
    ("configuration", "library", "level", "word"),
    [
        (LIBRARY, True, Level.OK, "libifdvpcd"),
        (LIBRARY, False, Level.FAILED, "does not exist"),
        ("#" + LIBRARY, True, Level.FAILED, "no reader"),
        (None, True, Level.FAILED, "no reader"),
        (LIBRARY.replace("{}\n", "phone.example:0x8C7B\n"), True, Level.FAILED, "connect out"),
    ],
)
def test_vpcd_driver(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configuration: str | None,
    library: bool,
    level: Level,
    word: str,
) -> None:
    folder = tmp_path / "reader.conf.d"
    if configuration is not None:
        folder.mkdir()
        (folder / "vpcd").write_text(configuration.format(tmp_path, "/dev/null:0x8C7B"))
    if library:
        (tmp_path / "libifdvpcd.so").touch()
    monkeypatch.setattr(computer, "READER_CONFIGURATION", folder)
    finding = computer.vpcd_driver()
    assert (finding.level, word in finding.cause) == (level, True)


@pytest.mark.parametrize(
    ("listening", "occupied", "level", "word"),
    [
        ({}, set(), Level.FAILED, "nobody listens on 35963, 35964"),
        ({35963: "0.0.0.0"}, set(), Level.FAILED, "nobody listens on 35964"),
        ({35963: "127.0.0.1", 35964: "127.0.0.1"}, {35964}, Level.OK, "35964 holds a card"),
        ({35963: "0.0.0.0", 35964: "0.0.0.0"}, set(), Level.WARNING, "open to the network"),
    ],
)
def test_vpcd_ports(
    monkeypatch: pytest.MonkeyPatch,
    listening: dict[int, str],
    occupied: set[int],
    level: Level,
    word: str,
) -> None:
    monkeypatch.setattr(pcscd, "answers", lambda: False)
    monkeypatch.setattr(pcscd, "listening", lambda: listening)
    monkeypatch.setattr(pcscd, "occupied", lambda: occupied)
    finding = computer.vpcd_ports()
    assert (finding.level, word in finding.cause) == (level, True)
    assert ("nft add rule" in finding.fix) == (level is Level.WARNING)


def test_pcscd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcscd, "SOCKET", tmp_path / "comm")
    monkeypatch.setattr(pcscd, "PID_FILE", tmp_path / "pid")
    assert computer.pcscd_running().level is Level.FAILED
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "comm"))
        assert computer.pcscd_running().level is Level.FAILED  # left by one that has died
        listener.listen()
        assert computer.pcscd_running().cause == "runs"
        (tmp_path / "pid").write_text(f"{os.getpid()}\n")
        assert computer.pcscd_running().level is Level.OK
    monkeypatch.setattr(pcscd, "program", lambda: None)
    assert computer.pcscd_installed().level is Level.FAILED
    monkeypatch.setattr(pcscd, "program", lambda: "/usr/sbin/pcscd")
    assert computer.pcscd_installed().level is Level.OK


def test_pcsc_service(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError

    def refused() -> None:
        raise pcsc.PcscError("Service not available.")

    monkeypatch.setattr(pcsc, "client", missing)
    assert computer.pcsc_service().level is Level.WARNING
    monkeypatch.setattr(pcsc, "client", refused)
    assert "Service not available" in computer.pcsc_service().cause
    assert computer.pcsc_service().fix == "start or restart pcscd"


@pytest.mark.usefixtures("refusing_pcscd")
def test_a_pcscd_that_refuses_this_user_is_not_told_to_start() -> None:
    finding = computer.pcsc_service()
    assert finding.level is Level.FAILED
    assert "8010006A" in finding.cause
    assert "polkit" in finding.cause
    assert "--disable-polkit" in finding.fix


def test_opensc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computer, "OPENSC_PLACES", (f"{tmp_path}/*/opensc-pkcs11.so",))
    assert computer.opensc().level is Level.FAILED
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/opensc-pkcs11.so").touch()
    assert computer.opensc().level is Level.OK


@pytest.mark.parametrize(
    ("begin", "end", "level", "word"),
    [
        (-1, 100, Level.OK, "desk 1"),
        (-1, 5, Level.WARNING, "ends at"),
        (-9, -1, Level.FAILED, "ended at"),
        (1, 9, Level.FAILED, "begins at"),
    ],
)
def test_an_identity_in_its_time(begin: int, end: int, level: Level, word: str) -> None:
    enrol("operator", "127.0.0.1:1", timedelta(days=begin), timedelta(days=end))
    finding = keystore.enrolled("operator")
    assert (finding.level, word in finding.cause) == (level, True)


def test_no_identity_is_only_worth_a_look_but_a_broken_one_is_a_fault() -> None:
    assert keystore.enrolled("workstation").level is Level.WARNING
    home.of_role("workstation").mkdir(parents=True)
    assert keystore.enrolled("workstation").level is Level.FAILED
    (home.of_role("workstation") / "identity.json").write_text("{")
    assert keystore.enrolled("workstation").level is Level.FAILED


def test_the_keystore_is_tried() -> None:
    assert keystore.reachable().level is Level.WARNING
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    enrol("operator", address, timedelta(), timedelta(days=90))
    folder = home.of_role("operator")
    pair = ((folder / "key.pem").read_bytes(), (folder / "certificate.pem").read_bytes())
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = HealthServicer()  # that of gRPC itself
    add_HealthServicer_to_server(servicer, server)
    server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        assert keystore.reachable() == checks.ok(address)
        servicer.set("", HealthCheckResponse.NOT_SERVING)
        finding = keystore.reachable()
        assert finding.level is Level.FAILED
        assert "database" in finding.cause
    finally:
        server.stop(None).wait()
    finding = keystore.reachable()
    assert finding.level is Level.FAILED
    assert address in finding.cause
    assert "cloudcard serve" in finding.fix
    (folder / "key.pem").unlink()
    assert "key.pem is missing" in keystore.reachable().cause


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([checks.ok("yes"), checks.warning("hm [x]", "look")], 0),
        ([checks.ok("yes"), checks.failed("no", "mend")], 1),
    ],
)
def test_the_exit_status_says_whether_something_failed(
    monkeypatch: pytest.MonkeyPatch, findings: list[checks.Finding], status: int
) -> None:
    table = tuple(Check(str(i), lambda f=finding: f) for i, finding in enumerate(findings))
    monkeypatch.setattr(computer, "CHECKS", table)
    monkeypatch.setattr(keystore, "CHECKS", ())
    text = CliRunner().invoke(command.doctor, [])
    assert text.exit_code == status
    assert findings[1].cause in text.output
    document = CliRunner().invoke(command.doctor, ["--json"])
    assert document.exit_code == status
    shown = json.loads(document.output)
    assert shown["ok"] is (status == 0)
    assert [row["level"] for row in shown["checks"]] == [
        finding.level.value for finding in findings
    ]
