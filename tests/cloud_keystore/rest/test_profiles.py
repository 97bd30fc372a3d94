"""Card profiles of organisations over the REST API."""

from __future__ import annotations

from typing import cast

import pytest

from support.keystore_world import World
from support.rest import Client, client_of

AT = "/v1/custom-profiles"
EIGHT = {"name": "series-8", "base": "v2", "series": "Series 8", "serial_prefix": "1508"}


@pytest.fixture
def client(world: World) -> Client:
    return client_of(world, "ra-manager")


def changed(client: Client, path: str, seen: str, **said: object) -> int:
    return client.ask("PATCH", path, said, {"if-match": seen} if seen else {}).status


def test_a_profile_is_defined_changed_and_deleted(client: Client) -> None:
    """CARD-05."""
    made = client.post(AT, EIGHT)
    assert (made.status, made.json["validity_days"]) == (201, 730)
    path = f"{AT}/{made.json['id']}"
    assert client.get(path).json == made.json
    listed = cast("list[object]", client.get(AT).json["profiles"])
    assert listed == [made.json]
    tag = client.get(path).fields["etag"]
    assert changed(client, path, tag, validity_days=365) == 200
    assert client.get(path).json["validity_days"] == 365
    assert client.ask("DELETE", path).status == 204
    assert client.get(path).status == 404


def test_a_change_of_what_was_not_seen_is_refused(client: Client) -> None:
    path = f"{AT}/{client.post(AT, EIGHT).json['id']}"
    for seen, status in (("", 428), ('"9"', 412), ("x", 412), ("*", 200)):
        assert changed(client, path, seen, series="Series 9") == status, seen
    assert changed(client, path, '"1"', series="Series 10") == 412
    assert client.get(path).json["series"] == "Series 9"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 422),
        ({"name": "V 8", "base": "v2"}, 422),
        ({"name": "v2", "base": "v2"}, 422),
        ({"name": "x", "base": "p256"}, 422),
        ({"name": "x", "base": "v2", "validity_days": 10**30}, 422),
        ({"name": "x", "base": "v2", "serial_prefix": "9"}, 422),
        ({"name": "x", "base": "v2", "organisation_id": "none"}, 404),
        ({"name": "x", "base": "v2", "other": 1}, 422),
        (EIGHT, 409),
    ],
)
def test_what_is_no_profile(client: Client, said: dict[str, object], status: int) -> None:
    client.post(AT, EIGHT)
    assert client.post(AT, said).status == status
    assert len(cast("list[object]", client.get(AT).json["profiles"])) == 1


def test_a_built_in_one_stays(client: Client) -> None:
    assert changed(client, f"{AT}/v2", "*", series="x") == 404
    assert changed(client, f"{AT}/v2", '"1"', series="x") == 409
    assert client.ask("DELETE", f"{AT}/v2").status == 409
