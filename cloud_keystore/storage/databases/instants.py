"""Times in the database: whole microseconds of UTC, so that order and comparison are exact
everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect, TypeDecorator

from cloud_keystore.model.errors import RecordDamaged

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A point in time, stored as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        try:
            return None if value is None else EPOCH + value * MICROSECOND
        # SQLite can hold text in a column of numbers.
        except (TypeError, OverflowError):
            raise RecordDamaged("a point in time: restore the database from a backup") from None
