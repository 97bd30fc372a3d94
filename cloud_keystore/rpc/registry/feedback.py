"""`FeedbackService`: what staff and holders say of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_keystore.people.giving_feedback import FeedbackListing, GivingFeedback
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import feedback_pb2 as pb
from cloudcard.registry.v1 import feedback_pb2_grpc


@dataclass(frozen=True, slots=True)
class FeedbackServicer(feedback_pb2_grpc.FeedbackServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    feedback: GivingFeedback

    async def AddFeedback(
        self, request: pb.AddFeedbackRequest, context: Context
    ) -> pb.AddFeedbackResponse:
        given = await self.door.call(
            context, lambda operator: self.feedback.add(request.text, actor=operator.actor)
        )
        return pb.AddFeedbackResponse(id=given.id)

    async def ListFeedback(
        self, _request: pb.ListFeedbackRequest, context: Context
    ) -> AsyncIterator[pb.ListFeedbackResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_feedback, self.feedback.list_all(actor=who.actor))
        ):
            yield pb.ListFeedbackResponse(feedback=some)

    async def GetScores(
        self, request: pb.GetScoresRequest, context: Context
    ) -> pb.GetScoresResponse:
        scores = await self.door.call(
            context, lambda who: self.feedback.scores(request.days, actor=who.actor)
        )
        return pb.GetScoresResponse(
            answers=scores.answers,
            promoters=scores.promoters,
            passives=scores.passives,
            detractors=scores.detractors,
            nps=scores.nps,
            comments=scores.comments,
        )


def _feedback(listing: FeedbackListing) -> pb.Feedback:
    given = listing.feedback
    message = pb.Feedback(
        id=given.id, operator_display_name=listing.operator_display_name, text=given.text
    )
    message.create_time.FromDatetime(given.create_time)
    return message
