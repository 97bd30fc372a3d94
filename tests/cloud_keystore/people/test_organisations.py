"""Organisations: their names and places, and whom their people ask for help."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from cloud_keystore.model.errors import (
    IdentityNotFound,
    InvalidInput,
    NotAllowed,
    OrganisationExists,
    OrganisationNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT, Organisation
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.storage.contacts import helping
from support.keystore_world import OPERATOR, World


def add(world: World, name: str, parent: Organisation | None = None) -> Organisation:
    operator = world.operator().identity
    return world.organisations.add(name, operator, "" if parent is None else parent.id)


def manager(world: World, place: Organisation, role: str = BuiltIn.RA_MANAGER) -> Identity:
    return world.enrol(
        world.people.add_operator("Ida", role, place.id, actor=OPERATOR).text
    ).identity


def seen(world: World, who: Identity) -> set[str]:
    return {each.name for each in world.organisations.list_all(actor=who.actor)}


def test_an_organisation_gets_another_name_and_help(world: World) -> None:
    """USER-26: the journal has the old and new values."""
    place = add(world, "St Elsewhere")
    add(world, "Ward")
    changed = world.organisations.change(
        place.id, " St  Else ", contact="the desk, 020 7946 0000", actor=OPERATOR
    )
    assert (changed.name, changed.help) == ("St Else", "the desk, 020 7946 0000")
    listed = {each.id: each for each in world.organisations.list_all(actor=OPERATOR)}
    assert listed[place.id] == changed
    (told,) = world.journal(Kind.ORGANISATION_CHANGED)
    assert told.details == {
        "organisation": place.id,
        "old_name": "St Elsewhere",
        "name": "St Else",
        "old_help": "",
        "help": "the desk, 020 7946 0000",
    }
    assert world.organisations.change(place.id, "St Else", actor=OPERATOR) == changed
    with pytest.raises(OrganisationExists):
        world.organisations.change(place.id, "Ward", actor=OPERATOR)
    for wrong in ({"name": ""}, {"name": "x" * 65}, {"contact": "x" * 257}, {"contact": "a\x00"}):
        with pytest.raises(InvalidInput):
            world.organisations.change(place.id, actor=OPERATOR, **wrong)
    assert len(world.journal(Kind.ORGANISATION_CHANGED)) == 1


def test_rights_go_with_the_place(world: World) -> None:
    trust, other = add(world, "Trust"), add(world, "Other")
    ward = add(world, "Ward", trust)
    bay = add(world, "Bay", ward)
    ida, otto = manager(world, trust), manager(world, other)
    assert (seen(world, ida), seen(world, otto)) == ({"Trust", "Ward", "Bay"}, {"Other"})
    moved = world.organisations.change(ward.id, parent_id=other.id, actor=OPERATOR)
    assert moved.parent_id == other.id
    assert (seen(world, ida), seen(world, otto)) == ({"Trust"}, {"Other", "Ward", "Bay"})
    world.organisations.change(ward.id, parent_id=ROOT, actor=OPERATOR)
    assert (seen(world, ida), seen(world, otto)) == ({"Trust"}, {"Other"})
    for _ in range(2):  # also what was above all others once
        world.organisations.change(ward.id, parent_id=trust.id, actor=OPERATOR)
    assert seen(world, ida) == {"Trust", "Ward", "Bay"}
    assert [each.details["parent"] for each in world.journal(Kind.ORGANISATION_CHANGED)] == [
        *(other.id, ROOT, trust.id)
    ]
    for parent in (ward, bay):
        with pytest.raises(InvalidInput, match="itself, or one below it"):
            world.organisations.change(ward.id, parent_id=parent.id, actor=OPERATOR)
    with pytest.raises(InvalidInput, match="above all others"):
        world.organisations.change(ROOT, parent_id=ward.id, actor=OPERATOR)


def test_who_moves_an_organisation_has_the_right_everywhere(world: World) -> None:
    """In the organisation, where it is, and where it comes to."""
    trust, other = add(world, "Trust"), add(world, "Other")
    ward = add(world, "Ward", trust)
    of_trust, of_ward = manager(world, trust), manager(world, ward)
    agent = manager(world, trust, BuiltIn.RA_AGENT)
    with pytest.raises(OrganisationNotFound):
        world.organisations.change(ward.id, parent_id=other.id, actor=of_trust.actor)
    bay = add(world, "Bay", ward)
    with pytest.raises(OrganisationNotFound):
        world.organisations.change(ward.id, parent_id=trust.id, actor=of_ward.actor)
    with pytest.raises(NotAllowed):
        world.organisations.change(bay.id, parent_id=trust.id, actor=agent.actor)
    with pytest.raises(NotAllowed):  # nobody leaves the reach of those above
        world.organisations.change(ward.id, parent_id=bay.id, actor=of_ward.actor)
    with pytest.raises(OrganisationNotFound):
        world.organisations.change(other.id, "Mine", actor=of_trust.actor)
    world.organisations.change(bay.id, parent_id=trust.id, actor=of_trust.actor)


def test_the_nearest_help_counts(world: World) -> None:
    """COM-02."""
    trust = add(world, "Trust")
    bay = add(world, "Bay", add(world, "Ward", trust))

    def contact() -> str:
        with world.database.read() as connection:
            return helping.contact_of(connection, bay.id)

    assert contact() == ""
    for place, said in ((ROOT, "root"), (trust.id, "trust"), (bay.id, "bay")):
        world.organisations.change(place, contact=said, actor=OPERATOR)
        assert contact() == said
    world.organisations.change(bay.id, contact="", actor=OPERATOR)
    assert contact() == "trust"
    with world.database.write() as connection:
        connection.execute(update(helping.help_contact).values(contact="the thief"))
    assert contact() == ""  # nobody is sent to whom no keystore has named


def test_workstations_and_staff_move_between_organisations(world: World) -> None:
    trust, other = add(world, "Trust"), add(world, "Other")
    ida = manager(world, trust)
    pc = world.people.add_workstation("PC", "", trust.id, actor=OPERATOR)[0]
    with pytest.raises(OrganisationNotFound):
        world.identities.move(Role.WORKSTATION, pc.id, other.id, actor=ida.actor)
    agent = manager(world, trust, BuiltIn.RA_AGENT)
    with pytest.raises(NotAllowed):
        world.identities.move(Role.WORKSTATION, pc.id, trust.id, actor=agent.actor)
    with pytest.raises(IdentityNotFound):
        world.identities.move(Role.OPERATOR, pc.id, trust.id, actor=OPERATOR)
    for _ in range(2):
        moved = world.identities.move(Role.WORKSTATION, pc.id, other.id, actor=OPERATOR)
        assert moved.organisation_id == other.id
    assert world.identities.list_of(Role.WORKSTATION, actor=ida.actor) == []
    (told,) = world.journal(Kind.IDENTITY_CHANGED)
    assert (told.workstation_id, told.details["old_organisation"]) == (pc.id, trust.id)
    world.identities.move(Role.OPERATOR, agent.id, other.id, actor=OPERATOR)
    assert seen(world, agent) == {"Trust"}  # roles stay where they were granted
