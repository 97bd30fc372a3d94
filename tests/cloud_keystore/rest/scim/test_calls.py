"""SCIM as directories call it: what they send, and what they are told; what must not work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote

import pytest

from cloud_keystore.rest.scim import searching
from cloud_keystore.rest.scim.bounds import (
    LONGEST_FILTER,
    LONGEST_PATH,
    MOST_OPERATIONS,
    MOST_VALUES,
)
from support.keystore_world import OPERATOR, World
from support.rest import Answer, Client, client_of

AT = "/scim/v2"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
ADA: Mapping[str, object] = {
    "schemas": [CORE, ENTERPRISE],
    "userName": "ada@corp.example",
    "externalId": "17",
    "name": {"givenName": "Ada", "familyName": "Byron", "formatted": "Ada, Countess"},
    "emails": [
        {"value": "home@a.example", "type": "home"},
        {"value": "ada@a.example", "type": "work", "primary": True},
    ],
    "active": True,
    "title": "Dr",
    ENTERPRISE: {"department": "Mathematics", "employeeNumber": "1"},
}


@pytest.fixture
def directory(world: World) -> Client:
    return client_of(world, "ra-agent-advanced")


@pytest.fixture
def path(directory: Client) -> str:
    """Where Ada is found."""
    return f"{AT}/Users/{directory.post(f'{AT}/Users', ADA).json['id']}"


def patched(directory: Client, path: str, *operations: object, **fields: str) -> Answer:
    body = {"schemas": [PATCH], "Operations": operations}
    sent = {name.replace("_", "-"): fields[name] for name in fields}
    return directory.ask("PATCH", path, body, sent)


def filtered(directory: Client, text: str, more: str = "") -> Answer:
    return directory.get(f"{AT}/Users?filter={quote(text)}{more}")


def error(answer: Answer) -> tuple[int, str]:
    """Status and name of an error, which has the standard's form."""
    assert answer.fields["content-type"] == "application/scim+json"
    assert answer.json["schemas"] == [ERROR]
    assert answer.json["status"] == str(answer.status)
    assert answer.json["detail"]
    return answer.status, str(answer.json.get("scimType", ""))


def test_a_person_is_answered_as_kept(directory: Client) -> None:
    made = directory.post(f"{AT}/Users", ADA)
    assert made.status == 201
    said = made.json
    where = f"https://192.0.2.2{AT}/Users/{said['id']}"
    assert made.fields["location"] == where
    assert made.fields["etag"] == cast("dict[str, str]", said["meta"])["version"]
    assert {name: said[name] for name in said if name not in ("id", "meta")} == {
        "schemas": [CORE],
        "userName": "ada@corp.example",
        "externalId": "17",
        "displayName": "Ada, Countess",
        "name": {"givenName": "Ada", "familyName": "Byron"},
        "emails": [{"value": "ada@a.example", "type": "work"}],
        "active": True,
    }
    assert "cc1." not in made.body.decode()  # the invitation goes to the person alone
    assert directory.get(f"{AT}/Users/{said['id']}").json == said


