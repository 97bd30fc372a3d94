"""Visits of operators at the pages: they log in by a code that their own certificate gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import IdentityRejected, ProofNeeded, TokenRejected
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.rights.visits import (
    CODE_PREFIX,
    CODE_TIME,
    LONGEST_VISIT,
    MOST_VISITS,
    SECRET_PREFIX,
    SEEN_TIME,
    STEP_TIME,
    Visit,
    new_text,
    text_sha256,
)
from cloud_keystore.people.portal.knowing import OVER
from cloud_keystore.storage import cards, organisations, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import visits

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class VisitCode:
    """A code by which an operator logs in, once, and where."""

    text: str
    expire_time: datetime
    address: str  # of the page; empty if this keystore serves none


@dataclass(frozen=True, slots=True)
class HeldRights:
    """The rights that an operator has in any organisation, and those in all together."""

    somewhere: tuple[Right, ...]
    everywhere: tuple[Right, ...]


@dataclass(frozen=True, slots=True)
class Visits:
    """Begins visits and ends them, and knows whose they are."""

    database: Database
    clock: Clock
    random: Random
    address: str  # of the page where operators log in; empty if this keystore serves none

    def make_code(self, operator: Identity) -> VisitCode:
        """A code for an operator. An earlier one that was not used is good no longer. Raises
        NotAllowed.
        """
        now, actor = self.clock(), operator.actor
        text = new_text(CODE_PREFIX, self.random)
        with acting.changing(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            since = now - LONGEST_VISIT - CODE_TIME
            for each in visits.unended(by.connection, Role.OPERATOR, actor.id, since):
                if each.begin_time is None:
                    visits.end(by.connection, each, now)
            made = Visit(
                new_id(now, self.random), Role.OPERATOR, actor.id, sha256_of(CODE_PREFIX, text), now
            )
            visits.add(by.connection, made)
            asked = entries.about_keystore(Kind.VISIT_ASKED, now, actor, {"visit": made.id})
            journal.append(by.connection, asked)
        return VisitCode(text, now + CODE_TIME, self.address)

    def begin(self, code: str) -> str:
        """Begin the visit of a code, which is spent by that; returns its secret, which is new.
        Raises TokenRejected.
        """
        now, given = self.clock(), text_sha256(CODE_PREFIX, code.strip())
        secret = new_text(SECRET_PREFIX, self.random)
        with self.database.write() as connection:
            made = None if given is None else visits.by_code(connection, Role.OPERATOR, given)
            operator = None
            if made is not None and made.can_begin(now):
                operator = people.find_identity(connection, made.visitor_id)
            if made is None or operator is None or not operator.is_active(now):
                raise TokenRejected(
                    "this code is unknown, used or older than five minutes: get another one"
                )
            if not visits.begin(connection, made, sha256_of(SECRET_PREFIX, secret), now):
                raise TokenRejected("this code was used meanwhile: get another one")
            facts = {"visit": made.id, "by": "code"}
            begun = entries.about_keystore(Kind.VISIT_BEGUN, now, operator.actor, facts)
            journal.append(connection, begun)
            end_oldest(connection, made, now)
        return secret

    def find(self, secret_sha256: bytes) -> Identity:
        """The operator whose visit it is; raises IdentityRejected if it is over, if the operator is
        not active any more, or if the card by which it was begun is not in use any more.
        """
        now = self.clock()
        with self.database.read() as connection:
            made = visits.by_secret(connection, Role.OPERATOR, secret_sha256)
            if made is None or not made.is_open(now):
                raise IdentityRejected(OVER)
            operator = people.find_identity(connection, made.visitor_id)
            card = None if made.card_id is None else cards.find(connection, made.card_id)
        if operator is None or not operator.is_active(now):
            raise IdentityRejected(OVER)
        if made.card_id is not None and (card is None or not card.is_in_use(now)):
            raise IdentityRejected(OVER)
        note_seen(self.database, made, now)
        return operator

    def prove(self, secret_sha256: bytes) -> None:
        """Raise ProofNeeded if the log-in of a visit is too old for what is of high risk."""
        now = self.clock()
        with self.database.read() as connection:
            made = visits.by_secret(connection, Role.OPERATOR, secret_sha256)
        if made is None or not made.is_proven(now):
            raise ProofNeeded("your log-in is older than ten minutes: log in once more")

    def end(self, secret_sha256: bytes) -> None:
        """End a visit. Repeated, it does nothing."""
        now = self.clock()
        with self.database.write() as connection:
            made = visits.by_secret(connection, Role.OPERATOR, secret_sha256)
            if made is None or not visits.end(connection, made, now):
                return
            actor = Actor(ActorKind.OPERATOR, made.visitor_id)
            ended = entries.about_keystore(Kind.VISIT_ENDED, now, actor, {"visit": made.id})
            journal.append(connection, ended)

    def held(self, operator: Identity) -> HeldRights:
        """The rights of an operator, by which pages show what can be done."""
        with acting.looking(self.database, operator.actor, self.clock()) as by:
            return HeldRights(
                tuple(each for each in Right if by.held.where(each)),
                tuple(each for each in Right if by.held.has(each, ROOT)),
            )

    def places(self, right: Right, operator: Identity) -> tuple[str, ...]:
        """The organisations in which an operator has a right."""
        with acting.looking(self.database, operator.actor, self.clock()) as by:
            known = organisations.list_all(by.connection)
            return tuple(each.id for each in known if by.held.has(right, each.id))

    def rights(self, user_id: str, operator: Identity) -> tuple[Right, ...]:
        """The rights of an operator in a person's organisation. Raises UserNotFound, NotAllowed."""
        with acting.looking(self.database, operator.actor, self.clock()) as by:
            place = by.user(user_id, Right.VIEW).organisation_id
            return tuple(each for each in Right if by.held.has(each, place))


