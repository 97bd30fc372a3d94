"""What of a user is changed, for whoever may do so, with all that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from cloud_keystore.audit import entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import User
from cloud_keystore.people.contacts.next_addresses import check_address, without_next
from cloud_keystore.people.likeness import changes
from cloud_keystore.storage import people
from cloud_keystore.storage.enrolment import addresses
from cloud_keystore.storage.outbox import notifications as outbox

NOTHING_MORE: Mapping[str, Detail] = MappingProxyType({})


def change(
    by: Acting, user: User, changed: User, more: Mapping[str, Detail] = NOTHING_MORE
) -> User:
    """Make a user whom the actor may change what `changed` says; `more` is for the journal. Raises
    InvalidInput, UserExists.
    """
    connection = by.connection
    if changed == user:
        return user
    if changed.phone != user.phone:
        changed = replace(changed, phone_verify_time=None)
    if changed.email != user.email:  # who has shared one since before can have another name
        check_address(connection, changed, by.held.sees)
        given_by = addresses.given(connection, changed, str(by.actor))
        changed = replace(without_next(changed), email_by=given_by, email_verify_time=None)
    people.change_user(connection, changed)
    said = {**changes(user, changed), **more}
    journal.append(connection, entries.about_user(Kind.USER_CHANGED, user, by.now, by.actor, said))
    outbox.changed(connection, user, changed, by.now)
    return changed
