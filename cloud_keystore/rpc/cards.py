"""`CardService`: operators issue cards, and change their state until their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from google.protobuf.timestamp_pb2 import Timestamp

from card_os.piv.names import KeyRef
from cloud_keystore.cards.external.certifying import Certifying
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.life import CardListing, Life, Wanted
from cloud_keystore.cards.prolonging import Prolonged, Prolonging
from cloud_keystore.cards.replacing import Replaced, Replacing
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import CardState, Key, Replacement
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import page
from cloud_keystore.model.people import Identity
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.profiles import DEFAULT_PROFILE, PROFILES, CardProfile
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.rpc.card_image import features
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import cards_pb2 as pb
from cloudcard.registry.v1 import cards_pb2_grpc

CARD_STATE = {
    CardState.ISSUING: pb.CARD_STATE_ISSUING,
    CardState.FAILED: pb.CARD_STATE_FAILED,
    CardState.CANCELLED: pb.CARD_STATE_CANCELLED,
    CardState.PENDING: pb.CARD_STATE_PENDING,
    CardState.ACTIVE: pb.CARD_STATE_ACTIVE,
    CardState.SUSPENDED: pb.CARD_STATE_SUSPENDED,
    CardState.REVOKED: pb.CARD_STATE_REVOKED,
}

REVOCATION_REASON: Mapping[int, RevocationReason] = MappingProxyType(
    {
        pb.REVOCATION_REASON_UNSPECIFIED: RevocationReason.UNSPECIFIED,
        pb.REVOCATION_REASON_KEY_COMPROMISE: RevocationReason.KEY_COMPROMISE,
        pb.REVOCATION_REASON_AFFILIATION_CHANGED: RevocationReason.AFFILIATION_CHANGED,
        pb.REVOCATION_REASON_SUPERSEDED: RevocationReason.SUPERSEDED,
        pb.REVOCATION_REASON_CESSATION_OF_OPERATION: RevocationReason.CESSATION_OF_OPERATION,
        pb.REVOCATION_REASON_PRIVILEGE_WITHDRAWN: RevocationReason.PRIVILEGE_WITHDRAWN,
    }
)

WHY_REPLACED: Mapping[int, Replacement] = MappingProxyType(
    {
        pb.REPLACEMENT_REASON_LOST: Replacement.LOST,
        pb.REPLACEMENT_REASON_DAMAGED: Replacement.DAMAGED,
        pb.REPLACEMENT_REASON_COMPROMISED: Replacement.COMPROMISED,
    }
)


@dataclass(frozen=True, slots=True)
class CardServicer(cards_pb2_grpc.CardServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    issuing: Issuing
    cards: Life
    prolonging: Prolonging
    replacing: Replacing
    unlocking: Unlocking
    unlock_codes: UnlockCodes
    certifying: Certifying
    announcing: Announcing

    async def ListProfiles(
        self, request: pb.ListProfilesRequest, context: Context
    ) -> pb.ListProfilesResponse:
        profiles = await self.door.call(context, lambda _: PROFILES.values())
        return pb.ListProfilesResponse(profiles=[_profile(each) for each in profiles])

    async def IssueCard(
        self, request: pb.IssueCardRequest, context: Context
    ) -> pb.IssueCardResponse:
        def issue(caller: Identity) -> pb.Card:
            made = self.issuing.issue(
                request.request_id,
                request.user_id,
                request.profile,
                request.organisation_id,
                actor=caller.actor,
            )
            return self._whole_card(made.card.serial, caller.actor)

        return pb.IssueCardResponse(card=await self.door.call(context, issue))

    async def ListCards(
        self, request: pb.ListCardsRequest, context: Context
    ) -> AsyncIterator[pb.ListCardsResponse]:
        async for some in self.door.listed(
            context,
            lambda who: map(
                card_message,
                self.cards.list_all(
                    page(request.page_size, request.after),
                    _wanted(request.filter, request.sort),
                    actor=who.actor,
                ),
            ),
        ):
            yield pb.ListCardsResponse(cards=some)

    async def CountCards(
        self, request: pb.CountCardsRequest, context: Context
    ) -> pb.CountCardsResponse:
        counts = await self.door.call(
            context,
            lambda who: self.cards.count(_wanted(request.filter), actor=who.actor),
        )
        return pb.CountCardsResponse(
            counts=[
                pb.CardCount(
                    organisation_id=each.organisation_id,
                    profile=each.profile,
                    state=CARD_STATE[each.state],
                    cards=each.cards,
                )
                for each in counts
            ]
        )

    async def GetCard(self, request: pb.GetCardRequest, context: Context) -> pb.GetCardResponse:
        card = await self.door.call(
            context, lambda who: self._whole_card(request.card_serial, who.actor)
        )
        return pb.GetCardResponse(card=card)

    async def UnlockCard(
        self, request: pb.UnlockCardRequest, context: Context
    ) -> pb.UnlockCardResponse:
        asked = await self.door.call(
            context,
            lambda operator: self.unlocking.ask(request.card_serial, actor=operator.actor),
        )
        response = pb.UnlockCardResponse(card=card_message(asked.listing))
        if asked.expire_time is not None:
            response.expire_time.FromDatetime(asked.expire_time)
        return response

    async def CreateUnlockCode(
        self, request: pb.CreateUnlockCodeRequest, context: Context
    ) -> pb.CreateUnlockCodeResponse:
        made = await self.door.call(
            context,
            lambda operator: self.unlock_codes.make(request.card_serial, actor=operator.actor),
        )
        response = pb.CreateUnlockCodeResponse(code=made.code)
        response.expire_time.FromDatetime(made.expire_time)
        return response

    async def SuspendCard(
        self, request: pb.SuspendCardRequest, context: Context
    ) -> pb.SuspendCardResponse:
        card = await self._change(
            context, lambda who: self.cards.suspend(request.card_serial, actor=who)
        )
        return pb.SuspendCardResponse(card=card)

    async def ResumeCard(
        self, request: pb.ResumeCardRequest, context: Context
    ) -> pb.ResumeCardResponse:
        card = await self._change(
            context, lambda who: self.cards.resume(request.card_serial, actor=who)
        )
        return pb.ResumeCardResponse(card=card)

    async def ResumeIssuing(
        self, request: pb.ResumeIssuingRequest, context: Context
    ) -> pb.ResumeIssuingResponse:
        def resume(caller: Identity) -> pb.Card:
            self.issuing.resume(request.card_serial, actor=caller.actor)
            return self._whole_card(request.card_serial, caller.actor)

        return pb.ResumeIssuingResponse(card=await self.door.call(context, resume))

    async def CancelIssuing(
        self, request: pb.CancelIssuingRequest, context: Context
    ) -> pb.CancelIssuingResponse:
        card = await self._change(
            context, lambda who: self.issuing.cancel(request.card_serial, actor=who)
        )
        return pb.CancelIssuingResponse(card=card)

    async def RenewCard(
        self, request: pb.RenewCardRequest, context: Context
    ) -> pb.RenewCardResponse:
        def renew(caller: Identity) -> pb.RenewCardResponse:
            if request.dry_run:
                return _renewed(self.prolonging.foresee(request.card_serial, actor=caller.actor))
            known = (
                _time(request.expire_time, "expire_time")
                if request.HasField("expire_time")
                else None
            )
            done = self.prolonging.renew(request.card_serial, known, actor=caller.actor)
            return _renewed(done)

        return await self.door.call(context, renew)

    async def ReplaceCard(
        self, request: pb.ReplaceCardRequest, context: Context
    ) -> pb.ReplaceCardResponse:
        def replace(caller: Identity) -> pb.ReplaceCardResponse:
            why = str(WHY_REPLACED.get(request.reason, ""))
            if request.dry_run:
                return _replaced(self.replacing.foresee(request.card_serial, actor=caller.actor))
            return _replaced(self.replacing.replace(request.card_serial, why, actor=caller.actor))

        return await self.door.call(context, replace)

    async def RevokeCard(
        self, request: pb.RevokeCardRequest, context: Context
    ) -> pb.RevokeCardResponse:
        def revoke(who: Actor) -> CardListing:
            since = (
                _time(request.invalid_time, "invalid_time")
                if request.HasField("invalid_time")
                else None
            )
            return self.cards.revoke(
                request.card_serial,
                request.reason,
                _code(request.code),
                since,
                actor=who,
            )

        return pb.RevokeCardResponse(card=await self._change(context, revoke))

    async def _change(self, context: Context, change: Callable[[Actor], CardListing]) -> pb.Card:
        return card_message(await self.door.call(context, lambda caller: change(caller.actor)))

    def _whole_card(self, serial: str, actor: Actor) -> pb.Card:
        card = card_message(self.cards.find(serial, actor=actor))
        keys = self.cards.keys(serial, actor=actor)
        card.keys.extend(_key(key) for key in keys)
        neighbours = self.replacing.neighbours(serial, actor=actor)
        card.replaces_serial, card.replaced_by_serial = neighbours.before, neighbours.after
        issuer = self.certifying.issuer(serial, actor=actor)
        card.external_issuer = issuer.name
        card.issuer_certificate = issuer.certificate or self.announcing.card_issuer(
            card.profile, _certified(keys)
        )
        return card


def _wanted(chosen: pb.CardFilter, sort: str = "") -> Wanted:
    """The cards that a request asks for; raises InvalidInput."""
    states = {number: state for state, number in CARD_STATE.items()}
    if unknown := set(chosen.states) - states.keys():
        raise InvalidInput(f"state is {min(unknown)}: give states that cards have")
    return Wanted(
        sort,
        tuple(states[each] for each in chosen.states),
        chosen.profile,
        chosen.serial_prefix,
        chosen.organisation_id,
    )


def card_message(entry: CardListing) -> pb.Card:
    message = pb.Card(
        serial=entry.card.serial,
        guid=entry.card.guid,
        user_id=entry.user.id,
        user_display_name=entry.user.display_name,
        profile=entry.card.profile,
        state=CARD_STATE[entry.card.state],
        tries_left=entry.tries_left or 0,
        organisation_id=entry.card.organisation_id,
        cause=entry.cause,
        series=entry.series,
        custom_profile=entry.custom_profile,
    )
    message.spine_logins = entry.logins.count
    if entry.logins.last_time is not None:
        message.spine_login_time.FromDatetime(entry.logins.last_time)
    message.create_time.FromDatetime(entry.card.create_time)
    message.expire_time.FromDatetime(entry.card.expire_time)
    return message


def _key(key: Key) -> pb.Key:
    return pb.Key(
        key_ref=key.key_ref,
        algorithm=approval_pb2.Algorithm.ValueType(key.algorithm),
        certificate=b"" if key.key_ref == KeyRef.SECURE_MESSAGING else key.certificate,
    )


def _code(code: pb.RevocationReason.ValueType) -> RevocationReason:
    """The reason that a request names; raises InvalidInput if it is none."""
    if code not in REVOCATION_REASON:
        raise InvalidInput("code is none of the reasons for which a card is revoked")
    return REVOCATION_REASON[code]


def _replaced(done: Replaced) -> pb.ReplaceCardResponse:
    card = None if done.card is None else card_message(done.card)
    return pb.ReplaceCardResponse(replaced=card_message(done.before), card=card)


def _renewed(done: Prolonged) -> pb.RenewCardResponse:
    message = pb.RenewCardResponse(
        card=card_message(done.listing),
        renewed_key_refs=done.renewed,
        retired_key_ref=done.retired or 0,
        authority=done.authority,
        waiting_key_refs=done.waiting,
    )
    message.new_expire_time.FromDatetime(done.end)
    return message


def _time(stamp: Timestamp, name: str) -> datetime:
    """The time in a field of a request; raises InvalidInput if it is none."""
    try:
        time: datetime = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} is no time") from None
    return time


def _certified(keys: Collection[Key]) -> bytes | None:
    """The certificate of the newest key that has one of X.509: another authority can have certified
    older ones.
    """
    found = [key for key in keys if key.key_ref != KeyRef.SECURE_MESSAGING and key.certificate]
    return max(found, key=lambda key: key.create_time).certificate if found else None


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
