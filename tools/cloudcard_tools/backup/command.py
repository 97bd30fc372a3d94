"""The commands. `backup` works beside a running keystore, `restore` while none is running."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import file_digest
from pathlib import Path

import click

from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing import authenticating, rotation
from cloud_keystore.custody.sealing.sealing_keys import Source, open_seal
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.run import owning, restoring
from cloud_keystore.storage.engine import Database
from cloudcard_tools import new_files
from cloudcard_tools.backup import postgresql, sqlite
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.shared import logs, output
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import json_option
from cloudcard_tools.shared.place import place_options
from cloudcard_tools.shared.sealing_options import SealingKeys, sealing_options

UNCHANGED = "nothing was changed; restore into another folder"
EXAMPLES = """\b
Examples:
  cloudcard backup /backup/keystore-2026-11-23
  cloudcard restore /backup/keystore-2026-11-23 --data /var/lib/cloudcard
  cloudcard restore /backup/keystore-2026-11-23 --database postgresql://cloudcard@db/empty \\
    --sealing-key passphrase:/etc/cloudcard/passphrase
"""


@click.command(epilog=EXAMPLES)
@click.argument("file", type=NEW_FILE)
@place_options
@json_option
def backup(file: Path, place: Settings, as_json: bool) -> None:
    """Copy the database into the new FILE, while the keystore runs.

    The sealing key is not in the file. Keep it apart: both together give away all software keys.
    """
    logs.apart()
    os.umask(0o077)
    with new_files.draft(file) as draft:
        _copy(place, draft)
    facts: output.Row = {
        "file": str(file),
        "bytes": file.stat().st_size,
        "sha256": _sha256(file),
        "keep_too": "the sealing key, and the token if keys are in one",
    }
    labels = {"file": "Backup", "bytes": "Bytes", "sha256": "SHA-256", "keep_too": "Keep too"}
    output.print_facts(facts, labels, as_json=as_json)


@click.command(epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@sealing_options(
    "file:PATH, passphrase:PATH or pkcs11:NAME of a sealing key, repeatable. Every sealed value "
    "has to open. Default: sealing.key in the data folder."
)
@place_options
@json_option
def restore(
    file: Path,
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """Restore the database of a backup into a place that has none, while no keystore runs there.

    Requests, approvals, sessions and tokens that were open at the time of the backup end. Each
    passcode has one try until it is given correctly. Cards, people and devices that are newer than
    the backup are missing. Every record of the backup must have been written by its keystore; a
    backup from before records had authentication codes is believed as it is.
    """
    magic = _magic(file)
    keys = sealing.sources(place)
    logs.apart()
    with _owned(place):
        if place.database:
            if not magic.startswith(postgresql.MAGIC):
                raise Failure(f"{file} is not a backup of a PostgreSQL database")
            _keep_others_out(place.database_url)
            postgresql.load(place.database_url, file)
            facts = _finish(place.database_url, file, place, keys)
        else:
            facts = _restore_sqlite(file, magic, place, keys)
    labels = {
        "database": "Restored",
        "newest_entry": "Journal up to",
        "withdrawn": "Operations withdrawn",
        "sessions": "Sessions ended",
        "tokens": "Tokens void",
        "sealing_key": "Sealing key",
        "records": "Records",
    }
    output.print_facts(facts, labels, as_json=as_json)


def _copy(place: Settings, draft: Path) -> None:
    """Copy the database into an empty file. Raises Failure."""
    if place.database:
        postgresql.dump(place.database_url, draft)
        return
    if not place.database_file.exists():
        raise Failure(f"there is no keystore in {place.data}: name its folder with --data")
    with output.progress() as progress:
        task = progress.add_task("Copying", total=None)
        sqlite.copy(
            place.database_file,
            draft,
            lambda left, total: progress.update(task, total=total, completed=total - left),
        )


def _restore_sqlite(
    file: Path, magic: bytes, place: Settings, keys: Sequence[Source]
) -> output.Row:
    if not magic.startswith(sqlite.MAGIC):
        raise Failure(f"{file} is not a backup of an SQLite database")
    new_files.require_new(place.database_file, UNCHANGED)
    draft = place.database_file.with_suffix(".restored")
    for rest in place.data.glob(f"{draft.name}*"):
        rest.unlink()
    sqlite.check(file)
    sqlite.copy(file, draft, lambda _left, _total: None)
    facts = _finish(f"sqlite:///{draft}", file, place, keys)
    sqlite.settle(draft)
    new_files.published(draft, place.database_file, UNCHANGED)
    return facts


def _keep_others_out(url: str) -> None:
    """Mark the database so that no keystore serves it before the restore is complete."""
    database = Database(url)
    try:
        restoring.begin(database)
    except KeystoreError as error:
        raise Failure(str(error)) from None
    finally:
        database.close()


def _finish(url: str, file: Path, place: Settings, keys: Sequence[Source]) -> output.Row:
    """End what was open in a restored database. Raises Failure if the keys do not open it, or if it
    was altered.
    """
    database = Database(url)
    try:
        database.migrate(restored=True)
        newest = restoring.newest_entry(database)
        opened = _open_all(database, keys)
        records = _believe(database)
        details = {
            "file_sha256": _sha256(file),
            "newest_entry": "" if newest is None else newest.isoformat(),
        }
        ended = restoring.end_the_past(database, utc_now(), dict(details))
    except KeystoreError as error:
        raise Failure(str(error)) from None
    finally:
        database.close()
    return {
        "database": "PostgreSQL" if place.database else str(place.database_file),
        "newest_entry": "" if newest is None else output.iso_time(newest),
        "withdrawn": ended.operations,
        "sessions": ended.sessions,
        "tokens": ended.tokens,
        "sealing_key": f"opens all {opened} sealed values",
        "records": records,
    }


def _open_all(database: Database, keys: Sequence[Source]) -> int:
    """Open every sealed value, and return their number. Raises KeystoreError if one does not
    open.
    """
    seal = open_seal(database, keys, utc_now(), os.urandom)
    with output.progress() as progress:
        task = progress.add_task("Opening sealed values", total=None)
        opened = 0
        for count in rotation.check(database, seal):
            opened += count
            progress.update(task, advance=count)
    return opened


def _believe(database: Database) -> str:
    """Check that its keystore wrote all records, and tell so. Raises Failure if not."""
    if authenticating.is_due(database):
        number = authenticating.authenticate(database, utc_now(), DATA_FOLDER)
        return f"{number} from before there were authentication codes: believed as they are"
    found = authenticating.examine(database)
    if found.wrong:
        raise Failure(
            f"{output.counted(found.wrong, 'record', 'records')} of the backup were not written by "
            f"its keystore: {', '.join(found.named)}. Restore another backup"
        )
    return f"all {found.authentic} written by the keystore"


@contextmanager
def _owned(place: Settings) -> Iterator[None]:
    """Lock the data folder while the block lasts. Raises Failure if it cannot be used."""
    os.umask(0o077)
    try:
        hold = owning.own(place)
    except KeystoreError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{place.data} cannot be used: {error.strerror}") from None
    with closing(hold):
        yield


def _magic(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(16)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()