@pytest.mark.parametrize(
    ("operation", "name", "value"),
    [
        # As Microsoft Entra writes them.
        ({"op": "Replace", "path": "active", "value": "False"}, "active", False),
        ({"op": "Add", "path": "displayName", "value": "A. Byron"}, "displayName", "A. Byron"),
        (
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "b@a.example"},
            "emails",
            [{"value": "b@a.example", "type": "work"}],
        ),
        # As Okta does.
        ({"op": "replace", "value": {"active": False}}, "active", False),
        ({"op": "replace", "value": {"name.familyName": "King"}}, "displayName", "Ada, Countess"),
        ({"op": "remove", "path": "externalId"}, "externalId", None),
        ({"op": "remove", "path": "emails"}, "emails", None),
        ({"op": "replace", "path": "title", "value": "Countess"}, "title", None),
        (
            {"op": "add", "path": "emails", "value": [{"value": "b@a.example", "primary": True}]},
            "emails",
            [{"value": "b@a.example", "type": "work"}],
        ),
        (
            {"op": "add", "path": f"{ENTERPRISE}:organization", "value": "Ward 7"},
            ENTERPRISE,
            {"organization": "Ward 7"},
        ),
        (
            {"op": "add", "path": f"{ENTERPRISE}:department", "value": "Ward 7"},
            ENTERPRISE,
            {"organization": "Ward 7"},
        ),
    ],
)
def test_changes_as_others_write_them(
    world: World, directory: Client, path: str, operation: object, name: str, value: object
) -> None:
    """USER-16."""
    world.organisations.add("Ward 7", world.operator().identity)
    answer = patched(directory, path, operation)
    assert answer.status == 200, answer.body
    assert answer.json.get(name) == value
    assert directory.get(path).json == answer.json


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [
        ([{"value": "07700 900123"}], "+447700900123"),
        ([{"value": "tel:+31-20-123-4567", "type": "work"}], "+31201234567"),
        (
            [
                {"value": "+44 20 7946 0000", "type": "work"},
                {"value": "+44 7700 900456", "type": "mobile"},
            ],
            "+447700900456",
        ),
        (
            [
                {"value": "+44 20 7946 0000", "type": "work", "primary": True},
                {"value": "+44 7700 900456", "type": "mobile"},
            ],
            "+442079460000",
        ),
        ([], None),
    ],
)
def test_a_phone_number_is_taken_and_nobody_has_verified_it(
    world: World, directory: Client, path: str, numbers: object, kept: str | None
) -> None:
    """USER-16."""
    answer = patched(directory, path, {"op": "add", "path": "phoneNumbers", "value": numbers})
    shown = None if kept is None else [{"value": kept, "type": "mobile"}]
    assert (answer.status, answer.json.get("phoneNumbers")) == (200, shown)
    user = world.showing.show(path.rpartition("/")[2], world.operator().identity).user
    assert (user.phone, user.phone_verify_time) == (kept or "", None)


def test_a_phone_number_that_an_operator_has_set_stays(
    world: World, directory: Client, path: str
) -> None:
    """USER-16: until the operator takes what the directory says; a text that is no number is
    refused, and nothing of that change is done.
    """
    user_id = path.rpartition("/")[2]
    said = {"op": "replace", "path": "phoneNumbers", "value": [{"value": "07700 900123"}]}
    assert patched(directory, path, said).status == 200
    world.people.change_user(user_id, None, None, phone="07700 900999", actor=OPERATOR)
    other = {"op": "replace", "path": "phoneNumbers", "value": [{"value": "07700 900456"}]}
    kept = patched(directory, path, other)
    assert kept.json["phoneNumbers"] == [{"value": "+447700900999", "type": "mobile"}]
    (difference,) = world.differences.list_all(actor=OPERATOR)
    assert (difference.field, difference.said) == ("phone", "+447700900456")
    world.differences.decide(user_id, "phone", take=True, actor=OPERATOR)
    assert world.showing.show(user_id, world.operator().identity).user.phone == "+447700900456"
    wrong = {"op": "replace", "value": {"displayName": "X", "phoneNumbers": [{"value": "none"}]}}
    assert error(patched(directory, path, wrong)) == (400, "invalidValue")
    assert directory.get(path).json["displayName"] == "Ada, Countess"


def test_a_name_made_of_its_parts_follows_them(directory: Client) -> None:
    said = {"schemas": [CORE], "userName": "bo", "name": {"givenName": "Bo", "familyName": "Diaz"}}
    path = f"{AT}/Users/{directory.post(f'{AT}/Users', said).json['id']}"
    answer = patched(directory, path, {"op": "replace", "path": "name.familyName", "value": "Dias"})
    assert answer.json["displayName"] == "Bo Dias"


def test_a_change_that_names_nothing_set_by_hand_leaves_it(
    world: World, directory: Client, path: str
) -> None:
    """USER-16: what was read with a change is not said by it."""
    user_id = path.rpartition("/")[2]
    world.people.change_user(user_id, "Ada King", None, actor=OPERATOR)
    patched(directory, path, {"op": "replace", "path": "externalId", "value": "18"})
    answer = patched(directory, path, {"op": "replace", "path": "displayName", "value": "Eve"})
    assert answer.json["displayName"] == "Ada King"
    assert [each.said for each in world.differences.list_all(actor=OPERATOR)] == ["Eve"]


