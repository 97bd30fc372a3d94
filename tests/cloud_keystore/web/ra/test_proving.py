"""What is of high risk at the pages asks for a log-in of the last minutes."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.types import ASGIApp

from cloud_keystore.border.table import Proven
from cloud_keystore.model.errors import ProofNeeded
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.visits import PROOF_TIME, SECRET_PREFIX, text_sha256
from cloud_keystore.run.offering.visited import VISITED
from cloud_keystore.web.ra.proving import HIGH_RISK
from cloud_keystore.web.ra.visiting import LOG_IN
from support.keystore_world import OPERATOR, World
from support.rest import Answer
from support.visitor import Visitor

FILLED = {
    "user_id": "u",
    "serial": "s",
    "grant_id": "g",
    "role_id": "n",
    "organisation_id": "o",
    "term": "session",
    "request_id": "r",
    "passkey_id": "p",
    "device_id": "d",
}


def leads(told: Answer) -> str:
    """Where the log-in leads that an answer asks for."""
    assert told.status == 303, told.body
    found = urlsplit(told.fields["location"])
    said = parse_qs(found.query)
    assert (found.path, said["again"]) == (LOG_IN, ["yes"])
    return said["next"][0]


@pytest.fixture
def late(world: World, visitor: Visitor) -> Visitor:
    """Somebody whose log-in is too old."""
    world.clock.now += PROOF_TIME
    return visitor


def test_a_late_log_in_is_repeated_before_somebody_is_closed(
    world: World, late: Visitor, olga: Identity
) -> None:
    """The question comes after the log-in, and nothing is done before; other pages go on."""
    user = world.people.add_user("Ada", "", actor=OPERATOR)[0]
    path = f"/ra/people/{user.id}/close"
    assert late.get(f"/ra/people/{user.id}").status == 200
    assert leads(late.get(path)) == path
    before = len(world.journal())
    assert leads(late.post(path, reason="left")) == path
    assert len(world.journal()) == before
    asked = late.page(f"{LOG_IN}?next={path}&again=yes")
    assert "Log in once more" in asked
    first = late.secret
    told = late.log_in(world.visits.make_code(olga).text, path)
    assert told.fields["location"] == path
    assert "Close Ada?" in late.page(path)
    assert "done=closed" in late.post(path, reason="left").fields["location"]
    late.secret = first
    assert late.get("/ra/people").status == 303


def test_the_first_log_in_counts_for_a_time(world: World, visitor: Visitor) -> None:
    user = world.people.add_user("Ada", "", actor=OPERATOR)[0]
    world.clock.now += PROOF_TIME - timedelta(seconds=1)
    assert visitor.get(f"/ra/people/{user.id}/close").status == 200
    world.clock.now += timedelta(seconds=1)
    assert leads(visitor.get(f"/ra/people/{user.id}/close")).endswith("/close")


@pytest.mark.parametrize("path", HIGH_RISK)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_each_page_of_high_risk_asks(late: Visitor, path: str, method: str) -> None:
    """Each is there, and asks in both ways, whatever it is about."""
    at = path.format(**FILLED)
    told = late.get(at) if method == "GET" else late.post(at)
    if told.status == 405:
        assert path.endswith(("/invite", "/code", "/pin-code", "/asked", "/remove"))
        return
    assert leads(told) == HIGH_RISK[path].format(**FILLED)


def test_a_question_keeps_what_it_is_about(late: Visitor) -> None:
    path = "/ra/policies/session?organisation=default&profile="
    assert leads(late.get(path)) == path
    assert leads(late.post(path)) == path


def test_custody_asks_whatever_the_pages_do(world: World, late: Visitor) -> None:
    """Who has taken the process of the pages over cannot leave the log-in out."""
    proven = {name for name, access in VISITED.items() if isinstance(access, Proven)}
    assert {"leaving.close", "cards.revoke", "roles.grant", "unlock_codes.make"} <= proven
    assert "app_pins.make_code" in proven
    assert {"organisations.set_policy", "requests.approve", "log_in_passkeys.add"} <= proven
    found = text_sha256(SECRET_PREFIX, late.secret)
    assert found is not None
    with pytest.raises(ProofNeeded):
        world.visits.prove(found)
    with pytest.raises(ProofNeeded):
        world.visits.prove(bytes(32))


def test_nobody_is_led_elsewhere(late: Visitor, application: ASGIApp) -> None:
    told = late.get("/ra/policies/%2F%2Fevil.example?organisation=x")
    assert told.status in (303, 404)
    assert "//evil" not in told.fields.get("location", "")
    stranger = Visitor(application)
    assert "again" not in stranger.get("/ra/people/u/close").fields["location"]
