"""Certificates of cards' keys: what they say, as other software reads them."""

from __future__ import annotations

import subprocess
import unicodedata
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from cloud_keystore.model.cards import Key
from cloud_keystore.model.certificates import SIGNATURE_POLICY, Published
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import User
from cloud_keystore.pki.certificates import cut
from support.keystore_world import OPERATOR, Enrolled, FakeClock, World

UPN, SID = "ada@corp.example", "S-1-5-21-1004336348-1177238915-682003330-512"
NOW = str(int(FakeClock().now.timestamp()))
USAGES = {
    0x9A: "Digital Signature",
    0x9C: "Digital Signature, Non Repudiation",
    0x9D: "Key Agreement",
    0x9E: "Digital Signature",
}


def keys_of(world: World, serial: str) -> dict[int, Key]:
    return {key.key_ref: key for key in world.keys(serial)}


def certificate_of(world: World, serial: str, key_ref: int) -> x509.Certificate:
    return x509.load_der_x509_certificate(keys_of(world, serial)[key_ref].certificate)


def openssl_text(certificate: x509.Certificate, folder: Path) -> str:
    """What OpenSSL prints of a certificate, blanks squeezed."""
    file = folder / "certificate.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "x509", "-in", str(file), "-noout", "-text"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


def openssl_verify(world: World, certificate: x509.Certificate, folder: Path) -> str:
    ca, file = folder / "ca.pem", folder / "certificate.pem"
    ca.write_bytes(world.authorities().cards.certificate.public_bytes(Encoding.PEM))
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-attime", NOW, "-CAfile", str(ca), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("profile", ["v1", "v2", "p256", "p384", "rsa3072"])
def test_openssl_verifies_every_certificate(
    world: World, ada: tuple[User, Enrolled], profile: str, tmp_path: Path
) -> None:
    serial = world.card(ada[0], profile)
    for key_ref in keys_of(world, serial):
        certificate = certificate_of(world, serial, key_ref)
        assert openssl_verify(world, certificate, tmp_path).endswith("OK\n")


