"""What clients say of themselves, and how versions are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.software import (
    LONGEST_VERSION,
    MOST_CAPABILITIES,
    OLDEST,
    Compatibility,
    Software,
    parse,
    precedence,
    version_field,
)

# In the order of Semantic Versioning 2.0.0, 11, with versions of fewer numbers
IN_ORDER = (
    *("0.0.9", "0.1.0-alpha", "0.1.0-alpha.1", "0.1.0-alpha.beta", "0.1.0-beta.2"),
    *("0.1.0-beta.11", "0.1.0-rc.1", "0.1", "0.1.1", "0.9", "0.10.0", "1", "1.9", "1.10"),
    *("1.10.0.1", "2.0.0-1", "2", "10.0"),
)
GARBAGE = (
    "",
    "banana",
    "1..2",
    "1.",
    ".1",
    "1.2.3.4.5",
    "1.0-",
    "1.0 beta",
    "\u0661.\u0662",
    "v",
    "1.0-ü",
)


@pytest.mark.parametrize("least", range(len(IN_ORDER)))
@pytest.mark.parametrize("own", range(len(IN_ORDER)))
def test_versions_are_compared_as_numbers(own: int, least: int) -> None:
    """DEV-04, BUG-21: "1.10" is later than "1.9"; what is compatible is never said to be
    outdated.
    """
    found = Software(version=IN_ORDER[own]).compared(IN_ORDER[least])
    assert found is (Compatibility.OUTDATED if own < least else Compatibility.COMPATIBLE)


@pytest.mark.parametrize("other", ["1.10.0", "1.10", "v1.10.0", "1.10.0+build.7"])
def test_the_same_version_otherwise_written(other: str) -> None:
    assert precedence(other) == precedence("1.10")


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_not_known_is_not_outdated(garbage: str) -> None:
    """DEV-04: a version that cannot be compared is unknown, on either side."""
    assert Software(version=garbage).compared(OLDEST) is Compatibility.UNKNOWN
    assert Software(version="1.0").compared(garbage) is Compatibility.UNKNOWN


@pytest.mark.parametrize("given", [*GARBAGE[1:], "1." + "0" * LONGEST_VERSION])
def test_a_version_that_somebody_gives_is_one(given: str) -> None:
    with pytest.raises(InvalidInput, match="oldest is no version"):
        version_field("oldest", given)


def test_blanks_around_a_version_that_somebody_gives() -> None:
    assert [version_field("oldest", each) for each in (" 1.10 ", " ")] == ["1.10", ""]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "cloudcard/0.1.0 (linux 6.1.0; sign-in, other) grpc-python/1.76.0 grpc-c/51 (linux)",
            Software("0.1.0", "linux", "6.1.0", ("sign-in", "other")),
        ),
        ("cloudcard/1.10 (android 15)", Software("1.10", "android", "15")),
        ("cloudcard/1.10 (android)", Software("1.10", "android")),
        ("cloudcard/1.10 (; sign-in)", Software("1.10", capabilities=("sign-in",))),
        ("cloudcard/banana grpc-python/1.76.0", Software("banana")),
        ("cloudcard/1.0 (a b c d; UPPER, ok)", Software("1.0", "a", "b", ("ok",))),
        ("cloudcard/" + "9" * 33, Software()),
        ("cloudcard/1.0(linux", Software()),
        ("cloudcard/\x1b[31m", Software()),
        ("other/1.0 (linux 6)", Software()),
        ("grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)", Software()),
        ("", Software()),
    ],
)
def test_what_a_user_agent_says(said: str, expected: Software) -> None:
    """DEV-01: version, platform and platform version."""
    assert parse(said) == expected


@given(st.text() | st.from_regex(r"\Acloudcard/[^ ]{1,40} \([^()]*\)"))
def test_any_text_is_something_bounded(said: str) -> None:
    found = parse(said)
    found.compared()
    words = (found.version, found.platform, found.platform_version, *found.capabilities)
    assert all(len(each) <= LONGEST_VERSION and each.isascii() for each in words)
    assert all(each.isprintable() for each in words)
    assert len(found.capabilities) <= MOST_CAPABILITIES
