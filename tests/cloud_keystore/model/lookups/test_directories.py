"""Directories of Windows accounts, as they are named."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.lookups import directories
from cloud_keystore.model.lookups.directories import AccountDirectory
from cloud_keystore.model.lookups.filters import Either, Equal, Every

KNOWN = {
    "url": "ldaps://dc1.corp.example",
    "bind_dn": "cn=ra,dc=corp,dc=example",
    "base_dn": "dc=corp,dc=example",
    "domain": "CORP",
}
PLAIN = {"url": "ldap://localhost:3890", "plain": True}


def named(**given: object) -> AccountDirectory:
    return AccountDirectory(**{**KNOWN, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("ldaps://dc1.corp.example", ("dc1.corp.example", 636)),
        ("ldap://dc1.corp.example/", ("dc1.corp.example", 389)),
        ("ldaps://dc1.corp.example:3269", ("dc1.corp.example", 3269)),
        ("ldaps://[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("ldaps://192.0.2.1", ("192.0.2.1", 636)),
    ],
)
def test_where_a_directory_is(url: str, place: tuple[str, int]) -> None:
    assert named(url=url).place == place


@pytest.mark.parametrize(
    "given",
    [
        *({"url": url} for url in ("", "dc1", "https://dc1.corp.example", "ldaps://", "ldapi:///")),
        {"url": "ldaps://ra:secret@dc1.corp.example"},
        {"url": "ldaps://dc1.corp.example/dc=corp"},
        {"url": "ldaps://dc1.corp.example:65536"},
        {"url": "ldaps://dc1..example"},
        {"url": "ldaps://" + "a" * 300 + ".example"},
        {"plain": True},
        {"url": "ldap://dc1.corp.example", "plain": True},
        {"url": "ldap://192.0.2.1", "plain": True},
        {"url": "ldaps://localhost", "plain": True},
        *({"bind_dn": dn} for dn in ("", "cn=\x00", "cn=ra ", "c" * 501)),
        {"base_dn": ""},
        *({"domain": domain} for domain in ("", "CO RP", "CORP\\x", "c" * 256)),
        {"narrowing": "(mail=*"},
        *({name: "a=b"} for name in ("sam", "upn", "mail")),
        {"anchors": b"x" * (64 * 1024 + 1)},
    ],
)
def test_what_is_none_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        named(**given)


def test_on_this_computer_tls_can_be_left_out() -> None:
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert named(**{**PLAIN, "url": f"ldap://{host}:3890"}).plain


def test_a_person_is_wanted_by_what_is_known() -> None:
    users = Equal("objectClass", "user")
    mail, upn = Equal("mail", "a@b.example"), Equal("userPrincipalName", "a@corp.example")
    assert directories.wanted(named(), mail.value, upn.value) == Every((users, Either((mail, upn))))
    assert directories.wanted(named(), "", upn.value) == Every((users, Either((upn,))))
    assert directories.wanted(named(), "", "") is None
