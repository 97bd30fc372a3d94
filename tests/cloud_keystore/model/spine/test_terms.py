"""Which session broker a keystore asks (SPINE-02)."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.spine.terms import SpineTerms, place

FILE = "file"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://broker.example.org", (("broker.example.org", 443), "")),
        ("https://broker.example.org:8443/ssb/", (("broker.example.org", 8443), "/ssb")),
        ("https://192.0.2.1", (("192.0.2.1", 443), "")),
    ],
)
def test_where_a_broker_is(url: str, found: tuple[tuple[str, int], str]) -> None:
    assert place(url) == found


@pytest.mark.parametrize(
    "url",
    [
        "http://broker.example.org",
        "https://",
        "https://user@broker.example.org",
        "https://broker.example.org/?a=b",
        "https://broker.example.org?",
        "https://broker.example.org#a",
        "https://broker.example.org:99999",
        "https://broker.example.org:x",
        "https://bro ker.example.org",
        "https://broker.example.org/" + "a" * 300,
        "broker.example.org",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InvalidInput, match="address of a session broker"):
        SpineTerms(url)


def test_there_is_one_way_and_no_other() -> None:
    """SPINE-02: a broker or a simulator."""
    with pytest.raises(InvalidInput, match="one of them"):
        SpineTerms()
    with pytest.raises(InvalidInput, match="one of them"):
        SpineTerms("https://broker.example.org", simulated=FILE)
    with pytest.raises(InvalidInput, match="goes with its key"):
        SpineTerms("https://broker.example.org", certificate=FILE)
    assert SpineTerms(simulated=FILE).url == ""
