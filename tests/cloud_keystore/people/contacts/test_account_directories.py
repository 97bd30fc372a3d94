"""Directories in which operators look up Windows accounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import (
    InvalidInput,
    NotAllowed,
    OrganisationNotFound,
    RowNotAuthentic,
    UserNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.lookups.directories import AccountDirectory
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.contacts.account_directories import Found
from cloud_keystore.storage import people
from cloud_keystore.storage.contacts.account_directories import account_directory
from support.authority import Authority
from support.keystore_world import OPERATOR, World

CORP = AccountDirectory("ldaps://dc1.corp.example", "cn=ra", "dc=corp", "CORP")
WARD = replace(CORP, url="ldaps://dc2.corp.example", narrowing="(ou=Ward 7)")


def operator(world: World, place: str, role: str) -> Actor:
    token = world.people.add_operator("Ida", role, place, actor=OPERATOR)
    return world.enrol(token.text).identity.actor


def counts(world: World, organisation_id: str) -> Found:
    return world.account_directories.of_organisation(organisation_id, actor=OPERATOR)


def test_the_nearest_directory_above_counts(world: World) -> None:
    """USER-09."""
    olga = world.operator().identity
    directories = world.account_directories
    ward = world.organisations.add("Ward 7", olga)
    bay = world.organisations.add("Bay", olga, ward.id)
    assert counts(world, bay.id) == Found(None)
    assert directories.set(ROOT, CORP, actor=OPERATOR)
    assert counts(world, bay.id) == Found(CORP)
    assert counts(world, ROOT) == Found(CORP, is_own=True)
    assert directories.set(ward.id, WARD, actor=OPERATOR)
    assert (counts(world, bay.id), counts(world, ROOT)) == (Found(WARD), Found(CORP, is_own=True))
    assert directories.set(ward.id, None, actor=OPERATOR)
    assert counts(world, bay.id) == Found(CORP)
    assert not directories.set(ward.id, None, actor=OPERATOR)
    assert not directories.set(ROOT, CORP, actor=OPERATOR)


def test_the_journal_has_what_was_before(world: World) -> None:
    pem = Authority().certificate.public_bytes(Encoding.PEM)
    for each in (CORP, replace(WARD, anchors=pem), None):
        world.account_directories.set(ROOT, each, actor=OPERATOR)
        world.clock.now += timedelta(seconds=1)
    first, second, third = world.journal(Kind.ACCOUNT_DIRECTORY_CHANGED)
    assert (first.details["url"], "old_url" in first.details) == (CORP.url, False)
    assert (second.details["old_url"], second.details["url"]) == (CORP.url, WARD.url)
    assert (len(str(second.details["anchors"])), "domain" in second.details) == (64, False)
    assert (third.details["old_url"], "url" in third.details) == (WARD.url, False)


def test_anchors_are_certificates(world: World) -> None:
    with pytest.raises(InvalidInput, match="anchors"):
        world.account_directories.set(ROOT, replace(CORP, anchors=b"no"), actor=OPERATOR)


def test_a_person_is_looked_up_by_what_is_known_for_sure(world: World) -> None:
    """USER-09: not by an address that an operator may have mistyped."""
    world.account_directories.set(ROOT, CORP, actor=OPERATOR)
    user, _ = world.people.add_user("Ada", "ada@example.org", actor=OPERATOR)
    known = world.account_directories.of_person(user.id, actor=OPERATOR)
    assert (known.directory, known.email, known.upn) == (CORP, "", "")
    with world.database.write() as connection:
        now = world.clock()
        seen = people.user(connection, user.id)
        people.change_user(connection, replace(seen, email_verify_time=now, upn="ada@corp.example"))
    known = world.account_directories.of_person(user.id, actor=OPERATOR)
    assert (known.email, known.upn) == ("ada@example.org", "ada@corp.example")


def test_accounts_in_use_are_listed_with_their_people(world: World) -> None:
    """USER-10."""
    olga = world.operator().identity
    ward = world.organisations.add("Ward 7", olga)
    ada, _ = world.user("Ada")
    bob, _ = world.people.add_user("Bob", "", organisation_id=ward.id, actor=OPERATOR)
    for user, name in ((ada, r"CORP\ada"), (ada, r"CORP\old"), (bob, r"CORP\bob")):
        world.accounts.add(user.id, name, "", actor=OPERATOR)
    world.accounts.disable(ada.id, r"CORP\old", disabled=True, actor=OPERATOR)

    def held(organisation_id: str = "") -> list[tuple[str, str]]:
        found = world.account_directories.held(organisation_id, actor=OPERATOR)
        return sorted((each.account.name, each.user.display_name) for each in found)

    assert held() == [(r"CORP\ada", "Ada"), (r"CORP\bob", "Bob")]
    assert held(ward.id) == [(r"CORP\bob", "Bob")]
    own = world.account_directories.held("", actor=operator(world, ward.id, BuiltIn.RA_AGENT))
    assert [each.account.name for each in own] == [r"CORP\bob"]


def test_operators_of_an_organisation_do_not_reach_above_it(world: World) -> None:
    """An attack: of an agent, who sets no policies, and of a manager of a part of the tree."""
    olga = world.operator().identity
    ward, other = (world.organisations.add(name, olga) for name in ("Ward 7", "Ward 8"))
    agent, manager = (
        operator(world, ward.id, role) for role in (BuiltIn.RA_AGENT, BuiltIn.RA_MANAGER)
    )
    ada, _ = world.people.add_user("Ada", "", organisation_id=other.id, actor=OPERATOR)
    directories = world.account_directories
    directories.set(other.id, CORP, actor=OPERATOR)
    with pytest.raises(NotAllowed):
        directories.set(ward.id, WARD, actor=agent)
    for elsewhere in (ROOT, other.id):
        with pytest.raises(OrganisationNotFound):
            directories.set(elsewhere, WARD, actor=manager)
    with pytest.raises(OrganisationNotFound):
        directories.of_organisation(other.id, actor=manager)
    with pytest.raises(UserNotFound):
        directories.of_person(ada.id, actor=manager)
    with pytest.raises(OrganisationNotFound):
        directories.held(other.id, actor=manager)
    assert directories.set("", WARD, actor=manager)
    assert counts(world, ward.id) == Found(WARD, is_own=True)


def test_whoever_writes_the_database_sends_no_operator_elsewhere(world: World) -> None:
    """An attack: operators bind there with a password."""
    world.account_directories.set(ROOT, CORP, actor=OPERATOR)
    with world.database.write() as connection:
        connection.execute(update(account_directory).values(url="ldaps://thief.example"))
    with pytest.raises(RowNotAuthentic):
        counts(world, ROOT)
