"""The Python client at the API itself: what it asks for, repeats, and raises."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

import cloudcard_client
from cloudcard_client.calling import Calling, Fields, Https
from support.keystore_world import World
from support.rest import Client, asked, client_of

Answer = tuple[int, Fields, bytes]


@dataclass
class Wire:
    """The way to the API, which can lose answers, or give others first."""

    api: Client
    first: list[Answer] = field(default_factory=list)
    lost: int = 0
    sent: list[Fields] = field(default_factory=list)

    def __call__(self, method: str, path: str, fields: Fields, body: bytes) -> Answer:
        self.sent.append(fields)
        if self.first:
            return self.first.pop(0)
        told = asyncio.run(asked(self.api.application, method, path, fields, body))
        if self.lost:
            self.lost -= 1
            raise ConnectionResetError("lost")
        return told.status, told.fields, told.body


@pytest.fixture
def wire(world: World) -> Wire:
    return Wire(client_of(world, "ra-agent-advanced"))


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(wire: Wire, pauses: list[float]) -> cloudcard_client.Client:
    calling = Calling(wire, wire.api.token, sleep=pauses.append)
    return cloudcard_client.Client(calling)


def busy(status: int, wait: str = "7") -> Answer:
    said = {"type": "urn:cloudcard:problem:x", "title": "", "status": status, "detail": "later"}
    return status, {"retry-after": wait}, json.dumps(said).encode()


def test_a_person_from_beginning_to_end(client: cloudcard_client.Client) -> None:
    ada, invitation = client.add_person("Ada Byron", "ada@example.org")
    assert invitation is not None
    assert invitation.token.startswith("cc1.")
    assert invitation.token not in repr(invitation)
    assert client.add_person("Ada Byron", "ada@example.org") == (ada, None)
    seen = client.person(ada.id)
    king = client.change_person(seen, name="Ada King")
    assert king.name == "Ada King"
    with pytest.raises(cloudcard_client.ChangedMeanwhile):
        client.change_person(seen, name="Ada Lovelace")
    card = client.issue(ada.id, "developer")
    assert client.suspend(card.serial).state == "suspended"
    assert client.resume(card.serial).state == "active"
    assert [each.serial for each in client.cards()] == [card.serial]
    assert client.card(card.serial).expires == card.expires
    other = client.replace(card.serial, "damaged")
    assert (other.state, client.card(card.serial).state) == ("active", "revoked")
    assert client.replace(card.serial, "damaged") == other
    assert client.revoke(other.serial, "lost").state == "revoked"
    assert client.invite(ada.id).expires > ada.created
    client.close_person(ada.id, "left")
    assert [each.name for each in client.people("ada", "closed")] == ["Ada King"]


def test_a_list_is_fetched_page_by_page(client: cloudcard_client.Client, wire: Wire) -> None:
    for number in range(120):
        client.add_person(f"Person {number}")
    wire.sent.clear()
    found = client.people()
    next(found)
    assert len(wire.sent) == 1
    assert len({each.id for each in found}) == 119
    assert len(wire.sent) == 3


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda of: of.person("nobody"), cloudcard_client.NotFound),
        (lambda of: of.add_person(""), cloudcard_client.Invalid),
        (
            lambda of: of.resume(of.issue(of.add_person("A")[0].id).serial),
            cloudcard_client.Conflict,
        ),
    ],
)
def test_a_refusal_is_an_error_of_its_kind(
    client: cloudcard_client.Client,
    call: Callable[[cloudcard_client.Client], object],
    error: type[cloudcard_client.ApiError],
) -> None:
    with pytest.raises(error) as refused:
        call(client)
    assert refused.value.request_id


def test_those_who_may_not(world: World) -> None:
    def of(api: Client) -> cloudcard_client.Client:
        return cloudcard_client.Client(Calling(Wire(api), api.token))

    supporting = client_of(world, "support")
    with pytest.raises(cloudcard_client.NotAllowed):
        of(supporting).add_person("Ada")
    with pytest.raises(cloudcard_client.TokenRejected):
        of(Client(supporting.application, "ccapi_x")).person("x")


def test_a_lost_answer_changes_nothing_twice(
    world: World, client: cloudcard_client.Client, wire: Wire
) -> None:
    ada, _ = client.add_person("Ada")
    wire.lost = 2
    card = client.issue(ada.id, "p256")
    assert [each.card.serial for each in world.cards.list_all(actor=world.actor)] == [card.serial]
    keys = {each["idempotency-key"] for each in wire.sent[-3:]}
    assert len(keys) == 1
    wire.lost = 1
    _, invitation = client.add_person("Bo", "bo@example.org")
    assert invitation is not None


def test_a_change_is_not_repeated_unseen(client: cloudcard_client.Client, wire: Wire) -> None:
    ada = client.person(client.add_person("Ada")[0].id)
    wire.lost = 1
    with pytest.raises(cloudcard_client.NotReached):
        client.change_person(ada, name="Bo")


def test_it_waits_as_long_as_it_is_told(
    client: cloudcard_client.Client, wire: Wire, pauses: list[float]
) -> None:
    wire.first = [busy(429), busy(503, "3")]
    client.add_person("Ada")
    assert pauses == [7, 3]
    wire.first = [busy(429, "1000000")] * 5
    with pytest.raises(cloudcard_client.TooManyCalls):
        client.add_person("Bo")
    assert max(pauses) == 60
    wire.first = [(502, {}, b"<html>")]
    with pytest.raises(cloudcard_client.ApiError, match="502"):
        client.add_person("Bo")


def test_only_https_and_no_token_in_what_is_shown(client: cloudcard_client.Client) -> None:
    assert "s3cret" not in repr(Calling(client.calling.exchange.__class__, "s3cret"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="https"):
        Https("http://keystore.example.org", None)("GET", "/", {}, b"")  # type: ignore[arg-type]
