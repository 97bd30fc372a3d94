"""Feedback of staff, which is kept, and told to whoever looks after the service; and what holders
answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, TooManyCalls
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.surveys.answers import (
    DAY,
    LONGEST_TEXT,
    MOST_OF_ONE,
    Feedback,
    Scores,
    scores_of,
    told_of,
    whole_months,
)
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.surveys import answers, feedback

LONGEST_DAYS = 3650
MOST_LISTED = 1000  # pieces of feedback


@dataclass(frozen=True, slots=True)
class FeedbackListing:
    """Feedback with the name of who gave it."""

    feedback: Feedback
    operator_display_name: str


@dataclass(frozen=True, slots=True)
class GivingFeedback:
    """Takes feedback, and shows it with the answers of holders to those of the whole."""

    database: Database
    clock: Clock
    random: Random

    def add(self, text: str, *, actor: Actor) -> Feedback:
        """Keep what somebody of the staff says. Raises InvalidInput, NotAllowed, TooManyCalls."""
        now, text = self.clock(), text_field("text", text, LONGEST_TEXT)
        given = Feedback(new_id(now, self.random), actor.id, text, now)
        with acting.changing(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            connection = by.connection
            if feedback.count_of(connection, actor.id, now - DAY) >= MOST_OF_ONE:
                raise TooManyCalls(
                    f"you have given feedback {MOST_OF_ONE} times within a day: thank you; wait",
                    DAY.total_seconds(),
                )
            feedback.add(connection, given)
            # The text can name people, and nobody could ever take it out of the journal.
            said: dict[str, Detail] = {"feedback": given.id, "characters": len(text)}
            told = entries.about_keystore(Kind.FEEDBACK_GIVEN, now, actor, said)
            journal.append(connection, told)
            outbox.about_feedback(connection, given)
        return given

    def list_all(self, *, actor: Actor) -> list[FeedbackListing]:
        """The newest feedback, oldest first, for those of the whole. Raises NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need(Right.VIEW, ROOT)
            found = feedback.newest(by.connection, MOST_LISTED)
            who = people.with_identity_ids(by.connection, {each.operator_id for each in found})
        names = {each.id: each.display_name for each in who}
        return [FeedbackListing(each, names.get(each.operator_id, "")) for each in found]

    def scores(self, days: int, *, actor: Actor) -> Scores:
        """How holders answered within so many days, for those of the whole: in whole months, and
        never of few. Raises NotAllowed, InvalidInput.
        """
        if not 1 <= days <= LONGEST_DAYS:
            raise InvalidInput(f"days is {days}: give 1 to {LONGEST_DAYS}")
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need(Right.VIEW, ROOT)
            since = now - timedelta(days=days)
            months = (
                (end, scores_of(answers.between(by.connection, begin, end)))
                for begin, end in whole_months(since, now)
            )
            return told_of(months, since)
