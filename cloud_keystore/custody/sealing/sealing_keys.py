"""Sealing keys: where they are kept, and how a database recognises its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import entries, journal
from cloud_keystore.config import Token
from cloud_keystore.custody.backends.pkcs11 import Pool, token_address
from cloud_keystore.custody.sealing import envelope
from cloud_keystore.custody.sealing.envelope import KEY_BYTES, KeyEncryptionKey, WillNotOpen
from cloud_keystore.custody.sealing.seal import (
    Seal,
    SealingKeyError,
    load_key,
    read_secret,
)
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import InvalidInput, KeyNotFound, MalformedKeyInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sealing import key_holders, sealing_keys
from cloud_keystore.storage.sealing.sealing_keys import SealingKey

FILE, PASSPHRASE, TOKEN = "file", "passphrase", "pkcs11"
KINDS = (FILE, PASSPHRASE, TOKEN)
ROOT = "root"  # the secret from which codes and peppers are derived
BARE = "before_envelopes"  # parameter of a key that once sealed values without envelopes
CHECK_VALUE = b"cloudcard sealing key check"
SHORTEST_PASSPHRASE = 12
SALT_BYTES = 16
# argon2id (RFC 9106, 4, second recommended option); it runs only at the start
ARGON2 = {"time_cost": 3, "memory_cost": 65536, "parallelism": 4}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sealing key is: "file:PATH"; "passphrase:PATH", a file with one line; or
    "pkcs11:NAME", a key in the PKCS#11 token that wraps it.
    """

    kind: str
    where: str
    token: Token | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}"

    @property
    def path(self) -> Path:
        """The path of its file."""
        return Path(self.where)

    @classmethod
    def parse(cls, text: str, token: Token | None = None) -> Source:
        """Read "KIND:WHERE"; raises InvalidInput for any other text."""
        kind, colon, where = text.partition(":")
        if not colon or kind not in KINDS or not where:
            raise InvalidInput(
                f"{text!r} is no sealing key: write file:PATH or passphrase:PATH with the path of "
                "the file that holds it, or pkcs11:NAME with the name of a key in the token"
            )
        if kind == TOKEN and token is None:
            raise InvalidInput(f"{text} is in a token: name the token with its options")
        return cls(kind, where, token)


@dataclass(frozen=True, slots=True)
class Opened:
    """A key-encryption key that is ready for use, with the parameters by which it was made."""

    source: Source
    key: KeyEncryptionKey
    parameters: Mapping[str, str | int | bool]
    secret: bytes = field(repr=False)  # the 32 bytes from which it was derived

    def row(self, now: datetime, random: Random, **more: bool) -> SealingKey:
        """Make the row that the database keeps about the key."""
        check = envelope.close(CHECK_VALUE, _check_context(self.key.id), self.key, random)
        parameters = json.dumps({**self.parameters, **more})
        return SealingKey(self.key.id, self.source.kind, check, parameters, now)


def is_sealed(database: Database) -> bool:
    """Whether a database has sealed values."""
    with database.read() as connection:
        return bool(sealing_keys.list_all(connection) or sealing_keys.any_authority(connection))


def open_seal(
    database: Database,
    sources: Sequence[Source],
    now: datetime,
    random: Random,
    holder: str | None = None,
) -> Seal:
    """Open the seal of a database, which can then read and write records; the first source is the
    current key. A new database gets a root secret; in a database from before envelopes, the sealing
    key becomes the root secret.

    A service that is to run with the seal is its `holder`; a rotation then knows its keys. Raises
    SealingKeyError if a key is missing, wrong, retired or unknown.
    """
    try:
        return _open_seal(database, sources, now, random, holder)
    # Another replica has just made the same rows: use those.
    except IntegrityError:
        return _open_seal(database, sources, now, random, holder)


def add_key(
    database: Database, source: Source, now: datetime, random: Random, actor: Actor
) -> bytes:
    """Add a key to a database, so that values can be sealed under it later; return its identifier.
    A key that is already known stays as it is.
    """
    with database.read() as connection:
        rows = sealing_keys.list_all(connection)
    opened = _find(source, rows) or _new(source, random)
    with database.write() as connection:
        known = {row.id: row for row in sealing_keys.list_all(connection)}
        if opened.key.id in known:
            _refuse_retired(known[opened.key.id], source)
        else:
            _add(connection, opened.row(now, random), now, actor)
    return opened.key.id


