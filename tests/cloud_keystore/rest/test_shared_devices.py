"""Shared devices over the REST API (MIA-01)."""

from __future__ import annotations

from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import IdentityState, User
from support.keystore_world import OPERATOR, Enrolled, World, csr, secret_of
from support.rest import Client, client_of
from support.seats import ALLOWED, Tablet, tablet

AT = "/v1/shared-devices"


@pytest.fixture
def client(world: World) -> Client:
    return client_of(world, "ra-manager")


@pytest.fixture
def ward(world: World) -> Tablet:
    return tablet(world)


def test_one_is_added_with_a_token_for_its_page(world: World, client: Client) -> None:
    made = client.post(AT, {"name": "Ward 7 tablet", "site": "Ward 7"})
    assert made.status == 201
    device = cast("dict[str, object]", made.json["shared_device"])
    invitation = cast("dict[str, str]", made.json["invitation"])
    assert (device["name"], device["site"], device["state"]) == (
        *("Ward 7 tablet", "Ward 7", "invited"),
    )
    assert device["signed_in"] is None
    assert client.get(f"{AT}/{device['id']}").json == device
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    enrolled, _ = world.enrolment.enrol_page(secret_of(invitation["token"]), request, "ignored")
    assert enrolled.id == device["id"]
    assert client.get(f"{AT}/{device['id']}").json["state"] == "active"


def test_whoever_is_there_is_shown_and_signed_out(
    world: World, client: Client, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    world.set_policy(ALLOWED)
    world.card(ada[0])
    ward.taken_by(ada[1])
    path = f"{AT}/{ward.own.identity.id}"
    found = client.get(path).json
    signed_in = cast("dict[str, str]", found["signed_in"])
    assert signed_in["holder"] == "Ada Byron"
    assert signed_in["until"] > str(found["created"])
    assert client.get(AT).json["shared_devices"] == [found]
    for _ in range(2):  # who is signed out already stays so
        told = client.post(f"{path}:sign-out")
        assert (told.status, told.json["signed_in"]) == (200, None)
    assert world.seats.list_open(ada[1].identity) == []
    (ended,) = world.journal(Kind.SEAT_ENDED)
    assert ended.actor.kind is ActorKind.CLIENT


def test_a_removed_one_stays_in_the_list(world: World, client: Client, ward: Tablet) -> None:
    path = f"{AT}/{ward.own.identity.id}"
    assert client.post(f"{path}:remove", {}).kind == "invalid-input"
    for _ in range(2):
        told = client.post(f"{path}:remove", {"reason": "lost"})
        assert (told.status, told.json["state"]) == (200, "removed")
    assert client.get(AT).json["shared_devices"] == [told.json]
    (listed,) = world.shared_devices.list_all(actor=OPERATOR)
    assert listed.device.state is IdentityState.REMOVED
    (removed,) = world.journal(Kind.IDENTITY_REMOVED)
    assert (removed.actor.kind, removed.details["reason"]) == (ActorKind.CLIENT, "lost")


def test_a_page_has_so_many(world: World, client: Client) -> None:
    made = [tablet(world, f"Tablet {number}").own.identity.id for number in range(5)]
    found: list[str] = []
    token: object = ""
    while token is not None:
        page = client.get(f"{AT}?limit=2&page_token={token}").json
        shown, token = cast("list[dict[str, str]]", page["shared_devices"]), page["next_page_token"]
        assert len(shown) <= 2
        found += [each["id"] for each in shown]
    assert found == sorted(made)
    assert client.get(f"{AT}?page_token=x").kind == "invalid-input"
    assert client.get(f"{AT}?limit=0").status == 422


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 300}, 422),
        ({"name": "Ward", "site": "x" * 300}, 422),
        ({"name": "Ward", "organisation_id": "none"}, 404),
        ({"name": "Ward", "other": 1}, 422),
        ({"name": 7}, 422),
    ],
)
def test_what_is_no_device_is_not_added(
    client: Client, said: dict[str, object], status: int
) -> None:
    assert client.post(AT, said).status == status
    assert client.get(AT).json["shared_devices"] == []


def test_what_is_no_shared_device_is_not_there(client: Client, pc: Enrolled) -> None:
    for each in (pc.identity.id, "x"):
        assert client.get(f"{AT}/{each}").status == 404
        assert client.post(f"{AT}/{each}:sign-out").status == 404
        assert client.post(f"{AT}/{each}:remove", {"reason": "lost"}).status == 404
