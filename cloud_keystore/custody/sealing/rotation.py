"""Rotation of the key-encryption key while services run. Each small batch is one transaction, and
a rotation that was interrupted can be started again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row

from card_os.piv.names import Cipher
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.backends.keys import key_context
from cloud_keystore.custody.credentials import bell_addresses, webhook_secrets
from cloud_keystore.custody.credentials.data_objects import object_context
from cloud_keystore.custody.credentials.management_keys import management_context
from cloud_keystore.custody.sealing import envelope
from cloud_keystore.custody.sealing.holder import check_all_have
from cloud_keystore.custody.sealing.seal import Seal, SealingKeyError
from cloud_keystore.custody.sealing.sealing_keys import BARE, key_text, secret_context
from cloud_keystore.custody.use import results
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.pki.est import sealed_context
from cloud_keystore.model.rights import oidc
from cloud_keystore.model.spine import tickets
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing.est_servers import est_server
from cloud_keystore.storage.issuing.spare_keys import spare_key
from cloud_keystore.storage.outbox.bells import bell
from cloud_keystore.storage.outbox.webhooks import webhook
from cloud_keystore.storage.rights.oidc import oidc_return
from cloud_keystore.storage.sealing import sealing_keys
from cloud_keystore.storage.sealing.sealing_keys import SealedColumn, SealingKey
from cloud_keystore.storage.spine.checks import spine_check

BATCH = 100  # values in one transaction, for which other writers have to wait

SEALED = (  # all columns with sealed values
    SealedColumn(t.secret.c.name, t.secret.c.sealed, lambda row: secret_context(row.key)),
    SealedColumn(
        t.authority.c.name, t.authority.c.sealed_private, lambda row: f"authority {row.key}"
    ),
    SealedColumn(t.key.c.id, t.key.c.sealed_private, lambda row: key_context(row.key)),
    SealedColumn(spare_key.c.id, spare_key.c.sealed_private, lambda row: key_context(row.key)),
    SealedColumn(
        t.management_key.c.card_id,
        t.management_key.c.sealed,
        lambda row: management_context(row.key, Cipher(row.also)),
        t.management_key.c.algorithm,
    ),
    SealedColumn(
        t.card_object.c.sealed_as,
        t.card_object.c.sealed_value,
        lambda row: object_context(row.key),
    ),
    SealedColumn(
        est_server.c.authority_id, est_server.c.sealed, lambda row: sealed_context(row.key)
    ),
    SealedColumn(
        spine_check.c.id, spine_check.c.sealed, lambda row: tickets.sealed_context(row.key)
    ),
    SealedColumn(oidc_return.c.id, oidc_return.c.sealed, lambda row: oidc.sealed_context(row.key)),
    SealedColumn(
        t.operation.c.id, t.operation.c.sealed_result, lambda row: results.context(row.key)
    ),
    SealedColumn(
        t.session_use.c.id, t.session_use.c.sealed_result, lambda row: results.context(row.key)
    ),
    SealedColumn(
        webhook.c.id, webhook.c.sealed_secret, lambda row: webhook_secrets.context(row.key)
    ),
    SealedColumn(
        webhook.c.id, webhook.c.sealed_old, lambda row: webhook_secrets.old_context(row.key)
    ),
    SealedColumn(bell.c.device_id, bell.c.sealed, lambda row: bell_addresses.context(row.key)),
)


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A key-encryption key, and the number of values that need it."""

    key: SealingKey
    values: int


def rotate(database: Database, seal: Seal, clock: Clock, batch: int = BATCH) -> Iterator[int]:
    """Seal every value under the current key, yielding the number of values in each batch.

    Can be stopped at any point and started again. Raises SealBroken if a value does not open, and
    SealingKeyError, without changing more, if a service runs that does not have the key: it would
    find no value any more.
    """
    with database.read() as connection:
        check_all_have(connection, seal.key_ids[0], clock())
    for where in SEALED:
        for rows in _pages(database, where, batch):
            renewed = [
                (row.key, row.sealed, seal.renew(row.sealed, where.context(row))) for row in rows
            ]
            changes = [change for change in renewed if change[1] != change[2]]
            if changes:
                with database.write() as connection:
                    check_all_have(connection, seal.key_ids[0], clock())
                    done = sealing_keys.exchange(connection, where, changes)
                yield done
    _forget_bare(database)


def check(database: Database, seal: Seal) -> Iterator[int]:
    """Open every value, yielding the number of values in each batch. Raises SealBroken if one does
    not open.
    """
    for where in SEALED:
        for rows in _pages(database, where):
            for row in rows:
                seal.open(row.sealed, where.context(row))
            yield len(rows)


def forget_retired(database: Database, seal: Seal) -> bool:
    """Make a running service stop using retired keys; returns whether it had one."""
    with database.read() as connection:
        return seal.forget(sealing_keys.retired(connection))


def list_keys(database: Database) -> list[KeyInUse]:
    """List the key-encryption keys of a database, oldest first."""
    values = _count(database)
    with database.read() as connection:
        rows = sealing_keys.list_all(connection)
    bare = values.get(None, 0)
    return [KeyInUse(row, values.get(row.id, 0) + (bare if _is_bare(row) else 0)) for row in rows]


def retire(database: Database, text: str, now: datetime, actor: Actor) -> None:
    """Retire a key; from then on it is refused. Raises InvalidInput if there is no such key, and
    SealingKeyError if a value still needs it.
    """
    known = {key_text(each.key.id): each for each in list_keys(database)}
    if text not in known:
        raise InvalidInput(f"there is no sealing key {text!r}: see `cloudcard keys list`")
    found = known[text]
    if found.key.retire_time is not None:
        return
    if found.values:
        raise SealingKeyError(
            f"{found.values} values are sealed under {text}: give the services another key first, "
            "then run `cloudcard keys rotate`"
        )
    with database.write() as connection:
        sealing_keys.retire(connection, found.key.id, now)
        details = {"sealing_key": text, "source": found.key.kind}
        retired = entries.about_keystore(Kind.SEALING_KEY_RETIRED, now, actor, details)
        journal.append(connection, retired)


def _count(database: Database) -> Mapping[bytes | None, int]:
    """Count values by the id of their key-encryption key; None: sealed before envelopes."""
    found: dict[bytes | None, int] = {}
    for where in SEALED:
        for rows in _pages(database, where):
            for row in rows:
                key_id = envelope.key_id(row.sealed)
                found[key_id] = found.get(key_id, 0) + 1
    return found


def _pages(
    database: Database, where: SealedColumn, size: int = BATCH
) -> Iterator[Sequence[Row[tuple[str, bytes, int]]]]:
    """Yield the rows that have a value, in pages; no transaction is open between the pages."""
    after = ""
    while True:
        with database.read() as connection:
            rows = sealing_keys.page(connection, where, after, size)
        if not rows:
            return
        yield rows
        after = rows[-1].key


def _forget_bare(database: Database) -> None:
    """Stop accepting values that were sealed before envelopes, once none is left."""
    if None in _count(database):
        return
    with database.write() as connection:
        for row in sealing_keys.list_all(connection):
            if _is_bare(row):
                kept = {name: value for name, value in _read(row).items() if name != BARE}
                sealing_keys.set_parameters(connection, row.id, json.dumps(kept))


def _is_bare(row: SealingKey) -> bool:
    return bool(_read(row).get(BARE))


def _read(row: SealingKey) -> Mapping[str, str | int | bool]:
    found: Mapping[str, str | int | bool] = json.loads(row.parameters or "{}")
    return found
