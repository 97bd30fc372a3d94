"""Asks holders whether they would recommend the card, where a policy says so: never in the way of
anything, and rarely.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cloud_keystore.audit import budgets, entries, journal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import Card, CardState
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.model.surveys.answers import ASK_AGAIN, LONGEST_TEXT, SCORES, Answer, Survey
from cloud_keystore.storage import cards, policies
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.surveys import answers, removing

NOT_DUE = Survey(is_due=False)


@dataclass(frozen=True, slots=True)
class Surveys:
    """Says whether a holder is asked, and takes the answer."""

    database: Database
    clock: Clock
    random: Random

    def find(self, device: Identity) -> Survey:
        """Whether a device's holder is asked now, and because of which card."""
        with self.database.read() as connection:
            due = _due(connection, device, self.clock())
        if due is None:
            return NOT_DUE
        card, authentications = due
        return Survey(True, card.serial, authentications)

    def answer(self, score: int | None, comment: str, device: Identity) -> None:
        """Take an answer; without a score, the holder does not want to be asked now. Raises
        InvalidInput, and IllegalCardChange if nothing was asked.
        """
        if score is not None and score not in SCORES:
            raise InvalidInput(f"score is {score}: give 0 to {SCORES[-1]}")
        comment = text_field("comment", comment, LONGEST_TEXT, required=False)
        if comment and score is None:
            raise InvalidInput("a comment needs a score: give 0 to 10")
        now = self.clock()
        with self.database.write() as connection:
            budgets.check(connection, device.actor, now)
            due = _due(connection, device, now)
            if due is None:
                raise IllegalCardChange("nothing is asked of you now: thank you")
            card, user_id = due[0], device.user_id or ""
            own = new_id(now, self.random)
            answers.add(connection, Answer(own, user_id, card.id, score, comment, now))
            # What was answered is nobody's evidence, and stays out of the journal.
            said: dict[str, Detail] = {"answered": score is not None}
            told = entries.about_card(Kind.SURVEY_ANSWERED, card, now, device.actor, said)
            journal.append(connection, told)


def remove_old(database: Database, now: datetime, keep_time: timedelta) -> bool:
    """Remove some of the feedback and answers that are kept no longer, and tell the journal how
    many; returns whether there was any.
    """
    before = now - keep_time
    with database.read() as connection:
        if not removing.is_due(connection, before):
            return False
    with database.write() as connection:
        said = removing.remove(connection, before)
        if any(said.values()):  # another process can have been quicker
            told = entries.about_keystore(Kind.SURVEYS_REMOVED, now, KEYSTORE, said)
            journal.append(connection, told)
    return True


def _due(connection: Connection, device: Identity, now: datetime) -> tuple[Card, int] | None:
    """The card because of which a holder is asked, and how often it was used to authenticate."""
    user_id = device.user_id or ""
    if answers.has_answered(connection, user_id, now - ASK_AGAIN):
        return None
    for card in cards.of_holders(connection, [user_id]):
        if card.state is not CardState.ACTIVE:
            continue
        in_force = policies.in_force(connection, card.organisation_id, card.profile)
        threshold = in_force.policy.survey_after
        if not threshold:
            continue
        used = answers.authentications(connection, card.id, threshold)
        if used >= threshold:
            return card, used
    return None
