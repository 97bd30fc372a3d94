"""A real keystore process with enrolled people, for tests over the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from cloudcard.administration.v1 import administration_pb2, administration_pb2_grpc
from cloudcard.registry.v1 import cards_pb2, identities_pb2, people_pb2
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.bench.families import family
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Child, Nursery
from support.endings import wait_until_gone
from support.registry import Registry

PASSCODE = "135790"
AES_192 = 0x0A
MANAGEMENT_KEY = bytes(range(1, 9)) * 3


@dataclass
class KeystoreProcess:
    """`cloudcard serve` on ports of its own; killed and started again at will."""

    folder: Path
    nursery: Nursery
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        service, enrolment = free_ports(2)
        self.address, self.enrolment_address = f"127.0.0.1:{service}", f"127.0.0.1:{enrolment}"
        self.child: Child = self.nursery.start_python(
            "keystore",
            *("-m", "cloudcard_tools", "serve", "--data", str(self.folder / "keystore")),
            *("--listen", self.address, "--enrol-listen", self.enrolment_address),
            *self.options,
        )
        self.child.wait_for("Keystore ready", timeout=60)
        token = (self.folder / "keystore" / "operator.token").read_text()
        self.operator = spending.enrol(token, self.folder / "operator", "operator")
        self.registry = Registry(identity.channel(self.operator))

    @property
    def pids(self) -> list[int]:
        """All processes of the keystore."""
        return family(self.child.pid)

    def kill(self) -> None:
        """kill -9, with which all its processes end."""
        pids = self.pids
        self.child.kill()
        for each in pids:
            wait_until_gone(each)

    def kill_and_restart(self) -> None:
        """kill -9, then start on the same data."""
        self.child.kill()
        self.restart()

    def restart(self) -> None:
        """Start again on the same data."""
        self.child = self.nursery.restart("keystore")
        self.child.wait_for("Keystore ready", timeout=60)

    def holder(self, name: str, email: str = "") -> tuple[str, identity.Identity]:
        """A person with a phone: user id and the phone's identity."""
        asked = people_pb2.CreateUserRequest(display_name=name, email=email)
        made = self.registry.people.CreateUser(asked)
        phone = spending.enrol(made.device_token.text, self.folder / name, "authenticator", "phone")
        return made.user.id, phone

    def workstation(self, name: str) -> identity.Identity:
        """An enrolled workstation."""
        return spending.enrol(self.workstation_token(name), self.folder / name, "workstation")

    def workstation_token(self, name: str) -> str:
        """The token with which a new workstation enrols."""
        request = identities_pb2.CreateWorkstationRequest(display_name=name, site="Ward 7")
        token: str = self.registry.identities.CreateWorkstation(request).token.text
        return token

    def card(self, user_id: str, phone: identity.Identity, profile: str = "p256") -> str:
        """An active card; returns its serial number."""
        serial = self.issue(user_id, profile)
        self.set_passcode(serial, phone)
        return serial

    def issue(self, user_id: str, profile: str = "p256") -> str:
        """A new card, without a passcode; returns its serial number."""
        request = cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=user_id, profile=profile
        )
        serial: str = self.registry.cards.IssueCard(request).card.serial
        return serial

    def set_passcode(self, serial: str, phone: identity.Identity) -> None:
        """Choose the first passcode of a card."""
        with identity.channel(phone) as channel:
            Phone(phone, channel).set_passcode(serial, PASSCODE)

    def developer_card(self, user_id: str) -> str:
        """A card in use whose secrets are the factory's; returns its serial number."""
        return self.issue(user_id, "developer")


def administrator(channel: grpc.Channel, serial: str) -> bytes:
    """Answer the challenge with the factory's management key; returns the proof."""
    stub = administration_pb2_grpc.AdministrationServiceStub(channel)
    asked = administration_pb2.RequestChallengeRequest(card_serial=serial, algorithm=AES_192)
    challenge = stub.RequestChallenge(asked, timeout=60).challenge
    response = Cipher(AES(MANAGEMENT_KEY), ECB()).encryptor().update(challenge)
    answer = administration_pb2.AnswerChallengeRequest(
        card_serial=serial, algorithm=AES_192, response=response
    )
    proof: bytes = stub.AnswerChallenge(answer, timeout=60).proof
    return proof


@dataclass
class Workstation:
    """A reader's calls, made one by one."""

    stub: workstation_pb2_grpc.WorkstationServiceStub
    serial: str

    def create(
        self, request_id: bytes, data: bytes = b"\x11" * 32, proof: bytes | None = None
    ) -> workstation_pb2.Operation:
        request = workstation_pb2.CreateOperationRequest(
            request_id=request_id,
            card_serial=self.serial,
            key_ref=0x9A,
            algorithm=17,
            key_use=1,
            inputs=[data],
            passcode_proof=self.proof() if proof is None else proof,
        )
        return self.stub.CreateOperation(request, timeout=60).operation

    def proof(self) -> bytes:
        request = workstation_pb2.VerifyPasscodeRequest(
            card_serial=self.serial, key_ref=0x80, passcode=PASSCODE.encode()
        )
        proof: bytes = self.stub.VerifyPasscode(request, timeout=60).result.passcode_proof
        return proof

    def perform(self, operation_id: str, data: bytes = b"\x11" * 32) -> bytes:
        request = workstation_pb2.PerformOperationRequest(operation_id=operation_id, inputs=[data])
        result: bytes = self.stub.PerformOperation(request, timeout=60).results[0]
        return result


def refused_call(call: Callable[[], object]) -> grpc.RpcError:
    """The error by which a call ends; it must."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def code(error: grpc.RpcError) -> grpc.StatusCode:
    """The status code of a failed call."""
    assert isinstance(error, grpc.Call)
    return error.code()
