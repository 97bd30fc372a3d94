"""`ProfileService`: card profiles that organisations define."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_keystore.cards.custom.custom_profiles import CustomProfiles, ProfileListing
from cloud_keystore.model.custom.profiles import Terms
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import profiles_pb2 as pb
from cloudcard.registry.v1 import profiles_pb2_grpc


@dataclass(frozen=True, slots=True)
class ProfileServicer(profiles_pb2_grpc.ProfileServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    custom_profiles: CustomProfiles

    async def ListCustomProfiles(
        self, request: pb.ListCustomProfilesRequest, context: Context
    ) -> AsyncIterator[pb.ListCustomProfilesResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_profile, self.custom_profiles.list_all(actor=who.actor))
        ):
            yield pb.ListCustomProfilesResponse(profiles=some)

    async def CreateProfile(
        self, request: pb.CreateProfileRequest, context: Context
    ) -> pb.CreateProfileResponse:
        made = await self.door.call(
            context,
            lambda who: self.custom_profiles.define(
                request.name,
                request.base,
                _terms(request.terms),
                request.organisation_id,
                actor=who.actor,
            ),
        )
        return pb.CreateProfileResponse(profile=_profile(made))

    async def UpdateProfile(
        self, request: pb.UpdateProfileRequest, context: Context
    ) -> pb.UpdateProfileResponse:
        name = request.name if request.HasField("name") else None
        changed = await self.door.call(
            context,
            lambda who: self.custom_profiles.change(
                request.profile_id, request.revision, name, _terms(request.terms), actor=who.actor
            ),
        )
        return pb.UpdateProfileResponse(profile=_profile(changed))

    async def DeleteProfile(
        self, request: pb.DeleteProfileRequest, context: Context
    ) -> pb.DeleteProfileResponse:
        deleted = await self.door.call(
            context, lambda who: self.custom_profiles.delete(request.profile_id, actor=who.actor)
        )
        return pb.DeleteProfileResponse(profile=_profile(deleted))


def _terms(terms: pb.ProfileTerms) -> Terms:
    return Terms(
        series=terms.series if terms.HasField("series") else None,
        oldest_client=terms.oldest_client if terms.HasField("oldest_client") else None,
        serial_prefix=terms.serial_prefix if terms.HasField("serial_prefix") else None,
        validity_days=terms.validity_days if terms.HasField("validity_days") else None,
    )


def _profile(listing: ProfileListing) -> pb.CustomProfile:
    profile = listing.profile
    message = pb.CustomProfile(
        id=profile.id,
        name=profile.name,
        base=profile.base,
        series=profile.series,
        oldest_client=profile.oldest_client,
        serial_prefix=profile.serial_prefix,
        validity_days=profile.validity_days,
        organisation_id=profile.organisation_id,
        organisation_name=listing.organisation_name,
        cards=listing.cards,
        revision=profile.revision,
    )
    message.create_time.FromDatetime(profile.create_time)
    return message
