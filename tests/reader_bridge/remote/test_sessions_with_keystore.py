"""A session at the reader: one approval when the PIN is given, then nobody is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator

import grpc
import pytest

from card_os.keys import Refusal, UseKey, Verified, VerifyPasscode
from card_os.uses import KeyUse
from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2, authenticator_pb2_grpc
from cloudcard.registry.v1 import organisations_pb2
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.remote.keys import RemoteKeys
from reader_bridge.tasks import Cancellation
from support.keystore_process import PASSCODE, KeystoreProcess

DIGEST = b"\x11" * 32
TERMS = approval_pb2.SessionTerms(most_uses=3, seconds=600)


class Holder:
    """Decides as soon as something is shown."""

    def __init__(self, own: identity.Identity) -> None:
        self.channel = identity.channel(own)
        self._phone = Phone(own, self.channel)
        self.approves = True
        self.outcomes: list[Outcome] = []

    def show(self, prompt: Prompt, _withdraw: Withdraw) -> None:
        ringing = self._phone.find(prompt.operation_id)
        if self.approves:
            self._phone.approve(ringing, prompt.number)
        else:
            self._phone.deny(ringing)

    def clear(self, _operation_id: str, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class AtCard:
    """A holder's card in a reader of its own."""

    def __init__(self, keystore: KeystoreProcess, profile: str = "p256") -> None:
        name = os.urandom(4).hex()
        user_id, phone = keystore.holder(name)
        self.serial = keystore.card(user_id, phone, profile)
        self.workstation = identity.channel(keystore.workstation(f"PC {name}"))
        self.holder = Holder(phone)
        self.keys = self.reader()

    def reader(self, *, sessions: bool = True) -> RemoteKeys:
        keys = RemoteKeys(self.workstation, self.serial, self.holder, sessions=sessions)
        keys.get_card()
        return keys

    def verify(self) -> bytes:
        request = VerifyPasscode(os.urandom(16), 0x80, PASSCODE.encode())
        result = self.keys.perform(request, Cancellation())
        assert isinstance(result, Verified)
        return result.proof

    def sign(self, proof: bytes, key_ref: int = 0x9A) -> object:
        request = UseKey(os.urandom(16), KeyUse.SIGN, key_ref, 0x11, DIGEST, proof)
        return self.keys.perform(request, Cancellation())

    def sessions(self) -> list[authenticator_pb2.Session]:
        stub = authenticator_pb2_grpc.AuthenticatorServiceStub(self.holder.channel)
        request = authenticator_pb2.ListSessionsRequest()
        return list(stub.ListSessions(request, timeout=60).sessions)


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        policies = {
            "p256": organisations_pb2.Policy(largest_batch=1, session=TERMS),
            "global-pin": organisations_pb2.Policy(largest_batch=1, passwordless=True),
        }
        for profile, policy in policies.items():
            request = organisations_pb2.SetPolicyRequest(profile=profile, policy=policy)
            keystore.registry.organisations.SetPolicy(request, timeout=60)
        yield keystore


@pytest.fixture
def at_card(keystore: KeystoreProcess) -> AtCard:
    return AtCard(keystore)


def test_one_approval_then_nobody_is_asked(at_card: AtCard) -> None:
    proof = at_card.verify()
    assert at_card.holder.outcomes == [Outcome.APPROVED]
    for _ in range(TERMS.most_uses):
        assert isinstance(at_card.sign(proof), bytes)
    at_card.verify()  # used up: asked for anew
    assert isinstance(at_card.sign(proof), bytes)
    assert at_card.holder.outcomes == [Outcome.APPROVED] * 2


def test_giving_the_pin_again_asks_for_no_second_session(at_card: AtCard) -> None:
    at_card.verify()
    at_card.verify()
    assert len(at_card.holder.outcomes) == 1


def test_the_signature_key_is_asked_for_each_time(at_card: AtCard) -> None:
    assert isinstance(at_card.sign(at_card.verify(), 0x9C), bytes)
    assert len(at_card.holder.outcomes) == 2


def test_a_refused_session_does_not_fail_the_verification(at_card: AtCard) -> None:
    at_card.holder.approves = False
    proof = at_card.verify()
    assert at_card.holder.outcomes == [Outcome.DENIED]
    assert at_card.sign(proof) is Refusal.DENIED  # it was refused a moment ago


def test_a_reset_ends_it(at_card: AtCard, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its call may be slow here.
    monkeypatch.setattr("reader_bridge.remote.session.WITHDRAW_SECONDS", 60.0)
    proof = at_card.verify()
    assert len(at_card.sessions()) == 1
    at_card.keys.reset()
    assert at_card.sessions() == []
    assert isinstance(at_card.sign(proof), bytes)
    assert len(at_card.holder.outcomes) == 2


def test_the_holder_ends_it_on_the_phone(at_card: AtCard) -> None:
    proof = at_card.verify()
    (session,) = at_card.sessions()
    assert (session.key_ref, session.uses_left) == (0x9A, TERMS.most_uses)
    stub = authenticator_pb2_grpc.AuthenticatorServiceStub(at_card.holder.channel)
    request = authenticator_pb2.EndSessionRequest(session_id=session.id)
    stub.EndSession(request, timeout=60)
    assert isinstance(at_card.sign(proof), bytes)  # asked for on its own
    assert len(at_card.holder.outcomes) == 2


def test_another_holder_sees_and_ends_nothing(keystore: KeystoreProcess, at_card: AtCard) -> None:
    at_card.verify()
    (session,) = at_card.sessions()
    mallory = identity.channel(keystore.holder(f"Mallory {at_card.serial}")[1])
    stub = authenticator_pb2_grpc.AuthenticatorServiceStub(mallory)
    assert not stub.ListSessions(authenticator_pb2.ListSessionsRequest(), timeout=60).sessions
    with pytest.raises(grpc.RpcError, match="no such session"):
        stub.EndSession(authenticator_pb2.EndSessionRequest(session_id=session.id), timeout=60)
    assert len(at_card.sessions()) == 1


def test_a_reader_told_not_to_asks_for_none(at_card: AtCard) -> None:
    at_card.keys = at_card.reader(sessions=False)
    at_card.verify()
    assert at_card.holder.outcomes == []


def test_without_a_passcode_where_the_policy_says_so(keystore: KeystoreProcess) -> None:
    at_card = AtCard(keystore, "global-pin")
    stub = workstation_pb2_grpc.WorkstationServiceStub(at_card.workstation)
    request = workstation_pb2.GetCardRequest(card_serial=at_card.serial)
    told = {key.key_ref: key.pin_policy for key in stub.GetCard(request, timeout=60).card.keys}
    assert told == {0x9A: 1, 0x9C: 0, 0x9D: 1, 0x9E: 1}
    assert isinstance(at_card.sign(b""), bytes)
    assert at_card.sign(b"", 0x9C) is Refusal.PASSCODE_NEEDED
    assert at_card.holder.outcomes == [Outcome.APPROVED]
