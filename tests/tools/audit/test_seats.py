"""What happens at a shared device is checked by auditors without the keystore (MIA-01)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cloud_keystore.model.operations import State
from support.exports import audited_world, checked, exported
from support.keystore_world import DIGEST, csr
from support.seats import ALLOWED, Tablet, tablet


def test_decisions_at_a_shared_device_are_checked_by_the_key_of_the_seat(tmp_path: Path) -> None:
    world = audited_world(tmp_path)
    world.set_policy(ALLOWED)
    (ada, phone), pc = world.user(), world.workstation()
    serial, ward = world.card(ada), tablet(world)
    seat = ward.taken_by(phone)
    operation = world.ask(serial, pc)
    assert world.decide(operation, seat) is State.APPROVED
    assert world.perform(operation, pc, DIGEST)
    world.seats.sign_out(seat.identity)
    own = ward.own
    certificate = world.renewing.renew_shared(own.identity, csr(own.private))
    again = Tablet(world, world.rekeyed(replace(own, certificate=certificate)))
    later = world.ask(serial, pc)
    assert world.decide(later, again.taken_by(phone)) is State.APPROVED
    world.take_in()
    found = checked(exported(world))
    assert found.findings == []
    world.database.close()
