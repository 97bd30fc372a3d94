"""The index of bundles finds every bundle in which something is, whether it is sorted or not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import func, select

from cloud_keystore.storage.bundles import finding
from cloud_keystore.storage.bundles.finding import BUCKETS, MERGED, bundle_index
from cloud_keystore.storage.engine import Database

BUNDLES = 2 * MERGED + 10


def about(number: int) -> set[str]:
    """What the entries of a bundle are about: itself, some cards, and what all are about."""
    return {f"operation {number}", f"card {number % 7}", f"card {number % 5}", "session.used"}


def test_everything_is_found(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'keystore.db'}")) as database:
        database.migrate()
        with database.write() as connection:
            for number in range(BUNDLES):
                finding.add(connection, number, about(number))
            unsorted = select(func.count()).where(bundle_index.c.bucket == finding.UNSORTED)
            assert connection.execute(unsorted).scalar() == BUNDLES % MERGED
            for subjects in (
                *({each} for each in set().union(*map(about, range(BUNDLES)))),
                {"card 1", "operation 3"},
            ):
                wanted = {n for n in range(BUNDLES) if about(n) & subjects}
                assert finding.candidates(connection, subjects) == wanted
            assert finding.candidates(connection, {"operation"}) == set()


def test_a_mark_is_found_at_its_own_place_alone(tmp_path: Path) -> None:
    """Bytes of two marks next to each other are no mark."""
    with closing(Database(f"sqlite:///{tmp_path / 'keystore.db'}")) as database:
        database.migrate()
        many = [f"thing {number}" for number in range(40 * BUCKETS)]
        with database.write() as connection:
            for number in range(MERGED):
                finding.add(connection, number, many if number == 5 else [])
            found = [len(finding.candidates(connection, {f"other {n}"})) for n in range(2000)]
            assert sum(found) <= 2  # one in 400,000 marks is that of something else
            assert all(finding.candidates(connection, {each}) == {5} for each in many[:50])
