"""The gate: who is let in, what a request may be, and what every response has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from cloud_keystore.http import bodies
from cloud_keystore.http.bodies import LARGEST_BODY
from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.limits import Limits, with_limits
from cloud_keystore.model.people import Role
from support.keystore_world import World
from support.rest import Client, asked, client_of


@pytest.fixture
def client(world: World) -> Client:
    return client_of(world, "ra-agent")


def test_whose_token_it_is(world: World, client: Client) -> None:
    told = client.get("/v1/client")
    assert told.status == 200
    (listed,) = world.clients.list_all(actor=world.actor)
    assert told.json["id"] == listed.client.id


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer x"},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": f"Bearer ccapi_{'a' * 43}"},
    ],
)
def test_strangers_learn_nothing_not_even_which_paths_there_are(
    client: Client, fields: Mapping[str, str]
) -> None:
    for path in ("/v1/users", "/v1/nothing"):
        told = asyncio.run(asked(client.application, "GET", path, fields, b""))
        assert (told.status, told.kind) == (401, "identity-rejected")
        assert told.fields["www-authenticate"].startswith("Bearer ")


def test_an_operators_certificate_is_no_token(world: World, client: Client) -> None:
    """Certificates are no secret: neither one nor its hash opens the API."""
    own = world.operator()
    digest = own.identity.certificate_sha256 or b""
    for text in (own.certificate.hex(), digest.hex()):
        fields = {"authorization": f"Bearer {text}"}
        assert (
            asyncio.run(asked(client.application, "GET", "/v1/client", fields, b"")).status == 401
        )
    with pytest.raises(IdentityRejected):
        world.callers.identify(digest, Role.CLIENT)


def test_the_description_is_everybodys(client: Client) -> None:
    told = asyncio.run(asked(client.application, "GET", "/openapi.json", {}, b""))
    assert told.status == 200
    assert told.json["openapi"] == "3.1.0"


def test_every_response_can_be_told_apart_and_is_kept_by_nobody(client: Client) -> None:
    with capture_logs() as logs:
        told = [client.get(path) for path in ("/v1/client", "/v1/nothing")]
    assert len({each.fields["x-request-id"] for each in told}) == 2
    assert {each.fields["cache-control"] for each in told} == {"no-store"}
    assert client.token not in str(logs)


def test_the_journal_has_the_number_of_the_request(world: World, client: Client) -> None:
    told = client.post("/v1/users", {"name": "Ada"})
    assert told.fields["x-request-id"] in {each.trace_id for each in world.journal()}


def test_a_large_body_is_refused(client: Client) -> None:
    told = client.post("/v1/users", b"x" * (LARGEST_BODY + 1))
    assert (told.status, told.kind) == (413, "content-too-large")
    large = {"content-length": str(LARGEST_BODY + 1)}
    assert client.ask("POST", "/v1/users", b"{}", large).status == 413


def test_a_slow_body_is_not_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)

    async def slow(scope: Scope, _receive: Receive, send: Send) -> None:
        async def receive() -> Message:
            await asyncio.sleep(60)
            raise AssertionError

        await client.application(scope, receive, send)

    assert Client(slow, client.token).post("/v1/users", {}).status == 408


def test_too_many_calls_of_a_client_and_of_a_place(world: World) -> None:
    limits = with_limits(Limits(), ["client=1/2"])
    hurried = client_of(world, "support", limits=limits)
    assert [hurried.get("/v1/client").status for _ in range(3)] == [200, 200, 429]
    told = hurried.get("/v1/client")
    assert (told.kind, told.fields["retry-after"]) == ("too-many-calls", "1")
    crowd = client_of(world, "support", limits=with_limits(Limits(), ["rest=1/1"]))
    stranger = Client(crowd.application, "")
    assert [stranger.get("/v1/client").status for _ in range(2)] == [401, 429]


def test_a_fault_is_told_to_the_log_alone(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(type(world.people), "list_users", fail)
    with capture_logs() as logs:
        told = client.get("/v1/users")
    assert (told.status, told.kind) == (500, "internal")
    assert b"s3cret" not in told.body
    assert any(each["event"] == "internal error" for each in logs)
