"""Many workstations with many open sessions, for a bench: each by real calls and approvals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import click
import grpc
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import KeyRef
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.bench.town import Town
from cloudcard_tools.shared.caller import service
from cloudcard_tools.shared.calling import in_time
from cloudcard_tools.shared.identity import Identity, channel
from cloudcard_tools.trace.replay import card_keys
from reader_bridge.remote.refusals import code, reason

Done: TypeAlias = Callable[[str, int], None]  # what is being done, and how many more steps are

AT_ONCE = 2  # threads; more would only wait, as the keystore compares one passcode after another
PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 120.0  # with a keystore that has too much to do
ALGORITHMS: Mapping[str, approval_pb2.Algorithm.ValueType] = {  # by card profile
    "rsa2048": approval_pb2.ALGORITHM_RSA_2048,
    "p256": approval_pb2.ALGORITHM_ECC_P256,
}
# Further options of a keystore. A thousand sessions in a minute are too many for one holder, and
# enrolments for one address.
UNHURRIED = tuple(
    part
    for name in ("enrolment", "journal-workstation", "journal-device", "journal-operator")
    for part in ("--limit", f"{name}=1000000/1000000")
)


@dataclass(frozen=True, slots=True)
class Session:
    """An open session of a card's authentication key."""

    workstation: int  # its place in the crowd
    algorithm: str
    id: str
    public_key: bytes  # SubjectPublicKeyInfo, DER


@dataclass(frozen=True, slots=True)
class Crowd:
    """Workstations, and sessions of each algorithm, one workstation after another in turn."""

    workstations: tuple[Identity, ...]
    sessions: tuple[Session, ...]


def steps(workstations: int, sessions: int) -> int:
    """How often `settle` says that a part is done."""
    return workstations + len(ALGORITHMS) * (-(-sessions // workstations) + sessions)


def settle(town: Town, workstations: int, sessions: int, done: Done) -> Crowd:
    """Enrol so many workstations, and open so many sessions of each algorithm. A card has a session
    at each workstation. Raises Failure.
    """

    def enrol(number: int) -> Identity:
        identity = town.enrol_workstation(f"workstation-{number}")
        done("Enrolling workstations", 1)
        return identity

    def issue(profile: str) -> str:
        serial = town.card(profile)
        done("Issuing cards", 1)
        return serial

    cards = -(-sessions // workstations)
    with ThreadPoolExecutor(AT_ONCE) as pool, ExitStack() as stack:
        places = tuple(pool.map(enrol, range(workstations)))
        serials = {name: list(pool.map(issue, [name] * cards)) for name in ALGORITHMS}
        holder = stack.enter_context(service(town.phone, partial(Phone, town.phone)))
        channels = [stack.enter_context(channel(each)) for each in places]
        stubs = [WorkstationServiceStub(in_time(each)) for each in channels]

        def open_one(algorithm: str, number: int) -> Session:
            card, place = divmod(number, workstations)
            serial = serials[algorithm][card]
            session_id = _patiently(
                partial(town.session, serial, ALGORITHMS[algorithm], stubs[place], holder)
            )
            done("Opening sessions", 1)
            return Session(place, algorithm, session_id, keys[serial])

        keys = {
            serial: _public_key(stubs[0], serial) for each in serials.values() for serial in each
        }
        wanted = [(name, number) for name in ALGORITHMS for number in range(sessions)]
        return Crowd(places, tuple(pool.map(open_one, *zip(*wanted, strict=True))))


def _patiently(ask: Callable[[], str]) -> str:
    """Ask again while the keystore is busy, for a while. Raises grpc.RpcError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except grpc.RpcError as error:
            busy = reason(error) == "OVERLOADED" or code(error) is grpc.StatusCode.DEADLINE_EXCEEDED
            if not busy or time.monotonic() > end:
                raise
            time.sleep(PAUSE_SECONDS)


def _public_key(stub: WorkstationServiceStub, serial: str) -> bytes:
    """The authentication key of a card, as the keystore shows it. Raises ClickException."""
    card = stub.GetCard(pb.GetCardRequest(card_serial=serial)).card
    for key in card.keys:
        if key.key_ref == KeyRef.AUTHENTICATION:
            found = card_keys.of_template(key.algorithm, key.public_key)
            if found is not None:
                return found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    raise click.ClickException(f"card {serial} has no authentication key")