def test_a_change_is_made_as_a_whole(directory: Client, path: str) -> None:
    before = directory.get(path).json
    answer = patched(
        directory,
        path,
        {"op": "replace", "path": "externalId", "value": "18"},
        {"op": "replace", "path": "emails", "value": [{"value": "none"}]},
    )
    assert error(answer) == (400, "invalidValue")
    assert directory.get(path).json == before


def test_all_of_a_person_is_replaced(directory: Client, path: str) -> None:
    said = {"schemas": [CORE], "userName": "ada", "displayName": "Ada King"}
    answer = directory.ask("PUT", path, said)
    assert answer.status == 200
    left = {name for name in answer.json if name not in ("id", "meta", "schemas")}
    assert left == {"userName", "displayName", "active"}


def test_versions_are_told_and_asked_for(directory: Client, path: str) -> None:
    tag = directory.get(path).fields["etag"]
    assert directory.ask("GET", path, None, {"if-none-match": tag}).status == 304
    change = {"op": "replace", "path": "externalId", "value": "18"}
    assert error(patched(directory, path, change, if_match='W/"other"')) == (412, "")
    assert patched(directory, path, change, if_match=tag).status == 200
    assert error(directory.ask("DELETE", path, None, {"if-match": tag})) == (412, "")
    assert directory.ask("DELETE", path, None, {"if-match": "*"}).status == 204
    assert error(directory.get(path)) == (404, "")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('userName eq "ADA@corp.example"', ["ada@corp.example"]),
        ('externalId eq "17" and active eq true', ["ada@corp.example"]),
        ('emails[type eq "work" and value eq "ada@a.example"]', ["ada@corp.example"]),
        ('displayName co "c" or userName sw "b"', ["ada@corp.example", "bo"]),
        ("not (externalId pr)", ["bo"]),
        ('userName eq "a%"', []),
        ('userName eq "\' OR 1=1 --"', []),
        ('userName eq "ada@corp.example\\" or userName pr"', []),
    ],
)
def test_filters(directory: Client, path: str, text: str, names: list[str]) -> None:
    """Among them are injections, which find nobody."""
    assert path
    directory.post(f"{AT}/Users", {"schemas": [CORE], "userName": "bo"})
    answer = filtered(directory, text, "&sortBy=userName")
    found = cast("list[dict[str, object]]", answer.json["Resources"])
    assert [each["userName"] for each in found] == names
    assert answer.json["totalResults"] == len(names)


def test_pages_orders_and_attributes(directory: Client) -> None:
    for name in ("c", "a", "b"):
        directory.post(f"{AT}/Users", {"schemas": [CORE], "userName": name})
    asked = f"{AT}/Users?sortBy=userName&sortOrder=descending&startIndex=2&count=1"
    answer = directory.get(f"{asked}&attributes=userName")
    assert (answer.json["totalResults"], answer.json["startIndex"]) == (3, 2)
    (one,) = cast("list[dict[str, object]]", answer.json["Resources"])
    assert one["userName"] == "b"
    assert set(one) <= {"schemas", "id", "userName"}
    wanted = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 0}
    assert directory.post(f"{AT}/Users/.search", wanted).json["totalResults"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "((",
        "userName",
        "userName eq",
        'password eq "x"',
        'userName eq "a" ; DROP TABLE user',
        "(" * 600 + 'userName eq "a"' + ")" * 600,
        " and ".join(['userName eq "a"'] * 200),
        "not (" * 100 + 'userName eq "a"' + ")" * 100,
        'userName eq "' + "a" * LONGEST_FILTER + '"',
    ],
)
def test_a_filter_that_is_none_or_too_much_is_refused(directory: Client, text: str) -> None:
    """Deep and huge ones take no time either."""
    assert error(filtered(directory, text)) == (400, "invalidFilter")


