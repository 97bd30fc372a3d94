"""Groups over SCIM as directories call them; what must not work."""

from __future__ import annotations

import json
from typing import cast
from urllib.parse import quote

import pytest

from cloud_keystore.cards.directories import groups
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.directories.entries import LONGEST_EXTERNAL_ID
from cloud_keystore.model.directories.groups import LONGEST_GROUP_NAME
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.programs.mappings import WantedMapping
from support.keystore_world import OPERATOR, World
from support.rest import Answer, Client, client_of

AT = "/scim/v2"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@pytest.fixture
def directory(world: World) -> Client:
    return client_of(world, "ra-agent-advanced")


@pytest.fixture
def ada(directory: Client) -> str:
    return person(directory, "ada")


@pytest.fixture
def bo(directory: Client) -> str:
    return person(directory, "bo")


def person(directory: Client, name: str) -> str:
    said = {"schemas": [USER], "userName": name}
    return str(directory.post(f"{AT}/Users", said).json["id"])


def made(directory: Client, name: str, *members: str, **more: object) -> Answer:
    said = {"schemas": [GROUP], "displayName": name, **more}
    said["members"] = [{"value": each} for each in members]
    return directory.post(f"{AT}/Groups", said)


def place(directory: Client, *members: str) -> str:
    """Where a new group is found."""
    return f"{AT}/Groups/{made(directory, 'Agents', *members).json['id']}"


def patched(directory: Client, path: str, *operations: object, **fields: str) -> Answer:
    sent = {name.replace("_", "-"): fields[name] for name in fields}
    return directory.ask("PATCH", path, {"schemas": [PATCH], "Operations": operations}, sent)


def members(answer: Answer) -> list[str]:
    found = cast("list[dict[str, str]]", answer.json.get("members", []))
    return sorted(each["value"] for each in found)


def error(answer: Answer) -> tuple[int, str]:
    assert answer.fields["content-type"] == "application/scim+json"
    return answer.status, str(answer.json.get("scimType", ""))


def test_a_group_is_answered_as_kept(directory: Client, ada: str) -> None:
    """USER-16."""
    answer = made(directory, "Agents", ada, externalId="g-1")
    where = f"https://192.0.2.2{AT}/Groups/{answer.json['id']}"
    assert (answer.status, answer.fields["location"]) == (201, where)
    said = {name: answer.json[name] for name in answer.json if name not in ("id", "meta")}
    ref = f"https://192.0.2.2{AT}/Users/{ada}"
    assert said == {
        "schemas": [GROUP],
        "displayName": "Agents",
        "externalId": "g-1",
        "members": [{"value": ada, "$ref": ref, "type": "User"}],
    }
    assert directory.get(where.removeprefix("https://192.0.2.2")).json == answer.json


def test_a_person_is_shown_with_their_groups_and_does_not_say_them(
    directory: Client, ada: str
) -> None:
    """USER-16: who is in a group, the group says."""
    path = place(directory, ada)
    group = path.rpartition("/")[2]
    shown = [{"value": group, "display": "Agents", "$ref": f"https://192.0.2.2{path}"}]
    assert directory.get(f"{AT}/Users/{ada}").json["groups"] == shown
    said = {"schemas": [USER], "userName": "ada", "groups": []}
    assert directory.ask("PUT", f"{AT}/Users/{ada}", said).json["groups"] == shown
    refused = patched(
        directory, f"{AT}/Users/{ada}", {"op": "add", "path": "groups", "value": [{"value": "x"}]}
    )
    assert error(refused) == (400, "mutability")
    assert directory.ask("DELETE", f"{AT}/Users/{ada}").status == 204
    assert members(directory.get(path)) == []


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        # As Microsoft Entra writes them.
        ({"op": "Add", "path": "members", "value": [{"value": "BO"}]}, ["ada", "bo"]),
        ({"op": "Remove", "path": "members", "value": [{"value": "ADA"}]}, []),
        ({"op": "Remove", "path": "members[value eq 'ADA']"}, []),
        # As Okta does.
        ({"op": "replace", "path": "members", "value": [{"value": "BO"}]}, ["bo"]),
        ({"op": "replace", "value": {"displayName": "Others"}}, ["ada"]),
        ({"op": "remove", "path": "members"}, []),
        ({"op": "add", "path": "members", "value": [{"value": "ADA"}]}, ["ada"]),
    ],
)
def test_changes_as_others_write_them(
    directory: Client, ada: str, bo: str, operation: dict[str, object], left: list[str]
) -> None:
    """USER-16."""
    path, ids = place(directory, ada), {"ada": ada, "bo": bo}
    # Inside of JSON, quotes would have to be escaped.
    text = json.dumps(operation).replace("'", '\\"').replace("ADA", ada).replace("BO", bo)
    answer = patched(directory, path, json.loads(text))
    assert answer.status == 200, answer.body
    assert members(answer) == sorted(ids[each] for each in left)
    assert directory.get(path).json == answer.json


