"""A keystore behind a real proxy: all calls go through it, and a proxy that fails is the cause."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cloudcard_tools.shared import reaching
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.shared.reaching import PROXY
from support.connect_proxy import Proxy, proxy
from support.keystore_process import KeystoreProcess

HOST = "keystore.test"  # a name that only the proxy knows


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


def test_a_proxy_that_is_gone_is_the_cause(keystore: KeystoreProcess) -> None:
    with proxy() as gone:
        url = gone.url
    done = listed(keystore, url)
    assert done.returncode == 1
    assert f"the proxy {url}" in done.stderr.splitlines()[-1], done.stderr
