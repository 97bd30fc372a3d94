"""A keystore whose use cases this process calls itself: what they cost is measured without a
network.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from card_os.piv.names import Algorithm, KeyRef
from card_os.uses import REQUEST_ID_BYTES, KeyUse
from cloud_keystore.approval.statement import statement
from cloud_keystore.config import Settings
from cloud_keystore.custody.use.using_sessions import Used, UseRequest
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.passcodes import Verified
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import MOST_INPUTS, Policy, SessionTerms
from cloud_keystore.operations.asking import Ask
from cloud_keystore.operations.watching import Watching
from cloud_keystore.people.people import Token
from cloud_keystore.run.offering.use_cases import MainUseCases, enrolment_use_cases
from cloud_keystore.run.opening import Parts, open_keystore
from cloud_keystore.run.owning import own
from cloud_keystore.run.serving import Keeping
from cloud_keystore.run.upkeep import Upkeep
from cloud_keystore.storage.past import removing
from cloudcard_tools.authenticator.approving import Private, sign
from cloudcard_tools.bench.growth import costs
from cloudcard_tools.bench.growth.costs import Costs
from cloudcard_tools.bench.town import HOURS, MOST_USES
from cloudcard_tools.demo.stage import PASSCODE
from cloudcard_tools.enrolment.requests import fresh_key
from cloudcard_tools.enrolment.tokens import parse_token
from reader_bridge.remote.uses import timed

TERMS = SessionTerms(MOST_USES, timedelta(hours=HOURS))
DIGEST = bytes(32)

T = TypeVar("T")


def of_kind(kind: type[T], value: object) -> T:
    """The same value, which is of this kind; raises TypeError for another."""
    if not isinstance(value, kind):
        raise TypeError(f"this is no {kind.__name__}")
    return value


def wake_nobody(_topics: Iterable[str]) -> None:
    """Wake nobody."""


@dataclass
class Clock:
    """This computer's time, and how far the keystore is ahead of it."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass(frozen=True, slots=True)
class Place:
    """A session, and the certificate of its workstation."""

    session_id: str
    certificate_sha256: bytes | None


@dataclass(frozen=True, slots=True)
class Ward:
    """An open keystore with a holder, a phone, a card and a workstation."""

    parts: Parts
    clock: Clock
    cases: MainUseCases
    upkeep: Upkeep
    workstation: Identity
    phone: Identity
    private: Private  # the phone's
    serial: str
    costs: Costs

    def use(self, places: Sequence[Place]) -> None:
        """Use the keys of some sessions, once each, in one group."""
        requests = [
            UseRequest(
                each.session_id,
                timed(os.urandom(REQUEST_ID_BYTES)),
                (DIGEST,),
                each.certificate_sha256,
            )
            for each in places
        ]
        outcomes: list[Used | Exception] = []
        self.cases.using_sessions.use_all(requests, lambda _, outcome: outcomes.append(outcome))
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def passcode_proof(self) -> bytes:
        """Give the holder's passcode at the workstation."""
        verified = self.cases.passcodes.verify(
            self.serial, KeyRef.PIN, PASSCODE.encode(), self.workstation
        )
        return of_kind(Verified, verified).proof

    def open_session(self, proof: bytes) -> Place:
        """Ask for a session, approve it and open it."""
        ask = Ask(
            request_id=os.urandom(REQUEST_ID_BYTES),
            card_serial=self.serial,
            key_ref=KeyRef.AUTHENTICATION,
            algorithm=Algorithm.ECC_P256,
            key_use=KeyUse.SIGN,
            inputs=(),
            passcode_proof=proof,
            application="",
            channels=frozenset(),
            session=TERMS,
        )
        asked = self.cases.asking.create(ask, self.workstation)
        said = Decision.APPROVE, asked.number
        signature = sign(self.private, statement(asked.payload, *said))
        self.cases.deciding.decide(asked.id, *said, signature, self.phone)
        self.cases.activation.perform(asked.id, (), self.workstation)
        return Place(asked.id, self.workstation.certificate_sha256)

    def tend(self) -> None:
        """What a process does each second, and what it does more rarely."""
        for task in self.upkeep.tasks(wake_nobody, wake_nobody):
            task()

    def has_old(self) -> bool:
        """Whether there is something left to remove."""
        before = self.clock() - self.upkeep.keep_time
        with self.parts.database.read() as connection:
            return removing.is_due(connection, before)


@contextmanager
def opened(folder: Path, address: str = "") -> Iterator[Ward]:
    """Make a keystore in a folder, or in an empty PostgreSQL database, with who lives there."""
    settings, clock = Settings(folder, database=address), Clock()
    with (
        closing(own(settings)) as hold,
        open_keystore(settings, hold, clock) as parts,
        closing(costs.of(parts.database, settings.database_file)) as spent,
    ):
        keeping = Keeping.of(parts, 0)
        cases, people = keeping.use_cases(wake_nobody), parts.people
        operator, _ = _enrol(parts, people.add_operator("Olga", actor=KEYSTORE))
        policy = Policy(session=TERMS, largest_batch=MOST_INPUTS)
        cases.organisations.set_policy("", "", policy, operator)
        user, _ = people.add_user("Ada Byron", "", actor=operator.actor)
        token = people.invite_device(user.id, actor=operator.actor)
        phone, private = _enrol(parts, token)
        _, token = people.add_workstation("WARD7-PC3", "", actor=operator.actor)
        workstation, _ = _enrol(parts, token)
        request_id = os.urandom(REQUEST_ID_BYTES)
        card = cases.issuing.issue(request_id, user.id, "p256", actor=operator.actor).card
        cases.passcodes.set_first(card.serial, PASSCODE.encode(), phone)
        yield Ward(
            parts=parts,
            clock=clock,
            cases=cases,
            upkeep=_often(keeping.upkeep),
            workstation=workstation,
            phone=phone,
            private=private,
            serial=card.serial,
            costs=spent,
        )


def _enrol(parts: Parts, token: Token) -> tuple[Identity, EllipticCurvePrivateKey]:
    """Spend a token for an identity, and the private key that belongs to it."""
    key, request = fresh_key()
    _, secret, _ = parse_token(token.text)
    enrolment = enrolment_use_cases(parts).enrolment
    identity, _ = enrolment.enrol(secret, request, "phone")
    private = load_pem_private_key(key, None)
    if not isinstance(private, EllipticCurvePrivateKey):
        raise TypeError("a fresh key is on a curve")
    return identity, private


def _often(upkeep: Upkeep) -> Upkeep:
    """The same upkeep, for which minutes pass between two looks at the clock: each time it does
    everything that it does in a minute.
    """
    minutes = count(0, 120).__next__
    watching = Watching(upkeep.database, minutes)
    return replace(upkeep, watching=watching, ends=replace(upkeep.ends, monotonic=minutes))
