"""Renewal: an identity gets its next certificate by its present one, and nobody else does."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_keystore.approval import statement
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import (
    IdentityRejected,
    InvalidInput,
    LastOperator,
    RenewalRejected,
    SessionNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import EXPIRED, IDENTITY_LIFETIME, OVERLAP, Identity, Role
from cloud_keystore.people import callers
from cloud_keystore.people.renewing import take_next
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import rekeying
from cloudcard_tools.authenticator.approving import sign
from support.keystore_world import SESSIONS, Enrolled, World, csr, secret_of

ENROLLED: dict[Role, Callable[[World], Enrolled]] = {
    Role.WORKSTATION: lambda world: world.workstation(),
    Role.DEVICE: lambda world: world.user()[1],
    Role.OPERATOR: lambda world: world.operator(),
    Role.AUDITOR: lambda world: world.enrol(
        world.people.add_auditor("Aude", actor=world.actor).text
    ),
}


def known(world: World, own: Enrolled) -> Identity:
    """Who calls with a certificate."""
    return world.callers.identify(sha256(own.certificate).digest(), None)


def ask(
    world: World,
    own: Enrolled,
    by: ec.EllipticCurvePrivateKey | None = None,
    present: bytes | None = None,
) -> bytes:
    """Ask for the renewal of an identity, signed by a key for a certificate, by default its own."""
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    certificate = own.identity.certificate_sha256 or b"" if present is None else present
    signature = sign(by or own.private, statement.renewal(certificate, request))
    return world.renewing.renew(own.identity, request, signature)


class TestRenewal:
    """What every role can do."""

    @pytest.mark.parametrize("role", ENROLLED)
    def test_it_is_the_same_identity_with_another_key(self, world: World, role: Role) -> None:
        own = ENROLLED[role](world)
        world.clock.forward(days=500)
        renewed = world.renewed(own)
        issued = x509.load_der_x509_certificate(renewed.certificate)
        issued.verify_directly_issued_by(world.renewing.authorities.transport.certificate)
        assert issued.public_key() == renewed.private.public_key()
        assert issued.not_valid_after_utc == world.clock() + IDENTITY_LIFETIME
        found = known(world, renewed)
        assert (found.id, found.role, found.display_name) == (
            own.identity.id,
            role,
            own.identity.display_name,
        )
        assert found.expire_time == issued.not_valid_after_utc

    def test_the_present_certificate_is_good_until_the_next_was_used(self, world: World) -> None:
        own = world.workstation()
        renewed = world.renewed(own)
        world.clock.forward(days=3)
        assert known(world, own).id == own.identity.id
        known(world, renewed)
        world.clock.forward(hours=23)
        assert known(world, own).id == own.identity.id
        world.clock.now += OVERLAP
        with pytest.raises(IdentityRejected):
            known(world, own)
        assert known(world, renewed).id == own.identity.id

    def test_who_did_not_store_it_asks_again(self, world: World) -> None:
        """A client that ended between asking and storing is not locked out."""
        own = world.workstation()
        lost, kept = world.renewed(own), world.renewed(own)
        with pytest.raises(IdentityRejected):
            known(world, lost)
        assert known(world, kept).id == own.identity.id

    def test_two_first_uses_at_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another call took the next certificate between two looks of this one, which was refused
        although its certificate was good.
        """
        renewed = world.renewed(world.workstation())

        def second(database: Database, certificate_sha256: bytes, clock: Clock) -> Identity | None:
            world.rekeyed(renewed)
            return take_next(database, certificate_sha256, clock)

        monkeypatch.setattr(callers, "take_next", second)
        assert known(world, renewed).id == renewed.identity.id
        assert len(world.journal(Kind.IDENTITY_REKEYED)) == 1

    def test_the_journal_has_both_steps(self, world: World) -> None:
        own = world.workstation()
        renewed = world.renewed(own)
        for _ in range(2):
            known(world, renewed)
        asked, used = world.journal(Kind.IDENTITY_RENEWED, Kind.IDENTITY_REKEYED)
        assert asked.evidence["certificate"] == renewed.certificate
        assert used.evidence["certificate_sha256"] == sha256(renewed.certificate).digest()
        assert asked.actor == used.actor == own.identity.actor

    def test_a_token_of_before_gives_nothing(self, world: World) -> None:
        """Repeating the enrolment does not bring the former certificate back."""
        _, token = world.people.add_workstation("PC1", "", actor=world.actor)
        own = world.enrol(token.text)
        world.rekeyed(world.renewed(own))
        with pytest.raises(Exception, match="unknown, used or expired"):
            world.enrolment.enrol(secret_of(token.text), csr(own.private), "")


