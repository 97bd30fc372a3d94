"""Cards feel what the authority that has certified them revokes: lists of openssl's (CIS-01)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from cloud_keystore.cards.external.external_lists import seconds_left, stale
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput, NotAllowed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.external import Outcome
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.storage import alerts
from cloud_keystore.storage.outbox.notifications import notification
from support.external_ca import ExternalCa, new_ca
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World
from support.outbox import Told

NAME = "trust"


@pytest.fixture
def ca(world: World, tmp_path: Path) -> ExternalCa:
    """The authority, which certifies all cards from now on."""
    # openssl knows the computer's time alone.
    world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
    made = new_ca(tmp_path / "ca")
    assert world.trusting.trust(NAME, made.certificate, actor=OPERATOR)
    assert world.trusting.choose("", "", NAME, actor=OPERATOR)
    return made


def issue(world: World, ca: ExternalCa, ada: tuple[User, Enrolled], *, active: bool = True) -> str:
    """A card of Ada's, certified by the authority."""
    serial = world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    made = [ca.certify(each.csr) for each in world.certifying.waiting(actor=OPERATOR)]
    assert world.certifying.install(made, actor=OPERATOR).done
    if active:
        world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    return serial


def bring(world: World, ca: ExternalCa, days: int = 1) -> None:
    """Bring the authority's next list, and do what follows each second."""
    world.clock.forward(seconds=1)
    assert world.external_lists.bring(NAME, ca.revocations(days), actor=OPERATOR).is_new
    world.woken.clear()
    world.woken.extend(world.heeding.look())


def certificates(world: World, serial: str) -> list[bytes]:
    return [key.certificate for key in world.keys(serial)]


def state(world: World, serial: str) -> CardState:
    return world.find(serial).card.state


def test_a_revoked_certificate_ends_its_card(world: World, ca: ExternalCa) -> None:
    """Its readers are woken, its holder is told, and the keys are gone."""
    ada = Told(world).enrolled()
    serial, other = issue(world, ca, ada), issue(world, ca, ada)
    bring(world, ca)
    assert state(world, serial) is state(world, other) is CardState.ACTIVE
    ca.revoke(certificates(world, serial)[1], "keyCompromise")
    bring(world, ca)
    assert state(world, serial) is CardState.REVOKED
    assert state(world, other) is CardState.ACTIVE
    assert ada[0].id in world.woken
    (entry,) = world.journal(Kind.CARD_REVOKED)
    assert entry.actor == KEYSTORE
    assert entry.details["code"] == "keyCompromise"
    assert NAME in str(entry.details["reason"])
    assert world.heeding.look() == set()
    with world.database.read() as connection:
        told = connection.execute(select(notification.c.template, notification.c.user_id)).all()
    assert told.count((Template.REVOKED, ada[0].id)) == 1
    taken = world.journal(Kind.EXTERNAL_LIST_TAKEN)
    assert [(each.details["old_number"], each.details["number"]) for each in taken] == [
        ("", "1000"),
        ("1000", "1001"),
    ]


