"""The calls by which a page that is an authenticator answers what its holder does at the portal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from cloud_keystore.people.portal.assents import Assents, Question
from cloud_keystore.web.authenticator import Row, assertion
from cloud_keystore.web.calls import current
from cloud_keystore.web.gate import CALLS
from cloud_keystore.web.models import Assertion, Said, Sent, Text


class Answering(Said):
    """What a holder answers, with what the passkey has signed of a phone that has one."""

    agrees: bool
    is_me: bool
    number: Text
    signature: Sent = b""
    assertion: Assertion | None = None


class Answered(BaseModel):
    """What became of it: "agreed" or "denied"."""

    state: str


class Asked(BaseModel):
    """A question, as the page shows it."""

    id: str
    subject: str
    card_serial: str
    title: str
    text: str
    since: str
    until: str


class AllAsked(BaseModel):
    """All that waits for an answer."""

    questions: list[Asked]


@dataclass(frozen=True, slots=True)
class AssentCalls:
    """Translates between JSON and the use case."""

    assents: Assents

    def rows(self) -> tuple[Row, ...]:
        """Its calls. What waits is told by the stream."""
        return (Row("POST", f"{CALLS}assents/{{assent_id}}", self.answer),)

    def answer(self, assent_id: str, said: Answering) -> Answered:
        """Take an answer."""
        state = self.assents.answer(
            assent_id,
            said.number,
            current().device,
            agrees=said.agrees,
            is_me=said.is_me,
            signature=said.signature,
            assertion=None if said.assertion is None else assertion(said.assertion),
        )
        return Answered(state=str(state))


def all_asked(questions: Sequence[Question]) -> AllAsked:
    """What waits, as the page gets it."""
    return AllAsked(
        questions=[
            Asked(
                id=each.id,
                subject=str(each.subject),
                card_serial=each.card_serial,
                title=each.title,
                text=each.text,
                since=each.create_time.isoformat(),
                until=each.answer_until.isoformat(),
            )
            for each in questions
        ]
    )
