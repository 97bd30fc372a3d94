"""Tickets that holders got with their cards: a process without keys asks the broker whose they are.
What it says is counted, and the name taken over, with which the holder is registered there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, TooManyCalls
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.spine.tickets import (
    CHECK_TIME,
    LEASE_TIME,
    LONGEST_WHY,
    TicketAnswer,
    TicketCheck,
    TicketErrand,
    Verdict,
    checked,
    is_renamed,
    sealed_context,
)
from cloud_keystore.people.contacts import changing
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.spine import checks, logins

PORTION = 5  # under one lease
BY_BROKER = {"source": "spine"}
LATE = TicketAnswer(
    Verdict.UNREACHABLE,
    why="the broker was not asked in time",
    fix="look whether the process runs that calls others, and log in again",
)


@dataclass(frozen=True, slots=True)
class Tickets:
    """Takes tickets, and what the broker says of them. `is_asked` is whether this keystore asks a
    broker at all.
    """

    database: Database
    clock: Clock
    random: Random
    seal: Seal
    is_asked: bool

    def report(self, serial: str, ticket: str, workstation: Identity) -> None:
        """Take a ticket with which a card's holder is logged in at a workstation. What comes of it,
        the journal and the card tell. Raises CardNotFound, CardNotInUse, InvalidInput, and
        TooManyCalls while the broker is asked for another one of this card.
        """
        if not self.is_asked:
            raise InvalidInput(
                "this keystore asks no session broker: have it started with --spine URL"
            )
        content, now = checked(ticket).encode(), self.clock()
        with self.database.write() as connection:
            card = cards.in_use(connection, serial)
            if checks.of_card(connection, card.id) is not None:
                raise TooManyCalls(
                    "the broker is still asked for another ticket of this card: try again",
                    LEASE_TIME.total_seconds() / 4,
                )
            own = new_id(now, self.random)
            check = TicketCheck(
                own,
                card.id,
                workstation.id,
                now,
                sha256(content).digest(),
                self.seal.close(content, sealed_context(own)),
            )
            checks.add(connection, check)

    def take(self) -> Sequence[TicketErrand]:
        """Tickets to ask for, for the caller alone; some of them, if there are many. Those that are
        too old end here.
        """
        now = self.clock()
        with self.database.read() as connection:
            if not checks.is_due(connection, now):
                return []
        with acting.changing(self.database, KEYSTORE, now) as by:
            leased = checks.lease(by.connection, now, LEASE_TIME, PORTION)
            for each in leased:
                if each.create_time + CHECK_TIME <= now:
                    self._end(by, each, LATE)
            return [
                TicketErrand(each.id, each.tries, self._opened(each))
                for each in leased
                if now < each.create_time + CHECK_TIME
            ]

    def tell(self, check_id: str, tries: int, answer: TicketAnswer) -> None:
        """Take what the broker said; nothing is done if somebody else asks it by now."""
        with acting.changing(self.database, KEYSTORE, self.clock()) as by:
            check = checks.find(by.connection, check_id)
            if check is None or check.tries != tries:
                return
            if answer.verdict is Verdict.UNTRIED:
                checks.not_tried(by.connection, check_id, tries)
            else:
                self._end(by, check, answer)

    def _opened(self, check: TicketCheck) -> str:
        return self.seal.open(check.sealed, sealed_context(check.id)).decode("ascii")

    def _end(self, by: Acting, check: TicketCheck, answer: TicketAnswer) -> None:
        """One ticket, one entry of the journal, and no ticket any more."""
        checks.remove(by.connection, check.id)
        card = cards.find(by.connection, check.card_id)
        if card is None:
            return
        holder = people.holder(by.connection, card)
        answer = _about(answer, holder)
        if answer.identity is None:
            said: dict[str, Detail] = {
                "verdict": answer.verdict,
                "why": answer.why[:LONGEST_WHY],
                "fix": answer.fix[:LONGEST_WHY],
                "workstation": check.workstation_id,
            }
            told = entries.about_card(Kind.TICKET_REFUSED, card, by.now, by.actor, said)
            journal.append(by.connection, told)
            return
        _count(by, check, card)
        _rename(by, holder, answer.identity.name)


def _about(answer: TicketAnswer, holder: User) -> TicketAnswer:
    """The answer, unless it is about somebody else than a card's holder, or cannot be used."""
    found = answer.identity
    if answer.verdict is not Verdict.VALID or found is None:
        return replace(answer, identity=None)
    if found.is_training:
        why, fix = "the ticket is of the training service", "log in at the live one"
    elif found.uid != holder.uuid12:
        why, fix = "the ticket is another person's than the card's holder", "log in with the card"
    else:
        try:
            text_field("name", found.name, LONGEST_DISPLAY_NAME)
        except InvalidInput:
            why, fix = "the registered name cannot be used", "have it looked at where it is kept"
        else:
            return answer
    return TicketAnswer(Verdict.REFUSED, None, why, fix)


def _count(by: Acting, check: TicketCheck, card: Card) -> None:
    counted = logins.count(by.connection, card.id, check.sha256, by.now)
    said: dict[str, Detail] = {"counted": counted, "workstation": check.workstation_id}
    told = entries.about_card(Kind.TICKET_VALID, card, by.now, by.actor, said)
    journal.append(by.connection, told)


def _rename(by: Acting, holder: User, registered: str) -> None:
    """Let a holder have the registered name. One that an operator has changed since stays, and the
    journal tells the difference.
    """
    before = logins.name(by.connection, holder.id)
    said = text_field("name", registered, LONGEST_DISPLAY_NAME)
    logins.keep_name(by.connection, holder.id, said)
    if said in (holder.display_name, before):
        return
    if is_renamed(holder.display_name, before):
        kept: dict[str, Detail] = {**BY_BROKER, "registered": said, "old_registered": before or ""}
        told = entries.about_user(Kind.NAME_KEPT, holder, by.now, by.actor, kept)
        journal.append(by.connection, told)
        return
    changing.change(by, holder, replace(holder, display_name=said), BY_BROKER)
