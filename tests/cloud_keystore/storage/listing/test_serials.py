"""Serial numbers by their beginnings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select

from cloud_keystore.model.cards import SERIAL_DIGITS
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.listing.serials import numbered

SERIALS = st.text("0123456789", min_size=SERIAL_DIGITS, max_size=SERIAL_DIGITS)
BEGINNINGS = st.one_of(st.text("089", max_size=2), st.text(max_size=3))


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    """A database with room for cards' serial numbers alone."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE card (serial TEXT PRIMARY KEY)")
        yield connection
    engine.dispose()


@given(serials=st.sets(SERIALS), text=BEGINNINGS, length=st.integers(0, SERIAL_DIGITS))
def test_what_begins_so_is_found_and_nothing_else(
    connection: Connection, serials: set[str], text: str, length: int
) -> None:
    connection.exec_driver_sql("DELETE FROM card")
    for each in serials:
        connection.exec_driver_sql("INSERT INTO card VALUES (?)", (each,))
    for beginning in filter(None, (text, *(each[:length] for each in serials))):
        found = connection.execute(select(t.card.c.serial).where(numbered(beginning)))
        wanted = {each for each in serials if each.startswith(beginning)}
        assert set(found.scalars()) == wanted