def key_text(key_id: bytes) -> str:
    """Return an identifier as people see it, in hexadecimal."""
    return key_id.hex()


def _open_seal(
    database: Database,
    sources: Sequence[Source],
    now: datetime,
    random: Random,
    holder: str | None,
) -> Seal:
    with database.read() as connection:
        rows = sealing_keys.list_all(connection)
    if not rows:
        with database.write() as connection:
            rows = sealing_keys.list_all(connection) or _begin(
                database, connection, sources[0], now, random
            )
    opened = [_known(source, rows) for source in sources]
    if holder is not None:
        # Before the root secret is opened: a rotation either sees this service, or has taken the
        # root secret away from keys that this service does not have.
        with database.write() as connection:
            key_holders.see(connection, holder, [each.key.id for each in opened], now)
    root = _root(database, [each.key for each in opened])
    database.authenticate(Seal(root, random).row_key)
    bare = next((each.secret for each in opened if each.parameters.get(BARE)), None)
    if bare is None:
        _check_none_bare(rows)
    return Seal(root, random, [each.key for each in opened], bare)


def _check_none_bare(rows: Sequence[SealingKey]) -> None:
    """Raise SealingKeyError if values still need a key from before envelopes."""
    for row in rows:
        if row.retire_time is None and _parameters(row).get(BARE):
            raise SealingKeyError(
                f"values of the database still need the sealing key {key_text(row.id)}, which was "
                "not given: give it after the others, until `cloudcard keys rotate` has ended"
            )


def _begin(
    database: Database, connection: Connection, source: Source, now: datetime, random: Random
) -> list[SealingKey]:
    """Add the first key of a database, and its root secret."""
    opened = _new(source, random)
    old = sealing_keys.any_authority(connection)
    if old is None:
        root = random(KEY_BYTES)
    else:
        name, sealed = old
        root = opened.secret
        Seal(root, random, bare=root).open(sealed, f"authority {name}")
    database.authenticate(Seal(root, random).row_key)
    first = opened.row(now, random, **({BARE: True} if old else {}))
    _add(connection, first, now, KEYSTORE)
    sealing_keys.add_secret(
        connection, ROOT, envelope.close(root, secret_context(ROOT), opened.key, random)
    )
    return [first]


def _root(database: Database, keys: Sequence[KeyEncryptionKey]) -> bytes:
    with database.read() as connection:
        sealed = sealing_keys.find_secret(connection, ROOT)
    if sealed is None:
        raise SealingKeyError("the database has lost its root secret: restore it from a backup")
    for key in keys:
        if key.id == envelope.key_id(sealed):
            try:
                return envelope.open_(sealed, secret_context(ROOT), key)
            except WillNotOpen:
                raise SealingKeyError(
                    "the root secret was altered: restore the database from a backup"
                ) from None
    raise SealingKeyError(
        f"values of the database are sealed under {key_text(envelope.key_id(sealed) or b'')}, "
        "which was not given: give all keys that `cloudcard keys list` shows in use"
    )


def secret_context(name: str) -> str:
    """Return the context under which a secret of the service is sealed."""
    return f"secret {name}"


def _check_context(key_id: bytes) -> str:
    return f"sealing key {key_text(key_id)}"


def _add(connection: Connection, row: SealingKey, now: datetime, actor: Actor) -> None:
    sealing_keys.add(connection, row)
    details = {"sealing_key": key_text(row.id), "source": row.kind}
    added = entries.about_keystore(Kind.SEALING_KEY_ADDED, now, actor, details)
    journal.append(connection, added)


def _known(source: Source, rows: Sequence[SealingKey]) -> Opened:
    opened = _find(source, rows)
    if opened is None:
        raise SealingKeyError(
            f"{source} is not a sealing key of this database: restore both from the same backup, "
            "or make a new key known with `cloudcard keys add`"
        )
    row = next(row for row in rows if row.id == opened.key.id)
    _refuse_retired(row, source)
    try:
        envelope.open_(row.check, _check_context(row.id), opened.key)
    except WillNotOpen:
        raise SealingKeyError(
            f"the database's record of {source} was altered: restore it from a backup"
        ) from None
    return opened


def _refuse_retired(row: SealingKey, source: Source) -> None:
    if row.retire_time is not None:
        raise SealingKeyError(f"{source} is retired: leave it out, and use the one after it")


