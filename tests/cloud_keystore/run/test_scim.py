"""SCIM at a real keystore: what a tester of SCIM servers finds."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from cloudcard.registry.v1 import clients_pb2, organisations_pb2, roles_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess


@dataclass
class Port:
    """A keystore that serves SCIM, and an HTTP client of a directory."""

    keystore: KeystoreProcess
    directory: httpx2.Client


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    folder = tmp_path_factory.mktemp("scim")
    (number,) = free_ports(1)
    with Nursery(folder / "logs") as nursery:
        more = ("--rest", f"127.0.0.1:{number}", "--limit", "leavers=1000")
        keystore = KeystoreProcess(folder, nursery, more)
        registry = keystore.registry
        rights = ["view", "people", "revoke"]
        registry.roles.CreateRole(roles_pb2.CreateRoleRequest(name="directory", rights=rights))
        for name in ("Ward 7", "Ward 8"):
            asked = organisations_pb2.CreateOrganisationRequest(name=name)
            registry.organisations.CreateOrganisation(asked)
        made = registry.clients.CreateClient(
            clients_pb2.CreateClientRequest(display_name="HR", roles=["directory"])
        )
        with httpx2.Client(
            base_url=f"https://127.0.0.1:{number}/scim/v2",
            verify=ssl.create_default_context(cafile=str(folder / "operator" / "ca.pem")),
            headers={"Authorization": f"Bearer {made.token}"},
            timeout=60,
        ) as directory:
            yield Port(keystore, directory)


def test_a_tester_of_servers_finds_nothing_wrong(port: Port) -> None:
    """USER-16."""
    results = check_server(SyncSCIMClient(port.directory))
    wrong = [
        f"{each.title}: {each.reason}" for each in results if each.status is not Status.SUCCESS
    ]
    assert wrong == []
    kinds = [each.resource_type for each in results]
    assert min(kinds.count(kind) for kind in ("User", "Group")) > 10
