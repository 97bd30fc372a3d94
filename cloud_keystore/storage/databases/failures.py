"""Refusals that say what is wrong with a database or with one of its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import RowMapping
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cloud_keystore.model.errors import (
    InvalidInput,
    RecordDamaged,
    StorageDamaged,
    StorageUnavailable,
)

Read = TypeVar("Read")
More = ParamSpec("More")

# What to do, by words of the driver's message
ADVICE: Mapping[str, str] = {
    "disk is full": "make room on the disk",
    "No space left": "make room on the disk",
    "readonly database": "make its file and folder writable again",
    "read-only": "make the server take changes again, or name its successor too "
    "(postgresql://USER@HOST1,HOST2/NAME)",
    "disk I/O error": "look whether its disk is full, failing or gone",
    "unable to open": "look whether its folder is there and writable, and files may be opened",
    "is locked": "end the other program that uses it",
    "no password supplied": "name the file with the password in PGPASSFILE (a line "
    "HOST:PORT:NAME:USER:PASSWORD, readable by you alone)",
    "password authentication failed": "look whether the password in PGPASSFILE, PGPASSWORD or the "
    "address is that of the user",
    "no pg_hba.conf entry": "allow this user and computer in the server's pg_hba.conf",
    "too many clients": "let the server take more connections (max_connections)",
    "remaining connection slots": "let the server take more connections (max_connections)",
    "starting up": "wait until the server has started",
}
RESTORE = "restore it from a backup"
DAMAGED = ("malformed", "not a database", "invalid page", "could not read block")


@contextmanager
def translated() -> Iterator[None]:
    """Raises StorageUnavailable if the database cannot be reached or written, StorageDamaged if it
    cannot be read. IntegrityError passes through, because use cases handle it; so do errors of
    wrong statements.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        said = str(error.orig)
        if any(word in said for word in DAMAGED):
            raise StorageDamaged(f"the database is damaged: {RESTORE}") from error
        if isinstance(error, OperationalError) or error.connection_invalidated:
            raise StorageUnavailable(
                f"the database cannot be used at the moment: {advice(said)}"
            ) from error
        raise
    except PoolTimeout as error:
        raise StorageUnavailable("the database is busy: try again") from error


def advice(said: str) -> str:
    """What to do about an error, from the driver's message."""
    if any(word in said for word in DAMAGED):
        return RESTORE
    return next((advice for word, advice in ADVICE.items() if word in said), "try again")


def record(
    kind: str,
) -> Callable[
    [Callable[Concatenate[RowMapping, More], Read]], Callable[Concatenate[RowMapping, More], Read]
]:
    """Make a reader of rows raise RecordDamaged, with the record's name, for a row that holds what
    the keystore never writes. The message does not quote the row, which can hold anything.
    """

    def reading(
        read: Callable[Concatenate[RowMapping, More], Read],
    ) -> Callable[Concatenate[RowMapping, More], Read]:
        @wraps(read)
        def reader(row: RowMapping, /, *args: More.args, **named: More.kwargs) -> Read:
            try:
                return read(row, *args, **named)
            except (ValueError, TypeError, KeyError, InvalidInput) as error:
                name = str(row.get("id", ""))
                raise RecordDamaged(
                    f"{kind} {name} ({type(error).__name__}): restore the database from a backup"
                ) from None

        return reader

    return reading
