"""`RegistryService`: what operators of the registration authority call."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.cards.cards import CardListing, Cards
from cloud_keystore.model.cards import SECURE_MESSAGING, CardState, Key
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.profiles import DEFAULT_PROFILE, PROFILES, CardProfile
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.people import People
from cloud_keystore.rpc.devices import DeviceMethods
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.features import features
from cloud_keystore.rpc.identities import IdentityMethods, token_message
from cloud_keystore.rpc.policies import PolicyMethods
from cloud_keystore.rpc.refusals import Context
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import registry_pb2 as pb
from cloudcard.registry.v1 import registry_pb2_grpc

CARD_STATE = {
    CardState.PENDING: pb.CARD_STATE_PENDING,
    CardState.ACTIVE: pb.CARD_STATE_ACTIVE,
    CardState.SUSPENDED: pb.CARD_STATE_SUSPENDED,
    CardState.REVOKED: pb.CARD_STATE_REVOKED,
}


@dataclass(frozen=True, slots=True)
class RegistryServicer(
    DeviceMethods, IdentityMethods, PolicyMethods, registry_pb2_grpc.RegistryServiceServicer
):
    """Translates between messages and use cases."""

    door: Door
    people: People
    cards: Cards
    devices: Devices
    identities: Identities
    alerts: Alerts
    organisations: Organisations

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
                actor=caller.actor,
            ),
        )
        return pb.CreateUserResponse(user=_user(user, 0, ()), device_token=token_message(token))

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: Context
    ) -> pb.ListUsersResponse:
        entries = await self.door.call(context, lambda _: self.people.list_users())
        return pb.ListUsersResponse(
            users=[_user(each.user, each.device_count, each.card_serials) for each in entries]
        )

    async def CreateDeviceToken(
        self, request: pb.CreateDeviceTokenRequest, context: Context
    ) -> pb.CreateDeviceTokenResponse:
        token = await self.door.call(
            context, lambda caller: self.people.invite_device(request.user_id, actor=caller.actor)
        )
        return pb.CreateDeviceTokenResponse(device_token=token_message(token))

    async def ListProfiles(
        self, request: pb.ListProfilesRequest, context: Context
    ) -> pb.ListProfilesResponse:
        profiles = await self.door.call(context, lambda _: PROFILES.values())
        return pb.ListProfilesResponse(profiles=[_profile(each) for each in profiles])

    async def IssueCard(
        self, request: pb.IssueCardRequest, context: Context
    ) -> pb.IssueCardResponse:
        def issue(caller: Identity) -> pb.Card:
            made = self.cards.issue(
                request.request_id,
                request.user_id,
                request.profile,
                request.organisation_id,
                actor=caller.actor,
            )
            return self._whole_card(made.card.serial)

        return pb.IssueCardResponse(card=await self.door.call(context, issue))

    async def ListCards(
        self, request: pb.ListCardsRequest, context: Context
    ) -> pb.ListCardsResponse:
        entries = await self.door.call(context, lambda _: self.cards.list_all())
        return pb.ListCardsResponse(cards=[_card(entry) for entry in entries])

    async def GetCard(self, request: pb.GetCardRequest, context: Context) -> pb.GetCardResponse:
        card = await self.door.call(context, lambda _: self._whole_card(request.card_serial))
        return pb.GetCardResponse(card=card)

    async def UnlockCard(
        self, request: pb.UnlockCardRequest, context: Context
    ) -> pb.UnlockCardResponse:
        entry = await self.door.call(
            context, lambda caller: self.cards.unlock(request.card_serial, actor=caller.actor)
        )
        return pb.UnlockCardResponse(card=_card(entry))

    async def SuspendCard(
        self, request: pb.SuspendCardRequest, context: Context
    ) -> pb.SuspendCardResponse:
        entry = await self.door.call(
            context, lambda caller: self.cards.suspend(request.card_serial, actor=caller.actor)
        )
        return pb.SuspendCardResponse(card=_card(entry))

    async def ResumeCard(
        self, request: pb.ResumeCardRequest, context: Context
    ) -> pb.ResumeCardResponse:
        entry = await self.door.call(
            context, lambda caller: self.cards.resume(request.card_serial, actor=caller.actor)
        )
        return pb.ResumeCardResponse(card=_card(entry))

    async def RevokeCard(
        self, request: pb.RevokeCardRequest, context: Context
    ) -> pb.RevokeCardResponse:
        entry = await self.door.call(
            context,
            lambda caller: self.cards.revoke(
                request.card_serial, request.reason, actor=caller.actor
            ),
        )
        return pb.RevokeCardResponse(card=_card(entry))

    def _whole_card(self, serial: str) -> pb.Card:
        card = _card(self.cards.find(serial))
        card.keys.extend(_key(key) for key in self.cards.keys(serial))
        card.issuer_certificate = self.cards.authorities.cards.der
        return card


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


def _card(entry: CardListing) -> pb.Card:
    message = pb.Card(
        serial=entry.card.serial,
        guid=entry.card.guid,
        user_id=entry.user.id,
        user_display_name=entry.user.display_name,
        profile=entry.card.profile,
        state=CARD_STATE[entry.card.state],
        tries_left=entry.tries_left or 0,
        organisation_id=entry.card.organisation_id,
    )
    message.create_time.FromDatetime(entry.card.create_time)
    message.expire_time.FromDatetime(entry.card.expire_time)
    return message


def _key(key: Key) -> pb.Key:
    return pb.Key(
        key_ref=key.key_ref,
        algorithm=approval_pb2.Algorithm.ValueType(key.algorithm),
        certificate=b"" if key.key_ref == SECURE_MESSAGING else key.certificate,
    )


def _profile(profile: CardProfile) -> pb.Profile:
    return pb.Profile(
        name=profile.name,
        title=profile.title,
        default=profile.name == DEFAULT_PROFILE,
        series=profile.series,
        serial_prefix=profile.serial_prefix,
        validity_days=profile.validity_days,
        keys=[
            pb.ProfileKey(
                key_ref=key.key_ref,
                algorithm=approval_pb2.Algorithm.ValueType(key.algorithm),
                certificate=key.certificate.name,
            )
            for key in sorted(profile.keys, key=lambda each: each.key_ref)
        ],
        features=features(profile),
        cipher_suite=profile.secure_messaging or 0,
        factory_passcodes=profile.factory_passcodes,
    )
