"""The pages of roles, and of who has which."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from starlette.types import ASGIApp

from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import BuiltIn, Right
from support.keystore_world import OPERATOR, World
from support.visitor import Visitor


def invited(world: World, role: str, place: str = "") -> Identity:
    """An operator with a role."""
    token = world.people.add_operator("Ida", role, place, actor=OPERATOR)
    return world.enrol(token.text).identity


def defined(world: World, name: str) -> str:
    """The identifier of a role."""
    return next(each.id for each in world.roles.known(actor=OPERATOR) if each.name == name)


def test_built_in_roles_cannot_be_deleted(visitor: Visitor) -> None:
    shown = visitor.page("/ra/roles")
    for each in BuiltIn:
        assert f">{each.value}<" in shown
    assert shown.count("Built in: cannot be changed or deleted") == len(BuiltIn)
    assert not any(f"/ra/roles/{each}/" in shown for each in BuiltIn)
    for path in ("change", "delete"):
        assert visitor.get(f"/ra/roles/sponsor/{path}").status == 409
        assert visitor.post(f"/ra/roles/sponsor/{path}", name="x").status in (409, 422)
    assert ">sponsor<" in visitor.page("/ra/roles")


def test_a_role_is_defined_changed_and_deleted(world: World, visitor: Visitor) -> None:
    wrong = visitor.post(
        "/ra/roles/add", name="Ward Clerk", organisation=ROOT, **{"rights-view": "yes"}
    )
    assert wrong.status == 422
    assert re.search(r'name="rights-view" type="checkbox" value="yes" checked', wrong.body.decode())
    said = {"rights-view": "yes", "rights-unlock": "yes"}
    assert "It is added." in visitor.done(
        "/ra/roles/add", name="ward-clerk", organisation=ROOT, **said
    )
    own = f"/ra/roles/{defined(world, 'ward-clerk')}"
    asked = visitor.page(f"{own}/change")
    assert re.search(r'name="rights-unlock" type="checkbox" value="yes" checked', asked)
    assert re.search(r'name="rights-issue" type="checkbox" value="yes">', asked)
    assert visitor.post(f"{own}/change", name="ward-clerk").status == 422
    shown = visitor.done(f"{own}/change", name="clerk", **{"rights-view": "yes"})
    assert ">clerk<" in shown
    assert "unlock" not in re.search(r">clerk<.*?</tr>", shown, re.S)[0]  # type: ignore[index]
    ida = invited(world, "clerk")
    told = visitor.post(f"{own}/delete")
    assert told.status == 409
    assert ida.display_name in told.body.decode()
    (granted,) = [
        each for each in world.roles.list_all(actor=OPERATOR) if each.identity.id == ida.id
    ]
    world.roles.withdraw(granted.assignment.id, actor=OPERATOR)
    assert "It is removed." in visitor.done(f"{own}/delete")
    assert visitor.get(f"{own}/change").status == 404


def test_nobody_defines_more_than_they_may(world: World, application: ASGIApp) -> None:
    said = {"rights-view": "yes", "rights-roles": "yes"}
    world.custom_roles.define("granter", ["view", "roles"], actor=OPERATOR)
    ida = Visitor.of(world, application, invited(world, "granter"))
    more = ida.post(
        "/ra/roles/add", name="more", organisation=ROOT, **said, **{"rights-revoke": "yes"}
    )
    assert more.status == 403
    assert "It is added." in ida.done("/ra/roles/add", name="same", organisation=ROOT, **said)


def test_a_role_is_granted_and_withdrawn(world: World, visitor: Visitor, olga: Identity) -> None:
    ida = invited(world, BuiltIn.SUPPORT)
    asked = visitor.page("/ra/grants/add")
    assert f'value="{ida.id}"' in asked
    assert f'value="{olga.id}"' not in asked
    said = {"who": ida.id, "role": "ra-agent", "organisation": ROOT}
    assert visitor.post("/ra/grants/add", **said, until="tomorrow").status == 422
    assert visitor.post("/ra/grants/add", **said, until="2020-01-01").status == 422
    shown = visitor.done("/ra/grants/add", **said, until="2026-12-24")
    assert "The role is granted." in shown
    (granted,) = [
        each.assignment
        for each in world.roles.list_all(actor=OPERATOR)
        if (each.identity.id, each.role_name) == (ida.id, "ra-agent")
    ]
    assert granted.until_time == datetime(2026, 12, 25, tzinfo=UTC)
    own = f"/ra/grants/{granted.id}/withdraw"
    assert own in shown
    assert "Ida is not ra-agent in Default any more" in visitor.page(own)
    assert "The role is withdrawn." in visitor.done(own)
    assert own not in visitor.page("/ra/grants")
    assert "ra-agent" in visitor.page("/ra/grants?state=ended")
    assert "ra-agent" not in visitor.page("/ra/grants?state=in+force").partition("<tbody")[2]


def test_nobody_changes_their_own_roles(world: World, visitor: Visitor, olga: Identity) -> None:
    (mine,) = [
        each.assignment
        for each in world.roles.list_all(actor=OPERATOR)
        if each.identity.id == olga.id
    ]
    assert f"/ra/grants/{mine.id}/" not in visitor.page("/ra/grants")
    told = visitor.post(f"/ra/grants/{mine.id}/withdraw")
    assert told.status == 422
    assert "Nobody changes their own roles" in told.body.decode()
    told = visitor.post("/ra/grants/add", who=olga.id, role="ra-agent", organisation=ROOT)
    assert told.status == 422


def test_a_role_that_needs_another_operator_waits(
    world: World, visitor: Visitor, olga: Identity
) -> None:
    ida = invited(world, BuiltIn.RA_MANAGER)
    world.four_eyes.require([HighRisk.GRANT_ROLE], ROOT, actor=olga.actor)
    told = visitor.post("/ra/grants/add", who=ida.id, role="ra-agent", organisation=ROOT)
    assert told.status == 409
    assert "Another operator has to approve this" in told.body.decode()


def test_roles_of_others_are_not_there(world: World, application: ASGIApp, olga: Identity) -> None:
    """Who may not grant roles is not told who has them; who may somewhere, not of elsewhere."""
    theirs = world.organisations.add("Theirs", olga).id
    world.custom_roles.define("secretary", ["view"], actor=OPERATOR)
    role = defined(world, "secretary")
    agent = Visitor.of(world, application, invited(world, BuiltIn.RA_AGENT))
    assert agent.get("/ra/grants").status == 403
    assert agent.get("/ra/grants.csv").status == 403
    assert agent.post(f"/ra/roles/{role}/delete").status == 403
    manager = Visitor.of(world, application, invited(world, BuiltIn.RA_MANAGER, theirs))
    assert "Olga" not in manager.page("/ra/grants").partition("<main")[2]
    told = manager.post("/ra/grants/add", who=olga.id, role="ra-agent", organisation=theirs)
    assert told.status == 404
    (mine,) = [
        each.assignment
        for each in world.roles.list_all(actor=OPERATOR)
        if each.identity.id == olga.id
    ]
    assert manager.get(f"/ra/grants/{mine.id}/withdraw").status == 404
    assert manager.post(f"/ra/grants/{mine.id}/withdraw").status == 404
    assert Right.ROLES in world.visits.held(olga).everywhere
