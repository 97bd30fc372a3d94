"""A keystore behind a real proxy: all calls go through it, and a proxy that fails is the cause."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudcard_tools.shared import reaching
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.shared.reaching import PROXY
from support.connect_proxy import SERVING, Proxy, proxy
from support.keystore_process import KeystoreProcess
from support.listeners import KEY, Issuer, listening, tls
from support.polling import until

HOST = "keystore.test"  # a name that only the proxy knows
SECONDS = 60.0


@pytest.fixture(scope="module")
def running() -> Iterator[Proxy]:
    with proxy() as begun:
        yield begun


@pytest.fixture(scope="module")
def keystore(running: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with pytest.MonkeyPatch.context() as patched, Nursery(folder / "logs") as nursery:
        for name in (*reaching.NOT_USED, "no_proxy", "NO_PROXY"):
            patched.delenv(name, raising=False)
        patched.setenv(PROXY, running.url)
        yield KeystoreProcess(folder, nursery, ("--public-host", HOST))


def listed(keystore: KeystoreProcess, url: str) -> subprocess.CompletedProcess[str]:
    """A command, started for real: what gRPC writes itself is decided when it is imported."""
    command = [sys.executable, "-m", "cloudcard_tools", "ra", "user", "list"]
    return subprocess.run(
        [*command, "--identity", str(keystore.operator.folder)],
        env={**os.environ, PROXY: url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_enrolment_and_calls_go_through_it(running: Proxy, keystore: KeystoreProcess) -> None:
    keystore.holder("Ada Byron")
    ports = [
        address.rpartition(":")[2] for address in (keystore.enrolment_address, keystore.address)
    ]
    assert set(running.asked) == {f"{HOST}:{port}" for port in ports}
    running.asked.clear()
    done = listed(keystore, running.url)
    assert done.returncode == 0, done.stderr
    assert "Ada Byron" in done.stdout
    assert f"by the proxy {running.url}" in done.stderr
    assert running.asked == [f"{HOST}:{ports[1]}"]


@pytest.mark.parametrize("refusal", ["407 Proxy Authentication Required", "503 Unavailable"])
def test_a_proxy_that_refuses_is_the_cause(
    refusal: str, running: Proxy, keystore: KeystoreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "refusal", refusal)
    done = listed(keystore, running.url)
    assert done.returncode == 1
    # A word of its own: ports have any three digits by chance.
    assert len(re.findall(rf"\b{refusal[:3]}\b", done.stderr)) == 1, done.stderr
    assert "proxy" in done.stderr.splitlines()[-1]


def test_one_that_looks_into_the_connection_is_the_cause(
    running: Proxy, keystore: KeystoreProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A company's own authority vouches for nothing: the keystore's is the only one."""
    certificate = Issuer("Company CA").issue(KEY.public_key())
    with listening(tls(tmp_path / "company", certificate)) as port:
        monkeypatch.setattr(running, "instead", port)
        done = listed(keystore, running.url)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert '"CN=Company CA"' in told
    assert "let it pass connections to the keystore unchanged" in told


def test_the_doctor_goes_by_the_proxy_of_the_agents_configuration(
    running: Proxy, keystore: KeystoreProcess, tmp_path: Path
) -> None:
    shutil.copytree(keystore.operator.folder, tmp_path / "operator")
    found = configured(running, tmp_path, "doctor", "--json")
    checks = {each["id"]: each for each in json.loads(found.stdout)["checks"]}
    assert checks["keystore.reachable"]["level"] == "ok", checks["keystore.reachable"]


def test_a_workstation_enrols_by_the_proxy_of_the_configuration(
    running: Proxy, keystore: KeystoreProcess, tmp_path: Path
) -> None:
    done = configured(running, tmp_path, "reader", "enrol", keystore.workstation_token("PC"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "workstation" / "key.pem").exists()


def configured(running: Proxy, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of a user whose configuration alone names the proxy."""
    (folder / "cloudcard").mkdir()
    (folder / "cloudcard" / "reader.toml").write_text(f'proxy = "{running.url}"\n')
    environment = {name: value for name, value in os.environ.items() if name != PROXY}
    return subprocess.run(
        [sys.executable, "-m", "cloudcard_tools", *arguments],
        env=environment | {"XDG_CONFIG_HOME": str(folder), "CLOUDCARD_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_who_hangs_up_before_asking_is_forgotten(running: Proxy) -> None:
    """The proxy waited for ever for the rest, on a whole core."""
    before = set(threading.enumerate())

    def serving() -> list[threading.Thread]:
        new = set(threading.enumerate()) - before
        return [each for each in new if each.name == SERVING]

    host, _, port = running.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"CONNECT keystore")
        until(lambda: bool(serving()), SECONDS)
    until(lambda: not serving(), SECONDS)


def test_a_proxy_that_is_gone_is_the_cause(keystore: KeystoreProcess) -> None:
    with proxy() as gone:
        url = gone.url
    done = listed(keystore, url)
    assert done.returncode == 1
    assert f"the proxy {url}" in done.stderr.splitlines()[-1], done.stderr
