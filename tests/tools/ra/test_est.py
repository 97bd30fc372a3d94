"""Cards certified by EST: named by commands, asked by the keystore's own process (CIS-01)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.est_server import PASSWORD, USER, EstServer, Reply, certificates, serving
from support.external_ca import new_ca
from support.keystore_process import KeystoreProcess
from support.polling import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstServer]:
    folder = tmp_path_factory.mktemp("est")
    with serving(EstServer(new_ca(folder / "ca", "Trust CA"), folder)) as running:
        yield running


@pytest.fixture(scope="module")
def keystore(
    server: EstServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    host = f"localhost:{server.port}"
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery, ("--ca-host", host))


def run(keystore: KeystoreProcess, *words: str | Path) -> Result:
    operator = str(keystore.folder / "operator")
    return CliRunner().invoke(ra, [*map(str, words), "--identity", operator])


def told(keystore: KeystoreProcess, *words: str) -> list[dict[str, object]]:
    done = run(keystore, *words, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_a_card_by_est(keystore: KeystoreProcess, server: EstServer, tmp_path: Path) -> None:
    """The password is in a file, and appears in no list and no log."""
    secret, tls = tmp_path / "password", tmp_path / "tls.pem"
    secret.write_text(f"{PASSWORD}\n")
    tls.write_bytes(server.anchors)
    assert run(keystore, "user", "add", "Ada Byron").exit_code == 0
    assert run(keystore, "ca", "trust", server.ca.pem).exit_code == 0
    assert run(keystore, "ca", "use", "Trust CA").exit_code == 0
    server.answers = [lambda *_: Reply(202, {"Retry-After": "5"})] * 4
    named = ("ca", "est", "Trust CA", server.url, "--tls-ca", tls)
    secret.chmod(0o644)
    refused = run(keystore, *named, "--user", USER, "--password-file", secret)
    assert refused.exit_code != 0
    secret.chmod(0o600)
    done = run(keystore, *named, "--user", USER, "--password-file", secret)
    assert done.exit_code == 0, done.output
    assert server.url in run(keystore, "ca", "external").stdout
    issued = json.loads(run(keystore, "card", "issue", "Ada", "--profile", "p256", "--json").stdout)
    put_off = "the authority has not decided yet", "have it approved there, or wait"

    def reasons() -> set[tuple[object, object]]:
        waiting = told(keystore, "card", "requests", "list")
        return {(each["reason"], each["fix"]) for each in waiting}

    until(lambda: put_off in reasons())
    until(lambda: not told(keystore, "card", "requests", "list"))
    assert "pending" in run(keystore, "card", "show", issued["serial"]).stdout
    logs = b"".join(each.read_bytes() for each in (keystore.folder / "logs").iterdir())
    assert b"an authority was asked" in logs
    assert PASSWORD.encode() not in logs
    off = run(keystore, "ca", "est", "Trust CA", "--off")
    assert "nowhere" in off.stdout


def test_a_card_is_renewed_by_est(
    keystore: KeystoreProcess, server: EstServer, tmp_path: Path
) -> None:
    """CARD-02: one command begins it, and the keystore does the rest by itself."""
    secret, tls = tmp_path / "password", tmp_path / "tls.pem"
    secret.touch(0o600)
    secret.write_text(f"{PASSWORD}\n")
    tls.write_bytes(server.anchors)
    named = ("ca", "est", "Trust CA", server.url, "--tls-ca", tls)
    assert run(keystore, "ca", "trust", server.ca.pem).exit_code == 0
    assert run(keystore, "ca", "use", "Trust CA").exit_code == 0
    done = run(keystore, *named, "--user", USER, "--password-file", secret)
    assert done.exit_code == 0, done.output

    def short(asked: EstServer, csr: bytes) -> Reply:
        return certificates(asked, asked.issue(csr, "-days", "30"))

    server.answers = [short] * 4
    user_id, phone = keystore.holder("Grace Hopper")
    serial = keystore.issue(user_id)
    until(lambda: not told(keystore, "card", "requests", "list"))
    keystore.set_passcode(serial, phone)
    foreseen = run(keystore, "card", "renew", serial, "--dry-run")
    assert "Trust CA" in foreseen.stdout
    server.answers = [lambda *_: Reply(202, {"Retry-After": "1"})] * 4
    begun = run(keystore, "card", "renew", serial)
    assert "Waiting keys" in begun.stdout
    assert "The card stays as it is" in begun.stderr
    until(lambda: not told(keystore, "card", "requests", "list"))
    shown = json.loads(run(keystore, "card", "show", serial, "--json").stdout)
    assert {each["key_ref"] for each in shown["keys"]} == {"82", "9A", "9C", "9D", "9E"}
    assert "can be renewed from" in run(keystore, "card", "renew", serial).stderr


def test_what_is_wrong_is_said(keystore: KeystoreProcess, tmp_path: Path) -> None:
    other = new_ca(tmp_path / "other", "Other CA")
    assert run(keystore, "ca", "trust", other.pem).exit_code == 0
    assert run(keystore, "ca", "est", "Other CA").exit_code == 2
    refused = run(keystore, "ca", "est", "Other CA", "https://est.example.org")
    assert refused.exit_code != 0
    assert "--ca-host est.example.org:443" in refused.stderr
    refused = run(keystore, "ca", "est", "Nobody", "https://est.example.org")
    assert "trust it first" in refused.stderr
