"""Cards whose keys another authority certifies (CIS-01)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import select

from card_os.piv.names import CERTIFICATE_OF_KEY
from cloud_keystore.cards.external.certifying import UNKNOWN, Import
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import CardNotInUse, NotAllowed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Stage, User
from cloud_keystore.model.pki.external import Outcome
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.pki import certificates, external
from cloud_keystore.storage import tables
from cloud_keystore.storage.revocation.certificates import certificate
from support.external_ca import ExternalCa, new_ca
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World


@pytest.fixture
def ca(tmp_path: Path) -> ExternalCa:
    return new_ca(tmp_path / "ca")


@pytest.fixture
def trusting(world: World, ca: ExternalCa) -> ExternalCa:
    """The authority, which certifies all cards from now on."""
    # openssl knows the computer's time alone.
    world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
    assert world.trusting.trust("trust", ca.certificate, actor=OPERATOR)
    assert world.trusting.choose("", "", "trust", actor=OPERATOR)
    return ca


def issue(world: World, user: User, profile: str = "p256") -> str:
    return world.issuing.issue(os.urandom(16), user.id, profile, actor=OPERATOR).card.serial


def certified(world: World, ca: ExternalCa) -> list[bytes]:
    """Certificates for all that waits."""
    return [ca.certify(each.csr) for each in world.certifying.waiting(actor=OPERATOR)]


def bring(world: World, certificates: Sequence[bytes], *between: bytes) -> Import:
    return world.certifying.install(certificates, between, actor=OPERATOR)


def test_a_card_is_complete_with_its_certificates(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ada[0])
    assert world.find(serial).card.state is CardState.ISSUING
    assert [each.key_ref for each in world.certifying.waiting(actor=OPERATOR)] == [
        *(0x9A, 0x9C, 0x9D, 0x9E)
    ]
    made = certified(world, trusting)
    first = bring(world, made[:1])
    assert [each.outcome for each in first.brought] == [Outcome.KEPT]
    assert world.find(serial).card.state is CardState.ISSUING
    with pytest.raises(CardNotInUse):
        world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    done = bring(world, made)
    outcomes = [each.outcome for each in done.brought]
    assert outcomes == [Outcome.THERE, *[Outcome.COMPLETED] * 3]
    assert world.find(serial).card.state is CardState.PENDING
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    image = world.image(serial)
    for key in world.keys(serial):
        assert key.certificate in made
        assert key.certificate in image.objects[CERTIFICATE_OF_KEY[key.key_ref]]
    ends = {x509.load_der_x509_certificate(each).not_valid_after_utc for each in made}
    assert world.find(serial).card.expire_time == min(ends)


@pytest.mark.usefixtures("trusting")
def test_a_choice_can_be_taken_back_and_made_again(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    for name, state in (("", CardState.PENDING), ("trust", CardState.ISSUING)):
        assert world.trusting.choose("", "", name, actor=OPERATOR)
        assert world.find(issue(world, ada[0])).card.state is state
        assert [each.authority for each in world.trusting.list_choices(actor=OPERATOR)] == [name]


@pytest.mark.parametrize("profile", ["v2", "p384", "sm-cs2"])
def test_requests_are_signed_by_the_keys_that_they_name(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled], profile: str
) -> None:
    """Proof of possession, also by keys that sign nothing else."""
    serial = issue(world, ada[0], profile)
    keys = {key.key_ref: key for key in world.keys(serial)}
    waiting = world.certifying.waiting(actor=OPERATOR)
    assert {each.key_ref for each in waiting} == set(keys) - {0x04}
    for each in waiting:
        request = x509.load_der_x509_csr(each.csr)
        assert request.is_signature_valid
        assert external.public_sha256(request) == sha256(keys[each.key_ref].public_key).digest()
        usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
        template = next(t for t in PROFILES[profile].keys if t.key_ref == each.key_ref)
        assert certificates.usages(usage) == template.certificate.key_usage
    bring(world, certified(world, trusting))
    assert world.find(serial).card.state is CardState.PENDING


def test_policies_can_be_critical(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    """As those of the NHS are: whoever relies on a card looks at them, and not the keystore."""
    serial = issue(world, ada[0])
    requests = world.certifying.waiting(actor=OPERATOR)
    assert bring(world, [trusting.certify(each.csr, extensions="policy") for each in requests]).done
    assert world.find(serial).card.state is CardState.PENDING


def test_intermediate_authorities_come_along(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    issue(world, ada[0])
    below = new_ca(tmp_path / "below", "below", trusting)
    made = certified(world, below)
    refused = bring(world, made)
    assert not refused.done
    assert {"no chain of valid" in each.reason for each in refused.brought} == {True}
    assert bring(world, made, below.certificate).done


def test_another_authority_of_the_same_name_is_none(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    """The attack: somebody certifies keys under the trusted name."""
    issue(world, ada[0])
    other = new_ca(tmp_path / "other", trusting.name)
    answer = bring(world, certified(world, other)[:1], other.certificate)
    assert "no chain of valid" in answer.brought[0].reason


def test_one_that_is_wrong_keeps_all_out(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ada[0])
    made = certified(world, trusting)
    done = bring(world, [*made, trusting.certificate])
    assert not done.done
    assert done.brought[-1].reason == UNKNOWN
    assert world.find(serial).card.state is CardState.ISSUING
    assert len(world.certifying.waiting(actor=OPERATOR)) == 4
    dry = world.certifying.install(made, dry_run=True, actor=OPERATOR)
    assert not dry.done
    assert {each.outcome for each in dry.brought} == {Outcome.COMPLETED}
    assert len(world.certifying.waiting(actor=OPERATOR)) == 4


PAST = ("-startdate", "200101000000Z", "-enddate", "210101000000Z")
FUTURE = ("-startdate", "20900101000000Z", "-enddate", "20910101000000Z")
WRONG: Mapping[str, tuple[Callable[[ExternalCa, bytes], bytes], str]] = {
    "an authority": (lambda ca, csr: ca.certify(csr, extensions="authority"), "of an authority"),
    "without usage": (lambda ca, csr: ca.certify(csr, copy=False), "lacks the key usage"),
    "over": (lambda ca, csr: ca.certify(csr, *PAST), "ended on 2021-01-01"),
    "not yet": (lambda ca, csr: ca.certify(csr, *FUTURE), "not valid before 2090"),
    "with what nobody knows": (
        lambda ca, csr: ca.certify(csr, extensions="unknown"),
        "no chain of valid",
    ),
    "nonsense": (lambda _, csr: csr, "not one of X.509"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_certificates_are_refused_with_a_reason(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled], what: str
) -> None:
    serial = issue(world, ada[0])
    make, reason = WRONG[what]
    csr = world.certifying.waiting(actor=OPERATOR)[0].csr
    done = bring(world, [make(trusting, csr)])
    assert not done.done
    (refused,) = done.brought
    assert refused.outcome is Outcome.REFUSED
    assert reason in refused.reason
    assert refused.fix
    assert world.find(serial).card.state is CardState.ISSUING


def test_a_key_gets_one_certificate_and_a_number_one_key(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    issue(world, ada[0])
    first, second = (each.csr for each in world.certifying.waiting(actor=OPERATOR)[:2])
    one, another = trusting.certify(first), trusting.certify(first)
    assert "is for this key" in bring(world, [one, another]).brought[1].reason
    assert bring(world, [one]).done
    assert "another certificate" in bring(world, [another]).brought[0].reason
    number = x509.load_der_x509_certificate(one).serial_number
    same = trusting.certify(second, number=number)
    assert "serial number" in bring(world, [same]).brought[0].reason


def test_a_subject_of_the_authority_is_recorded(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    issue(world, ada[0])
    csr = world.certifying.waiting(actor=OPERATOR)[0].csr
    (kept,) = bring(world, [trusting.certify(csr, "-subj", "/CN=Ada of the directory")]).brought
    assert kept.subject == "CN=Ada of the directory"
    (told,) = world.journal(Kind.CERTIFICATE_RECEIVED)
    assert told.details["subject"] == "CN=Ada of the directory"
    assert told.details["authority"] == "trust"


def test_a_card_whose_issue_is_cancelled_has_no_keys(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ada[0])
    made = certified(world, trusting)
    world.cards.revoke(serial, "not needed", actor=OPERATOR)
    assert world.certifying.waiting(actor=OPERATOR) == []
    assert "revoked" in bring(world, made[:1]).brought[0].reason
    with world.database.read() as connection:
        kept = connection.execute(select(tables.key.c.sealed_private)).scalars().all()
    assert set(kept) == {None}


def test_lists_of_the_keystore_leave_others_certificates_out(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ada[0])
    bring(world, certified(world, trusting))
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    world.cards.suspend(serial, actor=OPERATOR)
    world.cards.revoke(serial, "left", actor=OPERATOR)
    with world.database.read() as connection:
        assert connection.execute(select(certificate)).all() == []
    issuer = world.certifying.issuer(serial, actor=OPERATOR)
    assert (issuer.name, issuer.certificate) == ("trust", trusting.certificate)


def test_such_a_card_is_replaced(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ada[0])
    bring(world, certified(world, trusting))
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    after = world.replacing.replace(serial, "damaged", actor=OPERATOR).card
    assert after is not None
    assert after.card.state is CardState.ISSUING
    assert world.find(serial).card.state is CardState.ACTIVE


def test_people_wait_for_it_until_it_is_complete(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    issue(world, ada[0])
    (waits,) = world.reports.pending(actor=OPERATOR)
    assert waits.progress.stage is Stage.CARD_INCOMPLETE
    bring(world, certified(world, trusting))
    (waits,) = world.reports.pending(actor=OPERATOR)
    assert waits.progress.stage is Stage.NO_PASSCODE


def test_who_sees_no_card_brings_none(
    world: World, trusting: ExternalCa, ada: tuple[User, Enrolled]
) -> None:
    """The attack: an operator of another organisation learns by trying which keys there are."""
    issue(world, ada[0])
    made = certified(world, trusting)[:1]
    ward = world.organisations.add("Ward", world.operator().identity).id
    agent, looking = (
        world.enrol(world.people.add_operator("Ida", role, place, actor=OPERATOR).text).identity
        for role, place in ((BuiltIn.RA_AGENT, ward), (BuiltIn.SUPPORT, ROOT))
    )
    assert world.certifying.waiting(actor=agent.actor) == []
    answer = world.certifying.install(made, actor=agent.actor)
    assert answer.brought[0].reason == UNKNOWN
    assert len(world.certifying.waiting(actor=looking.actor)) == 4
    with pytest.raises(NotAllowed):
        world.certifying.install(made, actor=looking.actor)
