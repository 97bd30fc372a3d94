"""Python, clock, versions, and the desktop's session."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest

from cloudcard_tools.doctor import system
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.places import Places

AT_THE_SCREEN = "NAME=ada\nSTATE=active\nSESSIONS=1\nACTIVE_SEATS=seat0\n"
BY_SSH = "NAME=ada\nSTATE=active\nSESSIONS=1\nACTIVE_SEATS=\n"
ADA = 1000


def test_python_and_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.python().level is Level.OK
    assert system.clock().level is Level.OK
    monkeypatch.setattr(system, "OLDEST_PYTHON", (99, 0))
    monkeypatch.setattr(system, "RELEASED", datetime(2999, 1, 1, tzinfo=UTC))
    assert system.python().level is Level.FAILED
    assert system.clock().level is Level.FAILED


def test_versions() -> None:
    found = system.versions({"version": "0.23"})
    assert {"cloudcard", "Python", "pcscd", "OpenSC", "system"} <= found.keys()
    assert system.judged(found).level is Level.OK
    finding = system.judged({**found, "pcscd": "1.8.26", "OpenSC": "0.25"})
    assert finding.level is Level.WARNING
    assert "tested from pcscd 1.9 on" in finding.cause
    assert "OpenSC" not in system.versions({})


@pytest.mark.parametrize(
    ("said", "level"),
    [(AT_THE_SCREEN, Level.OK), (BY_SSH, Level.WARNING), (None, Level.WARNING)],
)
def test_the_session(places: Places, said: str | None, level: Level) -> None:
    assert system.session(places, ADA).level is Level.OK  # there is no systemd-logind
    places.seats.mkdir()
    if said is not None:
        (places.seats / str(ADA)).write_text(said)
    assert system.session(places, ADA).level is level
    assert system.session(places, 0).level is Level.OK


def test_the_system_bus(places: Places) -> None:
    assert system.bus(places).level is Level.WARNING
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.bus))
        listener.listen()
        assert system.bus(places).level is Level.OK
