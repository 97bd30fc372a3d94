"""Times in the database are the same everywhere, also where clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from cloud_keystore.storage.databases.instants import Instant

DIALECT = sqlite.dialect()  # type: ignore[no-untyped-call]
ZONES = st.sampled_from(["Europe/London", "America/St_Johns", "Australia/Lord_Howe", "UTC"])
# Hours around changes of these clocks, at whole microseconds.
CHANGES = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),  # London, forward
        datetime(2026, 10, 25, 1, tzinfo=UTC),  # London, back
        datetime(2026, 11, 1, 4, 30, tzinfo=UTC),  # St John's, back
        datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe, back by half an hour
    ]
)
MOMENTS = st.builds(
    lambda change, away: change + away,
    CHANGES,
    st.timedeltas(min_value=timedelta(hours=-3), max_value=timedelta(hours=3)),
)


def kept(value: datetime) -> int:
    found = Instant().process_bind_param(value, DIALECT)
    assert found is not None
    return found


@given(MOMENTS, ZONES)
def test_a_moment_is_read_as_it_was_written(moment: datetime, zone: str) -> None:
    """The hour that comes twice is two hours, whatever the zone in which it was said."""
    local = moment.astimezone(ZoneInfo(zone))
    assert kept(local) == kept(moment)
    assert Instant().process_result_value(kept(local), DIALECT) == moment


@given(MOMENTS, MOMENTS, ZONES, ZONES)
def test_order_and_distance_are_those_of_the_moments(
    one: datetime, other: datetime, first: str, second: str
) -> None:
    left, right = kept(one.astimezone(ZoneInfo(first))), kept(other.astimezone(ZoneInfo(second)))
    assert (left < right) is (one < other)
    assert timedelta(microseconds=right - left) == other - one
