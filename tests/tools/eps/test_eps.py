"""Signatures of prescriptions: bytes as xmllint, xmlsec1 and OpenSSL have them, and which count."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509 import ReasonFlags
from cryptography.x509.oid import NameOID
from lxml import etree

from cloudcard_tools.eps import batches, checking, fragments, signatures
from cloudcard_tools.eps.batches import MOST
from cloudcard_tools.eps.canonical import Unreadable
from cloudcard_tools.eps.checking import Invalid, Trust
from cloudcard_tools.eps.signatures import ALGORITHMS, DSIG, EXCLUSIVE, Algorithm
from support.authority import key_usage

SAMPLES = Path(__file__).parents[2] / "samples"
MESSAGE = (SAMPLES / "prescription.xml").read_bytes()
# What is signed of it, taken out by hand; not canonical.
PARTS = SAMPLES / "fragments.xml"
SIGNED_AT = datetime(2026, 11, 29, 21, 30, tzinfo=UTC)
NOW = SIGNED_AT + timedelta(days=30)
ROOT, SIGNER_CA, SIGNER = (rsa.generate_private_key(65537, 2048) for _ in range(3))
BOTH = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=list(ALGORITHMS))
# What xmlsec1 signs, where an address can be named: it canonicalises and digests the file.
TEMPLATE = """<Signature xmlns="{dsig}"><SignedInfo>\
<CanonicalizationMethod Algorithm="{exclusive}"/><SignatureMethod Algorithm="{method}"/>\
<Reference URI="file://{path}"><Transforms><Transform Algorithm="{exclusive}"/></Transforms>\
<DigestMethod Algorithm="{digest}"/><DigestValue/></Reference></SignedInfo>\
<SignatureValue/></Signature>"""


def run(*command: str | Path, stdin: bytes = b"") -> bytes:
    ended = subprocess.run(list(map(str, command)), input=stdin, capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def test_fragments_are_those_of_xmllint() -> None:
    """Byte for byte."""
    found = fragments.of_prescription(MESSAGE)
    assert found.content == run("xmllint", "--exc-c14n", PARTS)
    assert found.time == SIGNED_AT


@BOTH
def test_digests_are_those_of_xmlsec1(tmp_path: Path, algorithm: Algorithm) -> None:
    """It canonicalises the fragments by itself, and digests them."""
    key, template = tmp_path / "key.pem", tmp_path / "template.xml"
    key.write_bytes(SIGNER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    named = {"dsig": DSIG, "exclusive": EXCLUSIVE, "path": PARTS}
    template.write_text(
        TEMPLATE.format(method=algorithm.method, digest=algorithm.digest_method, **named)
    )
    made = run("xmlsec1", "--sign", "--privkey-pem", key, template)
    [digest] = re.findall(rb"<DigestValue>(.*?)</DigestValue>", made)
    signed = signatures.signed_info(fragments.of_prescription(MESSAGE).content, algorithm)
    assert b"<DigestValue>" + digest + b"</DigestValue>" in signed


@BOTH
def test_what_is_signed_is_canonical_and_openssl_verifies_it(
    tmp_path: Path, algorithm: Algorithm
) -> None:
    """As the signature of a message has it, whose namespace is that of the whole."""
    town = Town(algorithm)
    root = etree.fromstring(town.signature)
    (tmp_path / "signed.xml").write_bytes(etree.tostring(root.find(f"{{{DSIG}}}SignedInfo")))
    content = run("xmllint", "--exc-c14n", tmp_path / "signed.xml")
    assert content == town.signed
    (tmp_path / "value").write_bytes(base64.b64decode(root.findtext(f"{{{DSIG}}}SignatureValue")))
    (tmp_path / "key.pem").write_bytes(
        SIGNER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    verify = ("openssl", "dgst", f"-{algorithm.digest}", "-verify", tmp_path / "key.pem")
    assert b"OK" in run(*verify, "-signature", tmp_path / "value", stdin=content)


@dataclass
class Town:
    """A root, an authority below it, and somebody who signs."""

    algorithm: Algorithm = ALGORITHMS["RS256"]
    usage: str = "content_commitment"
    extensions: Sequence[x509.ExtensionType] = ()
    life: tuple[datetime, datetime] = (SIGNED_AT - timedelta(days=9), NOW + timedelta(days=9))
    revoked: ReasonFlags | None = None
    authority_revoked: ReasonFlags | None = None
    since: datetime = SIGNED_AT + timedelta(days=1)
    list_ends: datetime = NOW + timedelta(days=1)
    message: bytes = MESSAGE
    trust: Trust = field(init=False)

    def __post_init__(self) -> None:
        of_authority = [x509.BasicConstraints(ca=True, path_length=None), key_usage("crl_sign")]
        root = self.certify("root", "root", ROOT, ROOT, of_authority)
        authority = self.certify("signing", "root", SIGNER_CA, ROOT, of_authority)
        own = [key_usage(self.usage), *self.extensions]
        self.certificate = self.certify("Ada", "signing", SIGNER, SIGNER_CA, own)
        lists = [
            self.list_of("root", ROOT, authority, self.authority_revoked),
            self.list_of("signing", SIGNER_CA, self.certificate, self.revoked),
        ]
        self.trust = Trust([root, authority], lists)
        content = fragments.of_prescription(self.message).content
        self.signed = signatures.signed_info(content, self.algorithm)
        value = SIGNER.sign(self.signed, PKCS1v15(), self.algorithm.hash)
        self.signature = signatures.written(self.signed, value, self.certificate)

    def certify(
        self,
        name: str,
        issuer: str,
        key: rsa.RSAPrivateKey,
        issuer_key: rsa.RSAPrivateKey,
        extensions: Sequence[x509.ExtensionType],
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(named(issuer), named(name), key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(self.life[0]).not_valid_after(self.life[1])
        for each in extensions:
            builder = builder.add_extension(each, critical=True)
        return builder.sign(issuer_key, SHA256())

    def list_of(
        self,
        name: str,
        key: rsa.RSAPrivateKey,
        certificate: x509.Certificate,
        reason: ReasonFlags | None,
    ) -> x509.CertificateRevocationList:
        builder = x509.CertificateRevocationListBuilder(
            named(name), NOW - timedelta(days=3), self.list_ends
        )
        if reason is not None:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, self.since)
            if reason is not ReasonFlags.unspecified:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(key, SHA256())

    def check(self, message: bytes | None = None) -> x509.Certificate:
        return checking.check(message or self.message, self.signature, self.trust, NOW)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@BOTH
def test_a_signature_counts(algorithm: Algorithm) -> None:
    town = Town(algorithm)
    assert town.check() == town.certificate


VOIDING = (ReasonFlags.key_compromise, ReasonFlags.ca_compromise, ReasonFlags.aa_compromise)
ENDING = (
    *(ReasonFlags.unspecified, ReasonFlags.affiliation_changed, ReasonFlags.superseded),
    *(ReasonFlags.cessation_of_operation, ReasonFlags.certificate_hold),
    ReasonFlags.privilege_withdrawn,
)


@pytest.mark.parametrize("after", [-1, 0, 1])
@pytest.mark.parametrize("whose", ["revoked", "authority_revoked"])
@pytest.mark.parametrize("reason", [*VOIDING, *ENDING, ReasonFlags.remove_from_crl])
def test_a_revocation_reaches_back_or_not(reason: ReasonFlags, whose: str, after: int) -> None:
    """A compromised key voids all that it ever signed; others end what it signs from then on."""
    town = Town(since=SIGNED_AT + timedelta(seconds=after), **{whose: reason})
    if reason in VOIDING or (reason in ENDING and after <= 0):
        with pytest.raises(Invalid, match="revoked"):
            town.check()
    else:
        assert town.check() == town.certificate


SECOND = timedelta(seconds=1)
PERIOD = x509.PrivateKeyUsagePeriod(SIGNED_AT - timedelta(days=9), SIGNED_AT - SECOND)
REFUSED: dict[str, tuple[Callable[[], Town], str]] = {
    "a key for authentication": (lambda: Town(usage="digital_signature"), "bind"),
    "beyond its usage period": (lambda: Town(extensions=[PERIOD]), "any more"),
    "not yet valid": (lambda: Town(life=(SIGNED_AT + SECOND, NOW)), "not valid when"),
    "over": (
        lambda: Town(life=(SIGNED_AT - timedelta(days=9), SIGNED_AT - SECOND)),
        "not valid when",
    ),
    "no list": (lambda: Town(list_ends=NOW - SECOND), "no revocation list"),
    "to come": (
        lambda: Town(message=MESSAGE.replace(b"20261129213000", b"20271129213000")),
        "come",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_signature_does_not_count(name: str) -> None:
    made, said = REFUSED[name]
    with pytest.raises(Invalid, match=said):
        made().check()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"9990000018", b"9990000026"),
        (b"20261129213000", b"20261129213001"),
        (b"555086415105", b"555086415106"),
        (b'value="28"', b'value="29"'),
        (b'high value="6"', b'high value="7"'),
        (b"take  two", b"take two"),
        (b"D37FD639", b"D37FD638"),
    ],
)
def test_a_prescription_that_was_changed_has_no_signature(old: bytes, new: bytes) -> None:
    assert old in MESSAGE
    with pytest.raises(Invalid, match="another prescription"):
        Town().check(MESSAGE.replace(old, new, 1))


@pytest.mark.parametrize(("old", "new"), [(b'low value="1"', b'low value="2"'), (b"0007", b"0008")])
def test_what_changes_later_is_not_signed(old: bytes, new: bytes) -> None:
    assert Town().check(MESSAGE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<Reference>", b'<Reference URI="">'),
        (b"rsa-sha256", b"hmac-sha256"),
        (b"exc-c14n#", b"exc-c14n#WithComments"),
        (b"</X509Data>", b"<X509Certificate>AAAA</X509Certificate></X509Data>"),
        (b"<X509Certificate>", b"<X509Certificate>!"),
        (b"<SignatureValue>", b"<SignatureValue>AAAA"),
        (b"<Signature ", b"<!DOCTYPE x [<!ENTITY e 'x'>]><Signature "),
        (b"<Signature ", b"<Nothing "),
    ],
)
def test_a_signature_of_another_kind(old: bytes, new: bytes) -> None:
    town = Town()
    assert old in town.signature
    town.signature = town.signature.replace(old, new, 1)
    with pytest.raises(Invalid):
        town.check()


def test_without_its_authorities_no_signature_counts() -> None:
    town = Town()
    root, authority = town.trust.authorities
    for known in ([], [root], [authority]):
        town.trust = Trust(known, town.trust.lists)
        with pytest.raises(Invalid, match="no authority"):
            town.check()


def parameters(town: Town, **changed: str) -> dict[str, object]:
    digest = base64.b64encode(town.signed).decode()
    told = {"digest": digest, "timestamp": "x", "algorithm": town.algorithm.name, **changed}
    rows = [{"name": name, "valueString": value} for name, value in told.items()]
    return {"resourceType": "Parameters", "parameter": rows}


def numbered(count: int) -> list[batches.Prepared]:
    algorithm = ALGORITHMS["RS1"]
    return [
        batches.Prepared(
            str(each), signatures.signed_info(str(each).encode(), algorithm), algorithm
        )
        for each in range(count)
    ]


def test_one_approval_signs_up_to_250() -> None:
    """Each signature is checked before any is given."""
    town, prepared = Town(), numbered(MOST)
    made = batches.batch(prepared)
    values = [SIGNER.sign(each.signed_info, PKCS1v15(), each.algorithm.hash) for each in prepared]
    found = made.signed(values, town.certificate)
    assert list(found) == [each.id for each in prepared]
    assert signatures.parse(found["7"]).is_right()
    with pytest.raises(Unreadable, match="signature of 0"):
        made.signed([*values[1:], values[0]], town.certificate)
    with pytest.raises(Unreadable, match="249 signatures for 250"):
        made.signed(values[1:], town.certificate)


def test_what_the_phone_shows_of_a_batch() -> None:
    """The system, and which prescription by the identifier that is signed, or how many."""
    one = batches.batch(batches.read("rx", MESSAGE, ALGORITHMS["RS256"]))
    shown = "D37FD639-E831-420C-B37B-40481DCA910E, 2 items"
    assert one.summary("SystmNought") == f"SystmNought: {shown}"
    assert one.summary("S" * 99) == f"{'S' * 17}: {shown}"
    assert len(one.summary("S" * 99)) == batches.LONGEST_SUMMARY
    assert batches.batch(numbered(MOST)).summary("SystmNought") == "SystmNought: 250 prescriptions"
    long = batches.batch([replace(numbered(1)[0], description="x" * 100)])
    assert len(long.summary("SystmNought")) == batches.LONGEST_SUMMARY


def test_a_list_names_no_patient() -> None:
    """A file that somebody has named after the patient is listed without its name."""
    number = "D37FD639-E831-420C-B37B-40481DCA910E"
    [message] = batches.read("Smith-John", MESSAGE, ALGORITHMS["RS256"])
    encoded = base64.b64encode(message.signed_info).decode()
    told = {"payloads": [], "algorithm": "RS256"}
    told["payloads"] = [
        {"id": each, "payload": encoded} for each in ("Smith-John", number, "83C40E-ZZQ020-00003X")
    ]
    found = batches.Batch([message, *batches.several(told)])
    assert list(found.documents) == [
        *(f"{number}, 2 items", "prescription without a number"),
        *(number, "83C40E-ZZQ020-00003X"),
    ]
    assert "Smith" not in "".join(found.documents)
    assert numbered(1)[0].description == ""
    assert list(batches.Batch(numbered(1)).documents) == ["prescription without a number"]


def test_a_batch_is_refused() -> None:
    [one] = numbered(1)
    again = batches.Prepared("b", one.signed_info, one.algorithm)
    for rows in ([], numbered(MOST + 1), [one, one], [one, again]):
        with pytest.raises(Unreadable):
            batches.batch(rows)


@BOTH
def test_what_prepare_answers_is_read(algorithm: Algorithm) -> None:
    town = Town(algorithm)
    found = batches.prepared("one", parameters(town))
    assert (found.signed_info, found.algorithm) == (town.signed, algorithm)
    assert len(found.digest) == algorithm.hash.digest_size


@pytest.mark.parametrize(
    "changed",
    [
        {"digest": ""},
        {"digest": "no base64"},
        {"digest": base64.b64encode(b"anything else").decode()},
        {"digest": base64.b64encode(b"<DigestValue>AAAA</DigestValue>").decode()},
        {"algorithm": "RS1"},
        {"algorithm": "RS512"},
    ],
)
def test_nothing_but_a_prescription_is_signed(changed: dict[str, str]) -> None:
    """Whatever an application asks the card to sign."""
    with pytest.raises(Unreadable):
        batches.prepared("one", parameters(Town(), **changed))


@pytest.mark.parametrize(
    "resource",
    [None, [], {}, {"resourceType": "Bundle"}, {"resourceType": "Parameters", "parameter": [1]}],
)
def test_other_answers_are_refused(resource: object) -> None:
    with pytest.raises(Unreadable):
        batches.prepared("one", resource)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"<a",
        b"<a/>",
        MESSAGE.replace(b'<time value="20261129213000"/>', b""),
        MESSAGE.replace(b"20261129213000", b"yesterday"),
        MESSAGE.replace(b"pertinentLineItem", b"otherLineItem"),
        MESSAGE.replace(b"<recordTarget", b"<recordTarget/><recordTarget", 1),
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + MESSAGE.partition(b"?>")[2],
        b" " * (4 << 20) + b"<a/>",
    ],
)
def test_a_message_is_refused(message: bytes) -> None:
    with pytest.raises(Unreadable):
        fragments.of_prescription(message)
