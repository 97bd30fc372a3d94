"""Shared devices for the registration authority: pages of them, and one of them (MIA-01)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import update

from cloud_keystore.model.errors import IdentityNotFound, NotAllowed, RowNotAuthentic
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.people import User
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.storage import tables
from support.keystore_world import OPERATOR, Enrolled, World
from support.seats import ALLOWED, tablet


def test_one_is_found_with_whoever_is_signed_in(world: World, ada: tuple[User, Enrolled]) -> None:
    world.set_policy(ALLOWED)
    world.card(ada[0])
    ward = tablet(world)
    seat = ward.taken_by(ada[1])
    found = world.shared_devices.find(ward.own.identity.id, actor=OPERATOR)
    assert (found.device.id, found.holder) == (ward.own.identity.id, "Ada Byron")
    assert found.seat is not None
    assert found.seat.identity_id == seat.identity.id
    (listed,) = world.shared_devices.list_all(actor=OPERATOR)
    assert listed == found


def test_one_is_found_without_the_others(world: World) -> None:
    """Whatever has happened to their rows."""
    whole, damaged = tablet(world), tablet(world, "Ward 8 tablet")
    i = tables.identity
    with world.database.write() as connection:
        other = i.c.id == damaged.own.identity.id
        connection.execute(update(i).where(other).values(site="elsewhere"))
    assert world.shared_devices.find(whole.own.identity.id, actor=OPERATOR).holder == ""
    with pytest.raises(RowNotAuthentic):
        world.shared_devices.list_all(actor=OPERATOR)


def test_a_page_has_those_behind_the_one_before(world: World) -> None:
    made = [tablet(world, f"Tablet {number}").own.identity.id for number in range(5)]
    found: list[str] = []
    for size in (2, 2, 2):
        page = Page(size, found[-1] if found else "")
        found += [each.device.id for each in world.shared_devices.list_all(page, actor=OPERATOR)]
    assert found == sorted(made)
    everything = world.shared_devices.list_all(actor=OPERATOR)
    assert [each.device.id for each in everything] == sorted(made)


def test_nobody_finds_what_is_not_shown_or_no_shared_device(world: World, pc: Enrolled) -> None:
    own = world.organisations.add("St Elsewhere", world.operator().identity).id
    here, there = tablet(world), tablet(world, "Theirs", own)
    token = world.people.add_operator("Theo", BuiltIn.RA_MANAGER, own, actor=OPERATOR)
    theo = world.enrol(token.text).identity.actor
    assert world.shared_devices.find(there.own.identity.id, actor=theo).device.site == "Ward 7"
    for each in (here.own.identity.id, pc.identity.id, str(uuid4()), ""):
        with pytest.raises(IdentityNotFound):
            world.shared_devices.find(each, actor=theo)
    for page in (None, Page(5)):
        (listed,) = world.shared_devices.list_all(page, actor=theo)
        assert listed.device.id == there.own.identity.id
    token = world.people.add_auditor("Ida", own, actor=OPERATOR)
    reader = world.enrol(token.text).identity.actor
    with pytest.raises(NotAllowed):
        world.shared_devices.find(there.own.identity.id, actor=reader)
    with pytest.raises(NotAllowed):
        world.shared_devices.list_all(actor=reader)
