"""Enrolment on a computer that has other users, a full disk, or the wrong command."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard.registry.v1 import identities_pb2
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure, IdentityUnusable
from support.keystore_process import KeystoreProcess


@pytest.fixture
def token(keystore: KeystoreProcess) -> str:
    request = identities_pb2.CreateWorkstationRequest(display_name="PC1")
    return keystore.registry.identities.CreateWorkstation(request).token.text


@pytest.mark.parametrize("step", ["write_new", "replace", "sync_folder", "rename"])
def test_a_full_disk_does_not_cost_the_token(
    step: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token was spent before the first file was written: with a full disk, nobody had the key
    of the new identity, and the token was gone.
    """
    own = tmp_path / "pc"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path if step == "rename" else spending.writing, step, full)
        with pytest.raises(Failure, match="the token stays good"):
            spending.enrol(token, own, "workstation")
    assert not own.exists()
    enrolled = spending.enrol(token, own, "workstation")
    assert identity.load(own) == enrolled
    assert [each.name for each in tmp_path.iterdir()] == ["pc"]
    assert not (own / spending.REQUEST).exists()


@pytest.mark.parametrize("step", ["rename", "unlink"])
def test_a_crash_at_the_end_does_not_cost_the_token(
    step: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request was dropped before the folder had its name: in between, nobody could ask for the
    identity again.
    """
    own = tmp_path / "pc"
    with monkeypatch.context() as patch:
        patch.setattr(Path, step, _killed)
        with pytest.raises(KeyboardInterrupt):
            spending.enrol(token, own, "workstation")
    enrolled = spending.enrol(token, own, "workstation")
    assert identity.load(own) == enrolled
    assert [each.name for each in tmp_path.iterdir()] == ["pc"]
    assert not (own / spending.REQUEST).exists()
    with pytest.raises(Failure, match="already holds an identity"):
        spending.enrol(token, own, "workstation")


def test_a_disk_that_fails_at_the_end_does_not_cost_the_token(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has its name, which did not reach the disk."""
    own, sync = tmp_path / "pc", spending.writing.sync_folder

    def broken(folder: Path) -> None:
        if own.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(folder)

    with monkeypatch.context() as patch:
        patch.setattr(spending.writing, "sync_folder", broken)
        with pytest.raises(Failure, match="the token stays good"):
            spending.enrol(token, own, "workstation")
    assert identity.load(own) == spending.enrol(token, own, "workstation")


@pytest.mark.parametrize("name", [".", "../pc/", "{here}/"])
def test_the_folder_can_have_any_name(
    name: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "." has no name, beside which the draft could be: the command ended in a ValueError."""
    own = tmp_path / "pc"
    own.mkdir(mode=0o700)
    monkeypatch.chdir(own)
    done = CliRunner().invoke(
        cloudcard, ["reader", "enrol", token, "--identity", name.format(here=own)]
    )
    assert (done.exit_code, done.exception) == (0, None), done.output
    assert done.output.endswith(f"The folder that you are in was replaced: cd {own}\n")
    assert identity.load(own).display_name == "PC1"


def test_a_folder_that_cannot_be_one_is_refused_before_the_token_is_spent(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder can take the place of a mount point, which came out when the token was spent."""
    (tmp_path / "here").mkdir()
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path / "here")
    for name, why in (
        ("..", "holds other files"),
        ("/", "/ is a mount point.*name a folder in it"),
        ("/proc", "/proc is a mount point"),
        ("", "the name is empty"),
    ):
        done = CliRunner().invoke(cloudcard, ["reader", "enrol", token, "--identity", name])
        assert done.exit_code
        assert re.search(why, done.output)
    assert spending.enrol(token, tmp_path / "pc", "workstation")


def test_the_wrong_command_does_not_cost_the_token(token: str, tmp_path: Path) -> None:
    """`cloudcard ra enrol` with a workstation's token spent it."""
    with pytest.raises(Failure, match="for the role workstation, not operator"):
        spending.enrol(token, tmp_path / "pc", "operator")
    assert not list(tmp_path.iterdir())
    assert spending.enrol(token, tmp_path / "pc", "workstation").role == "workstation"


def test_an_enrolment_that_was_given_up_makes_room_for_another(
    keystore: KeystoreProcess, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(spending, "_finish", _killed)
        with pytest.raises(KeyboardInterrupt):
            spending.enrol(token, tmp_path / "pc", "workstation")
    auditor = keystore.registry.identities.CreateAuditor(
        identities_pb2.CreateAuditorRequest(display_name="Aude")
    ).token.text
    assert spending.enrol(auditor, tmp_path / "pc", "auditor").display_name == "Aude"


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_no_file_is_written_through_a_link(token: str, tmp_path: Path) -> None:
    """Whoever could write the folder first planted a link: the file at its other end was emptied
    and given the private key.
    """
    own, victim = tmp_path / "pc", tmp_path / "victim"
    own.mkdir(mode=0o700)
    victim.write_text("precious")
    (own / identity.KEY).symlink_to(victim)
    with pytest.raises(Failure, match="holds other files"):
        spending.enrol(token, own, "workstation")
    assert victim.read_text() == "precious"


def test_a_folder_that_is_a_link_is_refused(token: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "pc").symlink_to(tmp_path / "theirs")
    with pytest.raises(Failure, match="is a link"):
        spending.enrol(token, tmp_path / "pc", "workstation")
    assert not list((tmp_path / "theirs").iterdir())


@pytest.mark.parametrize("mode", [0o770, 0o705, 0o701])
def test_a_folder_that_others_can_enter_is_refused(mode: int, token: str, tmp_path: Path) -> None:
    """Another user wrote into the folder: whatever was there was used as the identity."""
    own = tmp_path / "pc"
    own.mkdir()
    own.chmod(mode)
    with pytest.raises(Failure, match="chmod 700"):
        spending.enrol(token, own, "workstation")
    own.chmod(0o700)
    spending.enrol(token, own, "workstation")
    own.chmod(mode)
    with pytest.raises(IdentityUnusable, match="chmod 700"):
        identity.load(own)


@pytest.mark.parametrize("name", [identity.FACTS, identity.CA, identity.CERTIFICATE, identity.KEY])
def test_a_file_that_others_can_change_is_refused(name: str, token: str, tmp_path: Path) -> None:
    """The address of the keystore and its authority were taken from a file that others could
    change: it named a keystore of theirs.
    """
    spending.enrol(token, tmp_path / "pc", "workstation")
    (tmp_path / "pc" / name).chmod(0o606)
    with pytest.raises(IdentityUnusable, match="chmod 600"):
        identity.channel(identity.load(tmp_path / "pc"))
