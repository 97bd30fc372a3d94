"""`PeopleService`: users, whom operators enter, find, change and close."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime

from cloud_keystore.cards.expiring import Expiring
from cloud_keystore.cards.leaving import Consequences, Leaving
from cloud_keystore.cards.life import CardListing
from cloud_keystore.cards.reports import Pending, Reports
from cloud_keystore.cards.showing import Showing, Told, Whole
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.pages import page
from cloud_keystore.model.people import Identity, IdentityState, Progress, Stage, User, UserState
from cloud_keystore.people.contacts.memberships import MembershipListing, Memberships
from cloud_keystore.people.devices import DeviceListing
from cloud_keystore.people.listing import UserListing, Wanted
from cloud_keystore.people.people import People
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.rpc.cards import card_message
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.identities import device_message, token_message
from cloud_keystore.rpc.refusals import Context
from cloud_keystore.rpc.registry.accounts import account_message
from cloud_keystore.storage.listing.users import ENROLLED, PENDING
from cloudcard.registry.v1 import cards_pb2, people_pb2_grpc
from cloudcard.registry.v1 import people_pb2 as pb

MOST_USERS = 50  # in the response to a search


@dataclass(frozen=True, slots=True)
class PeopleServicer(people_pb2_grpc.PeopleServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    people: People
    phones: Phones
    addresses: Addresses
    showing: Showing
    leaving: Leaving
    memberships: Memberships
    reports: Reports
    clock: Clock

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
                organisation_id=request.organisation_id,
                account=request.account,
                actor=caller.actor,
            ),
        )
        if token is None:
            return pb.CreateUserResponse(user=_user(user))
        return pb.CreateUserResponse(user=_user(user, PENDING), device_token=token_message(token))

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: Context
    ) -> AsyncIterator[pb.ListUsersResponse]:
        async for some in self.door.listed(
            context,
            lambda who: map(
                _listed_user,
                self.people.list_users(
                    page(request.page_size, request.after), _wanted(request), actor=who.actor
                ),
            ),
        ):
            yield pb.ListUsersResponse(users=some)

    async def SearchUsers(
        self, request: pb.SearchUsersRequest, context: Context
    ) -> pb.SearchUsersResponse:
        found = await self.door.call(
            context, lambda who: self.people.search(request.text, MOST_USERS, actor=who.actor)
        )
        return pb.SearchUsersResponse(
            users=map(_listed_user, found[:MOST_USERS]), more=len(found) > MOST_USERS
        )

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.GetUserResponse:
        found = await self.door.call(
            context, lambda operator: self.showing.show(request.user_id, operator)
        )
        return self._whole(found)

    async def UpdateUser(
        self, request: pb.UpdateUserRequest, context: Context
    ) -> pb.UpdateUserResponse:
        def change(caller: Identity) -> User:
            given = (
                getattr(request, name) if request.HasField(name) else None
                for name in ("display_name", "email", "phone", "organisation_id", "profile")
            )
            return self.people.change_user(request.user_id, *given, actor=caller.actor)

        return pb.UpdateUserResponse(user=_user(await self.door.call(context, change)))

    async def SendAddressLink(
        self, request: pb.SendAddressLinkRequest, context: Context
    ) -> pb.SendAddressLinkResponse:
        sent = await self.door.call(
            context, lambda who: self.addresses.send_link(request.user_id, actor=who.actor)
        )
        response = pb.SendAddressLinkResponse(email=sent.address)
        response.expire_time.FromDatetime(sent.expire_time)
        return response

    async def SendPhoneCode(
        self, request: pb.SendPhoneCodeRequest, context: Context
    ) -> pb.SendPhoneCodeResponse:
        sent = await self.door.call(
            context, lambda operator: self.phones.send(request.user_id, actor=operator.actor)
        )
        response = pb.SendPhoneCodeResponse(phone=sent.phone)
        response.expire_time.FromDatetime(sent.expire_time)
        return response

    async def VerifyPhone(
        self, request: pb.VerifyPhoneRequest, context: Context
    ) -> pb.VerifyPhoneResponse:
        found = await self.door.call(
            context,
            lambda who: self.phones.confirm(request.user_id, request.code, actor=who.actor),
        )
        return pb.VerifyPhoneResponse(
            phone=found.phone, is_verified=found.is_verified, tries_left=found.tries_left
        )

    async def CloseUser(
        self, request: pb.CloseUserRequest, context: Context
    ) -> pb.CloseUserResponse:
        def close(operator: Identity) -> Consequences:
            if request.dry_run:
                return self.leaving.foresee(request.user_id, operator)
            return self.leaving.close(request.user_id, request.reason, operator)

        return _closed(await self.door.call(context, close))

    async def JoinOrganisation(
        self, request: pb.JoinOrganisationRequest, context: Context
    ) -> pb.JoinOrganisationResponse:
        found = await self.door.call(
            context,
            lambda who: self.memberships.join(
                request.user_id, request.organisation_id, actor=who.actor
            ),
        )
        return pb.JoinOrganisationResponse(memberships=map(_membership, found))

    async def LeaveOrganisation(
        self, request: pb.LeaveOrganisationRequest, context: Context
    ) -> pb.LeaveOrganisationResponse:
        found = await self.door.call(
            context,
            lambda who: self.memberships.leave(
                request.user_id, request.organisation_id, actor=who.actor
            ),
        )
        return pb.LeaveOrganisationResponse(memberships=map(_membership, found))

    async def ListPending(
        self, request: pb.ListPendingRequest, context: Context
    ) -> AsyncIterator[pb.ListPendingResponse]:
        async for some in self.door.listed(
            context,
            lambda who: map(
                _pending,
                self.reports.pending(page(request.page_size, request.after), actor=who.actor),
            ),
        ):
            yield pb.ListPendingResponse(pending=some)

    async def ListExpiring(
        self, request: pb.ListExpiringRequest, context: Context
    ) -> AsyncIterator[pb.ListExpiringResponse]:
        def listed(who: Identity) -> Iterator[pb.Expiring]:
            wanted = page(request.page_size, request.after)
            return map(_expiring, self.reports.expiring(request.days, wanted, actor=who.actor))

        async for some in self.door.listed(context, listed):
            yield pb.ListExpiringResponse(expiring=some)

    def _whole(self, found: Whole) -> pb.GetUserResponse:
        now = self.clock()
        serials = tuple(each.card.serial for each in found.cards)
        active = sum(each.device.is_active(now) for each in found.devices)
        enrolled = found.progress.stage is Stage.ENROLLED
        listing = UserListing(found.user, active, serials, enrolled=enrolled)
        return pb.GetUserResponse(
            user=_listed_user(listing),
            progress=_progress(found.progress),
            cards=map(_own_card, found.cards),
            devices=[
                device_message(each, now, _end(found, each), found.contacts.get(each.device.id))
                for each in found.devices
            ],
            events=map(_event, found.events),
            accounts=map(account_message, found.accounts),
            memberships=map(_membership, found.memberships),
        )


def _membership(listing: MembershipListing) -> pb.Membership:
    message = pb.Membership(
        organisation_id=listing.organisation_id,
        organisation_name=listing.organisation_name,
        own=listing.own,
    )
    message.since_time.FromDatetime(listing.since)
    return message


def _user(user: User, state: str = "") -> pb.User:
    """A user without devices and cards, whose state is told of who has left even if not given."""
    message = pb.User(
        id=user.id,
        display_name=user.display_name,
        email=user.email,
        upn=user.upn,
        sid=user.sid,
        uuid12=user.uuid12 or "",
        state=user.state if user.state is UserState.CLOSED else state,
        phone=user.phone,
        organisation_id=user.organisation_id,
        profile=user.profile,
        next_email=user.next_email,
    )
    message.create_time.FromDatetime(user.create_time)
    for name in ("phone_verify_time", "email_verify_time", "next_email_until"):
        if (time := getattr(user, name)) is not None:
            getattr(message, name).FromDatetime(time)
    return message


def _wanted(request: pb.ListUsersRequest) -> Wanted:
    return Wanted(
        request.text,
        request.sort,
        tuple(request.states),
        request.profile,
        request.organisation_id,
    )


def _listed_user(listing: UserListing) -> pb.User:
    message = _user(listing.user, ENROLLED if listing.enrolled else PENDING)
    message.device_count = listing.device_count
    message.card_serials.extend(listing.card_serials)
    return message


def _end(found: Whole, listing: DeviceListing) -> datetime | None:
    """When a device's certificate or invitation expires; None for one that is removed."""
    device = listing.device
    if device.state is IdentityState.INVITED:
        return found.invitations.get(device.id)
    return device.expire_time if device.state is IdentityState.ACTIVE else None


