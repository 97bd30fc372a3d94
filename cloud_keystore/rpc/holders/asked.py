"""What a device is asked about the portal, as messages."""

from __future__ import annotations

from collections.abc import Sequence

from cloud_keystore.people.portal.assents import Question
from cloudcard.authenticator.v1 import authenticator_pb2 as pb


def all_of(questions: Sequence[Question]) -> pb.PortalQuestions:
    """All that waits for an answer."""
    return pb.PortalQuestions(questions=map(question, questions))


def question(asked: Question) -> pb.PortalQuestion:
    """One question."""
    message = pb.PortalQuestion(
        id=asked.id,
        subject=asked.subject,
        card_serial=asked.card_serial,
        title=asked.title,
        text=asked.text,
    )
    message.create_time.FromDatetime(asked.create_time)
    message.answer_until.FromDatetime(asked.answer_until)
    return message
