"""Mutual TLS with the card's authentication key, against a real nginx."""

from __future__ import annotations

from pathlib import Path

import pytest

from card_os.piv.names import KeyRef
from cloudcard_tools.demo.programs import Ended, run
from cloudcard_tools.shared.processes import Nursery
from support import nginx
from support.authority import Authority
from support.nginx import Nginx
from support.openssl_engine import configure, openssl, uri
from support.system_cards import ALGORITHMS, PIN, LocalCard, on_cards

KEY = KeyRef.AUTHENTICATION
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture
def server(servers: Nursery, tmp_path: Path, authority: Authority) -> Nginx:
    return nginx.start(servers, tmp_path, authority)


def curl(server: Nginx, version: str, *options: str, **environment: str) -> Ended:
    trust = ("--cacert", str(server.authority), "--tlsv" + version, "--tls-max", version)
    return run(["curl", "--silent", "--show-error", *trust, *options, server.url], **environment)


@VERSIONS
@on_cards(*ALGORITHMS)
def test_openssl_s_client(card: LocalCard, server: Nginx, tmp_path: Path, version: str) -> None:
    ended = openssl(
        tmp_path,
        *("s_client", "-connect", f"localhost:{server.port}", "-quiet", "-ign_eof"),
        *("-CAfile", server.authority, "-verify_return_error", f"-tls{version.replace('.', '_')}"),
        *("-cert", card.write_certificate(KEY, tmp_path)),
        *("-engine", "pkcs11", "-keyform", "engine", "-key", uri(KEY)),
        stdin="GET / HTTP/1.0\r\n\r\n",
    )
    assert nginx.said("Ada 9A", f"TLSv{version}") in ended.output, ended.errors
    assert set(card.used) == {KEY}


@VERSIONS
@on_cards(*ALGORITHMS)
def test_curl(card: LocalCard, server: Nginx, tmp_path: Path, version: str) -> None:
    own = ("--cert-type", "ENG", "--cert", uri(KEY, "cert"), "--key-type", "ENG", "--key", uri(KEY))
    before = len(card.used)
    ended = curl(server, version, "--engine", "pkcs11", *own, **configure(tmp_path))
    assert nginx.said("Ada 9A", f"TLSv{version}") in ended.output, ended.errors
    assert card.used[before:] == [KEY]


@VERSIONS
@on_cards(*ALGORITHMS)
def test_the_certificate_alone_is_not_enough(
    card: LocalCard, server: Nginx, tmp_path: Path, version: str
) -> None:
    """The card will not sign with a wrong PIN."""
    wrong = uri(KEY).replace(PIN, "000000")
    own = ("--cert-type", "ENG", "--cert", uri(KEY, "cert"), "--key-type", "ENG", "--key", wrong)
    before = len(card.used)
    ended = curl(server, version, "--engine", "pkcs11", *own, **configure(tmp_path))
    assert ended.code != 0
    assert "SUCCESS" not in ended.output
    assert card.used[before:] == []
    card.pkcs11("--login", "--pin", PIN, "--list-objects")  # the tries are back


@VERSIONS
def test_without_a_card_the_server_refuses(server: Nginx, version: str) -> None:
    ended = curl(server, version)
    assert "400 No required SSL certificate was sent" in ended.output
