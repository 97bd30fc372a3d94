"""Security questions: each person's own, with answers that are compared by their letters and digits
alone. They are never enough by themselves.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import text_field

FEWEST, MOST = 3, 5  # questions of one person
MOST_NEEDED = FEWEST  # right answers that a policy can want
SHORTEST_QUESTION, LONGEST_QUESTION = 8, 128
SHORTEST_ANSWER, LONGEST_ANSWER = 3, 128


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer, as a person gives them."""

    text: str
    answer: str = field(repr=False)


def normal(answer: str) -> str:
    """An answer as it is compared: its letters and digits, whatever the case; too long a text is no
    answer.
    """
    if len(answer) > 2 * LONGEST_ANSWER:
        return ""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", answer).casefold())
    return "".join(each for each in folded if each.isalnum())


def checked(questions: Sequence[Question]) -> tuple[Question, ...]:
    """Questions in the form in which they are kept. Raises InvalidInput, whose text holds no
    answer.
    """
    if not FEWEST <= len(questions) <= MOST:
        raise InvalidInput(f"choose {FEWEST} to {MOST} questions, not {len(questions)}")
    made: list[Question] = []
    for number, each in enumerate(questions, 1):
        text = text_field(f"question {number}", each.text, LONGEST_QUESTION)
        if len(text) < SHORTEST_QUESTION:
            raise InvalidInput(f"question {number} is too short: {SHORTEST_QUESTION} characters")
        answer = normal(each.answer)
        if not SHORTEST_ANSWER <= len(answer) <= LONGEST_ANSWER:
            raise InvalidInput(
                f"the answer to question {number} has too few or too many letters and digits: "
                f"{SHORTEST_ANSWER} to {LONGEST_ANSWER}"
            )
        if answer in normal(text):
            raise InvalidInput(f"the answer to question {number} is in the question: change one")
        made.append(Question(text, answer))
    if len({each.answer for each in made}) < len(made):
        raise InvalidInput("two questions have the same answer: give each its own")
    if len({normal(each.text) for each in made}) < len(made):
        raise InvalidInput("two questions are the same: ask something else")
    return tuple(made)
