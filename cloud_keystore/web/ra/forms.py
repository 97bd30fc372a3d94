"""Forms that ask before something is done: what it means, and what has to be said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from starlette.responses import Response

from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.visiting import given, has_answered

NO_CHOICES: Mapping[str, str] = MappingProxyType({})


@unique
class Shape(StrEnum):
    """How something is typed or chosen."""

    TEXT = "text"
    LONG = "long"  # text of several lines
    DATE = "date"
    ONE = "one"  # of few
    ONE_OF_MANY = "one of many"
    SEVERAL = "several"


class Field(NamedTuple):
    """Something that is typed or chosen. With choices, the first one is chosen already, unless
    several can be: their values are in one text then, with blanks between them.
    """

    name: str
    label: str
    hint: str = ""
    choices: Mapping[str, str] = NO_CHOICES
    value: str = ""
    shape: Shape | None = None
    longest: int = 300  # characters

    @property
    def form(self) -> Shape:
        """How it is typed or chosen."""
        return self.shape or (Shape.ONE if self.choices else Shape.TEXT)

    @property
    def answer(self) -> str:
        """What the form that was sent says of it."""
        if self.form is not Shape.SEVERAL:
            return given(self.name)
        return " ".join(each for each in self.choices if given(f"{self.name}-{each}"))

    @property
    def at(self) -> str:
        """The id of what is typed into, or chosen first."""
        return f"{self.name}-1" if self.form in (Shape.ONE, Shape.SEVERAL) else self.name

    def is_named(self, wrong: str) -> bool:
        """Whether a text that says what is wrong begins with this, by its label or its name."""
        said = wrong.removeprefix("say ").casefold()
        called = (self.label.rstrip("?"), self.name, self.name.replace("_", " "))
        return any(re.match(rf"{re.escape(each.casefold())}\b", said) for each in called)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done. `hidden` are values that go with the answer."""

    title: str
    said: Sequence[str]
    button: str
    back: str  # the page to which whoever does nothing goes
    fields: Sequence[Field] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    warns: bool = False  # whether it cannot be undone

    def mistaken(self, wrong: str) -> Field | None:
        """The field that a text says to be wrong; None if it is about something else."""
        if not wrong:
            return None
        if len(self.fields) == 1:
            return self.fields[0]
        return next((each for each in self.fields if each.is_named(wrong)), None)


def ask(views: Views, question: Question, wrong: str = "") -> Response:
    """The page of a question; after an answer that was wrong, with what was given and why."""
    filled = [
        each._replace(value=each.answer if has_answered() else each.value)
        for each in question.fields
    ]
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    mistaken = question.mistaken(wrong)
    return views.page(
        "question", status, question=question, fields_=filled, wrong=wrong, mistaken=mistaken
    )
