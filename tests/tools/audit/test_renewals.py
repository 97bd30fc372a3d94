"""Renewals in the journal: each is by its identity itself. Each attack is a journal that the
keystore wrote anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.approval import statement
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.pki.building import ca
from cloud_keystore.pki.identities import certify
from cloudcard_tools.authenticator.approving import sign
from support.exports import (
    Export,
    approved,
    audited_world,
    detailed,
    edit,
    entry_at,
    evidenced,
    exported,
    findings,
    first,
    insert,
    place,
)
from support.keystore_world import Enrolled, World, csr

OTHERS = "the workstation was enrolled with another certificate"
UNASKED = "an identity got a certificate that it had not asked for"
UNSIGNED = "a renewal is not signed by the identity's key before"


@pytest.fixture(scope="module")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Enrolled]]:
    """A keystore where everybody was renewed, and signs before and after; and the workstation."""
    world = audited_world(tmp_path_factory.mktemp("world"))
    (user, phone), pc = world.user(), world.workstation()
    serial = world.card(user)
    world.perform(approved(world, serial, pc, phone), pc)
    waiting = approved(world, serial, pc, phone)
    world.renewed(pc)  # it was lost
    phone, pc = world.rekeyed(world.renewed(phone)), world.rekeyed(world.renewed(pc))
    world.perform(waiting, pc)
    world.perform(approved(world, serial, pc, phone), pc)
    auditor = world.enrol(world.people.add_auditor("Aude", actor=world.actor).text)
    world.rekeyed(world.renewed(auditor))
    world.take_in()
    yield world, pc
    world.database.close()


@pytest.fixture
def export(renewed: tuple[World, Enrolled]) -> Export:
    return exported(renewed[0])


def by_thief(entry: Entry, signer: ec.EllipticCurvePrivateKey, present: bytes) -> Entry:
    """The same renewal for another key, signed by a key for a certificate."""
    thief = ec.generate_private_key(ec.SECP256R1())
    request = csr(thief)
    issuer = ca("CA", thief, entry.time)
    certificate = certify(entry.actor.id, thief.public_key(), issuer, entry.time)
    return evidenced(
        entry,
        csr=request,
        signature=sign(signer, statement.renewal(present, request)),
        certificate=certificate.public_bytes(Encoding.DER),
    )


def last(export: Export, kind: Kind, who: str) -> int:
    """Where somebody's last entry of a kind is."""
    return max(
        at
        for at in range(place(export, kind) + 1)
        if hasattr(export[at], "entry")
        and (found := entry_at(export, at)).kind is kind
        and found.actor.id == who
    )


def test_what_happened_is_right(export: Export) -> None:
    assert findings(export) == []


def test_a_renewal_by_another_key(renewed: tuple[World, Enrolled], export: Export) -> None:
    """The keystore itself makes a key for the workstation's identity."""
    _, pc = renewed
    at = last(export, Kind.IDENTITY_RENEWED, pc.identity.id)
    present = pc.identity.former_certificate_sha256 or b""
    stranger = ec.generate_private_key(ec.SECP256R1())
    edit(export, at, lambda entry: by_thief(entry, stranger, present))
    assert findings(export)[0] == UNSIGNED


def test_a_renewal_for_another_key_that_nobody_has_signed(
    renewed: tuple[World, Enrolled], export: Export
) -> None:
    """The request alone proves the same key, and no other one."""
    _, pc = renewed
    at = last(export, Kind.IDENTITY_RENEWED, pc.identity.id)
    edit(export, at, lambda entry: evidenced(by_thief(entry, pc.private, b""), signature=b""))
    assert findings(export)[0] == UNSIGNED


def test_the_present_key_needs_its_request_alone(tmp_path: Path) -> None:
    """As in EST: the key has signed the request for itself."""
    world = audited_world(tmp_path)
    pc = world.workstation()
    certificate = world.renewing.renew_same(pc.identity, csr(pc.private))
    again = world.rekeyed(replace(pc, certificate=certificate))
    assert again.identity.public_key == pc.identity.public_key
    with pytest.raises(InvalidInput, match="another key"):
        world.renewing.renew_same(again.identity, csr(ec.generate_private_key(ec.SECP256R1())))
    world.take_in()
    assert findings(exported(world)) == []
    world.database.close()


def test_a_renewal_by_the_next_key(renewed: tuple[World, Enrolled], export: Export) -> None:
    """The key that it is for does not sign it, nor the certificate that it is for."""
    _, pc = renewed
    at = last(export, Kind.IDENTITY_RENEWED, pc.identity.id)
    present = pc.identity.certificate_sha256 or b""
    edit(export, at, lambda entry: by_thief(entry, pc.private, present))
    assert findings(export)[0] == UNSIGNED


def test_a_first_use_without_a_renewal(renewed: tuple[World, Enrolled], export: Export) -> None:
    _, pc = renewed
    del export[last(export, Kind.IDENTITY_RENEWED, pc.identity.id)]
    assert findings(export)[0] == UNASKED


def test_another_certificate_than_was_asked_for(
    renewed: tuple[World, Enrolled], export: Export
) -> None:
    _, pc = renewed
    at = last(export, Kind.IDENTITY_REKEYED, pc.identity.id)
    stranger = sha256(b"stranger").digest()
    edit(export, at, lambda entry: evidenced(entry, certificate_sha256=stranger))
    assert findings(export)[0] == UNASKED


def test_requests_with_a_certificate_that_was_never_used(
    renewed: tuple[World, Enrolled], export: Export
) -> None:
    """From its first use on, requests name the next certificate, and not before."""
    _, pc = renewed
    del export[last(export, Kind.IDENTITY_REKEYED, pc.identity.id)]
    assert OTHERS in findings(export)


@pytest.mark.parametrize("kind", [Kind.IDENTITY_RENEWED, Kind.IDENTITY_REKEYED])
def test_a_renewal_by_somebody_else(export: Export, kind: Kind) -> None:
    """An entry by the keystore, or about somebody else than it is by."""
    for change in (
        lambda entry: replace(entry, actor=KEYSTORE),
        lambda entry: detailed(
            replace(entry, workstation_id=None, device_id=None), identity="somebody else"
        ),
    ):
        other = list(export)
        edit(other, first(other, kind), change)
        assert findings(other)[0] == "an identity was renewed by somebody else"


def test_a_renewal_after_the_removal(renewed: tuple[World, Enrolled], export: Export) -> None:
    _, pc = renewed
    at = last(export, Kind.IDENTITY_RENEWED, pc.identity.id)
    entry = entry_at(export, at)
    gone = Entry(Kind.IDENTITY_REMOVED, entry.time, KEYSTORE, details={"identity": pc.identity.id})
    insert(export, at, gone)
    assert findings(export)[0] == "an identity was renewed that had been removed"


def test_a_certificate_for_another_name(renewed: tuple[World, Enrolled], export: Export) -> None:
    """The certificate that the keystore issued names somebody else."""
    _, pc = renewed
    at = last(export, Kind.IDENTITY_RENEWED, pc.identity.id)
    entry = entry_at(export, at)
    own = x509.load_der_x509_certificate(entry.evidence["certificate"])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(own.issuer)
        .public_key(own.public_key())
        .serial_number(1)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
    )
    other = builder.sign(pc.private, SHA256()).public_bytes(Encoding.DER)
    edit(export, at, lambda entry: evidenced(entry, certificate=other))
    assert findings(export)[0] == "the certificate is not the one that the identity has asked for"
