"""The description of the REST API: it is that of docs, and a real keystore keeps to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloud_keystore.rest.application import description
from cloud_keystore.rest.repeating import NAME
from cloudcard.registry.v1 import clients_pb2, shared_devices_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = 12  # of each call
METHODS = [method for methods in description()["paths"].values() for method in methods]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)
NO_LIMITS = tuple(
    word
    for name in ("client", "rest", "journal-client")
    for word in ("--limit", f"{name}=100000/1000000")
)


def test_the_description_in_docs_is_current() -> None:
    """`make openapi` writes it."""
    assert json.loads((DOCS / "openapi.json").read_text()) == description()


def test_every_call_says_what_it_needs_and_how_it_is_refused() -> None:
    for methods in description()["paths"].values():
        for method, said in methods.items():
            assert {"401", "403", "422", "429", "500", "503"} <= said["responses"].keys()
            assert said["description"].endswith(".")
            if method == "post":
                assert NAME in {each["name"] for each in said["parameters"]}


@pytest.mark.timeout(600)
def test_a_keystore_keeps_to_it_whatever_is_sent(tmp_path: Path) -> None:
    """Schemathesis sends what the description allows and what it forbids."""
    (port,) = free_ports(1)
    at = f"127.0.0.1:{port}"
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery, ("--rest", at, *NO_LIMITS))
        user_id, phone = keystore.holder("Ada", "ada@example.org")
        named = {"user_id": user_id, "device_id": phone.id}
        named["serial"] = keystore.developer_card(user_id)
        tablet = shared_devices_pb2.AddSharedDeviceRequest(display_name="Ward 7 tablet")
        added = keystore.registry.shared_devices.AddSharedDevice(tablet)
        named["shared_device_id"] = added.device.id
        described = tmp_path / "openapi.json"
        described.write_text(json.dumps(about(description(), named)))
        asked = clients_pb2.CreateClientRequest(display_name="fuzz", roles=["ra-manager"])
        token = keystore.registry.clients.CreateClient(asked).token
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "run"),
                *(str(described), "--url", f"https://{at}"),
                *("--tls-verify", str(tmp_path / "operator" / "ca.pem")),
                *("--header", f"Authorization: Bearer {token}"),
                *("--checks", ",".join(CHECKS)),
                *("--max-examples", str(EXAMPLES)),
                *("--phases", "examples,coverage,fuzzing"),
                *("--generation-database", "none", "--seed", "7", "--no-color"),
                *("--suppress-health-check", "all"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=560,
        )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert re.search(rf"Tested: {len(METHODS)}$", done.stdout, re.MULTILINE), done.stdout
    assert token not in nursery_logs(tmp_path / "logs")


def about(described: dict[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    """A description by which things are asked for that are there. It has no keys by which requests
    are repeated: most would be refused, since few keys would be drawn.
    """
    for methods in described["paths"].values():
        for said in methods.values():
            given = [each for each in said.get("parameters", ()) if each["name"] != NAME]
            said["parameters"] = given
            for each in given:
                if each["name"] in named:
                    each["schema"] = {"type": "string", "enum": [named[each["name"]], "0"]}
    described["components"]["schemas"]["NewCard"]["properties"]["user_id"] = {
        "type": "string",
        "enum": [named["user_id"]],
    }
    return described


def nursery_logs(folder: Path) -> str:
    """All that the keystore has logged."""
    return "".join(each.read_text() for each in folder.iterdir() if each.is_file())
