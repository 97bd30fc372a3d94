"""What profiles can say that organisations define."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cloud_keystore.model.custom.profiles import (
    LONGEST_NAME,
    LONGEST_SERIES,
    CustomProfile,
    Terms,
    base_named,
    profile_name,
    with_terms,
)
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.profiles import PROFILES

PLAIN = CustomProfile(
    id="1",
    name="series-8",
    organisation_id="default",
    base="v2",
    series="series-8",
    oldest_client="",
    serial_prefix="150",
    validity_days=730,
    create_time=datetime(2026, 11, 29, tzinfo=UTC),
)


def test_a_profile_makes_its_base_with_other_numbers() -> None:
    """CARD-04, CARD-05: cards of a variant of `v2` still begin with 150."""
    made = with_terms(PLAIN, Terms("Series 8", " 1.10 ", "15012", 10))
    assert (made.series, made.oldest_client) == ("Series 8", "1.10")
    card = made.card_profile
    assert (card.name, card.serial_prefix, card.validity_days) == ("v2", "15012", 10)
    assert card.keys == PROFILES["v2"].keys
    assert with_terms(made, Terms()) == made
    back = with_terms(made, Terms(oldest_client="", serial_prefix=" ", validity_days=0))
    assert back.card_profile == PROFILES["v2"]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(series=" "), "series"),
        (Terms(series="x" * (LONGEST_SERIES + 1)), "series"),
        (Terms(series="a\nb"), "series"),
        (Terms(oldest_client="newest"), "oldest_client"),
        (Terms(serial_prefix="151"), "serial_prefix"),
        (Terms(serial_prefix="15"), "serial_prefix"),
        (Terms(serial_prefix="150x"), "serial_prefix"),
        (Terms(serial_prefix="150\u0661"), "serial_prefix"),
        (Terms(serial_prefix="150000000"), "serial_prefix"),
        (Terms(validity_days=731), "validity_days"),
        (Terms(validity_days=-1), "validity_days"),
    ],
)
def test_what_a_profile_cannot_say(terms: Terms, field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        with_terms(PLAIN, terms)


@pytest.mark.parametrize("name", ["", "Series-8", "8", "series 8", "a-", "x" * (LONGEST_NAME + 1)])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(InvalidInput, match="name has to be"):
        profile_name(name)


@pytest.mark.parametrize("base", ["", "V2", "developer", "p256", "series-8"])
def test_cards_are_of_the_two_kinds_that_are_counted(base: str) -> None:
    """CARD-11: reports count V1 and V2."""
    with pytest.raises(InvalidInput, match="use one of v1, v2"):
        base_named(base)