def test_what_every_certificate_says(
    world: World, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    serial = world.card(ada[0], "p256")
    for key_ref, usage in USAGES.items():
        certificate = certificate_of(world, serial, key_ref)
        said = openssl_text(certificate, tmp_path)
        assert f"X509v3 Key Usage: critical {usage} " in said
        assert "X509v3 Basic Constraints: critical CA:FALSE" in said
        assert "X509v3 Subject Key Identifier" in said
        assert "X509v3 Authority Key Identifier" in said
        assert "CRL Distribution Points" not in said
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert name.value == (f"Card {serial}" if key_ref == 0x9E else "Ada Byron")
        (number,) = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
        assert number.value == serial


@pytest.mark.parametrize(
    ("profile", "usage"), [("v2", "Key Encipherment"), ("p256", "Key Agreement")]
)
def test_the_key_management_key_has_one_use(
    world: World, ada: tuple[User, Enrolled], profile: str, usage: str, tmp_path: Path
) -> None:
    said = openssl_text(certificate_of(world, world.card(ada[0], profile), 0x9D), tmp_path)
    assert f"X509v3 Key Usage: critical {usage} X509v3" in said


@pytest.mark.parametrize("key_ref", [0x9A, 0x9E])
def test_keys_that_authenticate_name_the_card(
    world: World, ada: tuple[User, Enrolled], key_ref: int
) -> None:
    serial = world.card(ada[0], "v2")
    names = certificate_of(world, serial, key_ref).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    urn = UUID(bytes=world.find(serial).card.guid).urn
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [urn]


def test_every_certificate_has_a_policy_of_its_purpose(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    serial = world.card(ada[0], "p256")
    found = {
        key_ref: certificate_of(world, serial, key_ref)
        .extensions.get_extension_for_class(x509.CertificatePolicies)
        .value[0]
        .policy_identifier.dotted_string
        for key_ref in USAGES
    }
    assert len(set(found.values())) == len(USAGES)


def test_client_authentication(world: World, ada: tuple[User, Enrolled], tmp_path: Path) -> None:
    said = openssl_text(certificate_of(world, world.card(ada[0]), 0x9A), tmp_path)
    assert "X509v3 Extended Key Usage: TLS Web Client Authentication X509v3" in said
    assert "Smartcard" not in said


def windows_user(world: World, sid: str = SID) -> str:
    """A card of a holder with an account in Windows' directory."""
    user, _ = world.user("Ada Byron", UPN, sid)
    return world.card(user, "v2")


@pytest.mark.parametrize("crl_url", ["", "http://crl.example/cards.crl"])
def test_where_the_keystore_itself_can_be_asked(world: World, tmp_path: Path, crl_url: str) -> None:
    """By the key identifier of the authority; a list that is published elsewhere is there."""
    published = Published(crl_url, status_url="http://pki.example")
    world.issuing = replace(world.issuing, published=published)
    serial = world.card(world.user()[0])
    said = openssl_text(certificate_of(world, serial, 0x9A), tmp_path)
    name = world.authorities().cards.key_id.hex()
    assert f"URI:{crl_url or f'http://pki.example/crl/{name}.crl'} " in said
    assert "OCSP - URI:http://pki.example/ocsp " in said
    assert f"CA Issuers - URI:http://pki.example/ca/{name}.cer " in said


def test_a_certificate_that_can_be_checked_nowhere(world: World) -> None:
    certificate = certificate_of(world, world.card(world.user()[0]), 0x9A)
    named = {each.oid for each in certificate.extensions}
    assert ExtensionOID.CRL_DISTRIBUTION_POINTS not in named
    assert ExtensionOID.AUTHORITY_INFORMATION_ACCESS not in named


def test_logon_to_windows(world: World, tmp_path: Path) -> None:
    world.issuing = replace(
        world.issuing,
        published=Published("http://crl.example/cards.crl", "http://ca.example/cards.crt"),
    )
    serial = windows_user(world)
    certificate = certificate_of(world, serial, 0x9A)
    said = openssl_text(certificate, tmp_path)
    assert "Microsoft Smartcard Login, TLS Web Client Authentication" in said
    assert f"othername: UPN::{UPN}" in said or f"othername: UPN:{UPN}" in said
    assert "URI:http://crl.example/cards.crl" in said
    assert "CA Issuers - URI:http://ca.example/cards.crt" in said
    assert openssl_verify(world, certificate, tmp_path).endswith("OK\n")

    read = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER), strict=True)
    extensions = {each["extn_id"].dotted: each for each in read["tbs_certificate"]["extensions"]}
    name, _ = extensions["2.5.29.17"]["extn_value"].parsed
    assert name.chosen["type_id"].native == "1.3.6.1.4.1.311.20.2.3"
    value = name.chosen["value"].parsed
    assert isinstance(value, core.UTF8String)
    assert value.native == UPN

    usages = extensions["2.5.29.37"]["extn_value"].parsed
    assert [each.dotted for each in usages] == ["1.3.6.1.4.1.311.20.2.2", "1.3.6.1.5.5.7.3.2"]

    account = extensions["1.3.6.1.4.1.311.25.2"]
    assert not account["critical"].native
    (other,) = asn1_x509.GeneralNames.load(account["extn_value"].contents, strict=True)
    assert other.chosen["type_id"].native == "1.3.6.1.4.1.311.25.2.1"
    sid = other.chosen["value"].parsed
    assert isinstance(sid, core.OctetString)
    assert sid.native == SID.encode()

    for key_ref in (0x9C, 0x9D, 0x9E):  # the account is that of one key alone
        der = keys_of(world, serial)[key_ref].certificate
        assert UPN.encode() not in der
        assert SID.encode() not in der


def test_the_extension_byte_for_byte(world: World) -> None:
    # MS-WCCE 2.2.2.7.7.4: SEQUENCE { [0] { OID, [0] OCTET STRING } }
    certificate = certificate_of(world, windows_user(world), 0x9A)
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.311.25.2")
    extension = certificate.extensions.get_extension_for_oid(oid).value
    assert isinstance(extension, x509.UnrecognizedExtension)
    octets = bytes((0x04, len(SID))) + SID.encode()
    inner = bytes.fromhex("060a2b060104018237190201") + bytes((0xA0, len(octets))) + octets
    tagged = bytes((0xA0, len(inner))) + inner
    assert extension.value == bytes((0x30, len(tagged))) + tagged


def test_an_account_without_a_sid(world: World, tmp_path: Path) -> None:
    said = openssl_text(certificate_of(world, windows_user(world, ""), 0x9A), tmp_path)
    assert "Microsoft Smartcard Login" in said
    assert "1.3.6.1.4.1.311.25.2" not in said