class TestAttacks:
    """Somebody else's attempts; none gets a certificate, and the owner's stay good."""

    def test_by_anothers_key(self, world: World) -> None:
        own, other = world.workstation(), world.workstation("PC2")
        with pytest.raises(RenewalRejected):
            ask(world, own, by=other.private)
        assert known(world, own) == own.identity

    def test_by_the_former_key(self, world: World) -> None:
        """Who has stolen a key that was renewed since cannot renew by it, in the overlap either."""
        own = world.workstation()
        world.rekeyed(world.renewed(own))
        thief = Enrolled(known(world, own), own.private, certificate=own.certificate)
        for present in (sha256(own.certificate).digest(), None):
            with pytest.raises(RenewalRejected):
                ask(world, thief, present=present)

    def test_by_the_request_of_another_renewal(self, world: World) -> None:
        own = world.workstation()
        request = csr(ec.generate_private_key(ec.SECP256R1()))
        signature = sign(own.private, statement.renewal(sha256(own.certificate).digest(), request))
        own = world.rekeyed(world.renewed(own))
        with pytest.raises(RenewalRejected):
            world.renewing.renew(own.identity, request, signature)

    def test_by_a_removed_identity(self, world: World) -> None:
        own, operator = world.workstation(), world.operator().identity
        renewed = world.renewed(own)
        world.identities.remove(Role.WORKSTATION, own.identity.id, "stolen", operator)
        with pytest.raises(IdentityRejected):
            ask(world, own)
        for certified in (own, renewed):
            with pytest.raises(IdentityRejected):
                known(world, certified)

    def test_by_connections_that_a_removed_identity_has_open(self, world: World) -> None:
        """A connection can be one of the former certificate, or of the next one before its first
        use; these stayed.
        """
        former, stays = world.workstation(), world.workstation("PC2")
        present = world.rekeyed(world.renewed(former))
        every = {
            sha256(each.certificate).digest() for each in (former, present, world.renewed(present))
        }
        callers = {*every, sha256(stays.certificate).digest(), bytes(32)}
        operator = world.operator().identity
        with world.database.read() as connection:
            assert not rekeying.removed_among(connection, callers)
        world.identities.remove(Role.WORKSTATION, present.identity.id, "stolen", operator)
        with world.database.read() as connection:
            assert rekeying.removed_among(connection, callers) == every

    def test_by_an_expired_identity(self, world: World) -> None:
        own = world.workstation()
        world.clock.now += IDENTITY_LIFETIME
        with pytest.raises(IdentityRejected, match="has ended"):
            known(world, own)
        with pytest.raises(IdentityRejected):
            ask(world, own)

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(days=60)])
    def test_by_the_next_certificate_of_an_expired_identity(
        self, world: World, late: timedelta
    ) -> None:
        """People were told that it has ended, and it came back to life by its first use."""
        own = world.operator()
        world.clock.forward(days=700)
        renewed = world.renewed(own)
        world.clock.now = (own.identity.expire_time or world.clock()) + late
        assert not world.people.has_operators()
        with pytest.raises(IdentityRejected, match="has ended"):
            known(world, renewed)
        assert not world.people.has_operators()
        assert not world.journal(Kind.IDENTITY_REKEYED)

    def test_by_the_former_certificate_after_its_end(self, world: World) -> None:
        """Its connection can have been made before that."""
        own = world.workstation()
        world.clock.now = (own.identity.expire_time or world.clock()) - OVERLAP / 2
        renewed = world.rekeyed(world.renewed(own))
        assert known(world, own).id == own.identity.id
        world.clock.now += OVERLAP / 2
        with pytest.raises(IdentityRejected):
            known(world, own)
        assert known(world, renewed).id == own.identity.id

    def test_twice_at_the_same_time(self, world: World) -> None:
        """Two calls with one reading of the identity: after one was used, the other is refused."""
        own = world.workstation()
        known(world, world.renewed(own))
        with pytest.raises(IdentityRejected, match="another certificate by now"):
            ask(world, own)

    def test_for_the_present_key(self, world: World) -> None:
        own = world.workstation()
        request = csr(own.private)
        signature = sign(own.private, statement.renewal(sha256(own.certificate).digest(), request))
        with pytest.raises(InvalidInput, match="make a new one"):
            world.renewing.renew(own.identity, request, signature)

    def test_for_a_key_that_nobody_has(self, world: World) -> None:
        """The request for a certificate is signed by the key that it is for."""
        own, theirs = world.workstation(), ec.generate_private_key(ec.SECP256R1())
        request = bytearray(csr(theirs))
        request[-1] ^= 1
        signature = sign(own.private, statement.renewal(b"", bytes(request)))
        with pytest.raises(InvalidInput, match="csr"):
            world.renewing.renew(own.identity, bytes(request), signature)

    def test_a_strangers_certificate(self, world: World) -> None:
        with pytest.raises(IdentityRejected):
            known(world, Enrolled(world.workstation().identity, None, certificate=b"stranger"))  # type: ignore[arg-type]


