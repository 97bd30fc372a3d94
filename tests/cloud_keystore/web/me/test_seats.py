"""Holders see at the portal where they are signed in, and end it there (MIA-01)."""

from __future__ import annotations

from datetime import timedelta

from cloud_keystore.model.policies import Policy
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import Portal
from support.seats import tablet
from support.site import site


def test_a_seat_is_shown_and_ended(world: World) -> None:
    policy = Policy(portal_passwords=True, shared_device_time=timedelta(hours=8))
    portal = Portal.open(Told(world), policy)
    world.card(portal.user)
    guest = Guest.of(portal, site(world))
    tablet(world).taken_by(portal.phone)
    shown = guest.text("/me/sessions")
    assert "Signed in at Ward 7 tablet" in shown
    assert "nothing uses it" not in shown
    (seat,) = world.seats.list_open(portal.phone.identity)
    assert guest.post(f"/me/seats/{seat.seat.id}/end").status == 303
    assert world.seats.list_open(portal.phone.identity) == []
    assert "Ward 7 tablet" not in guest.text("/me/sessions")
