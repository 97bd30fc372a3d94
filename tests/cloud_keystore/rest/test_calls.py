"""What the calls of the REST API do, and what they refuse."""

from __future__ import annotations

import pytest

from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.journal import Kind
from support.keystore_world import World
from support.rest import Client, client_of

ADA = {"name": "Ada Byron", "email": "ada@example.org"}


@pytest.fixture
def client(world: World) -> Client:
    return client_of(world, "ra-agent-advanced")


def added(client: Client, **more: object) -> str:
    told = client.post("/v1/users", {**ADA, **more})
    assert told.status == 201
    user = told.json["user"]
    assert isinstance(user, dict)
    return str(user["id"])


def test_pages_of_people(client: Client) -> None:
    names = [f"Person {number}" for number in range(5)]
    for name in names:
        client.post("/v1/users", {"name": name})
    found: list[str] = []
    token: object = ""
    while token is not None:
        page = client.get(f"/v1/users?limit=2&page_token={token}").json
        users, token = page["users"], page["next_page_token"]
        assert isinstance(users, list)
        found += [each["name"] for each in users]
    assert sorted(found) == names  # they came at the same moment
    assert client.get("/v1/users?page_token=x").status == 422
    assert client.get("/v1/users?state=closed").json["users"] == []
    assert client.get("/v1/users?state=asleep").kind == "invalid-input"


def test_pages_of_people_in_a_state_are_full(client: Client) -> None:
    """Also while those who were on the page before leave the state."""
    people = [added(client, name=f"Person {n}", email=f"{n}@example.org") for n in range(9)]
    for each in people[::2]:
        client.post(f"/v1/users/{each}:close", {"reason": "left"})
    found: list[str] = []
    sizes: list[int] = []
    token: object = ""
    while token is not None:
        page = client.get(f"/v1/users?state=pending&limit=3&page_token={token}").json
        users, token = page["users"], page["next_page_token"]
        assert isinstance(users, list)
        sizes.append(len(users))
        found += [each["id"] for each in users]
        client.post(f"/v1/users/{found[-1]}:close", {"reason": "left"})
    assert sorted(found) == sorted(people[1::2])
    assert sizes == [3, 1]


def test_a_card_is_replaced_once(world: World, client: Client) -> None:
    user, _ = world.user()
    serial = world.card(user)
    foreseen = client.post(f"/v1/cards/{serial}:replace", {"reason": "lost", "dry_run": True})
    assert foreseen.json["card"] is None
    told = [client.post(f"/v1/cards/{serial}:replace", {"reason": "lost"}) for _ in range(2)]
    assert [each.status for each in told] == [200, 200]
    assert told[0].json == told[1].json
    card, before = told[0].json["card"], told[0].json["replaced"]
    assert isinstance(card, dict)
    assert isinstance(before, dict)
    assert (card["state"], before["serial"], before["state"]) == ("pending", serial, "active")
    assert client.get(f"/v1/cards/{card['serial']}").json["replaces"] == serial
    at_once = client.post(f"/v1/cards/{serial}:replace", {"reason": "compromised"}).json
    assert at_once["card"] == card
    assert client.get(f"/v1/cards/{serial}").json["state"] == "revoked"
    assert client.post(f"/v1/cards/{serial}:replace", {"reason": "old"}).kind == "invalid-input"


def test_organisations_are_added_below_others(world: World) -> None:
    manager = client_of(world, "ra-manager")
    above = manager.post("/v1/organisations", {"name": "St Elsewhere"})
    assert above.status == 201
    ward = {"name": "Ward 7", "parent_id": above.json["id"]}
    made = manager.post("/v1/organisations", ward)
    assert (made.status, made.json["parent_id"]) == (201, above.json["id"])
    told = manager.post("/v1/organisations", ward)
    assert (told.status, told.kind) == (409, "organisation-exists")
    assert manager.post("/v1/organisations", {"name": "X", "parent_id": "none"}).status == 404
    [*_, entry] = world.journal(Kind.ORGANISATION_ADDED)
    assert (entry.actor.kind, entry.details["name"]) == (ActorKind.CLIENT, "Ward 7")


