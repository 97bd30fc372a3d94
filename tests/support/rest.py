"""The REST API without its network: requests go to the application itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import cast

from starlette.types import ASGIApp, Message

from cloud_keystore.model.limits import Limits
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.rest.gate import Gate
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.rest import gate_of
from cloud_keystore.run.offering.rest import RestUseCases
from support.keystore_world import World


@dataclass(frozen=True)
class Answer:
    """A response; names of header fields are in small letters."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return cast("dict[str, object]", json.loads(self.body))

    @property
    def kind(self) -> str:
        """Of a problem, what programs rely on."""
        assert self.fields["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return str(self.json["type"]).removeprefix("urn:cloudcard:problem:")


@dataclass(frozen=True)
class Client:
    """An API client."""

    application: ASGIApp
    token: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: object = None, fields: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request; a body that is no bytes is JSON."""
        sent = {"authorization": f"Bearer {self.token}", **self.fields, **(fields or {})}
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        if body is not None:
            sent = {"content-type": "application/json", **sent}
        return asyncio.run(asked(self.application, method, path, sent, raw))

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, body: object = None, **fields: str) -> Answer:
        return self.ask(
            "POST", path, body, {name.replace("_", "-"): fields[name] for name in fields}
        )


async def asked(
    application: ASGIApp, method: str, path: str, sent: Mapping[str, str], raw: bytes
) -> Answer:
    """What an application answers to one request."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("192.0.2.1", 1234),
        "server": ("192.0.2.2", 443),
    }
    told: list[Message] = []
    asked_for = iter([{"type": "http.request", "body": raw, "more_body": False}])

    async def receive() -> Message:
        if (message := next(asked_for, None)) is None:  # nobody leaves
            await asyncio.Event().wait()
        return message or {}

    async def send(message: Message) -> None:
        told.append(message)

    await application(scope, receive, send)
    begun, *parts = told
    found: dict[str, str] = {}
    for name, value in begun["headers"]:
        before = found.get(name.decode().lower())
        # Of all fields, cookies alone are several.
        found[name.decode().lower()] = f"{before or ''}\n{value.decode()}".lstrip()
    return Answer(begun["status"], found, b"".join(part.get("body", b"") for part in parts))


def api_of(world: World, limits: Limits | None = None) -> Gate:
    """The API in front of a world's use cases."""
    found = {
        each.name: getattr(world, each.name)
        for each in fields(RestUseCases)
        if each.name != "announcing"
    }
    metrics = Metrics()
    limiter = Limiter(limits or Limits(), lambda: 0.0, metrics)
    use_cases = RestUseCases(**found, announcing=cast(Announcing, None))
    return gate_of(use_cases, limiter, metrics, world.clock)


def client_of(world: World, *roles: str, place: str = "", limits: Limits | None = None) -> Client:
    """A new API client with roles."""
    token = world.clients.add("HR system", roles, place, actor=world.actor).token
    return Client(api_of(world, limits), token)
