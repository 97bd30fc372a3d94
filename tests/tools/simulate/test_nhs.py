"""The command: what it is given, and what it says if that cannot be used."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from cryptography import x509

from cloudcard_tools import ending
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.simulate import server_keys
from cloudcard_tools.simulate.cis2.clients import ClientsUnreadable, read
from cloudcard_tools.simulate.server_keys import PRIVATE, PUBLIC, KeysUnusable
from support.authority import Authority
from support.simulators import RETURN, RSA, registered

NOW = datetime.now(UTC)
KEY = RSA.as_dict(private=False)
LEAST = {"client_id": "one", "client_secret": "s" * 16, "redirect_uris": [RETURN]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON"),
        ("{}", "a list"),
        ("[]", "a list"),
        ("[1]", "an object"),
        ([LEAST, LEAST], "twice"),
        ([{**LEAST, "colour": "red"}], "no colour"),
        ([{**LEAST, "client_id": 1}], "texts are"),
        ([{**LEAST, "redirect_uris": RETURN}], "lists of texts"),
        ([{**LEAST, "redirect_uris": []}], "at least"),
        ([{**LEAST, "client_secret": ""}], "one of"),
        ([{**LEAST, "jwks_uri": "http://localhost/keys"}], "one of"),
        ([{**LEAST, "client_secret": "short"}], "16 characters"),
        ([{**LEAST, "redirect_uris": ["/callback"]}], "absolute"),
        ([{**LEAST, "redirect_uris": ["http://a/#b"]}], "absolute"),
        ([{**LEAST, "redirect_uris": ["http://a/\r\nX: y"]}], "absolute"),
        ([{**LEAST, "backchannel_logout_uri": "https://x.nhs.uk/"}], "host of the NHS"),
        ([{**LEAST, "client_secret": "", "jwks": {"keys": [KEY] * 17}}], "at most 16 keys"),
        ([{**LEAST, "client_secret": "", "jwks": []}], "Key Set"),
        ([{**LEAST, "client_secret": "", "jwks": {"keys": [{"kty": "RSA"}]}}], "Key Set"),
        (
            [{**LEAST, "client_secret": "", "jwks": {"keys": [{"kty": "oct", "k": "YWJj" * 8}]}}],
            "RSA",
        ),
    ],
)
def test_clients_that_cannot_be_registered(content: object, said: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(ClientsUnreadable, match=said):
        read(text)


def test_no_secret_is_shown() -> None:
    [one] = read(json.dumps([LEAST])).values()
    assert "sss" not in repr(one)


def test_the_authority_stays_and_certifies_its_host_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    public = server_keys.authority(folder, "localhost", NOW)
    first = public.read_bytes()
    server_keys.server(folder, "localhost", NOW)
    assert server_keys.authority(folder, "localhost", NOW).read_bytes() == first
    assert stat.S_IMODE((folder / PRIVATE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(each.name for each in folder.iterdir()) == [PRIVATE, PUBLIC]
    found = x509.load_pem_x509_certificate(first)
    names = found.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    assert names.value.permitted_subtrees == [x509.DNSName("localhost")]
    with pytest.raises(KeysUnusable, match="another host"):
        server_keys.authority(folder, "127.0.0.1", NOW)
    with pytest.raises(KeysUnusable, match="has ended"):
        server_keys.authority(folder, "localhost", NOW + timedelta(days=731))
    (folder / PRIVATE).unlink()
    with pytest.raises(KeysUnusable, match="missing"):
        server_keys.server(folder, "localhost", NOW)


def test_an_address_can_be_certified_too(tmp_path: Path) -> None:
    public = server_keys.authority(tmp_path / "data", "127.0.0.1", NOW)
    assert server_keys.server(tmp_path / "data", "127.0.0.1", NOW)
    found = x509.load_pem_x509_certificate(public.read_bytes())
    names = found.extensions.get_extension_for_class(x509.NameConstraints).value
    assert names.permitted_subtrees == [x509.IPAddress(IPv4Network("127.0.0.1/32"))]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "here"], "not an address"),
        (["--fault", "flood"], "no fault"),
        (["--crl", "https://crl.nhs.uk/list"], "host of the NHS"),
        (["--authority", "{authority}"], "--crl"),
        (["--authority", "{clients}", "--crl", "x"], "no certificate"),
    ],
)
def test_what_cannot_be_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """Nothing is made for it."""
    clients = tmp_path / "clients.json"
    clients.write_text(json.dumps(registered()))
    files = {"clients": clients, "authority": Authority().write(tmp_path)}
    given = [each.format(**files) for each in options]
    line = ["simulate", "nhs", "--clients", str(clients), "--data", str(tmp_path / "data"), *given]
    assert ending.run(cloudcard, line) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