def test_a_hold_suspends_until_it_is_off_the_list(
    world: World, ca: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    """No operator can put the card in use before, and it is suspended again by another hold."""
    serial = issue(world, ca, ada)
    for _ in range(2):
        for each in certificates(world, serial)[:2]:
            ca.revoke(each, "certificateHold")
        bring(world, ca)
        assert state(world, serial) is CardState.SUSPENDED
        with pytest.raises(IllegalCardChange, match="on hold"):
            world.cards.resume(serial, actor=OPERATOR)
        ca.release()
        bring(world, ca)
        assert state(world, serial) is CardState.ACTIVE
        assert ada[0].id in world.woken
    ca.revoke(certificates(world, serial)[0], "certificateHold")
    bring(world, ca)
    ca.release()
    ca.revoke(certificates(world, serial)[0], "superseded")
    bring(world, ca)
    assert state(world, serial) is CardState.REVOKED


def test_who_suspended_a_card_before_resumes_it(
    world: World, ca: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    """The end of a hold undoes nothing that an operator has done."""
    serial = issue(world, ca, ada)
    world.cards.suspend(serial, actor=OPERATOR)
    ca.revoke(certificates(world, serial)[0], "certificateHold")
    bring(world, ca)
    ca.release()
    bring(world, ca)
    assert state(world, serial) is CardState.SUSPENDED
    world.cards.resume(serial, actor=OPERATOR)
    assert state(world, serial) is CardState.ACTIVE


def test_a_card_that_is_not_in_use_yet_feels_a_hold_once_it_is(
    world: World, ca: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ca, ada, active=False)
    ca.revoke(certificates(world, serial)[0], "certificateHold")
    bring(world, ca)
    assert state(world, serial) is CardState.PENDING
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    assert ada[0].id in world.heeding.look()
    assert state(world, serial) is CardState.SUSPENDED


def test_what_is_revoked_before_it_comes_is_not_installed(
    world: World, ca: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    """Certificates that no card has are on the list too, and are none of ours."""
    world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR)
    made = [ca.certify(each.csr) for each in world.certifying.waiting(actor=OPERATOR)]
    ca.revoke(made[0])
    bring(world, ca)
    (first, *others) = world.certifying.install(made, dry_run=True, actor=OPERATOR).brought
    assert first.outcome is Outcome.REFUSED
    assert "revocation list" in first.reason
    assert {each.outcome for each in others} == {Outcome.KEPT}


def test_lists_only_get_newer(world: World, ca: ExternalCa) -> None:
    """The attack: somebody brings a list from before a certificate was revoked."""
    first, second = ca.revocations(), ca.revocations()
    world.clock.forward(seconds=2)
    assert world.external_lists.bring(NAME, second, actor=OPERATOR).is_new
    assert not world.external_lists.bring(NAME, second, actor=OPERATOR).is_new
    with pytest.raises(InvalidInput, match="older than the one that is held"):
        world.external_lists.bring(NAME, first, actor=OPERATOR)
    (ca.folder / "crlnumber").write_text("1001\n")
    ca.revoke(ca.certify(_csr()))
    with pytest.raises(InvalidInput, match="give a number twice"):
        world.external_lists.bring(NAME, ca.revocations(2), actor=OPERATOR)


def _csr() -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Somebody")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    return made.public_bytes(Encoding.DER)


def test_a_stale_list_raises_one_alert_and_cards_work_on(
    world: World, ca: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ca, ada)
    bring(world, ca)
    assert stale(world.database, world.clock()) == ()
    world.clock.forward(days=2)
    assert stale(world.database, world.clock()) == ("the revocation list of trust has ended",)
    for _ in range(2):
        world.heeding.look()
    with world.database.read() as connection:
        kinds = [each.kind for each in alerts.list_all(connection, include_acknowledged=False)]
    assert kinds.count(AlertKind.STALE_LIST) == 1
    assert state(world, serial) is CardState.ACTIVE
    (listing,) = world.external_lists.list_all(actor=OPERATOR).values()
    assert listing.is_stale
    assert seconds_left(world.database, world.clock())[NAME] < 0


def test_a_stale_list_stops_cards_where_that_was_chosen(
    world: World, ca: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    """They are in use again with the next list, or when the choice is taken back."""
    serial = issue(world, ca, ada)
    assert world.external_lists.use(NAME, "", stops=True, actor=OPERATOR)
    bring(world, ca)
    assert state(world, serial) is CardState.ACTIVE
    world.clock.forward(days=2)
    world.heeding.look()
    assert state(world, serial) is CardState.SUSPENDED
    assert world.external_lists.use(NAME, "", stops=False, actor=OPERATOR)
    world.heeding.look()
    assert state(world, serial) is CardState.ACTIVE
    world.external_lists.use(NAME, "", stops=True, actor=OPERATOR)
    world.heeding.look()
    assert state(world, serial) is CardState.SUSPENDED
    bring(world, ca, days=5)
    assert state(world, serial) is CardState.ACTIVE


def test_who_may_bring_lists(world: World, ca: ExternalCa) -> None:
    """An address is one of a host that the keystore may call."""
    token = world.people.add_operator("Ida", BuiltIn.RA_AGENT, ROOT, actor=OPERATOR).text
    agent = world.enrol(token).identity.actor
    with pytest.raises(NotAllowed):
        world.external_lists.bring(NAME, ca.revocations(), actor=agent)
    with pytest.raises(NotAllowed):
        world.external_lists.use(NAME, "", stops=True, actor=agent)
    for url in ("http://169.254.169.254/latest", "http://localhost:25/"):
        with pytest.raises(InvalidInput, match="have it started with --ca-host"):
            world.external_lists.use(NAME, url, stops=False, actor=OPERATOR)
    for url in ("https://a.example/x", "http://u@a.example/x", "file:///etc/passwd", "http://a b/"):
        with pytest.raises(InvalidInput, match="url is not where"):
            world.external_lists.use(NAME, url, stops=False, actor=OPERATOR)
