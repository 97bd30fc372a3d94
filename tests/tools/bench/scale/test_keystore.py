"""The simulated keystore does as often as the real one what it does under the writers' lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, event, func, select

from cloud_keystore.storage import tables as t
from cloud_keystore.storage.databases.modes import MODE, Mode
from cloudcard_tools.bench.growth.filling import Model, fill
from cloudcard_tools.bench.growth.keystore import Ward, opened
from cloudcard_tools.bench.scale import keystore

COMMIT = 1  # round trip, at the end of each transaction


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with opened(tmp_path_factory.mktemp("keystore")) as ward:
        yield ward


@contextmanager
def counted() -> Iterator[Counter[tuple[str, Mode]]]:
    """Transactions and statements meanwhile, by their kind."""
    counts: Counter[tuple[str, Mode]] = Counter()

    def begun(connection: Connection) -> None:
        counts["begin", connection.info[MODE]] += 1

    def asked(connection: Connection, *_: object) -> None:
        counts["statement", connection.info[MODE]] += 1

    event.listen(Engine, "begin", begun)
    event.listen(Engine, "before_cursor_execute", asked)
    try:
        yield counts
    finally:
        event.remove(Engine, "begin", begun)
        event.remove(Engine, "before_cursor_execute", asked)


def entries(ward: Ward) -> int:
    with ward.parts.database.read() as connection:
        return connection.execute(select(func.count()).select_from(t.journal)).scalar_one()


def test_opening_a_session(ward: Ward) -> None:
    before = entries(ward)
    with counted() as counts:
        ward.open_session(ward.passcode_proof())
    assert counts["begin", Mode.WRITE] == keystore.TRANSACTIONS
    assert entries(ward) - before == keystore.ENTRIES
    trips = counts["statement", Mode.WRITE] / keystore.TRANSACTIONS + COMMIT
    assert trips == pytest.approx(keystore.OPENING_TRIPS, abs=1)


def test_a_group_of_uses(ward: Ward) -> None:
    place = ward.open_session(ward.passcode_proof())
    ward.use([place])
    places = fill(ward, Model.of(ward, place.session_id), 32, lambda _: None)
    ward.use(places)
    ward.tend()

    def statements(work: Callable[[], None]) -> int:
        with counted() as counts:
            work()
        assert counts["begin", Mode.SHARED] == 1
        ward.tend()
        return counts["statement", Mode.SHARED]

    alone = statements(lambda: ward.use(places[:1]))
    assert alone + COMMIT == keystore.GROUP_TRIPS
    many = statements(lambda: ward.use(places))
    assert many == alone


def test_the_sequencer(ward: Ward) -> None:
    place = ward.open_session(ward.passcode_proof())
    ward.use([place] * 300)  # they fill a bundle
    with counted() as counts:
        ward.upkeep.take_in()
    assert counts["begin", Mode.WRITE] == 1
    trips = counts["statement", Mode.WRITE] + COMMIT
    assert trips == pytest.approx(keystore.SEQUENCER_TRIPS, abs=4)
