"""The pages of the tree of organisations."""

from __future__ import annotations

import re

from starlette.types import ASGIApp

from cloud_keystore.model.organisations import ROOT, Organisation
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import BuiltIn
from support.keystore_world import OPERATOR, World
from support.visitor import Visitor


def known(world: World) -> dict[str, Organisation]:
    return {each.name: each for each in world.organisations.list_all(actor=OPERATOR)}


def test_a_tree_grows_and_is_changed(world: World, visitor: Visitor) -> None:
    assert visitor.post("/ra/organisations/add", name="", parent=ROOT).status == 422
    assert "It is added." in visitor.done("/ra/organisations/add", name="Trust", parent=ROOT)
    trust = known(world)["Trust"]
    shown = visitor.done("/ra/organisations/add", name="Ward", parent=trust.id)
    assert ">Trust / Ward<" in shown
    assert shown.index(">Trust<") < shown.index(">Trust / Ward<")
    there = visitor.post("/ra/organisations/add", name="Ward", parent=ROOT)
    assert there.status == 422
    assert "already" in there.body.decode()
    ward = known(world)["Ward"]
    own = f"/ra/organisations/{ward.id}/change"
    asked = visitor.page(own)
    assert 'value="Ward"' in asked
    assert f'value="{trust.id}"' in asked
    assert f'value="{ward.id}"' not in asked  # it is not put below itself
    shown = visitor.done(own, name="Ward 7", parent=ROOT, contact="Desk, 1234")
    assert "It is changed." in shown
    assert ">Ward 7<" in shown
    found = known(world)["Ward 7"]
    assert (found.parent_id, found.help) == (ROOT, "Desk, 1234")
    visitor.done(own, name="Ward 7", parent="", contact="")
    assert known(world)["Ward 7"].help == ""
    below = visitor.post(f"/ra/organisations/{trust.id}/change", name="Trust", parent=trust.id)
    assert below.status == 422
    assert visitor.get("/ra/organisations/nowhere/change").status == 404


def test_an_operator_of_one_organisation_sees_and_changes_that_alone(
    world: World, application: ASGIApp, olga: Identity
) -> None:
    ours, theirs = (world.organisations.add(name, olga) for name in ("Ours", "Theirs"))
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, ours.id, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    shown = ida.page("/ra/organisations")
    assert "Ours" in shown
    assert "Theirs" not in shown
    assert "Theirs" not in ida.page("/ra/organisations/add")
    told = ida.get(f"/ra/organisations/{theirs.id}/change")
    assert told.status == 404
    assert "Theirs" not in told.body.decode()
    assert ida.post(f"/ra/organisations/{theirs.id}/change", name="Mine").status == 404
    assert ida.post("/ra/organisations/add", name="New", parent=theirs.id).status == 404
    assert set(known(world)) >= {"Ours", "Theirs"}
    assert "New" not in known(world)


def test_an_agent_sees_the_tree_without_buttons(world: World, application: ASGIApp) -> None:
    token = world.people.add_operator("Ida", BuiltIn.RA_AGENT, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    shown = ida.page("/ra/organisations")
    assert re.search(r'href="/ra/organisations/[^"]', shown) is None
    assert ida.post("/ra/organisations/add", name="New", parent=ROOT).status == 403
    assert "Who has which role" not in shown
