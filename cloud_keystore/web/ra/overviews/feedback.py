"""The pages of what staff say of the service, and of how holders recommend the card."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.surveys.answers import LONGEST_TEXT
from cloud_keystore.people.giving_feedback import GivingFeedback
from cloud_keystore.web.ra.forms import Field, Question, Shape, ask
from cloud_keystore.web.ra.lists import Cell, Choice, Line, Listing, ListPage, chosen_of, time_cell
from cloud_keystore.web.ra.overviews.section import FEEDBACK, GIVE, SCORES, SECTION
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AT
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current, given

DAYS = Choice("days", "Within", {"90": "90 days", "365": "A year", "730": "Two years"})


@dataclass(frozen=True, slots=True)
class FeedbackPages:
    """Takes feedback, and shows it and answers."""

    views: Views
    feedback: GivingFeedback

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            *ListPage(self.views, FEEDBACK, self.listing, SECTION).rows(),
            *ListPage(self.views, SCORES, self.scores, SECTION).rows(),
            Row("GET", GIVE, self.ask),
            Row("POST", GIVE, self.give),
        )

    def ask(self, _request: Request, wrong: str = "") -> Response:
        """The question what somebody of the staff has to say."""
        question = Question(
            "Give feedback",
            (
                "Say what helps you, and what does not. Whoever looks after the service reads it.",
                "Name no patients or holders.",
            ),
            "Send it",
            AT,
            (Field("text", "In your words", shape=Shape.LONG, longest=LONGEST_TEXT),),
        )
        return ask(self.views, question, wrong)

    def give(self, request: Request) -> Response:
        """Keep what somebody says."""
        try:
            self.feedback.add(given("text"), actor=current().visitor.actor)
        except InvalidInput as error:
            return self.ask(request, str(error))
        return self.views.page("thanks", another=GIVE)

    def listing(self, _request: Request) -> Listing:
        """What staff have said."""
        found = self.feedback.list_all(actor=current().visitor.actor)
        return Listing(
            "Feedback",
            {"said": "Said", "operator": "Operator", "text": "Text"},
            [
                Line(
                    (
                        time_cell(each.feedback.create_time),
                        Cell(each.operator_display_name),
                        Cell(each.feedback.text),
                    )
                )
                for each in found
            ],
            "Nobody has said anything yet.",
            sort="-said",
        )

    def scores(self, request: Request) -> Listing:
        """How holders answered, and what they wrote."""
        days = int(chosen_of(request, DAYS))
        found = self.feedback.scores(days, actor=current().visitor.actor)
        nps = "none" if found.nps is None else str(found.nps)
        return Listing(
            "Recommendations",
            {"comment": "Comment"},
            [Line((Cell(each),)) for each in found.comments],
            "Nobody has written anything, or too few have answered.",
            (
                f"Net promoter score: {nps}.",
                f"{found.answers} answers: {found.promoters} of 9 or 10, {found.passives} of 7 or "
                f"8, {found.detractors} of 0 to 6.",
                "Answers are told of in whole months, ten at least.",
            ),
            choices=(DAYS,),
        )