def test_a_change_needs_what_was_seen(world: World, client: Client) -> None:
    """Of two who change the same person, the second one is told."""
    path = f"/v1/users/{added(client)}"
    seen = client.get(path).fields["etag"]
    told = client.ask("PATCH", path, {"name": "Ada King"})
    assert (told.status, told.kind) == (428, "precondition-required")
    told = client.ask("PATCH", path, {"name": "Ada King"}, {"if-match": seen})
    assert (told.status, told.json["name"]) == (200, "Ada King")
    late = client.ask("PATCH", path, {"phone": "+44 7700 900123"}, {"if-match": seen})
    assert (late.status, late.kind) == (412, "changed-meanwhile")
    (changed,) = world.journal(Kind.USER_CHANGED)
    assert changed.details["old_name"] == "Ada Byron"
    next_one = told.fields["etag"]
    assert next_one == client.get(path).fields["etag"] != seen
    again = client.ask("PATCH", path, {"phone": "+44 7700 900123"}, {"if-match": next_one})
    assert again.json["phone"] == "+447700900123"
    assert client.ask("PATCH", path, {"profile": "p256"}, {"if-match": "*"}).status == 200


def test_what_is_wrong_in_a_request_is_told_without_what_was_sent(client: Client) -> None:
    told = client.post("/v1/users", {"nane": "s3cret", "email": 7})
    assert (told.status, told.kind) == (422, "invalid-input")
    wrong = told.json["errors"]
    assert isinstance(wrong, list)
    assert {each["where"] for each in wrong} == {"body/name", "body/nane", "body/email"}
    assert b"s3cret" not in told.body


def test_what_is_no_json(client: Client) -> None:
    for body in (b"{", b"\xff", b"[" * 60_000):
        assert client.post("/v1/users", body).status == 400
    assert client.post("/v1/users", b"null").status == 422
    assert client.post("/v1/users", b"\x22\xed\xa0\x80\x22").status in (400, 422)


def test_paths_and_methods_that_are_not_there(client: Client) -> None:
    assert (client.get("/v2").status, client.get("/v1/users/").status) == (404, 404)
    told = client.ask("DELETE", "/v1/users")
    assert (told.status, told.kind) == (405, "method-not-allowed")
    assert "POST" in told.fields["allow"] or "GET" in told.fields["allow"]


def test_states_that_do_not_allow_it(world: World, client: Client) -> None:
    user, _ = world.user()
    serial = world.card(user)
    assert client.post(f"/v1/cards/{serial}:resume").kind == "illegal-card-change"
    assert client.post(f"/v1/cards/{serial}:suspend").json["state"] == "suspended"
    lost = {"reason": "lost", "code": "keyCompromise", "invalid_since": "2026-11-01T00:00:00"}
    assert client.post(f"/v1/cards/{serial}:revoke", lost).kind == "invalid-input"
    lost["invalid_since"] += "Z"
    assert client.post(f"/v1/cards/{serial}:revoke", lost).json["state"] == "revoked"
    assert client.post(f"/v1/cards/{serial}:revoke", {"reason": "x", "code": "y"}).status == 422
    assert client.post("/v1/users", {"name": "Eve", "email": "ada@example.org"}).status == 201
    told = client.post("/v1/users", {"name": "Bo", "email": "ada@example.org"})
    assert (told.status, told.kind) == (409, "user-exists")


def test_somebody_leaves(client: Client) -> None:
    path = f"/v1/users/{added(client)}"
    foreseen = client.post(f"{path}:close", {"reason": "left", "dry_run": True}).json
    assert (foreseen["invitations"], client.get(path).json["state"]) == (1, "pending")
    assert client.post(f"{path}:close", {"reason": "left"}).json["invitations"] == 1
    assert client.get(path).json["state"] == "closed"
    assert client.post(f"{path}/invitations").kind == "user-closed"