def test_advanced_electronic_signatures(
    world: World, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    serial = world.card(ada[0], "v2")
    certificate = certificate_of(world, serial, 0x9C)
    said = openssl_text(certificate, tmp_path)
    assert "X509v3 Key Usage: critical Non Repudiation X509v3" in said
    assert f"X509v3 Certificate Policies: critical Policy: {SIGNATURE_POLICY}" in said
    assert "Extended Key Usage" not in said
    assert openssl_verify(world, certificate, tmp_path).endswith("OK\n")
    period = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
    card = world.find(serial).card
    assert period.not_before is not None
    assert period.not_after is not None
    share = (period.not_after - period.not_before) / timedelta(days=730)
    assert share == pytest.approx(0.7, abs=0.001)
    assert period.not_after.replace(tzinfo=None) < card.expire_time.replace(tzinfo=None)


def test_the_card_is_authenticated_without_a_name(
    world: World, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    serial = world.card(ada[0], "v2")
    certificate = certificate_of(world, serial, 0x9E)
    said = openssl_text(certificate, tmp_path)
    guid = UUID(bytes=world.find(serial).card.guid)
    assert f"URI:urn:uuid:{guid}" in said
    assert "X509v3 Extended Key Usage: critical 2.16.840.1.101.3.6.8" in said
    assert "Ada" not in said


def test_expiry_is_that_of_the_card(world: World, ada: tuple[User, Enrolled]) -> None:
    world.clock.forward(microseconds=999_999)
    serial = world.card(ada[0], "p256")
    expires = world.find(serial).card.expire_time
    for key_ref in keys_of(world, serial):
        assert certificate_of(world, serial, key_ref).not_valid_after_utc == expires


# Letters with and without marks, some joined, so that cuts fall everywhere
letters = st.sampled_from(["a", "é", "e\u0301", "o\u0302\u0323", "Æ", "👩\u200d⚕\ufe0f", "ん", " "])
names = st.one_of(
    st.lists(letters, min_size=1, max_size=80).map("".join),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=256),
)


@given(name=names)
@example("e\u0301" * 40)
@example("a" * 63 + "e\u0301")
@example("a" * 64 + "\u0301")
@example("a" + "\u0301" * 100)
@example("👩\u200d⚕\ufe0f" * 20)
def test_a_long_name_is_cut_between_letters(name: str) -> None:
    """BUG-01: of 1 to 256 characters, in any script."""
    short = cut(name)
    assert name.startswith(short)
    assert len(short.encode()) <= 64
    assert short == name.rstrip() or len(name.encode()) > 64
    assert short or not name[:1].strip()
    rest = name[len(short) :]
    if rest.strip() and not only_marks(name):
        assert not unicodedata.category(rest[0]).startswith("M")
        assert "\u200d" not in (short[-1:], rest[0])


def only_marks(name: str) -> bool:
    """Whether the first letter has more marks than a certificate has room for."""
    start = name.encode()[:64].decode(errors="ignore")
    return all(
        unicodedata.category(each).startswith("M") or "\u200d" in (each, before)
        for before, each in zip(start, name[1 : len(start) + 1], strict=False)
    )


def test_a_holder_with_a_long_name_gets_a_card(world: World) -> None:
    user, _ = world.user("Æthelþryð " * 20)
    (name,) = certificate_of(world, world.card(user), 0x9A).subject.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    assert name.value == " ".join(["Æthelþryð"] * 5)  # 64 bytes


@pytest.mark.parametrize(
    ("upn", "sid", "said"),
    [
        ("ada", "", "such as ada@corp.example"),
        ("@corp.example", "", "user principal name"),
        ("ada@", "", "user principal name"),
        ("ada@corp@example", "", "user principal name"),
        ("ada b@corp.example", "", "user principal name"),
        ("ada\n@corp.example", "", "a control character"),
        ("a" * 250 + "@corp.example", "", "at most 254"),
        (UPN, "S-1", "objectSid"),
        (UPN, "S-1-5", "objectSid"),
        (UPN, "S-2-5-21", "objectSid"),
        (UPN, "s-1-5-21-1", "objectSid"),
        (UPN, "S-1-5-21-4294967296", "objectSid"),
        (UPN, "S-1-5-٢١-1", "objectSid"),
        (UPN, "S-1-5-21-1\n2", "objectSid"),
        (UPN, "S-1-5" + "-1" * 16, "objectSid"),
        ("", SID, "user principal name too"),
    ],
)
def test_accounts_that_are_none(world: World, upn: str, sid: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        world.people.add_user("Ada", "", upn, sid, actor=OPERATOR)
    assert world.people.list_users(actor=world.actor) == []


@pytest.mark.parametrize(
    ("upn", "sid"),
    [(UPN, SID), ("  ada@corp ", " S-1-5-32-544 "), ("zoë@corp.example", ""), ("", "")],
)
def test_accounts_that_are_taken(world: World, upn: str, sid: str) -> None:
    user, _ = world.people.add_user("Ada", "", upn, sid, actor=OPERATOR)
    assert (user.upn, user.sid) == (upn.strip(), sid.strip())
    assert world.people.list_users(actor=world.actor)[0].user == user