def test_all_of_a_group_is_replaced_and_a_version_is_asked_for(
    directory: Client, ada: str, bo: str
) -> None:
    path = place(directory, ada)
    tag = directory.get(path).fields["etag"]
    assert directory.ask("GET", path, None, {"if-none-match": tag}).status == 304
    said = {"schemas": [GROUP], "displayName": "Agents", "members": [{"value": bo}]}
    answer = directory.ask("PUT", path, said, {"if-match": tag})
    assert (answer.status, members(answer)) == (200, [bo])
    assert error(directory.ask("PUT", path, said, {"if-match": tag})) == (412, "")
    assert error(directory.ask("DELETE", path, None, {"if-match": tag})) == (412, "")
    assert directory.ask("DELETE", path).status == 204
    assert error(directory.get(path)) == (404, "")
    assert "groups" not in directory.get(f"{AT}/Users/{bo}").json


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('displayName eq "agents"', ["Agents"]),
        ('externalId eq "g-2"', ["Clerks"]),
        ('members.value eq "ADA"', ["Agents"]),
        ('members[value eq "ADA"]', ["Agents"]),
        ('displayName sw "c" or members pr', ["Agents", "Clerks"]),
        ('displayName eq "\' OR 1=1 --"', []),
        ('displayName eq "A%"', []),
    ],
)
def test_filters(directory: Client, ada: str, text: str, names: list[str]) -> None:
    """USER-16. Among them are injections, which find nothing."""
    made(directory, "Clerks", externalId="g-2")
    made(directory, "Agents", ada)
    asked = f"{AT}/Groups?filter={quote(text.replace('ADA', ada))}&sortBy=displayName"
    answer = directory.get(asked)
    found = cast("list[dict[str, object]]", answer.json["Resources"])
    assert [each["displayName"] for each in found] == names


def test_pages_and_a_search_of_everything(world: World, directory: Client, ada: str) -> None:
    for name in ("c", "a", "b"):
        world.clock.forward(seconds=1)
        made(directory, name, ada)
    answer = directory.get(f"{AT}/Groups?startIndex=2&count=1&excludedAttributes=members")
    assert (answer.json["totalResults"], answer.json["itemsPerPage"]) == (3, 1)
    (one,) = cast("list[dict[str, object]]", answer.json["Resources"])
    assert (one["displayName"], "members" in one) == ("a", False)
    wanted = {"schemas": [SEARCH], "startIndex": 3, "count": 2}
    answer = directory.post(f"{AT}/.search", wanted)
    both = cast("list[dict[str, object]]", answer.json["Resources"])
    assert answer.json["totalResults"] == 4
    assert [each["schemas"] for each in both] == [[GROUP], [USER]]
    wanted = {"schemas": [SEARCH], "filter": 'displayName eq "b"'}
    assert directory.post(f"{AT}/Groups/.search", wanted).json["totalResults"] == 1


