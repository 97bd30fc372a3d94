"""Cards certified by an authority of openssl's, by commands alone, at a real keystore (CIS-01)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.external_ca import ExternalCa, new_ca
from support.keystore_process import KeystoreProcess


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator at a command line, and the authority."""

    keystore: KeystoreProcess
    ca: ExternalCa

    def run(self, *words: str | Path) -> Result:
        operator = str(self.keystore.folder / "operator")
        return CliRunner().invoke(ra, [*map(str, words), "--identity", operator])

    def told(self, *words: str | Path) -> list[dict[str, object]]:
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.output
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    def issue(self) -> str:
        done = self.run("card", "issue", "Ada", "--profile", "p256", "--json")
        assert done.exit_code == 0, done.output
        return str(json.loads(done.stdout)["serial"])

    def certify(self, csr: bytes) -> x509.Certificate:
        request = x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER)
        return x509.load_der_x509_certificate(self.ca.certify(request))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("external")
    ca = new_ca(folder / "ca", "Trust CA")
    with Nursery(folder / "logs") as nursery:
        desk = Desk(KeystoreProcess(folder, nursery), ca)
        assert desk.run("user", "add", "Ada Byron").exit_code == 0
        assert "CN=Trust CA" in desk.run("ca", "trust", ca.pem).stdout
        assert desk.run("ca", "use", "Trust CA").exit_code == 0
        assert "all/all" in desk.run("ca", "external").stdout
        yield desk


def test_a_card_by_files(desk: Desk, tmp_path: Path) -> None:
    serial = desk.issue()
    assert "issuing" in desk.run("card", "show", serial).stdout
    pending = desk.told("pending")
    assert pending[0]["stage"] in ("card incomplete", "invited")
    assert desk.run("card", "requests", "export", tmp_path / "out").exit_code == 0
    files = sorted((tmp_path / "out").glob(f"{serial}-*.csr"))
    assert [each.name[-6:] for each in files] == ["9A.csr", "9C.csr", "9D.csr", "9E.csr"]
    archive = tmp_path / "out.zip"
    assert desk.run("card", "requests", "export", "--zip", archive).exit_code == 0
    with zipfile.ZipFile(archive) as opened:
        assert opened.read(files[0].name) == files[0].read_bytes()
    made = [desk.certify(each.read_bytes()) for each in files]
    pem, der, bag = (tmp_path / name for name in ("a.pem", "b.der", "c.p7b"))
    pem.write_bytes(made[0].public_bytes(Encoding.PEM) + made[1].public_bytes(Encoding.PEM))
    der.write_bytes(made[2].public_bytes(Encoding.DER))
    own = x509.load_der_x509_certificate(desk.ca.certificate)
    bag.write_bytes(pkcs7.serialize_certificates([made[3], own], Encoding.DER))
    (first, second) = desk.told("card", "requests", "import", pem)
    assert (first["key_ref"], first["outcome"]) == ("9A", "waits for the others")
    assert second["key_ref"] == "9C"
    done = desk.told("card", "requests", "import", pem, der, bag)
    assert [each["outcome"] for each in done] == ["was there"] * 2 + ["installed"] * 2
    shown = desk.run("card", "show", serial).stdout
    assert "pending" in shown
    assert "Trust CA" in shown
    assert "No card waits" in desk.run("card", "requests", "list").stdout
    ended = desk.run("card", "revoke", serial, "--reason", "left", "--yes")
    assert f"{made[0].serial_number:x}" in ended.stderr
    assert "tell Trust CA" in ended.stderr


def test_a_wrong_file_is_refused_and_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    serial = desk.issue()
    wrong, nothing = tmp_path / "wrong.pem", tmp_path / "nothing.pem"
    other = new_ca(tmp_path / "other", "Trust CA")
    desk.run("card", "requests", "export", tmp_path / "out")
    (csr,) = (tmp_path / "out").glob(f"{serial}-9A.csr")
    good = desk.certify(csr.read_bytes())
    request = x509.load_pem_x509_csr(csr.read_bytes()).public_bytes(Encoding.DER)
    bad = x509.load_der_x509_certificate(other.certify(request))
    wrong.write_bytes(good.public_bytes(Encoding.PEM) + bad.public_bytes(Encoding.PEM))
    refused = desk.run("card", "requests", "import", wrong)
    assert refused.exit_code != 0
    assert "no chain of valid certificates" in " ".join(refused.stdout.split())
    assert len(desk.told("card", "requests", "list")) == 4
    nothing.write_text("nothing")
    refused = desk.run("card", "requests", "import", nothing)
    assert refused.exit_code != 0
    assert "holds no certificate" in refused.stderr
    refused = desk.run("ca", "distrust", "Trust CA", "--yes")
    assert "choose another authority first" in refused.stderr
    assert desk.run("ca", "use", "own", "--profile", "p384").exit_code == 0
    made = desk.run("card", "issue", "Ada", "--profile", "p384").stdout
    assert "pending" in made