def test_too_many_people_are_not_compared(
    directory: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        directory.post(f"{AT}/Users", {"schemas": [CORE], "userName": name})
    monkeypatch.setattr(searching, "MOST_COMPARED", 2)
    assert error(filtered(directory, 'userName sw "a"')) == (400, "tooMany")
    assert error(directory.get(f"{AT}/Users?sortBy=userName")) == (400, "tooMany")
    assert filtered(directory, 'userName eq "a"').json["totalResults"] == 1
    assert directory.get(f"{AT}/Users").json["totalResults"] == 3


@pytest.mark.parametrize(
    ("method", "body", "status", "name"),
    [
        ("POST", b"{", 400, "invalidSyntax"),
        ("POST", b"[" * 5000, 400, "invalidSyntax"),
        ("POST", {"schemas": [CORE]}, 400, "invalidValue"),
        ("POST", {"schemas": [CORE], "userName": 7}, 400, "invalidValue"),
        ("POST", {"schemas": [CORE], "userName": "x", "active": "maybe"}, 400, "invalidValue"),
        ("POST", {"schemas": [CORE], "userName": "\ud800"}, 400, None),
        ("POST", ADA, 409, "uniqueness"),
        ("PATCH", {"schemas": [PATCH], "Operations": []}, 400, "invalidValue"),
        ("PATCH", {"schemas": [PATCH], "Operations": [{"op": "x"}]}, 400, "invalidValue"),
        ("PATCH", {"schemas": [PATCH], "Operations": [{"op": "remove"}]}, 400, "noTarget"),
        (
            "PATCH",
            {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "id", "value": "1"}]},
            400,
            "mutability",
        ),
        (
            "PATCH",
            {
                "schemas": [PATCH],
                "Operations": [{"op": "replace", "path": "active", "value": True}]
                * (MOST_OPERATIONS + 1),
            },
            400,
            "tooMany",
        ),
    ],
)
def test_what_is_wrong_has_the_standards_name(
    directory: Client, path: str, method: str, body: object, status: int, name: str | None
) -> None:
    at = path if method == "PATCH" else f"{AT}/Users"
    found = error(directory.ask(method, at, body))
    assert found[0] == status
    assert name in (None, found[1])
    assert directory.get(f"{AT}/Users").json["totalResults"] == 1


LONG = "emails[" + " and ".join(['type eq "work"'] * 6) + "].value"


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ([{"op": "add", "path": "emails[" + "(" * 25_000, "value": "x"}], "invalidSyntax"),
        ([{"op": "add", "Path": "a" * (LONGEST_PATH + 1), "value": "x"}], "invalidSyntax"),
        ([{"op": "add", "value": {"a" * (LONGEST_PATH + 1): "x"}}], "invalidSyntax"),
        ([{"op": "add", "path": "emails", "value": [{"value": "x"}] * MOST_VALUES}], "tooMany"),
        ([{"op": "add", "path": LONG, "value": "x"}] * MOST_OPERATIONS, "invalidValue"),
    ],
)
def test_a_change_takes_no_longer_than_its_bounds_allow(
    directory: Client, path: str, operations: list[object], name: str
) -> None:
    """The attack: small requests that a process computes with for long."""
    began = time.process_time()
    assert len(LONG) < LONGEST_PATH
    assert error(patched(directory, path, *operations)) == (400, name)
    assert time.process_time() - began < 5


def test_there_are_people_and_groups_alone(directory: Client) -> None:
    listed = directory.get(f"{AT}/ResourceTypes").json
    found = cast("list[dict[str, object]]", listed["Resources"])
    assert [each["name"] for each in found] == ["Group", "User"]
    assert error(directory.get(f"{AT}/Devices")) == (404, "")
    assert error(directory.post(f"{AT}/Bulk", {})) == (404, "")
    assert error(directory.ask("PUT", f"{AT}/Users", {})) == (405, "")


def test_a_schema_names_the_organisations_that_the_directory_sees(world: World) -> None:
    ours = world.organisations.add("Ours", world.operator().identity).id
    world.organisations.add("Theirs", world.operator().identity)
    answer = client_of(world, "ra-agent", place=ours).get(f"{AT}/Schemas/{ENTERPRISE}")
    assert "Ours" in answer.body.decode()
    assert "Theirs" not in answer.body.decode()


@pytest.mark.parametrize("at", ["/Users", "/ServiceProviderConfig", "/Schemas", "/none"])
def test_without_a_token_nothing_is_told(directory: Client, at: str) -> None:
    stranger = Client(directory.application, "ccapi_none")
    answer = stranger.get(f"{AT}{at}")
    assert error(answer) == (401, "")
    assert answer.fields["www-authenticate"].startswith("Bearer")


def test_a_body_of_any_size_is_not_read(directory: Client) -> None:
    assert error(directory.ask("POST", f"{AT}/Users", b"x" * 70_000)) == (413, "")
