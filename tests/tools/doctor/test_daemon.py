"""pcscd: whether it runs, what its sandbox shows of users, and what it lets this user see."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloudcard_tools.bench.own_pcscd import slot
from cloudcard_tools.doctor import asking, daemon
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared import pcscd

OF_A_DOMAIN = 1234500017
# The kernel's maps of users (user_namespaces(7)): of PrivateUsers=identity, and of no namespace.
IDENTITY, ALL_USERS = "         0          0      65536\n", "         0          0 4294967295\n"
# As systemd tells of Debian 13's pcscd.service.
DEBIAN_13 = {
    "ProtectSystem": "strict",
    "PrivateUsers": "yes",
    "RuntimeDirectory": "",
    "User": "",
    "NeedDaemonReload": "no",
}
WITH_OUR_DROP_IN = DEBIAN_13 | {"PrivateUsers": "no", "RuntimeDirectory": "cloudcard"}


@pytest.fixture
def with_driver(places: Places) -> Places:
    """A computer whose pcscd has two readers of ours."""
    places.readers.mkdir()
    own = "".join(slot(places.handler.parent, Path("/libifdcloudcard.so"), n) for n in range(2))
    (places.readers / "cloudcard").write_text(own)
    return places


def systemd(places: Places, told: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd that tells this of pcscd's service."""
    places.systemd.mkdir(exist_ok=True)
    program = places.systemd / "systemctl"
    lines = "\n".join(f"{name}={value}" for name, value in told.items())
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{places.systemd}:{os.environ['PATH']}")


def test_pcscd_runs_or_not(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon.running(places).level is Level.FAILED
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.pcscd))
        assert daemon.running(places).level is Level.FAILED  # left by one that has died
        listener.listen()
        assert daemon.running(places).cause == "runs"
        places.pcscd.with_name("pcscd.pid").write_text(f"{os.getpid()}\n")
        arguments = places.processes / str(os.getpid()) / "cmdline"
        arguments.parent.mkdir(parents=True)
        arguments.write_text("pcscd\0--foreground\0--auto-exit\0")
        assert daemon.running(places).cause.startswith("started on demand")
    monkeypatch.setattr(pcscd, "program", lambda: None)
    assert daemon.installed().level is Level.FAILED
    monkeypatch.setattr(pcscd, "program", lambda: "/usr/sbin/pcscd")
    assert daemon.installed().level is Level.OK


def test_a_namespace_that_does_not_show_the_user(with_driver: Places) -> None:
    process = with_driver.processes / "4711"
    process.mkdir(parents=True)
    (process / "uid_map").write_text(IDENTITY)
    with_driver.pcscd.with_name("pcscd.pid").write_text("4711\n")
    hidden = daemon.sandbox(with_driver, OF_A_DOMAIN)
    assert daemon.sandbox(with_driver, 1000).level is Level.OK
    (process / "uid_map").write_text(ALL_USERS)
    assert daemon.sandbox(with_driver, OF_A_DOMAIN).level is Level.OK
    assert hidden.level is Level.FAILED
    assert f"does not show user {OF_A_DOMAIN}" in hidden.cause
    assert "PrivateUsers=no" in hidden.fix


@pytest.mark.parametrize(
    ("told", "level", "word"),
    [
        (DEBIAN_13, Level.FAILED, "has no folder for our driver's socket"),
        (DEBIAN_13 | {"RuntimeDirectory": "cloudcard"}, Level.FAILED, "hides users"),
        (WITH_OUR_DROP_IN | {"NeedDaemonReload": "yes"}, Level.WARNING, "was changed"),
        (WITH_OUR_DROP_IN, Level.OK, "has a folder"),
        (WITH_OUR_DROP_IN | {"User": "pcscd", "RuntimeDirectory": "pcscd"}, Level.FAILED, "folder"),
    ],
)
def test_the_service_of_pcscd(
    with_driver: Places,
    monkeypatch: pytest.MonkeyPatch,
    told: Mapping[str, str],
    level: Level,
    word: str,
) -> None:
    systemd(with_driver, told, monkeypatch)
    finding = daemon.sandbox(with_driver)
    assert (finding.level, word in finding.cause) == (level, True)
    assert ("daemon-reload" in finding.fix) == (level is not Level.OK)


def test_the_sandbox_matters_to_our_driver_alone(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd(places, DEBIAN_13, monkeypatch)
    assert daemon.sandbox(places).level is Level.OK


@pytest.mark.usefixtures("refusing_pcscd")
def test_a_pcscd_that_refuses_this_user_is_not_told_to_start() -> None:
    finding = daemon.access(asking.readers())
    assert finding.level is Level.FAILED
    assert "8010006A" in finding.cause
    assert "polkit" in finding.cause
    assert "--disable-polkit" in finding.fix


def test_a_pcscd_that_is_not_there(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 60.0)
    monkeypatch.setenv(pcscd.SOCKET_VARIABLE, str(places.pcscd))
    answer = asking.ask("readers")
    assert daemon.access(answer).cause.startswith("PC/SC says: Service not available")
    assert daemon.readers(places, answer).level is Level.WARNING


def test_a_pcscd_that_hangs(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection, as the kernel does for it, and says nothing."""
    monkeypatch.setattr(asking, "SECONDS", 1.0)
    monkeypatch.setenv(pcscd.SOCKET_VARIABLE, str(places.pcscd))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.pcscd))
        listener.listen()
        finding = daemon.access(asking.ask("readers"))
    assert (finding.level, finding.fix) == (Level.FAILED, "restart pcscd")


def test_without_pyscard_it_is_said_what_was_not_tried() -> None:
    finding = daemon.access({"missing": "smartcard"})
    assert (finding.level, "not tried" in finding.cause) == (Level.WARNING, True)


def test_readers_that_are_missing(with_driver: Places) -> None:
    def level(*names: str) -> Level:
        return daemon.readers(with_driver, {"readers": dict.fromkeys(names, False)}).level

    ours = ("Cloudcard 0 00 00", "Cloudcard 1 01 00")
    assert level(*ours) is Level.OK
    assert level(ours[0]) is Level.FAILED
    assert daemon.access({"readers": {}}).level is Level.FAILED
