"""Errors of the database's driver as refusals: what may be repeated, and what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cloud_keystore.model.errors import StorageDamaged, StorageUnavailable

DAMAGED = ("malformed", "not a database", "invalid page", "could not read block")


@contextmanager
def translated() -> Iterator[None]:
    """Raise StorageUnavailable where the database cannot be reached or written, StorageDamaged
    where it cannot be read. IntegrityError stays, as use cases know what to make of it, and so do
    the errors of wrong statements.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        said = str(error.orig)
        if any(word in said for word in DAMAGED):
            raise StorageDamaged("the database is damaged: restore it from a backup") from error
        if isinstance(error, OperationalError) or error.connection_invalidated:
            raise StorageUnavailable(
                "the database cannot be used at the moment: try again"
            ) from error
        raise
    except PoolTimeout as error:
        raise StorageUnavailable("the database is busy: try again") from error
