"""The first operator is invited by the keystore itself, until there is one."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloud_keystore.config import Settings
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def token_at(folder: Path, now: datetime) -> str:
    """What lies in the data folder once a keystore has started at a time."""
    settings = Settings(folder)
    with closing(own(settings)) as hold, open_keystore(settings, hold, lambda: now):
        pass
    return settings.operator_token.read_text()


def test_an_invitation_that_has_expired_is_made_anew(tmp_path: Path) -> None:
    first = token_at(tmp_path, NOW)
    assert token_at(tmp_path, NOW + timedelta(days=13)) == first
    assert token_at(tmp_path, NOW + timedelta(days=15)) != first


def test_it_is_told_until_somebody_has_enrolled(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)  # whose first operator enrols
        keystore.child.wait_for("First operator:", timeout=60)
        keystore.kill_and_restart()
        keystore.holder("ada")  # it serves, so it has said all
        assert keystore.child.tail().count("ra enrol --token-file") == 1