def _find(source: Source, rows: Sequence[SealingKey]) -> Opened | None:
    """Return the key of a source, or None if no row is about it."""
    return _FINDERS[source.kind](source, [row for row in rows if row.kind == source.kind])


def _find_file(source: Source, rows: Sequence[SealingKey]) -> Opened | None:
    secret = load_key(source.path)
    key = KeyEncryptionKey.of(secret)
    for row in rows:
        if row.id == key.id:
            return Opened(source, key, _parameters(row), secret)
    return None


def _find_passphrase(source: Source, rows: Sequence[SealingKey]) -> Opened | None:
    passphrase = _passphrase(source.path)
    for row in rows:
        parameters = _parameters(row)
        secret = _stretch(passphrase, parameters)
        key = KeyEncryptionKey.of(secret)
        if row.id == key.id:
            return Opened(source, key, parameters, secret)
    return None


def _find_in_token(source: Source, rows: Sequence[SealingKey]) -> Opened | None:
    for row in rows:
        parameters = _parameters(row)
        if parameters.get("name") != source.where:
            continue
        try:
            wrapped = bytes.fromhex(str(parameters.get("wrapped")))
            secret = _ask_token(source, "unwrap", wrapped)
        except (ValueError, MalformedKeyInput):
            raise SealingKeyError(
                "the database's record of a token's key was altered: restore it from a backup"
            ) from None
        except KeyNotFound:
            continue
        key = KeyEncryptionKey.of(secret)
        if row.id == key.id:
            return Opened(source, key, parameters, secret)
    return None


def _ask_token(source: Source, request: str, data: bytes) -> bytes:
    """Have the token wrap or unwrap a secret. An unwrapped secret stays in memory, so the token is
    needed only at the start.
    """
    if source.token is None:
        raise InvalidInput(f"{source} is in a token: name the token with its options")
    pool = Pool.start(token_address(source.token, ""), 1)
    try:
        answer = pool.call(request, source.where, data)
    finally:
        pool.close()
    if not isinstance(answer, bytes):
        raise TypeError("the token's process answers with something else")
    return answer


_FINDERS: Mapping[str, Callable[[Source, Sequence[SealingKey]], Opened | None]] = {
    FILE: _find_file,
    PASSPHRASE: _find_passphrase,
    TOKEN: _find_in_token,
}


def _new(source: Source, random: Random) -> Opened:
    """Return the key of a source that no database knows yet."""
    if source.kind == FILE:
        secret = load_key(source.path)
        return Opened(source, KeyEncryptionKey.of(secret), {}, secret)
    if source.kind == TOKEN:
        secret = random(KEY_BYTES)
        wrapped = _ask_token(source, "wrap", secret)
        return Opened(
            source,
            KeyEncryptionKey.of(secret),
            {"name": source.where, "wrapped": wrapped.hex()},
            secret,
        )
    passphrase = _passphrase(source.path)
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise SealingKeyError(
            f"the passphrase of {source.path} is short: use {SHORTEST_PASSPHRASE} characters or "
            "more, such as five words at random"
        )
    parameters: dict[str, str | int | bool] = {"salt": random(SALT_BYTES).hex(), **ARGON2}
    secret = _stretch(passphrase, parameters)
    return Opened(source, KeyEncryptionKey.of(secret), parameters, secret)


def _passphrase(path: Path) -> bytes:
    return read_secret(path).rstrip(b"\r\n")


def _stretch(passphrase: bytes, parameters: Mapping[str, str | int | bool]) -> bytes:
    try:
        salt = bytes.fromhex(str(parameters["salt"]))
        costs = {name: int(parameters[name]) for name in ARGON2}
    except (KeyError, ValueError):
        raise SealingKeyError(
            "the database's record of a passphrase was altered: restore it from a backup"
        ) from None
    if any(costs[name] > 16 * most for name, most in ARGON2.items()):
        raise SealingKeyError("the database's record of a passphrase asks for too much memory")
    return hash_secret_raw(passphrase, salt, hash_len=KEY_BYTES, type=Type.ID, **costs)


def _parameters(row: SealingKey) -> Mapping[str, str | int | bool]:
    try:
        found = json.loads(row.parameters or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SealingKeyError(
            "the database's record of a sealing key was altered: restore it from a backup"
        )
    return found
