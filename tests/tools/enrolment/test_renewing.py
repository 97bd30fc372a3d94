"""Identities on this computer are renewed by themselves, whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from card_os.piv.names import KeyRef
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.enrolment import living, renewing
from cloudcard_tools.enrolment.renewing import NotRenewed
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.identity import CA, CERTIFICATE, KEY, RENEWED, Identity
from reader_bridge.remote.refusals import reason
from support.keystore_process import KeystoreProcess, Workstation

LATER = datetime.now(UTC) + timedelta(days=600)  # when a new identity is due
KINDS: dict[str, Callable[[KeystoreProcess, str], Identity]] = {
    "workstation": lambda keystore, name: keystore.workstation(name),
    "authenticator": lambda keystore, name: keystore.holder(name)[1],
    "operator": lambda keystore, _: keystore.operator,
}


@pytest.fixture
def own(keystore: KeystoreProcess, tmp_path: Path) -> Identity:
    return keystore.workstation(f"PC {tmp_path.name}")


def asked(channel: grpc.Channel) -> str:
    """Why the keystore refuses a workstation's call: because of its card, if it lets it in."""
    request = workstation_pb2.GetPasscodeStatusRequest(card_serial="1", key_ref=KeyRef.PIN)
    with pytest.raises(grpc.RpcError) as refused:
        workstation_pb2_grpc.WorkstationServiceStub(channel).GetPasscodeStatus(request, timeout=60)
    return reason(refused.value)


def certificate(own: Identity) -> x509.Certificate:
    """The present one."""
    return own.pair()[1]


def is_let_in(own: Identity) -> bool:
    with identity.channel(own) as channel:
        return asked(channel) == "CARD_NOT_FOUND"


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_renewed_when_a_third_of_its_life_is_left(
    keystore: KeystoreProcess, kind: str
) -> None:
    own = KINDS[kind](keystore, f"renewed {kind}")
    before = certificate(own)
    renewing.keep(own)
    assert certificate(own) == before  # it is not time
    renewing.keep(own, LATER)
    after = certificate(own)
    assert after.public_key() != before.public_key()
    assert after.subject == before.subject
    assert identity.load(own.folder) == own
    assert (own.folder / RENEWED).stat().st_mode & 0o777 == 0o600
    assert own.first_key().public_key() == before.public_key()


def test_the_first_use_ends_the_one_before_after_a_day(own: Identity) -> None:
    before = identity.channel(own)
    renewing.renew(own, LATER)
    assert asked(before) == "CARD_NOT_FOUND"
    assert is_let_in(own)
    assert asked(before) == "CARD_NOT_FOUND"
    before.close()


@pytest.mark.parametrize("broken", [CA, RENEWED])
def test_a_crash_while_it_is_stored_locks_nobody_out(
    own: Identity, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next certificate is lost with its key; the identity is the old one, and asks again."""
    before, replace = certificate(own), renewing.writing.replace

    def full(path: Path, content: bytes) -> None:
        if path.name == broken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        replace(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(renewing.writing, "replace", full)
        with pytest.raises(NotRenewed, match="No space left"):
            renewing.renew(own, LATER)
    assert certificate(own) == before
    assert is_let_in(own)
    renewing.renew(own, LATER)
    assert certificate(own) != before
    assert is_let_in(own)


def test_of_two_programs_one_renews(own: Identity) -> None:
    """Each would replace what the other one was given, and the file could be the wrong one."""
    threads = [threading.Thread(target=renewing.renew, args=(own, LATER)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_let_in(own)


def test_it_is_read_whole_while_another_program_renews_it(
    own: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of before and the next certificate were read, and the identity called damaged."""
    before, exists = certificate(own), os.path.lexists

    def renewed_meanwhile(path: Path) -> bool:
        found = exists(path)
        if path == own.folder / RENEWED:
            monkeypatch.undo()
            renewing.renew(own, LATER)
        return found

    monkeypatch.setattr(os.path, "lexists", renewed_meanwhile)
    way = own.way
    assert (way.certificate, way.key) == (own.folder / CERTIFICATE, own.folder / KEY)
    (own.folder / RENEWED).unlink()
    monkeypatch.setattr(os.path, "lexists", renewed_meanwhile)
    assert certificate(own) == before
    assert certificate(own) != before


def test_it_can_be_renewed_again_and_again(own: Identity) -> None:
    seen = {certificate(own).serial_number}
    for _ in range(3):
        renewing.renew(own, LATER)
        assert is_let_in(own)
        seen.add(certificate(own).serial_number)
    assert len(seen) == 4


def test_a_running_program_goes_over_to_the_new_certificate(own: Identity) -> None:
    ready = threading.Event()

    def changed(state: grpc.ChannelConnectivity) -> None:
        if state is grpc.ChannelConnectivity.READY:
            ready.set()

    with living.living(own) as channel:
        assert isinstance(channel, living.LivingChannel)
        channel.subscribe(changed)
        first = channel.present
        assert asked(channel) == "CARD_NOT_FOUND"
        assert ready.wait(60)
        channel.look()
        assert channel.present is first
        renewing.renew(own, LATER)  # another program
        ready.clear()
        channel.look()
        assert channel.present is not first
        assert asked(channel) == asked(first) == "CARD_NOT_FOUND"
        assert ready.wait(60)  # the new one is
        channel.unsubscribe(changed)


def test_a_phone_approves_with_its_first_key(keystore: KeystoreProcess) -> None:
    """The key by which a phone was enrolled stays its approval key."""
    user_id, ada = keystore.holder("Ada renewed")
    serial = keystore.card(user_id, ada)
    renewing.renew(ada, LATER)
    own = keystore.workstation("PC of Ada")
    with identity.channel(own) as at_pc, identity.channel(ada) as at_phone:
        pc = Workstation(workstation_pb2_grpc.WorkstationServiceStub(at_pc), serial)
        operation, phone = pc.create(os.urandom(16)), Phone(ada, at_phone)
        assert phone.approve(phone.find(operation.id), operation.number) == "approved"
        assert pc.perform(operation.id)


def test_a_certificate_that_was_not_asked_for_is_not_stored(
    own: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the keystore answers must be for the key that was made here."""
    before, other = certificate(own), ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setattr(renewing, "load_pem_private_key", lambda *_: other)
    with pytest.raises(NotRenewed, match="not the one that was asked for"):
        renewing.renew(own, LATER)
    assert certificate(own) == before


def test_people_hear_of_it_only_when_little_time_is_left(
    own: Identity, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> None:
        raise Failure("the keystore is older than this program")

    monkeypatch.setattr(renewing, "renew", refused)
    renewing.keep(own, LATER)
    assert capsys.readouterr().err == ""
    renewing.keep(own, LATER + timedelta(days=100))
    told = capsys.readouterr().err
    assert "was not renewed: the keystore is older than this program" in told
    assert f"{certificate(own).not_valid_after_utc:%Y-%m-%d}" in told


def test_what_is_damaged_is_told(own: Identity) -> None:
    renewing.renew(own, LATER)
    (own.folder / RENEWED).write_bytes((own.folder / KEY).read_bytes())
    with pytest.raises(Failure, match=f"{RENEWED} is damaged"):
        identity.channel(own)
    content = (own.folder / KEY).read_bytes() + (own.folder / CERTIFICATE).read_bytes()
    (own.folder / RENEWED).write_bytes(content)
    assert certificate(own).public_key() == own.first_key().public_key()
