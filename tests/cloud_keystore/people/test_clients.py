"""API clients: operators add them, and they do what their roles allow, until their end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.errors import (
    IdentityNotFound,
    IdentityRejected,
    InvalidInput,
    NotAllowed,
    OrganisationNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.model.rights.clients import LIFETIME, LONGEST_LIFETIME, token_sha256
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.clients import NewClient
from cloud_keystore.people.roles import Wish
from support.keystore_world import OPERATOR, World


def add(world: World, *roles: str, place: str = "") -> NewClient:
    return world.clients.add("HR system", roles, place, actor=OPERATOR)


def identified(world: World, made: NewClient) -> Identity:
    return world.callers.identify(token_sha256(made.token) or b"", Role.CLIENT)


def test_it_is_known_by_its_token_and_has_its_roles(world: World) -> None:
    made = add(world, BuiltIn.RA_AGENT, BuiltIn.SPONSOR)
    found = identified(world, made)
    assert found == made.listing.client
    assert found.actor == Actor(ActorKind.CLIENT, found.id)
    assert made.listing.roles == ("ra-agent", "sponsor")
    user, _ = world.people.add_user("Ada", "", actor=found.actor)
    with pytest.raises(NotAllowed):
        world.leaving.close(user.id, "left", found)


def test_the_journal_tells_of_it_but_not_its_token(world: World) -> None:
    made = add(world, BuiltIn.RA_AGENT)
    (told,) = world.journal(Kind.CLIENT_ADDED)
    assert told.actor == OPERATOR
    assert told.details["name"] == "HR system"
    assert told.evidence == {"token_sha256": token_sha256(made.token)}
    assert made.token not in repr(made)
    world.people.add_user("Ada", "", actor=made.listing.client.actor)
    (added,) = world.journal(Kind.USER_ADDED)
    assert str(added.actor) == f"API client {made.listing.client.id}"


def test_a_token_ends(world: World) -> None:
    made = add(world, BuiltIn.RA_AGENT)
    assert made.listing.client.expire_time == world.clock() + LIFETIME
    world.clock.forward(days=LIFETIME.days)
    with pytest.raises(IdentityRejected):
        identified(world, made)
    with pytest.raises(IdentityRejected):
        world.people.list_users(actor=made.listing.client.actor)


def test_a_removed_client_gets_in_nowhere(world: World) -> None:
    made, operator = add(world, BuiltIn.RA_AGENT), world.operator().identity
    gone = world.identities.remove(Role.CLIENT, made.listing.client.id, "replaced", operator)
    assert gone.state is IdentityState.REMOVED
    with pytest.raises(IdentityRejected):
        identified(world, made)
    with pytest.raises(IdentityRejected):
        world.people.list_users(actor=gone.actor)
    (listed,) = world.clients.list_all(actor=OPERATOR)
    assert listed.client.state is IdentityState.REMOVED


def test_it_is_nobody_else(world: World) -> None:
    """A token opens no service for operators, and no certificate opens the REST API."""
    made, operator = add(world, BuiltIn.RA_MANAGER), world.operator()
    with pytest.raises(IdentityRejected):
        world.callers.identify(token_sha256(made.token) or b"", Role.OPERATOR)
    with pytest.raises(IdentityRejected):
        world.callers.identify(operator.identity.certificate_sha256 or b"", Role.CLIENT)
    client = made.listing.client
    with pytest.raises(IdentityNotFound):
        world.identities.remove(Role.OPERATOR, client.id, "x", operator.identity)


def test_a_client_that_manages_is_not_the_last_manager(world: World) -> None:
    """Somebody has to remain who can invite operators."""
    add(world, BuiltIn.RA_MANAGER)
    assert not world.people.has_operators()


@pytest.mark.parametrize("roles", [(), ("auditor",), ("nobody",)])
def test_roles_that_it_cannot_have(world: World, roles: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        add(world, *roles)
    assert world.clients.list_all(actor=OPERATOR) == []


@pytest.mark.parametrize("ahead", [timedelta(0), LONGEST_LIFETIME + timedelta(days=1)])
def test_ends_that_it_cannot_have(world: World, ahead: timedelta) -> None:
    with pytest.raises(InvalidInput, match="until"):
        world.clients.add("HR", ["support"], until=world.clock() + ahead, actor=OPERATOR)


def test_nobody_hands_out_what_they_do_not_have(world: World) -> None:
    manager = world.operator().identity
    ours = world.organisations.add("Ours", manager).id
    theirs = world.organisations.add("Theirs", manager).id
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, ours, actor=OPERATOR).text
    ida = world.enrol(token).identity
    made = world.clients.add("HR", ["ra-agent"], actor=ida.actor)
    assert made.listing.client.organisation_id == ours
    assert made.listing.organisation_name == "Ours"
    with pytest.raises(OrganisationNotFound):
        world.clients.add("HR", ["ra-agent"], theirs, actor=ida.actor)
    other = add(world, BuiltIn.SUPPORT, place=theirs).listing.client
    assert [each.client.id for each in world.clients.list_all(actor=ida.actor)] == [
        made.listing.client.id
    ]
    with pytest.raises(IdentityNotFound):
        world.identities.remove(Role.CLIENT, other.id, "x", ida)
    agent = world.enrol(world.people.add_operator("Al", "ra-agent", ours, actor=OPERATOR).text)
    with pytest.raises(NotAllowed):
        world.clients.add("HR", ["ra-agent"], actor=agent.identity.actor)
    with pytest.raises(NotAllowed):
        world.clients.list_all(actor=agent.identity.actor)


def test_its_roles_are_granted_and_withdrawn_as_those_of_operators(world: World) -> None:
    client = add(world, BuiltIn.SUPPORT).listing.client
    granted = world.roles.grant(Wish(client.id, BuiltIn.RA_AGENT), actor=OPERATOR)
    world.people.add_user("Ada", "", actor=client.actor)
    world.roles.withdraw(granted.assignment.id, actor=OPERATOR)
    with pytest.raises(NotAllowed):
        world.people.add_user("Bo", "", actor=client.actor)
    with pytest.raises(NotAllowed):
        world.roles.grant(Wish(client.id, BuiltIn.RA_AGENT), actor=client.actor)


def test_an_actor_of_another_kind_is_not_the_client(world: World) -> None:
    client = add(world, BuiltIn.RA_AGENT).listing.client
    with pytest.raises(IdentityRejected):
        world.people.list_users(actor=replace(client, role=Role.OPERATOR).actor)
