"""Of which profile a new card is, and whether its holder's app is new enough for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.cards.making import Order
from cloud_keystore.model.cards import Card
from cloud_keystore.model.custom.profiles import CustomProfile
from cloud_keystore.model.errors import ClientOutdated, InvalidInput, RequestIdReused
from cloud_keystore.model.fields.request_ids import REUSED
from cloud_keystore.model.fields.software import Compatibility
from cloud_keystore.model.people import User
from cloud_keystore.storage import people
from cloud_keystore.storage.enrolment import software
from cloud_keystore.storage.issuing import custom_profiles


def check(connection: Connection, order: Order, holder: User, now: datetime) -> None:
    """Raise InvalidInput for a profile that was deleted or changed meanwhile, and ClientOutdated if
    the holder's phones are too old for its cards.
    """
    profile = order.custom
    if profile is None:
        return
    if custom_profiles.find(connection, profile.id) != profile:
        raise InvalidInput(
            f"the profile {profile.name} was changed or deleted: look (cloudcard ra profile list), "
            "and issue a card again"
        )
    _check_clients(connection, profile, holder, now)


def keep(connection: Connection, order: Order, card: Card) -> dict[str, str]:
    """Write down of which profile a card is; what the journal says of it."""
    if order.custom is None:
        return {}
    custom_profiles.add_card(connection, card.id, order.custom.id)
    return {"custom_profile": order.custom.name, "series": order.custom.series}


def check_same(connection: Connection, made: Card, order: Order) -> None:
    """Raise RequestIdReused unless a card is the one that is asked for with its request id."""
    asked = (order.user_id, order.profile.name, order.organisation_id)
    custom = custom_profiles.of_card(connection, made)
    same = (made.user_id, made.profile, made.organisation_id) == asked
    if not same or (custom and custom.id) != (order.custom and order.custom.id):
        raise RequestIdReused(REUSED)


def _check_clients(
    connection: Connection, profile: CustomProfile, holder: User, now: datetime
) -> None:
    """Raise ClientOutdated if all phones of a holder are known to be older than the cards of a
    profile need. One that has not said its version, or that is still to be enrolled, may be new
    enough.
    """
    phones = [each for each in people.list_devices(connection, holder.id) if each.is_active(now)]
    heard = software.of(connection, [each.id for each in phones])
    old = [
        f"{each.display_name} has {heard[each.id].software.version}"
        for each in phones
        if profile.oldest_client
        and each.id in heard
        and heard[each.id].software.compared(profile.oldest_client) is Compatibility.OUTDATED
    ]
    if phones and len(old) == len(phones):
        raise ClientOutdated(
            f"cards of the profile {profile.name} need version {profile.oldest_client} of the app "
            f"on the holder's phone, and {', '.join(old)}: update the app, open it, and issue the "
            "card again"
        )
