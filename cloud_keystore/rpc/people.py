"""`PeopleService`: users, whom operators of the registration authority enter and list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from cloud_keystore.model.people import Identity, User
from cloud_keystore.people.people import People
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.identities import token_message
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1 import people_pb2_grpc


@dataclass(frozen=True, slots=True)
class PeopleServicer(people_pb2_grpc.PeopleServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    people: People

    async def CreateUser(
        self, request: pb.CreateUserRequest, context: Context
    ) -> pb.CreateUserResponse:
        user, token = await self.door.call(
            context,
            lambda caller: self.people.add_user(
                request.display_name,
                request.email,
                request.upn,
                request.sid,
                namesake=request.namesake,
                actor=caller.actor,
            ),
        )
        return pb.CreateUserResponse(user=_user(user, 0, ()), device_token=token_message(token))

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: Context
    ) -> AsyncIterator[pb.ListUsersResponse]:
        def listed(_: Identity) -> Iterator[pb.User]:
            for each in self.people.list_users():
                yield _user(each.user, each.device_count, each.card_serials)

        async for some in self.door.listed(context, listed):
            yield pb.ListUsersResponse(users=some)


def _user(user: User, device_count: int, card_serials: tuple[str, ...]) -> pb.User:
    message = pb.User(
        id=user.id,
        display_name=user.display_name,
        email=user.email,
        device_count=device_count,
        card_serials=card_serials,
        upn=user.upn,
        sid=user.sid,
    )
    message.create_time.FromDatetime(user.create_time)
    return message
