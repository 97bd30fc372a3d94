"""Services that run are known with their sealing keys, and a rotation leaves none behind."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from grpc import StatusCode

from cloud_keystore.custody.sealing import rotation
from cloud_keystore.custody.sealing.holder import Holder
from cloud_keystore.custody.sealing.seal import SealingKeyError
from cloud_keystore.custody.sealing.sealing_keys import add_key, open_seal
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.errors import SealingKeyMissing
from cloud_keystore.rpc.refusals import GRPC_STATUS
from cloud_keystore.storage.engine import Database
from support.sealing import NAMES, NOW, fill, opened, source, values


def test_a_rotation_leaves_no_running_service_behind(database: Database, tmp_path: Path) -> None:
    """A service ran with the old key alone while values were sealed under the new one: it called
    every key and every passcode DATA_LOSS.
    """
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    fill(database, opened(database, old))
    service = open_seal(database, [old], NOW, os.urandom, "service")
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both = opened(database, new, old)
    with pytest.raises(SealingKeyError, match="restart each service with this key"):
        list(rotation.rotate(database, both, lambda: NOW))
    assert values(database, service) == [name.encode() for name in NAMES]
    open_seal(database, [old, new], NOW, os.urandom, "service")  # started again, with both
    assert sum(rotation.rotate(database, both, lambda: NOW)) == len(NAMES) + 1


def test_a_service_that_begins_during_a_rotation_has_the_key_or_does_not_begin(
    database: Database, tmp_path: Path
) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    fill(database, opened(database, old))
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both = opened(database, new, old)
    rotating = rotation.rotate(database, both, lambda: NOW, batch=1)
    next(rotating)  # the root secret is the first
    with pytest.raises(SealingKeyError, match="which was not given"):
        open_seal(database, [old], NOW, os.urandom, "late")
    with pytest.raises(SealingKeyError, match="restart each service"):
        list(rotating)


def test_a_service_counts_until_it_ends_or_a_minute_after_it_was_killed(
    database: Database, tmp_path: Path
) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    seal = opened(database, old)
    fill(database, seal)
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both, now = opened(database, new, old), NOW
    ended, killed = (Holder(name, database, lambda: now) for name in ("ended", "killed"))
    for holder in (ended, killed):
        holder.see(seal)
    ended.leave()
    now += timedelta(seconds=50)
    with pytest.raises(SealingKeyError, match=r"^1 running process"):
        list(rotation.rotate(database, both, lambda: now))
    killed.see(seal)  # it lives
    now += timedelta(seconds=50)
    with pytest.raises(SealingKeyError, match=r"^1 running process"):
        list(rotation.rotate(database, both, lambda: now))
    now += timedelta(seconds=11)
    assert sum(rotation.rotate(database, both, lambda: now)) == len(NAMES) + 1


def test_what_lacks_a_key_is_not_called_damaged(database: Database, tmp_path: Path) -> None:
    """It was DATA_LOSS, and the advice was to restore a backup, which would have lost data."""
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    service = opened(database, old)
    fill(database, service)
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    list(rotation.rotate(database, opened(database, new, old), lambda: NOW))
    with pytest.raises(SealingKeyMissing, match="restart it with that key") as refused:
        values(database, service)
    assert GRPC_STATUS[type(refused.value)][0] is StatusCode.UNAVAILABLE
