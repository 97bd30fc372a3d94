"""What phones and workstations are, as operators see it: on SQLite, and on PostgreSQL."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from importlib.metadata import version

import grpc
import pytest
from click.testing import CliRunner, Result

from cloudcard.authenticator.v1.authenticator_pb2 import ListCardsRequest
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard.workstation.v1.workstation_pb2 import GetCardRequest
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.enrolment import spending
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.identity import Identity
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess
from support.postgres import Server

SECONDS = 60
OWN = version("cloudcard")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def keystore(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("software")
    options: tuple[str, ...] = ()
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql")
        options = ("--database", server.new_database())
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery, options)


def run(keystore: KeystoreProcess, *words: str) -> Result:
    operator = str(keystore.folder / "operator")
    done = CliRunner().invoke(ra, [*words, "--identity", operator])
    assert done.exit_code == 0, done.output
    return done


def rows(keystore: KeystoreProcess, *words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run(keystore, *words, "--json").stdout)
    return found


def call_as(own: Identity, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call over a connection of its own, as a client that says so."""
    monkeypatch.setattr(identity, "said_by", lambda _role: (("grpc.primary_user_agent", said),))
    with identity.channel(own) as channel:
        if own.role == "authenticator":
            AuthenticatorServiceStub(channel).ListCards(ListCardsRequest(), timeout=SECONDS)
        else:
            with pytest.raises(grpc.RpcError, match="no card"):
                WorkstationServiceStub(channel).GetCard(
                    GetCardRequest(card_serial="1500000000"), timeout=SECONDS
                )


def test_operators_see_versions_and_platforms(
    keystore: KeystoreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEV-01, DEV-04: version, platform and platform version of each phone and workstation, from
    its enrolment on; lists are sorted by the rule of versions, and what is no version is shown.
    """
    keystore.holder("Ada")
    (own,) = rows(keystore, "device", "list", "Ada")
    expected = {
        "version": OWN,
        "platform": platform.system().lower(),
        "platform_version": platform.release(),
        "capabilities": ["documents", "sign-in"],
        "compatibility": "compatible",
    }
    assert own.items() >= expected.items()
    assert own["seen"]
    shown = json.loads(run(keystore, "user", "show", "Ada", "--json").stdout)
    assert shown["devices"][0].items() >= expected.items()
    assert OWN in run(keystore, "user", "show", "Ada").stdout

    said = {"PC9": "1.9.0", "PC10": "1.10.0", "PCX": "banana", "PC0": "0.0.9"}
    with monkeypatch.context() as patch:
        patch.setattr(spending, "said_by", lambda _role: ())
        for name, number in said.items():
            call_as(keystore.workstation(name), f"cloudcard/{number} (windows 11)", patch)
    found = rows(keystore, "workstation", "list", "--sort", "version")
    assert [each["version"] for each in found] == ["banana", "0.0.9", "1.9.0", "1.10.0"]
    assert {each["name"]: each["compatibility"] for each in found} == {
        "PCX": "unknown",
        "PC0": "outdated",
        "PC9": "compatible",
        "PC10": "compatible",
    }
    older = rows(keystore, "workstation", "list", "--older-than", "1.10")
    assert {each["name"] for each in older} == {"PC9", "PC0"}
    assert "banana" in run(keystore, "workstation", "list").stdout
    refused = CliRunner().invoke(ra, ["device", "list", "Ada", "--older-than", "new"])
    assert refused.exit_code == 2
    assert "is no version such as 1.10.0" in refused.output