def enter(
    by: Acting,
    random: Random,
    operator: Identity,
    proof_sha256: bytes,
    how: Mapping[str, Detail],
    card_id: str | None = None,
) -> str:
    """Begin the visit of an operator who has proved without a code who that is, by a card or by
    something else; returns its secret, which is new. Raises IntegrityError if the proof has begun
    one before.
    """
    secret = new_text(SECRET_PREFIX, random)
    begun = Visit(
        id=new_id(by.now, random),
        role=Role.OPERATOR,
        visitor_id=operator.id,
        code_sha256=proof_sha256,
        create_time=by.now,
        secret_sha256=sha256_of(SECRET_PREFIX, secret),
        begin_time=by.now,
        seen_time=by.now,
        card_id=card_id,
    )
    visits.add(by.connection, begun)
    facts: dict[str, Detail] = {"visit": begun.id, **how}
    told = entries.about_keystore(Kind.VISIT_BEGUN, by.now, operator.actor, facts)
    journal.append(by.connection, told)
    end_oldest(by.connection, begun, by.now)
    return secret


def end_oldest(connection: Connection, begun: Visit, now: datetime) -> None:
    """Let the oldest visits of a visitor end, if one that has begun makes them too many."""
    since = now - LONGEST_VISIT - STEP_TIME
    others = visits.unended(connection, begun.role, begun.visitor_id, since)
    open_ = [each for each in others if each.is_open(now)]
    for each in open_[: max(0, len(open_) - MOST_VISITS)]:
        visits.end(connection, each, now)


def note_seen(database: Database, made: Visit, now: datetime) -> None:
    """Note that there was a request, at most once a minute."""
    if made.seen_time is None or now >= made.seen_time + SEEN_TIME:
        with database.write(shared=True) as connection:
            visits.seen(connection, made, now)


def sha256_of(prefix: str, text: str) -> bytes:
    """What the keystore keeps of a code or a secret that it has drawn."""
    made = text_sha256(prefix, text)
    assert made is not None  # noqa: S101 (it was drawn so)
    return made
