"""`cloudcard keys operator` and `authorities`: at the keystore's computer, without an operator."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_keystore.audit import sequencing
from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing.seal import make_key_file
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.people import IDENTITY_LIFETIME, Identity, Role
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.run.opening import Parts, open_keystore
from cloud_keystore.run.owning import own
from cloud_keystore.storage import people
from cloudcard_tools.keys.command import keys
from support.exports import audited
from support.keystore_world import RELYING_PARTY, csr, secret_of


@contextmanager
def opened(folder: Path, ago: timedelta = timedelta()) -> Iterator[Parts]:
    """A keystore now, or some time ago."""
    settings = Settings(folder)
    clock: Clock = lambda: datetime.now(UTC) - ago  # noqa: E731
    with closing(own(settings)) as hold, open_keystore(settings, hold, clock) as parts:
        yield parts


def enrol(parts: Parts, token: str) -> Identity:
    spending = Enrolment(parts.database, parts.clock, parts.authorities, RELYING_PARTY, os.urandom)
    private = ec.generate_private_key(ec.SECP256R1())
    return spending.enrol(secret_of(token.strip()), csr(private), "")[0]


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(keys, [*arguments, "--data", str(folder), "--json"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a keystore whose only operator has ended."""
    folder = tmp_path / "keystore"
    with opened(folder, IDENTITY_LIFETIME + timedelta(days=1)) as parts:
        enrol(parts, Settings(folder).operator_token.read_text())
        assert parts.people.has_operators()
    return folder


def test_an_operator_comes_back(place: Path) -> None:
    """The only operator's certificate had ended, and nobody could invite another one."""
    made = run(place, "operator", "Olga Hopper", "--public-host", "keystore.example.org")
    assert made.exit_code == 0
    token = json.loads(made.output)["token"]
    assert token.endswith("@keystore.example.org:7444")
    with opened(place) as parts:
        assert not parts.has_operators
        enrolled = enrol(parts, token)
        assert enrolled.display_name == "Olga Hopper"
        assert parts.people.has_operators()
        alerts = Alerts(parts.database, parts.clock)
        listed = alerts.list_all(include_acknowledged=False, actor=DATA_FOLDER)
        (alert,) = [each.alert for each in listed if each.alert.kind is AlertKind.LOCAL_OPERATOR]
        assert "Olga Hopper" in alert.text
        url = parts.settings.database_url
        sequencing.take_in_all(parts.database, parts.log, parts.clock())
    assert audited(url).findings == []


def test_a_restart_invites_one_too(place: Path) -> None:
    before = Settings(place).operator_token.read_text()
    with opened(place) as parts:
        token = Settings(place).operator_token.read_text()
        assert token != before
        enrol(parts, token)


def test_it_takes_the_sealing_key(place: Path, tmp_path: Path) -> None:
    """Whoever can write the database alone invites nobody."""
    other = tmp_path / "other.key"
    make_key_file(other, lambda count: bytes(count))
    Settings(place).sealing_key.rename(tmp_path / "hidden.key")
    for sources in ((), ("--sealing-key", f"file:{other}")):
        refused = run(place, "operator", "Mallory", *sources)
        assert refused.exit_code == 1
        assert "cannot read the secret" in refused.output or "sealing key" in refused.output
    (tmp_path / "hidden.key").rename(Settings(place).sealing_key)
    with opened(place) as parts, parts.database.read() as connection:
        operators = people.list_identities(connection, Role.OPERATOR)
    assert "Mallory" not in {each.display_name for each in operators}


def test_authorities_are_listed_and_written(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    shown = run(place, "authorities", "--export", str(folder))
    assert shown.exit_code == 0
    listed = {each["name"]: each for each in json.loads(shown.output)}
    assert listed["cards"]["subject"] == "CN=cloudcard card CA"
    # The certificate of developers' cards is a file of its own, which says what it is.
    assert "not for production" in listed["developer cards"]["subject"]
    assert (folder / "developer-cards.pem").exists()
    written = x509.load_pem_x509_certificate((folder / "cards.pem").read_bytes())
    assert written.subject.rfc4514_string() == "CN=cloudcard card CA"
    assert (folder / "content-P-384.pem").exists()
    assert run(place, "authorities", "--export", str(folder)).exit_code == 1
