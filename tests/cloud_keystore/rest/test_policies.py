"""Policies over the REST API: what is given is set, and the rest is inherited."""

from __future__ import annotations

from typing import cast

from support.keystore_world import World
from support.rest import Answer, Client, client_of


def added(client: Client, name: str, parent: str = "") -> str:
    return str(client.post("/v1/organisations", {"name": name, "parent_id": parent}).json["id"])


def source(told: Answer, term: str) -> dict[str, object]:
    return cast("dict[str, dict[str, object]]", told.json["sources"])[term]


def value(told: Answer, name: str) -> object:
    return cast("dict[str, object]", told.json["terms"])[name]


def test_what_is_given_is_set_and_the_rest_inherited(world: World) -> None:
    """USER-26: as over gRPC, with the right to set policies."""
    client = client_of(world, "ra-manager")
    trust = added(client, "Trust")
    ward = added(client, "Ward", trust)
    path = f"/v1/organisations/{trust}/policy"
    session = {"most_uses": 5, "seconds": 60}
    terms = {"passwordless": True, "channels": ["qr"], "session": session}
    first = client.ask("PUT", path, {"terms": terms})
    assert (first.status, value(first, "session"), value(first, "channels")) == (
        200,
        session,
        ["qr"],
    )
    below = client.get(f"/v1/organisations/{ward}/policy?profile=v2")
    assert source(below, "session") == {
        "origin": "inherited",
        "organisation_id": trust,
        "policy": first.json["policy"],
        "locked": False,
    }
    assert source(below, "passkeys")["origin"] == "default"
    nothing = client.ask("PUT", path, {"terms": {}})
    assert source(nothing, "session")["origin"] == "default"
    assert value(client.get(f"/v1/organisations/{ward}/policy"), "session") is None


def test_what_the_portal_demands_belongs_to_its_passwords(world: World) -> None:
    """AUTH-07: one source for all that is about the portal."""
    client = client_of(world, "ra-manager")
    path = "/v1/organisations/default/policy"
    terms = {
        "portal_passwords": True,
        "portal_changes": True,
        "portal_factors": ["phone", "passkey"],
    }
    told = client.ask("PUT", path, {"terms": terms})
    assert (told.status, value(told, "portal_factors")) == (200, ["passkey", "phone"])
    assert value(client.get(path), "portal_changes") is True
    assert source(told, "portal_passwords")["origin"] == "own"
    assert source(told, "session")["origin"] == "default"


def test_a_person_and_a_card_have_a_policy(world: World) -> None:
    client = client_of(world, "support")
    user, _ = world.user()
    serial = world.card(user)
    told = client.get(f"/v1/users/{user.id}/policy")
    assert (told.status, told.json["policy"], told.json["set"]) == (200, "*/*/0", None)
    assert client.get(f"/v1/cards/{serial}/policy").json["profile"] == "p256"
    assert client.get("/v1/cards/none/policy").status == 404


def test_what_is_no_policy(world: World) -> None:
    client = client_of(world, "ra-manager")
    path = "/v1/organisations/default/policy"
    for terms in (
        {"colour": "red"},
        {"largest_batch": 0},
        {"largest_batch": "1"},
        {"channels": []},
        {"channels": ["sms"]},
        {"security_answers": 1},
        {"portal_factors": ["phone"]},
        {"portal_passwords": True, "portal_factors": ["email"]},
        {"unlock_code_seconds": 10**30},
        {"session": {"most_uses": 1, "seconds": 10**30}},
        {"session": {"most_uses": 1}},
    ):
        assert client.ask("PUT", path, {"terms": terms}).status == 422, terms
    assert client.get(f"{path}?profile=v99").status == 422
    assert client.get(path).json["policy"] == "*/*/0"


def test_what_is_locked_is_told_and_refused_below(world: World) -> None:
    """USER-26."""
    client = client_of(world, "ra-manager")
    trust = added(client, "Trust")
    ward = added(client, "Ward", trust)
    said = {"terms": {"largest_batch": 3}, "locked": ["largest_batch"]}
    assert client.ask("PUT", f"/v1/organisations/{trust}/policy", said).status == 200
    path = f"/v1/organisations/{ward}/policy"
    assert source(client.get(path), "largest_batch")["locked"] is True
    assert source(client.get(path), "session")["locked"] is False
    refused = client.ask("PUT", path, {"terms": {"largest_batch": 9}})
    assert (refused.status, "locked by Trust" in refused.body.decode()) == (422, True)
