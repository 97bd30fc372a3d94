"""Opens the database of a keystore that perhaps runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from cloud_keystore.config import Settings, Token
from cloud_keystore.custody.sealing import sealing_keys
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.run import owning
from cloud_keystore.storage.engine import Database
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.sealing_options import sealing_sources

sources_option = click.option(
    "--sealing-key",
    "sources",
    multiple=True,
    required=True,
    metavar="SOURCE",
    help="First the key that is to seal, then the keys that are in use.",
)


key_in_use_option = click.option(
    "--sealing-key",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="A sealing key that is in use, repeatable. Default: sealing.key in the data folder.",
)


@contextmanager
def believed(place: Settings, named: Sequence[str], token: Token | None) -> Iterator[Database]:
    """The database of a place, whose records can be read and written by the sealing keys that were
    named, or the one in the data folder. Raises Failure.
    """
    with opened(place) as database:
        sources = sealing_sources(named, place, token)
        sealing_keys.open_seal(database, sources, utc_now(), os.urandom)
        yield database


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
