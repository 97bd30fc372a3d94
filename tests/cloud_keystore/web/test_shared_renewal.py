"""The next certificate of a device that several people share: for its own key, with nobody signed
in, and for nobody else (MIA-01).
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import IDENTITY_LIFETIME, User
from cloud_keystore.web.proofs import decoded, encoded
from support.keystore_world import Enrolled, World, csr, spki
from support.seats import ALLOWED, Tablet, tablet
from support.site import BrowserDevice, site

AT = "/authenticator/v1/shared"
TERMS, RENEWAL, LAUNCH = f"{AT}/terms", f"{AT}/renewal", f"{AT}/launch"


@pytest.fixture
def ward(world: World) -> Tablet:
    return tablet(world)


def browser(world: World, own: Enrolled) -> BrowserDevice:
    return BrowserDevice.of(site(world), own)


def is_due(device: BrowserDevice) -> object:
    return device.send("GET", TERMS).json["renewal_is_due"]


def renewed(device: BrowserDevice) -> BrowserDevice:
    """The device with its next certificate, which it has not used yet."""
    told = device.send("POST", RENEWAL, {"csr": encoded(csr(device.private))})
    assert told.status == 200
    certificate = decoded(str(told.json["certificate"]))
    return replace(device, certificate_sha256=sha256(certificate).digest())


def named(private: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A request for a certificate with a name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(private, SHA256()).public_bytes(Encoding.DER)


def none_renewed(world: World) -> bool:
    return world.journal(Kind.IDENTITY_RENEWED) == []


def test_the_own_key_gets_its_next_certificate_from_the_window_of_phones_on(
    world: World, ward: Tablet
) -> None:
    device = browser(world, ward.own)
    assert device.send("GET", TERMS).json["public_key"] == encoded(spki(ward.own.private))
    world.clock.forward(days=(IDENTITY_LIFETIME * 2 / 3).days)
    assert is_due(device) is False
    world.clock.forward(days=2)
    assert is_due(device) is True
    following = renewed(device)
    assert is_due(following) is False
    # The one before is good for a day, in which other tabs find the next one.
    assert device.send("POST", LAUNCH).status == 200
    world.clock.forward(days=1)
    assert device.send("POST", LAUNCH).kind == "identity-rejected"
    # It goes on where it would have had to be enrolled again.
    world.clock.forward(days=(IDENTITY_LIFETIME / 2).days)
    assert following.send("POST", LAUNCH).json["name"] == "Ward 7 tablet"
    asked, used = world.journal(Kind.IDENTITY_RENEWED, Kind.IDENTITY_REKEYED)
    assert asked.actor == used.actor == ward.own.identity.actor
    assert asked.details == {"identity": ward.own.identity.id, "role": "shared_device"}
    certificate = x509.load_der_x509_certificate(asked.evidence["certificate"])
    assert certificate.public_key() == ward.own.private.public_key()


def test_whoever_is_signed_in_stays(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, ward: Tablet
) -> None:
    world.set_policy(ALLOWED)
    serial = world.card(ada[0])
    seat = ward.taken_by(ada[1])
    following = renewed(browser(world, ward.own))
    assert is_due(following) is False
    assert world.decide(world.ask(serial, pc), seat) is State.APPROVED
    assert len(world.seats.list_open(ada[1].identity)) == 1


def test_a_removed_one_is_not_renewed(world: World, ward: Tablet) -> None:
    """Also one whose removal came between the proof and the renewal, or after the renewal."""
    device = browser(world, ward.own)
    following = renewed(device)
    operator = world.operator().identity
    world.shared_devices.remove(ward.own.identity.id, "lost", operator)
    asked = {"csr": encoded(csr(device.private))}
    for each in (device, following):
        assert each.send("POST", RENEWAL, asked).kind == "identity-rejected"
        assert each.send("GET", TERMS).kind == "identity-rejected"
    with pytest.raises(IdentityRejected, match="was removed"):
        world.renewing.renew_shared(ward.own.identity, csr(device.private))
    assert len(world.journal(Kind.IDENTITY_RENEWED)) == 1


def test_one_that_has_ended_is_enrolled_again(world: World, ward: Tablet) -> None:
    device = browser(world, ward.own)
    world.clock.forward(days=IDENTITY_LIFETIME.days + 1)
    told = device.send("POST", RENEWAL, {"csr": encoded(csr(device.private))})
    assert told.kind == "identity-rejected"
    assert none_renewed(world)


def test_another_ones_certificate_helps_nobody(world: World, ward: Tablet) -> None:
    """The attack: whoever has one device asks with the certificate of another one."""
    other = tablet(world, "Ward 8 tablet")
    device = browser(world, ward.own)
    stolen = sha256(other.own.certificate).digest()
    thief = replace(device, certificate_sha256=stolen)
    for key in (ward.own.private, other.own.private):
        told = thief.send("POST", RENEWAL, {"csr": encoded(csr(key))})
        assert (told.status, told.kind) == (401, "proof-rejected")
    assert none_renewed(world)


def test_another_key_or_name_is_not_certified(world: World, ward: Tablet) -> None:
    other = tablet(world, "Ward 8 tablet")
    device, own = browser(world, ward.own), csr(ward.own.private)
    for wrong in (
        csr(other.own.private),
        csr(ec.generate_private_key(ec.SECP256R1())),
        named(ward.own.private, other.own.identity.id),
        *(b"", own[:-1], own[:-1] + bytes([own[-1] ^ 1])),
    ):
        assert device.send("POST", RENEWAL, {"csr": encoded(wrong)}).status == 422
    assert none_renewed(world)


def test_neither_whoever_is_signed_in_nor_a_phone_asks_there(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    """The attack: a seat that lasts longer than its holder has approved."""
    world.set_policy(ALLOWED)
    world.card(ada[0])
    seat = ward.taken_by(ada[1])
    for each in (seat, ada[1]):
        asked = {"csr": encoded(csr(each.private))}
        assert browser(world, each).send("POST", RENEWAL, asked).kind == "identity-rejected"
        with pytest.raises(IdentityRejected):
            world.renewing.renew_shared(each.identity, csr(each.private))
    for path in ("renewal", "terms"):
        told = browser(world, ward.own).send(
            "POST" if path == "renewal" else "GET",
            f"/authenticator/v1/{path}",
            {"csr": encoded(csr(ward.own.private))} if path == "renewal" else None,
        )
        assert told.kind == "identity-rejected"
    assert none_renewed(world)
