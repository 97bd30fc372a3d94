"""`FindingService`: things that operators find by what people call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.finding import Findable, Sort
from cloud_keystore.people.finding import Finding
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import finding_pb2 as pb
from cloudcard.registry.v1 import finding_pb2_grpc

MOST_MATCHES = 20  # in one response


@dataclass(frozen=True, slots=True)
class FindingServicer(finding_pb2_grpc.FindingServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    finding: Finding

    async def Find(self, request: pb.FindRequest, context: Context) -> pb.FindResponse:
        found = await self.door.call(
            context,
            lambda who: self.finding.find(sort_of(request.sort), request.text, actor=who.actor),
        )
        return pb.FindResponse(matches=matches(found), more=more(found))


def sort_of(number: int) -> Sort:
    """The sort of things that a request names; raises InvalidInput if it is none."""
    try:
        return Sort(number)
    except ValueError:
        raise InvalidInput("sort is none of those that can be found") from None


def matches(found: Sequence[Findable]) -> list[pb.Match]:
    """The first of what was found, as messages."""
    return [_match(each) for each in found[:MOST_MATCHES]]


def more(found: Sequence[Findable]) -> int:
    """How many more were found."""
    return max(0, len(found) - MOST_MATCHES)


def _match(found: Findable) -> pb.Match:
    message = pb.Match(
        id=found.id,
        name=found.name,
        about=[word for word in found.about if word],
        state=found.state,
        ended=found.ended,
    )
    if found.create_time is not None:
        message.create_time.FromDatetime(found.create_time)
    return message