def _own_card(listing: CardListing) -> cards_pb2.Card:
    """A card without its holder's name, which is long and said once."""
    message = card_message(listing)
    message.ClearField("user_display_name")
    return message


def _progress(progress: Progress) -> pb.Progress:
    message = pb.Progress(stage=progress.stage, card_serial=progress.card)
    message.since.FromDatetime(progress.since)
    if progress.until is not None:
        message.until.FromDatetime(progress.until)
    return message


def _event(told: Told) -> pb.UserEvent:
    message = pb.UserEvent(kind=told.kind, text=told.text)
    message.time.FromDatetime(told.time)
    return message


def _closed(ended: Consequences) -> pb.CloseUserResponse:
    return pb.CloseUserResponse(
        user=_user(ended.user),
        card_serials=[card.serial for card in ended.cards],
        phones=[phone.display_name for phone in ended.phones],
        invitations=len(ended.invitations),
        operations=ended.operations,
        sessions=ended.sessions,
        sign_ins=ended.sign_ins,
        accounts=[each.name for each in ended.accounts],
    )


def _pending(pending: Pending) -> pb.Pending:
    message = pb.Pending(
        user=_user(pending.user, PENDING),
        progress=_progress(pending.progress),
        card_profile=pending.card_profile,
        cause=pending.cause,
        undelivered=pending.undelivered,
    )
    if pending.remind_time is not None:
        message.remind_time.FromDatetime(pending.remind_time)
    return message


def _expiring(expiring: Expiring) -> pb.Expiring:
    message = pb.Expiring(
        sort=expiring.sort,
        name=expiring.name,
        about=expiring.about,
        holder=expiring.holder,
        card_serial=expiring.card_serial,
        place=str(expiring.place),
    )
    message.expire_time.FromDatetime(expiring.expire_time)
    return message
