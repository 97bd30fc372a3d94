"""The pages of what waits for another operator."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.errors import SecondNeeded
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import BuiltIn
from support.keystore_world import OPERATOR, World
from support.visitor import Visitor


@pytest.fixture
def second(world: World, application: ASGIApp) -> Visitor:
    """Another operator, who may do everything too."""
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, actor=OPERATOR)
    return Visitor.of(world, application, world.enrol(token.text).identity)


@pytest.fixture
def serial(world: World, olga: Identity, second: Visitor) -> str:
    """A card that Olga has asked to revoke."""
    assert second.secret  # somebody could approve it
    made = world.card(world.user()[0])
    world.four_eyes.require([HighRisk.REVOKE, HighRisk.POLICY], ROOT, actor=olga.actor)
    with pytest.raises(SecondNeeded):
        world.cards.revoke(made, "<b>lost", actor=olga.actor)
    return made


def waiting(world: World) -> str:
    """The path of the request that waits."""
    (found,) = world.requests.list_all(decided=False, actor=OPERATOR)
    return f"/ra/requests/{found.request.id}"


def test_another_operator_approves(
    world: World, visitor: Visitor, second: Visitor, serial: str
) -> None:
    own = waiting(world)
    mine = visitor.page("/ra/requests")
    assert f"{own}/approve" not in mine
    assert ">Take back<" in mine
    assert visitor.post(f"{own}/approve").status == 422
    assert world.find(serial).card.state == "active"
    assert f"{own}/approve" in second.page("/ra/requests")
    asked = second.page(f"{own}/approve")
    assert f"Revoke the card {serial}?" in asked
    assert "Olga has asked for this" in asked
    assert "Reason: &lt;b&gt;lost" in asked
    assert "It is approved, and done." in second.done(f"{own}/approve")
    assert world.find(serial).card.state == "revoked"
    assert "Nothing waits" in second.page("/ra/requests")
    assert "Approved" in second.page("/ra/requests?which=all")
    for path in ("approve", "refuse"):
        assert second.get(f"{own}/{path}").status == 404
        assert second.post(f"{own}/{path}").status in (404, 409)


def test_a_request_is_refused_or_taken_back(
    world: World, visitor: Visitor, second: Visitor, olga: Identity, serial: str
) -> None:
    assert "It is refused." in second.done(f"{waiting(world)}/refuse")
    with pytest.raises(SecondNeeded):
        world.organisations.set_policy(ROOT, "", Policy(largest_batch=7), olga)
    own = waiting(world)
    assert "Inputs of one approval: 7." in second.page(f"{own}/approve")
    assert "It is refused." in visitor.done(f"{own}/refuse")
    assert world.find(serial).card.state == "active"


def test_requests_of_others_are_not_there(
    world: World, application: ASGIApp, olga: Identity, serial: str
) -> None:
    own, theirs = waiting(world), world.organisations.add("Theirs", olga).id
    for role, place, status in (
        (BuiltIn.RA_MANAGER, theirs, 404),
        (BuiltIn.RA_AGENT, ROOT, 403),
    ):
        token = world.people.add_operator("Eve", role, place, actor=OPERATOR)
        eve = Visitor.of(world, application, world.enrol(token.text).identity)
        shown = eve.page("/ra/requests")
        assert own not in shown
        assert (serial in shown) is (status == 403)
        told = eve.post(f"{own}/refuse")
        assert told.status == status
        assert eve.post(f"{own}/approve").status in (404, 422)
    assert world.find(serial).card.state == "active"
    assert waiting(world) == own
