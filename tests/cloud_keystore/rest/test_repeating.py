"""Idempotency-Key: a request that is repeated changes nothing more, and its answer is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.rest.repeating import REPLAYED
from support.keystore_world import DATABASE, World
from support.rest import Answer, Client, client_of

ADA = {"name": "Ada Byron", "email": "ada@example.org"}


@pytest.fixture
def client(world: World) -> Client:
    return client_of(world, "ra-agent-advanced")


def again(told: Answer) -> bool:
    """Whether it is the answer of the first time."""
    return told.fields.get(REPLAYED.lower()) == "true"


def test_the_answer_is_the_same_with_its_one_time_token(client: Client) -> None:
    first, second = (client.post("/v1/users", ADA, idempotency_key="k1") for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert b"cc1." in first.body
    assert (again(first), again(second)) == (False, True)
    assert first.fields["x-request-id"] != second.fields["x-request-id"]
    assert client.post("/v1/users", ADA).json["invitation"] is None


def test_the_database_tells_nobody_what_was_answered(client: Client, tmp_path: Path) -> None:
    """Whoever reads the database gets no one-time token by it."""
    told = client.post("/v1/users", ADA, idempotency_key="k1")
    secret = str(told.json["invitation"]).split("cc1.")[1].split("@")[0].encode()
    files = [each.read_bytes() for each in tmp_path.glob(f"{DATABASE}*")]
    assert files
    assert not any(secret in each or b"ccapi_" in each for each in files)


def test_another_request_under_the_same_key_is_refused(client: Client) -> None:
    client.post("/v1/users", ADA, idempotency_key="k1")
    for path, body in (("/v1/users", {**ADA, "name": "Bo"}), ("/v1/cards", ADA)):
        told = client.post(path, body, idempotency_key="k1")
        assert (told.status, told.kind) == (422, "request-id-reused")


def test_two_clients_do_not_share_keys(world: World, client: Client) -> None:
    other = client_of(world, "ra-agent-advanced")
    for each in (client, other):
        assert not again(each.post("/v1/users", ADA, idempotency_key="k1"))


def test_a_card_is_issued_once(world: World, client: Client) -> None:
    user, _ = world.user()
    asked = {"user_id": user.id, "profile": "p256"}
    first, second = (client.post("/v1/cards", asked, idempotency_key="k1") for _ in range(2))
    assert first.json["serial"] == second.json["serial"]
    assert len(world.cards.list_all(actor=world.actor)) == 1
    assert client.post("/v1/cards", asked).json["serial"] != first.json["serial"]


def test_a_card_is_issued_once_even_if_the_answer_was_not_kept(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _ = world.user()
    asked = {"user_id": user.id, "profile": "p256"}

    def lost(*_: object) -> None:
        raise StorageUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(type(world.repeats), "settle", lost)
        first = client.post("/v1/cards", asked, idempotency_key="k1")
    told = client.post("/v1/cards", asked, idempotency_key="k1")
    assert (told.status, told.kind, told.fields["retry-after"]) == (409, "request-under-way", "1")
    world.clock.forward(minutes=2)
    second = client.post("/v1/cards", asked, idempotency_key="k1")
    assert first.json["serial"] == second.json["serial"]


def test_a_refusal_is_repeated_and_a_fault_is_not(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"user_id": "nobody"}
    assert again([client.post("/v1/cards", asked, idempotency_key="k1") for _ in range(2)][1])

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(type(world.people), "add_user", fail)
        assert client.post("/v1/users", ADA, idempotency_key="k2").status == 500
    told = client.post("/v1/users", ADA, idempotency_key="k2")
    assert (told.status, again(told)) == (201, False)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201])
def test_what_is_no_key(client: Client, key: str) -> None:
    told = client.post("/v1/users", ADA, idempotency_key=key)
    assert (told.status, told.kind) == (422, "invalid-input")


def test_whoever_only_reads_needs_no_key(client: Client) -> None:
    asking = replace(client, fields={"idempotency-key": "k1"})
    assert [again(asking.get("/v1/users")) for _ in range(2)] == [False, False]