def test_an_answer_shows_no_more_members_than_it_may(
    directory: Client, ada: str, bo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the client goes on from where it ended."""
    for name in ("a", "b", "c"):
        made(directory, name, ada, bo)
    monkeypatch.setattr(groups, "MOST_SHOWN", 4)
    answer = directory.get(f"{AT}/Groups")
    assert (answer.json["totalResults"], answer.json["itemsPerPage"]) == (3, 2)
    assert directory.get(f"{AT}/Groups?startIndex=3").json["itemsPerPage"] == 1
    assert error(directory.get(f"{AT}/Groups?sortBy=displayName")) == (400, "tooMany")
    wanted = {"schemas": [SEARCH]}
    assert directory.post(f"{AT}/.search", wanted).json["itemsPerPage"] == 2


@pytest.mark.parametrize(
    ("said", "status", "name"),
    [
        ({"displayName": "agents"}, 409, "uniqueness"),
        ({"displayName": "Others", "externalId": "g-1"}, 409, "uniqueness"),
        ({}, 400, "invalidValue"),
        ({"displayName": " "}, 400, "invalidValue"),
        ({"displayName": "x" * (LONGEST_GROUP_NAME + 1)}, 400, "invalidValue"),
        ({"displayName": "x", "externalId": "x" * (LONGEST_EXTERNAL_ID + 1)}, 400, "invalidValue"),
        ({"displayName": "x", "members": [{"value": "none"}]}, 400, "invalidValue"),
        ({"displayName": "x", "members": [{"value": "OWN", "type": "Group"}]}, 400, "invalidValue"),
        ({"displayName": "x", "members": [{}]}, 400, "invalidValue"),
        ({"displayName": "x", "members": "ada"}, 400, "invalidValue"),
    ],
)
def test_what_is_wrong_has_the_standards_name(
    directory: Client, said: dict[str, object], status: int, name: str
) -> None:
    """A group is no member of a group."""
    own = str(made(directory, "Agents", externalId="g-1").json["id"])
    for each in cast("list[dict[str, str]]", said.get("members", [])):
        if isinstance(each, dict) and each.get("value") == "OWN":
            each["value"] = own
    answer = directory.post(f"{AT}/Groups", {"schemas": [GROUP], **said})
    assert error(answer) == (status, name), answer.body
    assert directory.get(f"{AT}/Groups").json["totalResults"] == 1


def test_groups_and_members_are_bounded(
    directory: Client, ada: str, bo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(directory, ada)
    monkeypatch.setattr(groups, "MOST_MEMBERS", 1)
    more = {"op": "add", "path": "members", "value": [{"value": bo}]}
    assert error(patched(directory, path, more)) == (400, "tooMany")
    assert members(directory.get(path)) == [ada]
    monkeypatch.setattr(groups, "MOST_GROUPS", 1)
    assert error(made(directory, "Others")) == (400, "tooMany")


def test_a_directory_sees_its_own_groups_and_people_alone(world: World, directory: Client) -> None:
    """The attack: a directory of one organisation reaches into another by identifiers."""
    ours = world.organisations.add("Ours", world.operator().identity).id
    theirs = person(directory, "eve")
    path = place(directory, theirs)
    ward = client_of(world, "ra-agent-advanced", place=ours)
    for method, body in (
        ("GET", None),
        ("PUT", {"schemas": [GROUP], "displayName": "x"}),
        ("DELETE", None),
    ):
        assert error(ward.ask(method, path, body)) == (404, ""), method
    assert ward.get(f"{AT}/Groups").json["totalResults"] == 0
    own = made(ward, "Agents", theirs)
    assert error(own) == (400, "invalidValue")
    assert made(ward, "Agents").status == 201


def test_a_directory_that_may_only_look_changes_nothing(world: World, directory: Client) -> None:
    path = place(directory)
    looking = client_of(world, "sponsor")
    assert error(made(looking, "Others")) == (403, "")
    assert looking.get(f"{AT}/Groups").status == 200
    assert error(looking.ask("DELETE", path)) == (403, "")


def test_a_role_comes_and_goes_with_a_member(world: World, directory: Client, ada: str) -> None:
    """USER-16: and the journal names the directory as the one who did it."""
    path = place(directory)
    token = world.people.add_operator("Olga", BuiltIn.SUPPORT, actor=OPERATOR).text
    olga = world.enrol(token).identity
    (client,) = world.clients.list_all(actor=OPERATOR)
    world.operators.identify(olga.id, ada, actor=DATA_FOLDER)
    wanted = WantedMapping(client.client.id, "displayName", "Agents", BuiltIn.RA_AGENT)
    world.mappings.map_group(wanted, actor=DATA_FOLDER)
    for op in ("add", "remove"):
        given = [{"value": ada}]
        assert patched(directory, path, {"op": op, "path": "members", "value": given}).status == 200
    (_, granted), (withdrawn,) = (
        world.journal(kind)[-2:] for kind in (Kind.ROLE_GRANTED, Kind.ROLE_WITHDRAWN)
    )
    assert granted.actor == withdrawn.actor == client.client.actor
    assert granted.details["role"] == withdrawn.details["role"] == BuiltIn.RA_AGENT
    joined, left = world.journal(Kind.GROUP_CHANGED)
    assert (joined.details["joined"], left.details["left"]) == (ada, ada)
