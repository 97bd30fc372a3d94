"""Which card profiles an organisation has: the built-in ones, its own, and those of organisations
above it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from cloud_keystore.model.custom.profiles import MOST_PROFILES, CustomProfile
from cloud_keystore.model.errors import InvalidInput, ProfileExists
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import DEFAULT_PROFILE, PROFILES, CardProfile, profile_named
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.storage import organisations
from cloud_keystore.storage.issuing import custom_profiles


def chosen(
    connection: Connection, name: str, organisation_id: str
) -> tuple[CardProfile, CustomProfile | None]:
    """The profile of a name for a card of an organisation: a built-in one, or one that it, or one
    above it, has defined. Raises InvalidInput.
    """
    name = name.strip().lower()
    if not name or name in PROFILES:
        return profile_named(name), None
    found = defined(connection, organisation_id)
    for each in found:
        if each.name == name:
            return each.card_profile, each
    known = ", ".join([*PROFILES, *(each.name for each in found)])
    raise InvalidInput(f"there is no profile {name!r} there: use one of {known}")


def defined(connection: Connection, organisation_id: str) -> list[CustomProfile]:
    """Those that an organisation, or one above it, has defined, by name."""
    above = set(upwards(organisation_id, organisations.parents(connection)))
    every = custom_profiles.list_all(connection)
    return [each for each in every if each.organisation_id in above]


def own_name(connection: Connection, name: str, organisation_id: str) -> str:
    """The name of the profile of which somebody's next cards are to be, as it is kept; empty for
    the default one. Raises InvalidInput for one that their organisation does not have.
    """
    if not name.strip():
        return ""
    profile, custom = chosen(connection, name, organisation_id)
    return profile.name if custom is None else custom.name


def of_user(connection: Connection, user: User) -> CardProfile:
    """What a person's next cards are made of; the default one, if the organisation where the person
    is now does not have what was said.
    """
    try:
        return chosen(connection, user.profile, user.organisation_id)[0]
    except InvalidInput:
        return PROFILES[DEFAULT_PROFILE]


def check_free(connection: Connection, profile: CustomProfile) -> None:
    """Raise ProfileExists for a name that another profile has in the same organisation, above it or
    below it, and InvalidInput if the organisation has enough.
    """
    parents = organisations.parents(connection)
    above = set(upwards(profile.organisation_id, parents))
    for each in custom_profiles.named(connection, profile.name):
        below = profile.organisation_id in upwards(each.organisation_id, parents)
        if each.id != profile.id and (below or each.organisation_id in above):
            where = organisations.name(connection, each.organisation_id)
            raise ProfileExists(f"{where} has a profile {profile.name} already: give another name")
    own = custom_profiles.of(connection, profile.organisation_id)
    if sum(each.id != profile.id for each in own) >= MOST_PROFILES:
        raise InvalidInput(
            f"name is one too many: an organisation defines {MOST_PROFILES} profiles"
        )
