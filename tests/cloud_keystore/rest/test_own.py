"""The portal's calls over HTTP: who may make them, and what they hide."""

from __future__ import annotations

import pytest

from cloud_keystore.model.policies import Policy
from cloud_keystore.rest.own_models import ResetPassword
from support.keystore_world import World
from support.outbox import Told
from support.portal import ANSWERS, EMAIL, OTHER, PASSWORD, QUESTIONS, Portal
from support.rest import Client, client_of

NEEDED = Policy(portal_passwords=True, security_answers=2)
CALLS: dict[str, dict[str, object]] = {
    "check": {"name": EMAIL, "password": PASSWORD},
    "change": {"name": EMAIL, "password": PASSWORD, "new_password": OTHER},
    "forget": {"name": EMAIL},
    "questions": {"name": EMAIL, "code": "00000000"},
    "reset": {"name": EMAIL, "code": "00000000", "new_password": OTHER, "answers": ["a", "b"]},
}


def own(client: Client, call: str, **changes: object) -> dict[str, object]:
    """What a call answers that is not refused."""
    told = client.post(f"/v1/self/password:{call}", {**CALLS[call], **changes})
    assert told.status == 200, told.body
    return told.json


@pytest.mark.parametrize("role", ["ra-agent-advanced", "support"])
@pytest.mark.parametrize("call", CALLS)
def test_only_a_portal_makes_them(world: World, call: str, role: str) -> None:
    """AUTH-13."""
    told = client_of(world, role).post(f"/v1/self/password:{call}", CALLS[call])
    assert (told.status, told.kind) == (403, "not-allowed")


def test_a_portal_does_nothing_else(world: World) -> None:
    client = client_of(world, "portal")
    for path in ("/v1/users", "/v1/cards", "/v1/pending", "/v1/organisations"):
        assert client.get(path).status == 403
    assert client.post("/v1/users", {"name": "Eve"}).status == 403


def test_a_forgotten_password_over_http(world: World) -> None:
    """AUTH-13, AUTH-14."""
    portal = Portal.open(Told(world), NEEDED)
    world.security_questions.set_own(QUESTIONS, portal.phone.identity)
    client = client_of(world, "portal")
    assert own(client, "check") == {
        "is_right": True,
        "user_id": portal.user.id,
        "has_phone": True,
    }
    assert own(client, "check", password="?") == {
        "is_right": False,
        "user_id": None,
        "has_phone": False,
    }
    assert own(client, "forget") == own(client, "forget", name="nobody@example.org") == {}
    code = portal.code()
    asked = own(client, "questions", code=code)
    assert asked == {"is_right": True, "questions": [each.text for each in QUESTIONS]}
    weak = own(client, "reset", code=code, new_password="short", answers=ANSWERS)
    assert weak == {"is_set": False, "violated_rule": "12 to 128 characters"}
    done = own(client, "reset", code=code, answers=ANSWERS)
    assert done == {"is_set": True, "violated_rule": None}
    back = own(client, "change", password=OTHER, new_password=PASSWORD)
    assert back == {"is_set": True, "violated_rule": None}


def test_secrets_are_in_no_refusal_and_no_log(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    """AUTH-14: they are marked as what nobody is shown."""
    client = client_of(world, "portal")
    secret = "moppet" * 100
    for call in CALLS:
        for name in CALLS[call].keys() - {"name"}:
            given = [secret] if name == "answers" else secret
            told = client.post(f"/v1/self/password:{call}", {**CALLS[call], name: given})
            assert told.status == 422
            assert b"moppet" not in told.body
    said = capfd.readouterr()
    assert "moppet" not in said.out + said.err
    asked = ResetPassword.model_validate({**CALLS["reset"], "code": secret[:60]})
    assert "moppet" not in repr(asked)
    schema = ResetPassword.model_json_schema()["properties"]
    for name in ("code", "new_password"):
        assert (schema[name]["format"], schema[name]["writeOnly"]) == ("password", True)
