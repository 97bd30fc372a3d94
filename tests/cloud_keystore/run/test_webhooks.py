"""A real keystore tells a real HTTPS server what has happened, signed, until it is taken."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from cloudcard.registry.v1 import clients_pb2, people_pb2, webhooks_pb2
from cloudcard_client.webhooks import verify
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.authority import Authority
from support.hooks import Gateway, serving
from support.keystore_process import KeystoreProcess
from support.polling import until


@dataclass
class Api:
    """A keystore, a program that it tells, and the program's token."""

    keystore: KeystoreProcess
    program: Gateway
    port: int
    token: str

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        tls = ssl.create_default_context(cafile=str(self.keystore.folder / "operator" / "ca.pem"))
        asking = HTTPSConnection("127.0.0.1", self.port, context=tls, timeout=60)
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        asking.request(method, path, json.dumps(body) if body is not None else None, sent)
        told = asking.getresponse()
        raw = told.read()
        asking.close()
        return told.status, json.loads(raw) if raw else {}

    def received(self) -> list[tuple[str, dict[str, str], bytes]]:
        return list(self.program.received)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("webhooks")
    authority, (port,) = Authority(), free_ports(1)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.write_server(folder))
    options = ("--rest", f"127.0.0.1:{port}", "--webhook-host", "localhost")
    options += ("--webhook-roots", str(authority.write(folder)))
    with serving(Gateway(), tls) as program, Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery, options)
        asked = clients_pb2.CreateClientRequest(display_name="HR", roles=["ra-agent"])
        token = keystore.registry.clients.CreateClient(asked).token
        yield Api(keystore, program, port, token)
        logged = "".join(each.read_text() for each in Path(folder / "logs").iterdir())
        assert "whsec_" not in logged


def test_a_program_is_told_and_knows_by_whom(api: Api) -> None:
    url = f"https://localhost:{api.program.port}/hook"
    status, made = api.ask("POST", "/v1/webhooks", {"url": url, "kinds": ["user.added"]})
    assert status == 201, made
    secret, webhook = str(made["secret"]), made["webhook"]
    assert (status, isinstance(webhook, dict)) == (201, True)
    assert isinstance(webhook, dict)
    path = f"/v1/webhooks/{webhook['id']}"
    # What is not taken comes again, with the same identifier.
    api.program.answers = [(503, {})]
    user = api.keystore.registry.people.CreateUser(
        people_pb2.CreateUserRequest(display_name="Ada", email="ada@example.org")
    ).user
    until(lambda: len(api.received()) == 2, seconds=30)
    (_, first, _), (_, headers, raw) = api.received()
    assert first["webhook-id"] == headers["webhook-id"]
    assert Verifier(secret).verify(raw, headers)["data"] == {"user_id": user.id}
    happened = verify(secret, headers, raw)
    assert (happened.type, dict(happened.data)) == ("user.added", {"user_id": user.id})

    def sent() -> bool:
        (told,) = list_of(api.ask("GET", f"{path}/deliveries")[1]["deliveries"])
        return (told["state"], told["tries"]) == ("sent", 2)

    until(sent)
    assert api.ask("POST", f"{path}:test")[0] == 202
    until(lambda: b"webhook.tested" in api.received()[-1][2])
    _, rotated = api.ask("POST", f"{path}:rotate-secret")
    api.ask("POST", f"{path}:test")
    until(lambda: len(api.received()) == 4)
    _, headers, raw = api.received()[-1]
    for each in (secret, str(rotated["secret"])):
        assert Verifier(each).verify(raw, headers)["type"] == "webhook.tested"
    assert api.ask("POST", f"{path}:retry") == (200, {"retried": 0})
    assert api.ask("DELETE", path)[0] == 204
    assert api.ask("GET", path)[0] == 404
    assert api.ask("GET", "/v1/webhooks") == (200, {"webhooks": []})


def test_an_operator_adds_one_and_sees_it(api: Api) -> None:
    stub, registry = api.keystore.registry.webhooks, api.keystore.registry
    [client] = next(iter(registry.clients.ListClients(clients_pb2.ListClientsRequest()))).clients
    url = f"https://localhost:{api.program.port}/other"
    asked = webhooks_pb2.CreateWebhookRequest(client_id=client.id, url=url)
    made = stub.CreateWebhook(asked)
    stub.TestWebhook(webhooks_pb2.TestWebhookRequest(webhook_id=made.webhook.id))
    until(lambda: api.received()[-1][0] == "/other")
    assert api.ask("GET", "/v1/webhooks")[0] == 200
    found = api.ask("GET", f"/v1/webhooks/{made.webhook.id}")[1]
    assert (found["url"], found["state"]) == (url, "active")


def test_addresses_of_the_own_network_are_refused(api: Api) -> None:
    for url in ("https://127.0.0.1/", "https://169.254.169.254/", "http://hr.example.org/"):
        status, told = api.ask("POST", "/v1/webhooks", {"url": url})
        assert (status, told["type"]) == (422, "urn:cloudcard:problem:invalid-input")


def list_of(found: object) -> list[dict[str, object]]:
    assert isinstance(found, list)
    return found