class TestWhatGoesOn:
    """Operations and sessions do not notice a renewal."""

    def test_a_request_of_before(self, world: World) -> None:
        (user, phone), pc = world.user(), world.workstation()
        serial = world.card(user)
        operation = world.ask(serial, pc)
        pc = world.rekeyed(world.renewed(pc))
        assert world.decide(operation, phone) is State.APPROVED
        assert world.perform(operation, pc)

    def test_an_approval_by_the_key_of_before(self, world: World) -> None:
        (user, phone), pc = world.user(), world.workstation()
        serial = world.card(user)
        operation = world.ask(serial, pc)
        world.decide(operation, phone)
        phone = world.rekeyed(world.renewed(phone))
        assert world.perform(operation, pc)
        assert world.decide(world.ask(serial, pc), phone) is State.APPROVED

    def test_the_next_key_of_a_device_approves_nothing(self, world: World) -> None:
        """Its approval key stays: who could renew a device cannot approve by that."""
        (user, phone), pc = world.user(), world.workstation()
        serial = world.card(user)
        renewed = world.rekeyed(world.renewed(phone))
        stolen = Enrolled(renewed.identity, renewed.private)
        with pytest.raises(Exception, match="not over this request"):
            world.decide(world.ask(serial, pc), stolen)

    def test_a_session_of_before(self, world: World) -> None:
        (user, phone), pc = world.user(), world.workstation()
        world.set_policy(SESSIONS)
        session = world.session(world.card(user), pc, phone)
        renewed = world.rekeyed(world.renewed(pc))
        assert world.use(session, renewed)
        assert world.use(session, pc)
        world.clock.now += OVERLAP
        with pytest.raises(Exception, match="session"):
            world.use(session, pc)

    def test_an_expired_workstation_uses_no_session(self, world: World) -> None:
        """Its connection can have been made before its certificate ended."""
        (user, phone), pc = world.user(), world.workstation()
        world.set_policy(SESSIONS)
        world.clock.now += IDENTITY_LIFETIME
        world.clock.forward(minutes=-1)
        phone = world.rekeyed(world.renewed(phone))
        session = world.session(world.card(user), pc, phone)
        world.clock.forward(minutes=2)
        with pytest.raises(SessionNotFound):
            world.use(session, pc)


class TestExpired:
    """An identity whose certificate has ended does not count."""

    def test_it_is_not_the_last_operator(self, world: World) -> None:
        ended = world.operator()
        world.clock.forward(days=400)
        own = world.operator().identity
        world.clock.forward(days=400)
        with pytest.raises(LastOperator):
            world.identities.remove(Role.OPERATOR, own.id, "leaves", own)
        listed = {
            each.id: each for each in world.identities.list_of(Role.OPERATOR, actor=world.actor)
        }
        assert listed[ended.identity.id].state_at(world.clock()) == EXPIRED
        assert world.people.has_operators()
        world.clock.forward(days=400)
        assert not world.people.has_operators()

    def test_its_device_is_not_counted(self, world: World) -> None:
        world.user()
        assert [each.device_count for each in world.people.list_users(actor=world.actor)] == [1]
        world.clock.now += IDENTITY_LIFETIME
        assert [each.device_count for each in world.people.list_users(actor=world.actor)] == [0]


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x82\xff\xff", bytes(5000)])
def test_junk_renews_nothing(world: World, junk: bytes) -> None:
    own = world.workstation()
    for request, signature in ((junk, os.urandom(70)), (csr(own.private), junk)):
        with pytest.raises((InvalidInput, RenewalRejected)):
            world.renewing.renew(own.identity, request, signature)
    assert not world.journal(Kind.IDENTITY_RENEWED)
