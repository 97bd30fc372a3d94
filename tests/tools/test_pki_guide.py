"""docs/pki.md on a served keystore, with clients by which others check cards: curl and OpenSSL.
What the guide shows is compared.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from cloudcard.registry.v1 import cards_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.guides import Block, run_by, shows
from support.keystore_process import KeystoreProcess
from support.postgres import Server
from support.relying_party import RelyingParty
from support.terminal import show

SECONDS = 60.0
PER_SECOND, AT_ONCE = 5, 100  # questions of one address
FLOOD, STRANGERS = 1000, 8
HELD = ("certificateHold", "Certificate Hold")
TRY_LATER = bytes.fromhex("30030a0103")
QUESTION = (  # of another authority, but a question
    ocsp.OCSPRequestBuilder()
    .add_certificate_by_hash(bytes(20), bytes(20), 1, SHA1())
    .build()
    .public_bytes(Encoding.DER)
)


@dataclass(kw_only=True)
class Town(RelyingParty):
    """A keystore that is asked about its cards, and a card of Ada's."""

    keystore: KeystoreProcess
    status_url: str
    user_id: str
    serial: str

    def cloudcard(self, *words: str, folder: Path | None = None) -> str:
        """What a command says in a terminal."""
        own = {"CLOUDCARD_HOME": str(self.folder)}
        status, said = show(*words, folder=folder or self.folder, environment=own)
        assert status == 0, f"{words}\n{said}"
        return said

    def play(self, block: Block, folder: Path) -> str:
        """What the commands of a block say in a folder, one below the other."""
        said = ""
        for command in block.commands:
            typed = command.replace("SERIAL", self.serial)
            said += (
                self.cloudcard(*shlex.split(typed)[1:], folder=folder)
                if typed.startswith("cloudcard ")
                else self.run("sh", "-c", f"cd {folder} && {typed}")
            )
        return said


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("pki")
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    options = ["--status-listen", f"127.0.0.1:{port}", "--status-url", url]
    options += ["--limit", f"status={PER_SECOND}/{AT_ONCE}"]
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql")
        options += ["--database", server.new_database()]
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery, tuple(options))
        user_id, phone = keystore.holder("Ada Byron", "ada@example.org")
        town = Town(
            folder=folder,
            certificates=Path("card"),
            keystore=keystore,
            status_url=url,
            user_id=user_id,
            serial=keystore.card(user_id, phone),
        )
        town.cloudcard("ra", "card", "show", town.serial, "--export", "card")
        yield town


def test_what_the_guide_shows(town: Town, tmp_path: Path) -> None:
    for block in run_by("pki.md", __file__):
        said = town.play(block, tmp_path)
        assert block.shown
        assert shows(block.shown, said), said


def test_list_and_answer_agree_at_each_step(town: Town) -> None:
    """As OpenSSL reads them, in its words."""
    cards, named = town.keystore.registry.cards, {"card_serial": town.serial}
    where = town.run("openssl", "x509", "-in", town.path, "-noout", "-ocsp_uri")
    assert where.strip() == f"{town.status_url}/ocsp"
    assert (town.answered(), town.listed(0)) == ("good", "good")
    compromised = pb.REVOCATION_REASON_KEY_COMPROMISE
    steps = [
        (lambda: cards.SuspendCard(pb.SuspendCardRequest(**named)), HELD),
        (lambda: cards.ResumeCard(pb.ResumeCardRequest(**named)), ("good", "good")),
        (lambda: cards.SuspendCard(pb.SuspendCardRequest(**named)), HELD),
        (
            lambda: cards.RevokeCard(
                pb.RevokeCardRequest(**named, reason="stolen", code=compromised)
            ),
            ("keyCompromise", "Key Compromise"),
        ),
    ]
    for step, expected in steps:
        step()
        assert (town.answered(), town.listed(town.number + 1)) == expected


def test_a_key_in_wrong_hands_since_a_day(town: Town) -> None:
    """As an operator types it; the list says since when what was signed counts for nothing."""
    asked = pb.IssueCardRequest(request_id=os.urandom(16), user_id=town.user_id, profile="p256")
    serial = town.keystore.registry.cards.IssueCard(asked).card.serial
    town.fetch()
    said = town.cloudcard(
        *("ra", "card", "revoke", serial, "--reason", "stolen", "--yes"),
        *("--code", "key-compromise", "--since", "2026-11-28"),
    )
    assert re.search(r"^State +revoked$", said, re.MULTILINE)
    town.listed(town.number + 1)
    said = town.run("openssl", "crl", "-in", "cards.crl", "-inform", "DER", "-noout", "-text")
    assert said.count("Nov 28 00:00:00 2026 GMT") == 4  # of each of its keys


def test_certificates_name_their_authority(town: Town) -> None:
    """As curl fetches it."""
    access = town.certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    [place] = [
        each.access_location.value
        for each in access.value
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    head = town.run("curl", "-sSf", "-D", "-", "-o", "issuer.cer", place)
    assert "Content-Type: application/pkix-cert" in head
    issuer = x509.load_der_x509_certificate((town.folder / "issuer.cer").read_bytes())
    town.certificate.verify_directly_issued_by(issuer)


def test_caches_ask_whether_there_is_another_list(town: Town) -> None:
    town.run("curl", "-sSf", "--etag-save", "tag", "-o", "cards.crl", town.list_url)
    ask = ("curl", "-sSf", "--etag-compare", "tag", "-w", "%{http_code}", "-o", "again.crl")
    assert town.run(*ask, town.list_url) == "304"


def test_a_developers_card_names_no_place(town: Town) -> None:
    serial = town.keystore.developer_card(town.user_id)
    found = town.keystore.registry.cards.GetCard(pb.GetCardRequest(card_serial=serial)).card
    [der, *_] = [key.certificate for key in found.keys if key.certificate]
    names = {each.oid for each in x509.load_der_x509_certificate(der).extensions}
    assert ExtensionOID.CRL_DISTRIBUTION_POINTS not in names
    assert ExtensionOID.AUTHORITY_INFORMATION_ACCESS not in names


def test_a_flood_of_questions_stops_no_workstation(town: Town) -> None:
    pc = town.keystore.workstation("pc")
    answers: Counter[bytes] = Counter()
    began = time.monotonic()
    with ThreadPoolExecutor(STRANGERS) as strangers, identity.channel(pc) as channel:
        flood = [strangers.submit(ask, town) for _ in range(FLOOD)]
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        while not all(each.done() for each in flood):
            stub.Ping(workstation_pb2.PingRequest(), timeout=SECONDS)
        answers.update(each.result() for each in flood)
    allowed = AT_ONCE + PER_SECOND * (time.monotonic() - began) + 1
    assert answers[TRY_LATER] >= FLOOD - allowed
    assert answers[TRY_LATER] > 0


def ask(town: Town) -> bytes:
    """One question about a certificate that nobody has, and the answer if it is a refusal."""
    port = int(town.status_url.rpartition(":")[2])
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("POST", "/ocsp", QUESTION, {"Content-Type": "application/ocsp-request"})
    answer = connection.getresponse().read()
    connection.close()
    return answer if len(answer) < 10 else b""
