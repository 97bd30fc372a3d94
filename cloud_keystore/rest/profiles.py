"""Card profiles that organisations define."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Header, Path, Response
from pydantic import BaseModel, Field, StrictInt
from starlette.exceptions import HTTPException

from cloud_keystore.cards.custom.custom_profiles import CustomProfiles, ProfileListing
from cloud_keystore.model.custom.profiles import Terms
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.models import Asked, Text

ProfileId = Annotated[str, Path(max_length=64, description="Identifier of the profile.")]
IfMatch = Annotated[str, Header(max_length=64, description="The ETag that the client has seen.")]
Series = Annotated[Text | None, Field(description="What people call its cards.")]
OldestClient = Annotated[
    Text | None, Field(description="The oldest version of the app, such as 1.10.0; empty: any.")
]
SerialPrefix = Annotated[
    Text | None, Field(description="How serial numbers begin; empty: as those of the base.")
]
Days = Annotated[StrictInt | None, Field(description="0: those of the base.")]


class NewProfile(Asked):
    """A profile to be defined."""

    name: Text
    base: Annotated[Text, Field(description="The built-in profile of which it is a variant.")]
    organisation_id: Text = ""
    series: Series = None
    oldest_client: OldestClient = None
    serial_prefix: SerialPrefix = None
    validity_days: Days = None


class ProfileChange(Asked):
    """What a profile says otherwise of new cards; what is absent stays."""

    name: Text | None = None
    series: Series = None
    oldest_client: OldestClient = None
    serial_prefix: SerialPrefix = None
    validity_days: Days = None


class CustomProfile(BaseModel):
    """A profile that an organisation has defined, for itself and those below it."""

    id: str
    name: str
    base: str
    series: str
    oldest_client: str
    serial_prefix: str
    validity_days: int
    organisation_id: str
    cards: Annotated[int, Field(description="Cards of it, besides revoked and cancelled ones.")]
    created: datetime


class ListedProfiles(BaseModel):
    """All that the client sees."""

    profiles: list[CustomProfile]


@dataclass(frozen=True, slots=True)
class ProfileCalls:
    """What can be asked about profiles."""

    custom_profiles: CustomProfiles

    def list_custom_profiles(self) -> ListedProfiles:
        """The profiles of organisations that the client sees, and of those above them, by name."""
        found = self.custom_profiles.list_all(actor=current().actor)
        return ListedProfiles(profiles=[_profile(each) for each in found])

    def show_custom_profile(self, profile_id: ProfileId, response: Response) -> CustomProfile:
        """One profile."""
        found = self.custom_profiles.find(profile_id, actor=current().actor)
        return _tagged(found, response)

    def add_custom_profile(self, asked: NewProfile, response: Response) -> CustomProfile:
        """Define a profile for an organisation and those below it: where the client may do so, if
        none is named.
        """
        made = self.custom_profiles.define(
            asked.name, asked.base, _terms(asked), asked.organisation_id, actor=current().actor
        )
        return _tagged(made, response)

    def change_custom_profile(
        self,
        profile_id: ProfileId,
        asked: ProfileChange,
        response: Response,
        if_match: IfMatch = "",
    ) -> CustomProfile:
        """Let a profile say something else of cards that are issued or renewed from now on.
        `If-Match` says what the client has seen: the `ETag` of the profile.
        """
        revision, actor = self._seen(profile_id, if_match), current().actor
        changed = self.custom_profiles.change(
            profile_id, revision, asked.name, _terms(asked), actor=actor
        )
        return _tagged(changed, response)

    def remove_custom_profile(self, profile_id: ProfileId) -> None:
        """Delete a profile of which no card is that is not over, and nobody's next card."""
        self.custom_profiles.delete(profile_id, actor=current().actor)

    def _seen(self, profile_id: str, if_match: str) -> int:
        """The revision that a client has seen; that which holds, for any. Raises HTTPException
        without one.
        """
        tag = if_match.strip()
        if not tag:
            raise HTTPException(HTTPStatus.PRECONDITION_REQUIRED)
        if tag == "*":
            return self.custom_profiles.find(profile_id, actor=current().actor).profile.revision
        number = tag.strip('"')
        return int(number) if number.isascii() and number.isdigit() else 0


def _terms(asked: NewProfile | ProfileChange) -> Terms:
    return Terms(asked.series, asked.oldest_client, asked.serial_prefix, asked.validity_days)


def _tagged(found: ProfileListing, response: Response) -> CustomProfile:
    response.headers["ETag"] = f'"{found.profile.revision}"'
    return _profile(found)


def _profile(found: ProfileListing) -> CustomProfile:
    profile = found.profile
    return CustomProfile(
        id=profile.id,
        name=profile.name,
        base=profile.base,
        series=profile.series,
        oldest_client=profile.oldest_client,
        serial_prefix=profile.serial_prefix,
        validity_days=profile.validity_days,
        organisation_id=profile.organisation_id,
        cards=found.cards,
        created=profile.create_time,
    )
