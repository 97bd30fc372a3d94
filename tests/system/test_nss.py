"""NSS's own programs with the card: what Firefox and Thunderbird do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from card_os.piv.names import KeyRef
from cloudcard_tools.demo.programs import must, run
from cloudcard_tools.shared.processes import Nursery
from support import nginx, nss
from support.authority import Authority
from support.nss import Database, nickname
from support.system_cards import ALGORITHMS, PIN, RSA, LocalCard, on_cards

DOCUMENT = b"At one?\n"


@pytest.fixture
def database(tmp_path: Path, authority: Authority) -> Database:
    return nss.make(tmp_path / "nssdb", authority.write(tmp_path))


@on_cards(*ALGORITHMS)
def test_modutil_shows_the_card(card: LocalCard, database: Database) -> None:
    listed = must(["modutil", "-dbdir", database.name, "-list"])
    token = listed.split(f"slot: Virtual PCD 00 0{card.slot}")[1]
    assert re.match(r"\s+token: Ada 9A\n", token)
    assert f"serial={card.image.guid.hex()[-16:]}" in token


@on_cards(*ALGORITHMS)
def test_certutil_lists_the_cards_certificates_and_keys(
    card: LocalCard, database: Database
) -> None:
    listed = database("certutil", "-L", "-h", "all", "-f", database.pin_file)
    for key_ref in nss.LABELS:
        # u: there is a private key to it
        assert re.search(rf"{nickname(card, key_ref)}\s+u,u,u\n", listed)
    keys = database("certutil", "-K", "-h", "all", "-f", database.pin_file)
    kind = "rsa" if card.algorithm in RSA else "ec"
    assert len(re.findall(rf"^<.+> {kind} ", keys, re.M)) == len(card.certificates)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@on_cards(*ALGORITHMS)
def test_tstclnt_authenticates_to_a_server(
    card: LocalCard,
    database: Database,
    servers: Nursery,
    authority: Authority,
    tmp_path: Path,
    version: str,
) -> None:
    server = nginx.start(servers, tmp_path, authority)
    (tmp_path / "request").write_bytes(b"GET / HTTP/1.0\r\n\r\n")
    before = len(card.used)
    said = database(
        *("tstclnt", "-4", "-h", "localhost", "-p", str(server.port)),
        *("-V", f"tls{version}:tls{version}", "-A", tmp_path / "request"),
        *("-n", nickname(card, KeyRef.AUTHENTICATION), "-w", PIN),
    )
    assert nginx.said("Ada 9A", f"TLSv{version}") in said
    assert card.used[before:] == [KeyRef.AUTHENTICATION]


@on_cards(*ALGORITHMS)
def test_cmsutil_signs(
    card: LocalCard, database: Database, authority: Authority, tmp_path: Path
) -> None:
    document, signed = tmp_path / "document", tmp_path / "signed"
    document.write_bytes(DOCUMENT)
    before = len(card.used)
    database(
        *("cmsutil", "-S", "-T", "-P", "-H", "SHA256", "-f", database.pin_file),
        *("-N", nickname(card, KeyRef.SIGNATURE), "-Y", nickname(card, KeyRef.KEY_MANAGEMENT)),
        *("-i", document, "-o", signed),
    )
    assert card.used[before:] == [KeyRef.SIGNATURE]
    verifying = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any"]
    files = ["-in", signed, "-content", document, "-CAfile", authority.write(tmp_path)]
    ended = run([*verifying, *map(str, files)])
    assert "Verification successful" in ended.errors


@on_cards(*RSA)
def test_cmsutil_decrypts(card: LocalCard, database: Database, tmp_path: Path) -> None:
    document, encrypted = tmp_path / "document", tmp_path / "encrypted"
    document.write_bytes(DOCUMENT)
    encrypting = ["openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER"]
    recipient = card.write_certificate(KeyRef.KEY_MANAGEMENT, tmp_path)
    must([*encrypting, "-in", str(document), "-out", str(encrypted), str(recipient)])
    before = len(card.used)
    read = database("cmsutil", "-D", "-f", database.pin_file, "-i", encrypted)
    assert read.encode() == DOCUMENT
    assert card.used[before:] == [KeyRef.KEY_MANAGEMENT]
