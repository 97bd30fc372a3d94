"""What an external authority revokes takes cards: lists of openssl's, real processes (CIS-01)."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.external_ca import ExternalCa, new_ca
from support.keystore_process import KeystoreProcess
from support.polling import until

NAME = "Trust CA"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> ExternalCa:
    return new_ca(tmp_path_factory.mktemp("trust") / "ca", NAME)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A folder, and the port where it is published."""
    folder = tmp_path_factory.mktemp("published")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def probe() -> str:
    """Where the keystore says how it is."""
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture(scope="module")
def keystore(
    ca: ExternalCa,
    published: tuple[Path, int],
    probe: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        options = ("--ca-host", f"localhost:{published[1]}", "--http-listen", probe)
        running = KeystoreProcess(folder, nursery, options)
        for words in (
            ("user", "add", "Ada Byron"),
            ("ca", "trust", str(ca.pem)),
            ("ca", "use", NAME),
        ):
            assert run(running, *words).exit_code == 0
        yield running


def run(keystore: KeystoreProcess, *words: str | Path) -> Result:
    operator = str(keystore.folder / "operator")
    return CliRunner().invoke(ra, [*map(str, words), "--identity", operator])


def issue(keystore: KeystoreProcess, ca: ExternalCa, tmp_path: Path) -> str:
    done = run(keystore, "card", "issue", "Ada", "--profile", "p256", "--json")
    assert done.exit_code == 0, done.output
    asked, made = tmp_path / "asked", tmp_path / "made"
    made.mkdir()
    assert run(keystore, "card", "requests", "export", asked).exit_code == 0
    files: list[Path] = []
    for csr in asked.iterdir():
        request = x509.load_pem_x509_csr(csr.read_bytes())
        certificate = ca.certify(request.public_bytes(Encoding.DER))
        files.append(made / f"{csr.stem}.der")
        files[-1].write_bytes(certificate)
    assert run(keystore, "card", "requests", "import", *files).exit_code == 0
    ca.revoke(files[0].read_bytes(), "keyCompromise")
    serial: str = json.loads(done.stdout)["serial"]
    return serial


def state(keystore: KeystoreProcess, serial: str) -> str:
    said: str = json.loads(run(keystore, "card", "show", serial, "--json").stdout)["state"]
    return said


def test_a_list_by_file(keystore: KeystoreProcess, ca: ExternalCa, tmp_path: Path) -> None:
    serial = issue(keystore, ca, tmp_path)
    assert state(keystore, serial) == "pending"
    path = tmp_path / "trust.crl"
    path.write_bytes(ca.revocations())
    done = run(keystore, "ca", "crl", NAME, path)
    assert done.exit_code == 0, done.output
    assert "Certificates on it" in done.stdout
    until(lambda: state(keystore, serial) == "revoked")
    assert "before" in run(keystore, "ca", "crl", NAME, path).stderr
    shown = run(keystore, "ca", "external", "--json")
    assert shown.exit_code == 0, shown.output
    (held,) = json.loads(shown.stdout)
    assert held["list_number"] == "1000"
    assert held["list_stale"] is False


def test_a_list_that_is_fetched(
    keystore: KeystoreProcess, ca: ExternalCa, published: tuple[Path, int], tmp_path: Path
) -> None:
    folder, port = published
    serial = issue(keystore, ca, tmp_path)
    (folder / "ca.crl").write_bytes(ca.revocations())
    url = f"http://localhost:{port}/ca.crl"
    done = run(keystore, "ca", "crl", NAME, "--url", url, "--when-stale", "stop")
    assert done.exit_code == 0, done.output
    until(lambda: state(keystore, serial) == "revoked")
    shown = json.loads(run(keystore, "ca", "external", "--json").stdout)[0]
    assert (shown["list_url"], shown["when_stale"]) == (url, "stop")
    off = run(keystore, "ca", "crl", NAME, "--off")
    assert "nowhere" in off.stdout


def test_what_is_wrong_is_said(keystore: KeystoreProcess, ca: ExternalCa, tmp_path: Path) -> None:
    assert run(keystore, "ca", "crl", NAME).exit_code == 2
    assert run(keystore, "ca", "crl", NAME, "--url", "http://a.example/", "--off").exit_code == 2
    refused = run(keystore, "ca", "crl", NAME, "--url", "http://crl.example.org/ca.crl")
    assert "--ca-host crl.example.org:80" in refused.stderr
    large = tmp_path / "large.crl"
    large.write_bytes(bytes(241 << 10))
    assert "--url" in run(keystore, "ca", "crl", NAME, large).stderr
    other = new_ca(tmp_path / "other", "Other CA")
    path = tmp_path / "other.crl"
    path.write_bytes(other.revocations())
    assert "not of CN=Trust CA" in run(keystore, "ca", "crl", NAME, path).stderr
    path.write_bytes(ca.pem.read_bytes())
    assert "no revocation list" in run(keystore, "ca", "crl", NAME, path).stderr
    assert "trust it first" in run(keystore, "ca", "crl", "Nobody", path).stderr


def test_health_tells_of_a_list_that_does_not_come(
    keystore: KeystoreProcess, published: tuple[Path, int], probe: str, tmp_path: Path
) -> None:
    """Calls are served all the same: other processes of the keystore have no other list."""
    other = new_ca(tmp_path / "other", "Other CA")
    assert run(keystore, "ca", "trust", other.pem).exit_code == 0
    url = f"http://localhost:{published[1]}/other.crl"
    assert run(keystore, "ca", "crl", "Other CA", "--url", url).exit_code == 0

    def said() -> str:
        with urllib.request.urlopen(f"http://{probe}/health/ready", timeout=60) as page:
            return str(page.read(), "utf-8")

    assert said() == "ready\nthe revocation list of Other CA has never come\n"
    assert run(keystore, "ca", "crl", "Other CA", "--off").exit_code == 0
    assert said() == "ready\n"


def test_the_list_of_an_authority_below_is_taken(
    keystore: KeystoreProcess, ca: ExternalCa, tmp_path: Path
) -> None:
    """Brought for the trusted one, it is kept for the one that has signed it."""
    below, path = new_ca(tmp_path / "below", "Issuing CA", ca), tmp_path / "issuing.crl"
    path.write_bytes(below.revocations())
    refused = run(keystore, "ca", "crl", NAME, path)
    assert refused.exit_code == 1
    assert "--below NAME" in refused.output
    done = run(keystore, "ca", "trust", below.pem, "--below", NAME, "--json")
    assert (json.loads(done.stdout)["below"], json.loads(done.stdout)["is_new"]) == (NAME, True)
    assert run(keystore, "ca", "crl", NAME, path).exit_code == 0
    listed = json.loads(run(keystore, "ca", "external", "--json").stdout)
    (found,) = (each for each in listed if each["name"] == "Issuing CA")
    assert (found["below"], found["list_number"]) == (NAME, "1000")
