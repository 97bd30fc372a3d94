"""Shared devices at the pages: who is signed in, and how that ends (MIA-01)."""

from __future__ import annotations

from starlette.types import ASGIApp

from cloud_keystore.model.people import IdentityState, User
from cloud_keystore.model.rights.roles import BuiltIn
from support.keystore_world import OPERATOR, Enrolled, World
from support.seats import ALLOWED, tablet
from support.visitor import Visitor

PATH = "/ra/shared-devices"


def test_whoever_is_signed_in_is_shown_and_signed_out_and_a_device_removed(
    world: World, visitor: Visitor, ada: tuple[User, Enrolled]
) -> None:
    assert "There are no shared devices" in visitor.page(PATH)
    world.set_policy(ALLOWED)
    world.card(ada[0])
    ward = tablet(world, "Tablet <b>7")
    ward.taken_by(ada[1])
    own = f"{PATH}/{ward.own.identity.id}"
    shown = visitor.page(PATH)
    assert "Ada Byron" in shown
    assert f"{own}/sign-out" in shown
    assert "<b>7" not in shown
    assert "Sign out whoever is at" in visitor.page(f"{own}/sign-out")
    assert "Nobody is signed in there any more." in visitor.done(f"{own}/sign-out")
    assert "Ada Byron" not in visitor.page(PATH)
    assert world.seats.list_open(ada[1].identity) == []
    assert "nobody can sign in there again" in visitor.page(f"{own}/remove")
    assert visitor.post(f"{own}/remove", reason="").status == 422
    assert "It is removed." in visitor.done(f"{own}/remove", reason="lost")
    (listed,) = world.shared_devices.list_all(actor=OPERATOR)
    assert listed.device.state is IdentityState.REMOVED
    assert f"{own}/remove" not in visitor.page(PATH)


def test_others_see_and_end_nothing(world: World, application: ASGIApp) -> None:
    ward = tablet(world)
    other = world.organisations.add("St Elsewhere", world.operator().identity)
    token = world.people.add_operator("Theo", BuiltIn.RA_MANAGER, other.id, actor=OPERATOR)
    theirs = Visitor.of(world, application, world.enrol(token.text).identity)
    assert "Ward 7 tablet" not in theirs.page(PATH)
    own = f"{PATH}/{ward.own.identity.id}"
    assert theirs.get(f"{own}/remove").status == 404
    for act in ("sign-out", "remove"):
        assert theirs.post(f"{own}/{act}", reason="why").status == 404
    token = world.people.add_operator("Ida", BuiltIn.RA_AGENT, actor=OPERATOR)
    agent = Visitor.of(world, application, world.enrol(token.text).identity)
    assert f"{own}/remove" not in agent.page(PATH)
    assert agent.post(f"{own}/remove", reason="why").status == 403
    (listed,) = world.shared_devices.list_all(actor=OPERATOR)
    assert listed.device.state is IdentityState.ACTIVE
