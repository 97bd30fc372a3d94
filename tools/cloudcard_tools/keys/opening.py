"""Opens the database of a keystore that perhaps runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing import sealing_keys
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.run import owning
from cloud_keystore.storage.engine import Database
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.sealing_options import SealingKeys


@contextmanager
def believed(place: Settings, sealing: SealingKeys) -> Iterator[tuple[Database, Seal]]:
    """The database of a place, whose records can be read and written, and its seal. Raises
    Failure.
    """
    with opened(place) as database:
        sources = sealing.sources(place)
        yield database, sealing_keys.open_seal(database, sources, utc_now(), os.urandom)


@contextmanager
def opened(place: Settings) -> Iterator[Database]:
    """The database of a place, migrated; its records stay closed. Raises Failure."""
    if not place.database and not place.database_file.exists():
        raise Failure(f"there is no keystore in {place.data}: name its folder with --data")
    database = Database(place.database_url)
    try:
        if place.data.exists():
            owning.check_place(place)
        database.migrate()
        yield database
    except KeystoreError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from None
    finally:
        database.close()
