"""Settings that are wrong are refused with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_keystore.config import Address, Settings, attestation_roots, public_host
from cloud_keystore.model.approval_keys import RelyingParty
from cloud_keystore.model.certificates import Published
from cloud_keystore.model.errors import InvalidInput
from support.attesting import new_maker


@pytest.mark.parametrize(
    ("public_host", "rp_id", "origin", "expected"),
    [
        ("127.0.0.1", "", "", ("localhost", "https://localhost")),
        ("::1", "", "", ("localhost", "https://localhost")),
        ("keystore", "", "", ("keystore", "https://keystore")),
        ("K.Example.org", "", "", ("k.example.org", "https://k.example.org")),
        ("10.0.0.1", "example.org", "", ("example.org", "https://example.org")),
        (
            *("k.example.org", "example.org", "https://k.example.org:8443"),
            ("example.org", "https://k.example.org:8443"),
        ),
        ("127.0.0.1", "", "http://localhost:8000", ("localhost", "http://localhost:8000")),
    ],
)
def test_whom_passkeys_are_made_for(
    public_host: str, rp_id: str, origin: str, expected: tuple[str, str]
) -> None:
    settings = Settings(
        Path(), public_host=public_host, webauthn_rp_id=rp_id, webauthn_origin=origin
    )
    assert settings.relying_party == RelyingParty(*expected)


@pytest.mark.parametrize(
    "url",
    [
        *("https://pki.example.org", "ldap://pki.example.org", "pki.example.org", "http://"),
        *("http://pki.example.org/", "http://pki.example.org?a", "http://pki.example.org/a b"),
    ],
)
def test_an_address_at_which_no_certificates_are_asked_about(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"such as http://pki|begins with http://"):
        Settings(Path(), published=Published(status_url=url))


@pytest.mark.parametrize("url", ["http://pki.example.org", "http://[2001:db8::1]:7446/cards"])
def test_an_address_at_which_certificates_are_asked_about(url: str) -> None:
    settings = Settings(Path(), published=Published(status_url=url))
    assert settings.published.by(b"\x01").ocsp_url == f"{url}/ocsp"


@pytest.mark.parametrize("rp_id", ["10.0.0.1", "Example.org", "https://a.b", "a..b", "-a.b", "a b"])
def test_a_domain_that_is_none(rp_id: str) -> None:
    with pytest.raises(InvalidInput, match="not a domain"):
        Settings(Path(), webauthn_rp_id=rp_id)


@pytest.mark.parametrize(
    "origin",
    [
        *("http://example.org", "https://example.org/", "https://example.org/path", "example.org"),
        *(
            "https://example.org.evil.example",
            "https://evilexample.org",
            "https://user@example.org",
        ),
        *("https://example.org:0", "https://example.org\n"),
    ],
)
def test_an_origin_of_somebody_else(origin: str) -> None:
    with pytest.raises(InvalidInput, match="not an origin of"):
        Settings(Path(), webauthn_rp_id="example.org", webauthn_origin=origin)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("keystore.example.org", "keystore.example.org"),
        ("Keystore.Example.org.", "keystore.example.org"),
        (" keystore ", "keystore"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_a_public_host(text: str, host: str) -> None:
    assert public_host(text) == host
    assert Settings(Path(), public_host=host).service_addresses == (Address(host, 7443),)
    shown = str(Address(host, 7443))
    assert Address.parse_public(shown) == Address(host, 7443)


@pytest.mark.parametrize(
    "text",
    [
        *("https://keystore", "keystore:7443", "[::1]:7443", "192.0.2.1:7443", "keystore/path"),
        *("", " ", ".", "key store", "key_store", "-keystore", "a..b", "a" * 64, "a." * 127 + "ab"),
        *("192.0.2", "192.0.2.256", "fe80::1%eth0", "ada@keystore", "[keystore]", "key\nstore"),
    ],
)
def test_a_public_host_of_which_tokens_would_be_no_use(text: str) -> None:
    with pytest.raises(InvalidInput, match="neither a host name nor an IP address"):
        public_host(text)
    with pytest.raises(InvalidInput):
        Settings(Path(), public_host=text)


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "[::]"])
def test_no_client_can_call_every_address(text: str) -> None:
    with pytest.raises(InvalidInput, match="all addresses"):
        public_host(text)


def test_attestation_roots(tmp_path: Path) -> None:
    one, other = new_maker(), new_maker()
    path = tmp_path / "roots.pem"
    path.write_bytes(b"".join((*one.roots, *other.roots)))
    assert attestation_roots(path) == (*one.roots, *other.roots)
    for content, match in ((b"", "has no certificates"), (b"no PEM", "has no certificates")):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=match):
            attestation_roots(path)
    with pytest.raises(InvalidInput, match="No such file"):
        attestation_roots(tmp_path / "missing.pem")
