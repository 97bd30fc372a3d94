"""Holders at devices that several of them share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec

from cloud_keystore.approval import statement
from cloud_keystore.model.operations import Decision, State
from cloud_keystore.model.people import Role
from cloud_keystore.model.policies import Policy
from cloud_keystore.operations.seats import SeenSeat
from support.keystore_world import Enrolled, World, csr, secret_of

ALLOWED = Policy(shared_device_time=timedelta(hours=8))


@dataclass
class Tablet:
    """A shared device, and the key that it has made for whoever signs in next."""

    world: World
    own: Enrolled

    def code(self) -> tuple[SeenSeat, ec.EllipticCurvePrivateKey]:
        """The code on its screen, and the key for which it is."""
        private = ec.generate_private_key(ec.SECP256R1())
        return self.world.seats.begin(csr(private), self.own.identity), private

    def taken_by(self, phone: Enrolled) -> Enrolled:
        """The seat of a holder, who has scanned the code and said yes."""
        seen, private = self.code()
        assert decide(self.world, seen, phone) is State.APPROVED
        return self.seated(seen, private)

    def seated(self, seen: SeenSeat, private: ec.EllipticCurvePrivateKey) -> Enrolled:
        """The identity by which whoever is signed in decides."""
        found = self.world.seats.find(seen.id, self.own.identity)
        fingerprint = sha256(found.certificate).digest()
        identity = self.world.callers.identify(fingerprint, Role.SEAT)
        return Enrolled(identity, private, certificate=found.certificate)


def tablet(world: World, name: str = "Ward 7 tablet", organisation_id: str = "") -> Tablet:
    """A shared device that is enrolled."""
    _, token = world.shared_devices.add(name, "Ward 7", organisation_id, actor=world.actor)
    private = ec.generate_private_key(ec.SECP256R1())
    secret = secret_of(token.text)
    identity, der = world.enrolment.enrol_page(secret, csr(private), "ignored")
    return Tablet(world, Enrolled(identity, private, certificate=der))


def decide(
    world: World, seen: SeenSeat, phone: Enrolled, decision: Decision = Decision.APPROVE
) -> State:
    """Scan a code, and decide."""
    shown = world.seating.claim(seen.code, phone.identity)
    signature, assertion = phone.evidence(statement.statement(shown.payload, decision, ""))
    return world.seating.decide(seen.id, decision, signature, phone.identity, assertion)
