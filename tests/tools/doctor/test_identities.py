"""The identities on a computer: by calls at a real keystore, whose clock can be stepped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cloudcard.registry.v1 import identities_pb2, people_pb2
from cloudcard_tools.doctor import identities, keystore
from cloudcard_tools.doctor.checks import Finding, Level
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import home, identity
from cloudcard_tools.shared.processes import Child, Nursery
from support import stepped_clock
from support.listeners import AUTHORITY, KEY, NOW, enrolled
from support.registry import Registry

ROLES = tuple(identities.ROLES)


@dataclass
class Enrolled:
    """A keystore, and a folder with an identity of each role."""

    keystore: Child
    folder: Path
    registry: Registry

    def step(self, days: int) -> None:
        """Put the keystore's clock so many days ahead."""
        stepped_clock.step(self.keystore, days)

    def workstation(self, folder: Path, role: str = "workstation") -> str:
        """One more workstation, enrolled in a home folder; its identifier."""
        asked = identities_pb2.CreateWorkstationRequest(display_name="PC2")
        made = self.registry.identities.CreateWorkstation(asked)
        spending.enrol(made.token.text, folder / role, "workstation")
        return str(made.workstation.id)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolled]:
    folder = tmp_path_factory.mktemp("doctor")
    with Nursery(folder / "logs") as nursery:
        child, own = stepped_clock.start(nursery, folder, folder / "home")
        with identity.channel(own) as channel:
            registry = Registry(channel)
            user = registry.people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada"))
            auditor = identities_pb2.CreateAuditorRequest(display_name="Aude")
            pc = identities_pb2.CreateWorkstationRequest(display_name="PC1")
            tokens = {
                "authenticator": user.device_token,
                "workstation": registry.identities.CreateWorkstation(pc).token,
                "auditor": registry.identities.CreateAuditor(auditor).token,
            }
            for role, invited in tokens.items():
                spending.enrol(invited.text, folder / "home" / role, role)
            yield Enrolled(child, folder / "home", registry)


@pytest.fixture
def everybody(world: Enrolled, own_home: Path) -> Enrolled:
    """The same identities in this user's home."""
    shutil.copytree(world.folder, own_home)
    return world


def looked(role: str) -> Finding:
    return identities.enrolled(role)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("everybody")
def test_an_identity_that_is_let_in(role: str) -> None:
    finding = looked(role)
    assert (finding.level, "let in; until" in finding.cause) == (Level.OK, True)


@pytest.mark.parametrize("role", ROLES)
def test_no_identity_is_no_fault(role: str) -> None:
    finding = looked(role)
    assert (finding.level, "enrol TOKEN" in finding.cause) == (Level.OK, True)


def test_an_identity_that_was_removed(world: Enrolled, own_home: Path) -> None:
    own_home.mkdir()
    made = world.workstation(own_home)
    assert looked("workstation").level is Level.OK
    asked = identities_pb2.RemoveWorkstationRequest(workstation_id=made, reason="gone")
    world.registry.identities.RemoveWorkstation(asked)
    finding = looked("workstation")
    assert finding.level is Level.FAILED
    assert "unknown or was removed" in finding.cause
    assert "ask your registration authority" in finding.fix.lower()


def test_an_identity_in_the_folder_of_another_role(everybody: Enrolled, own_home: Path) -> None:
    assert everybody
    shutil.rmtree(own_home / "operator")
    shutil.copytree(own_home / "auditor", own_home / "operator")
    finding = looked("operator")
    assert (finding.level, "not of an operator" in finding.cause) == (Level.FAILED, True)


def test_a_certificate_of_another_role(everybody: Enrolled, own_home: Path) -> None:
    """The folder says one thing, and the keystore knows better."""
    assert everybody
    for name in ("key.pem", "certificate.pem"):
        shutil.copy(own_home / "auditor" / name, own_home / "operator" / name)
    finding = looked("operator")
    assert (finding.level, "not a auditor" in finding.cause) == (Level.FAILED, True)


def test_files_that_others_can_read(everybody: Enrolled, own_home: Path) -> None:
    assert everybody
    (own_home / "workstation" / "key.pem").chmod(0o644)
    finding = looked("workstation")
    assert finding.level is Level.FAILED
    assert "key.pem" in finding.cause
    assert "chmod" in finding.fix
    own_home.joinpath("auditor").chmod(0o755)
    assert looked("auditor").level is Level.FAILED


@pytest.mark.parametrize("name", ["identity.json", "certificate.pem", "key.pem", "ca.pem"])
def test_a_damaged_file(everybody: Enrolled, own_home: Path, name: str) -> None:
    assert everybody
    (own_home / "workstation" / name).write_text("{")
    finding = looked("workstation")
    assert (finding.level, "is damaged" in finding.cause) == (Level.FAILED, True)


@pytest.mark.parametrize(("begin", "end", "word"), [(-9, -1, "ended at"), (1, 9, "begins at")])
def test_an_identity_that_is_not_valid_now(begin: int, end: int, word: str) -> None:
    home.folder().mkdir(mode=0o700)
    days = NOW + timedelta(days=begin), NOW + timedelta(days=end)
    enrolled(home.of_role("operator"), 1, AUTHORITY.issue(KEY.public_key(), *days))
    finding = looked("operator")
    assert (finding.level, word in finding.cause) == (Level.FAILED, True)


def test_an_identity_that_ends_soon(everybody: Enrolled, monkeypatch: pytest.MonkeyPatch) -> None:
    assert everybody
    monkeypatch.setattr(identities, "RENEW_BEFORE", timedelta(days=5000))
    finding = looked("workstation")
    assert (finding.level, "let in; ends at" in finding.cause) == (Level.WARNING, True)


def test_a_keystore_that_is_away_is_no_fault_of_the_identity() -> None:
    home.folder().mkdir(mode=0o700)
    enrolled(home.of_role("operator"), 1)
    finding = looked("operator")
    assert (finding.level, "its files are good" in finding.cause) == (Level.WARNING, True)


def test_the_clock_of_a_real_keystore(everybody: Enrolled) -> None:
    def found() -> dict[str, Finding]:
        return {check.id: check.look() for check in keystore.checks()}

    assert {each.level for each in found().values()} == {Level.OK}
    everybody.step(1)
    try:
        finding = found()["keystore.clock"]
    finally:
        everybody.step(0)
    assert finding.level is Level.WARNING
    seconds = float(finding.cause.split()[4])
    assert abs(seconds - 86400) < 600
    assert "s ahead of this computer's" in finding.cause
