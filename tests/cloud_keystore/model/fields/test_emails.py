"""E-mail addresses: when two are the same, and which domains are allowed."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import emails


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("É@x.example", "é@X.example"),
        ("e\u0301@x.example", "É@x.example"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("O'Brien+Ward@example.org", "o'brien+ward@EXAMPLE.org"),
    ],
)
def test_one_address_is_written_in_several_ways(one: str, other: str) -> None:
    """BUG-02."""
    assert emails.key(one) == emails.key(other)


def test_accents_tell_addresses_apart() -> None:
    assert emails.key("rené@example.org") != emails.key("rene@example.org")


@pytest.mark.parametrize("typed", ["Example.ORG", " @example.org "])
def test_a_domain_has_one_form(typed: str) -> None:
    assert emails.domain(typed) == "example.org"
    assert emails.domain("bücher.example") == "xn--bcher-kva.example"


@pytest.mark.parametrize("typed", ["", "org", "a b.org", "ada@example.org", "127.0.0.1"])
def test_what_is_no_domain_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput, match=r"as example\.org"):
        emails.domain(typed)


def test_a_refused_domain_is_told_the_allowed_ones() -> None:
    """USER-18."""
    with pytest.raises(InvalidInput, match=r"a\.example, b\.example can be used"):
        emails.check_domain("ada@sub.a.example", {"b.example", "a.example"})
    many = {f"d{number:02}.example" for number in range(30)}
    with pytest.raises(InvalidInput, match=r"d09\.example and 20 more"):
        emails.check_domain("ada@example.org", many)
    emails.check_domain("ada@D07.example", many)
    emails.check_domain("ada@example.org", ())
