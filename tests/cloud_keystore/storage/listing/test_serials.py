"""Serial numbers by their beginnings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from cloud_keystore.model.cards import SERIAL_DIGITS
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.listing.serials import numbered

SERIALS = st.text("0123456789", min_size=SERIAL_DIGITS, max_size=SERIAL_DIGITS)
BEGINNINGS = st.one_of(st.text("089", max_size=2), st.text(max_size=3))


@given(serials=st.sets(SERIALS), text=BEGINNINGS, length=st.integers(0, SERIAL_DIGITS))
def test_what_begins_so_is_found_and_nothing_else(
    serials: set[str], text: str, length: int
) -> None:
    beginnings = [text, *(each[:length] for each in serials)]
    with create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE card (serial TEXT PRIMARY KEY)")
        for each in serials:
            connection.exec_driver_sql("INSERT INTO card VALUES (?)", (each,))
        for beginning in filter(None, beginnings):
            found = connection.execute(select(t.card.c.serial).where(numbered(beginning)))
            wanted = {each for each in serials if each.startswith(beginning)}
            assert set(found.scalars()) == wanted
