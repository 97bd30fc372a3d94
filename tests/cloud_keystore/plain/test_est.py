"""Workstations enrol by EST as any client of RFC 7030 does: with curl and openssl alone, at a real
keystore.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509

from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.registry.v1 import identities_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess

TYPE = "Content-Type: application/pkcs10"
MANY = 20  # tries at once


@dataclass(frozen=True, slots=True)
class Desk:
    """A shell at a workstation."""

    keystore: KeystoreProcess
    url: str
    folder: Path

    @property
    def authority(self) -> Path:
        return self.keystore.folder / "operator" / "ca.pem"

    def curl(self, operation: str, *more: str | Path) -> tuple[int, bytes]:
        """Status and body; 0 if there is no TLS."""
        body = self.folder / "body"
        body.unlink(missing_ok=True)
        asked = ("curl", "-s", "--cacert", self.authority, "-o", body, "-w", "%{http_code}")
        done = subprocess.run(
            [*map(str, (*asked, *more)), f"{self.url}/.well-known/est/{operation}"],
            capture_output=True,
            check=False,
        )
        return int(done.stdout), body.read_bytes() if body.exists() else b""

    def enrol(self, token: str, csr: Path) -> tuple[int, bytes]:
        return self.curl(
            "simpleenroll", "-u", f"est:{token}", "-H", TYPE, "--data-binary", f"@{csr}"
        )

    def renew(self, csr: Path, *shown: str | Path) -> tuple[int, bytes]:
        return self.curl("simplereenroll", "-H", TYPE, "--data-binary", f"@{csr}", *shown)

    def token(self, name: str) -> str:
        asked = identities_pb2.CreateWorkstationRequest(display_name=name)
        made: str = self.keystore.registry.identities.CreateWorkstation(asked).token.text
        return made

    def key(self, name: str) -> Path:
        path = self.folder / f"{name}.key"
        if not path.exists():
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
        return path

    def request(self, name: str, subject: str = "/") -> Path:
        """A request by a key of this name, as it is sent."""
        key, der, coded = self.key(name), self.folder / "csr.der", self.folder / f"{name}.b64"
        openssl("req", "-new", "-key", key, "-subj", subject, "-outform", "DER", "-out", der)
        openssl("base64", "-in", der, "-out", coded)
        return coded

    def certificate(self, name: str, body: bytes) -> Path:
        """The certificate of an answer, which leads to the authority."""
        coded, der, pem = (self.folder / f"{name}.{each}" for each in ("p7", "der", "pem"))
        coded.write_bytes(body)
        openssl("base64", "-d", "-in", coded, "-out", der)
        openssl("pkcs7", "-inform", "DER", "-in", der, "-print_certs", "-out", pem)
        openssl("verify", "-CAfile", self.authority, pem)
        return pem


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("est")
    (port,) = free_ports(1)
    options = ("--est", f"127.0.0.1:{port}", "--limit", f"enrolment=0.5/{MANY}")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery, options)
        yield Desk(keystore, f"https://127.0.0.1:{port}", folder)


def openssl(*arguments: str | Path) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


def test_a_workstation_enrols_and_renews(desk: Desk) -> None:
    """The token is spent once: with the same request it gets the same answer, with another none."""
    status, body = desk.curl("cacerts")
    assert status == 200
    told = [x509.load_pem_x509_certificate(desk.certificate("ca", body).read_bytes())]
    assert told == x509.load_pem_x509_certificates(desk.authority.read_bytes())
    status, body = desk.curl("csrattrs")
    assert status == 200
    (desk.folder / "attributes").write_bytes(base64.b64decode(body))
    parsed = openssl("asn1parse", "-inform", "DER", "-in", desk.folder / "attributes")
    assert b"prime256v1" in parsed
    assert b"ecdsa-with-SHA256" in parsed
    name = f"ward {uuid4()}"
    token, csr = desk.token(name), desk.request("one", f"/CN={name}")
    status, body = desk.enrol(token, csr)
    assert status == 200
    pem = desk.certificate("one", body)
    assert desk.enrol(token, csr) == (200, body)
    status, why = desk.enrol(token, desk.request("two"))
    assert status == 401
    assert b"ask for a new one" in why
    shown = ("--cert", pem, "--key", desk.key("one"))
    status, body = desk.renew(desk.request("one"), *shown)
    assert status == 200
    following = desk.certificate("following", body)
    assert following.read_bytes() != pem.read_bytes()
    numbers = [x509.load_pem_x509_certificate(each.read_bytes()) for each in (pem, following)]
    assert numbers[0].subject == numbers[1].subject
    status, _ = desk.renew(desk.request("one"), "--cert", following, "--key", desk.key("one"))
    assert status == 200


def test_the_journal_tells_it(desk: Desk) -> None:
    token = desk.keystore.registry.identities.CreateAuditor(
        identities_pb2.CreateAuditorRequest(display_name="Eve")
    ).token.text
    who = spending.enrol(token, desk.folder / "auditor", "auditor")
    with identity.channel(who) as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        for kind in ("identity.enrolled", "identity.renewed", "identity.rekeyed"):
            found = stub.SearchEntries(audit_pb2.SearchEntriesRequest(kinds=[kind]))
            assert "workstation" in str(found), kind


def test_attacks(desk: Desk) -> None:
    """Each of them gets nothing, and spends no token."""
    name = f"ward {uuid4()}"
    token, own = desk.token(name), desk.request("own")
    assert desk.enrol("", own)[0] == 401
    assert desk.enrol(token[:-30], own)[0] == 401
    assert desk.curl("simpleenroll", "-H", TYPE, "--data-binary", f"@{own}")[0] == 401
    status, told = desk.enrol(token, desk.request("named", "/CN=operator"))
    assert status == 400
    assert b"another subject" in told
    assert name.encode() not in told
    large = desk.folder / "large"
    large.write_bytes(b"A" * 5000)
    assert desk.enrol(token, large)[0] == 413
    large.write_bytes(b"A" * 4000)
    assert desk.enrol(token, large)[0] == 400
    rsa = desk.folder / "rsa.key"
    openssl("genrsa", "-out", rsa, "2048")
    assert desk.enrol(token, desk.request("rsa"))[0] == 400
    staff = desk.keystore.registry.identities.CreateAuditor(
        identities_pb2.CreateAuditorRequest(display_name="Ida")
    ).token.text
    assert desk.enrol(staff, own)[0] == 400
    status, body = desk.enrol(token, own)
    assert status == 200
    pem = desk.certificate("own", body)
    shown = ("--cert", pem, "--key", desk.key("own"))
    assert desk.renew(own)[0] == 403
    status, told = desk.renew(desk.request("other"), *shown)
    assert status == 400
    assert b"another key" in told
    operator = desk.keystore.folder / "operator"
    (certificate,) = operator.glob("certificate*.pem")
    (private,) = operator.glob("*key*.pem")
    assert desk.renew(own, "--cert", certificate, "--key", private)[0] == 403
    foreign = desk.folder / "foreign.pem"
    openssl("req", "-x509", "-new", "-key", desk.key("own"), "-subj", "/CN=ward", "-out", foreign)
    assert desk.renew(own, "--cert", foreign, "--key", desk.key("own"))[0] == 0
    assert desk.curl("fullcmc")[0] == 404
    assert desk.curl("simpleenroll")[0] == 405


def test_many_tries_are_slowed_down(desk: Desk) -> None:
    csr = desk.request("own")
    told = [desk.enrol("cc1.nonsense", csr)[0] for _ in range(MANY + 2)]
    assert set(told) <= {401, 429}
    assert told[-1] == 429
