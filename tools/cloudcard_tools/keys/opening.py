"""Opens the database of a keystore that perhaps runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cloud_keystore.config import Settings
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.run import owning
from cloud_keystore.storage.engine import Database
from cloudcard_tools.shared.failures import Failure

sources_option = click.option(
    "--sealing-key",
    "sources",
    multiple=True,
    required=True,
    metavar="SOURCE",
    help="First the key that is to seal, then the keys that are in use.",
)


@contextmanager
def opened(place: Settings) -> Iterator[Database]:
    """The database of a place, migrated. Raises Failure."""
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
