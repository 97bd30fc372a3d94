"""A real keystore with people, cards and open sessions, for benches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from card_os.piv.names import KeyRef
from card_os.uses import REQUEST_ID_BYTES
from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard.registry.v1 import cards_pb2, identities_pb2, organisations_pb2, people_pb2
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.demo.stage import PASSCODE, free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.caller import service
from cloudcard_tools.shared.failures import OutOfReach
from cloudcard_tools.shared.processes import Child, Nursery

MOST_USES = 100_000
HOURS = 8
READY_SECONDS = 240.0  # to start a keystore, on a busy computer
SECONDS = 120.0  # for an answer, on a busy computer
TIMES = 3  # to enrol on one
LIMITS = tuple(
    part
    for name in ("workstation", "card", "device", "operator", "passcode")
    for part in ("--limit", f"{name}=1000000/1000000")
)


@dataclass
class Town:
    """One holder with a phone, one workstation, and as many cards as a bench needs."""

    folder: Path
    nursery: Nursery
    options: Sequence[str] = ()
    replicas: int = 1
    addresses: list[str] = field(init=False)
    keystores: list[Child] = field(default_factory=list)
    user_id: str = field(init=False)  # the holder's

    def open(self) -> Self:
        """Start the keystores, and enrol who lives here."""
        ports = free_ports(2 * self.replicas)
        self.addresses = [f"127.0.0.1:{port}" for port in ports[: self.replicas]]
        for number, address in enumerate(self.addresses):
            self._start(number, address, ports[self.replicas + number])
        token = (self.data(0) / "operator.token").read_text()
        self.operator = _enrolled(token, self.folder / "operator", "operator")
        with service(self.operator, PeopleServiceStub) as people:
            asked = people_pb2.CreateUserRequest(display_name="Ada Byron")
            user = people.CreateUser(asked, timeout=SECONDS)
        self.user_id = user.user.id
        self.phone = _enrolled(
            user.device_token.text, self.folder / "phone", "authenticator", "phone"
        )
        policy = organisations_pb2.Policy(session=_terms(), largest_batch=250)
        with service(self.operator, OrganisationServiceStub) as organisations:
            wanted = organisations_pb2.SetPolicyRequest(policy=policy)
            organisations.SetPolicy(wanted, timeout=SECONDS)
        self.workstation = self.enrol_workstation("workstation")
        return self

    def enrol_workstation(self, name: str) -> identity.Identity:
        """Enrol one more workstation."""
        asked = identities_pb2.CreateWorkstationRequest(display_name=name, site="")
        with service(self.operator, IdentityServiceStub) as identities:
            token = identities.CreateWorkstation(asked, timeout=SECONDS).token.text
        return _enrolled(token, self.folder / name, "workstation")

    def card(self, profile: str) -> str:
        """Issue a card to the holder and make it active. Returns its serial number."""
        request = cards_pb2.IssueCardRequest(
            request_id=os.urandom(REQUEST_ID_BYTES), user_id=self.user_id, profile=profile
        )
        with service(self.operator, CardServiceStub) as cards:
            serial: str = cards.IssueCard(request, timeout=SECONDS).card.serial
        chosen = authenticator_pb2.SetPasscodeRequest(
            card_serial=serial, passcode=PASSCODE.encode()
        )
        with service(self.phone, AuthenticatorServiceStub) as holder:
            holder.SetPasscode(chosen, timeout=SECONDS)
        return serial

    def passcode_proof(self, serial: str) -> bytes:
        """Give the holder's passcode at the workstation. Returns the passcode proof."""
        with service(self.workstation, WorkstationServiceStub) as stub:
            return _passcode_proof(serial, stub)

    def ask(self, serial: str, proof: bytes) -> str:
        """Ask for a P-256 signature at the workstation. Returns the operation's identifier."""
        request = _request(serial, approval_pb2.ALGORITHM_ECC_P256, proof)
        request.inputs.append(bytes(32))
        with service(self.workstation, WorkstationServiceStub) as stub:
            operation_id: str = stub.CreateOperation(request, timeout=SECONDS).operation.id
        return operation_id

    def session(
        self,
        serial: str,
        algorithm: approval_pb2.Algorithm.ValueType,
        stub: WorkstationServiceStub,
        holder: Phone,
    ) -> str:
        """Open a session of a card's authentication key at the workstation of a stub. Returns its
        identifier.
        """
        request = _request(serial, algorithm, _passcode_proof(serial, stub))
        request.session.CopyFrom(_terms())
        operation = stub.CreateOperation(request, timeout=SECONDS).operation
        holder.approve(holder.find(operation.id), operation.number)
        approved = pb.PerformOperationRequest(operation_id=operation.id)
        performed = stub.PerformOperation(approved, timeout=SECONDS)
        session_id: str = performed.session.id
        return session_id

    def _start(self, number: int, address: str, enrolment: int) -> None:
        data = self.data(number)
        data.mkdir(parents=True, mode=0o700)
        if number:
            key = (self.data(0) / "sealing.key").read_bytes()
            descriptor = os.open(data / "sealing.key", os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
        child = self.nursery.start_python(
            f"keystore-{number}",
            *("-m", "cloudcard_tools", "serve", "--data", str(data), *LIMITS, *self.options),
            *("--listen", address, "--enrol-listen", f"127.0.0.1:{enrolment}"),
            *(part for each in self.addresses for part in ("--public-address", each)),
        )
        child.wait_for("Keystore ready", timeout=READY_SECONDS)
        self.keystores.append(child)

    def data(self, number: int) -> Path:
        """The data folder of a keystore."""
        return self.folder / f"keystore-{number}"


def _enrolled(token: str, folder: Path, role: str, device_name: str = "") -> identity.Identity:
    """Enrol. What was not answered in time is asked again: the token gives the same identity."""
    for _ in range(TIMES - 1):
        with suppress(OutOfReach):
            return spending.enrol(token, folder, role, device_name)
    return spending.enrol(token, folder, role, device_name)


def _terms() -> approval_pb2.SessionTerms:
    return approval_pb2.SessionTerms(most_uses=MOST_USES, seconds=HOURS * 3600)


def _passcode_proof(serial: str, stub: WorkstationServiceStub) -> bytes:
    request = pb.VerifyPasscodeRequest(
        card_serial=serial, key_ref=KeyRef.PIN, passcode=PASSCODE.encode()
    )
    proof: bytes = stub.VerifyPasscode(request, timeout=SECONDS).result.passcode_proof
    return proof


def _request(
    serial: str, algorithm: approval_pb2.Algorithm.ValueType, proof: bytes
) -> pb.CreateOperationRequest:
    return pb.CreateOperationRequest(
        request_id=os.urandom(REQUEST_ID_BYTES),
        card_serial=serial,
        key_ref=KeyRef.AUTHENTICATION,
        algorithm=algorithm,
        key_use=approval_pb2.KEY_USE_SIGN,
        passcode_proof=proof,
    )
