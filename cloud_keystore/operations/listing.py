"""Whether the documents of a request are listed on its holder's phone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.model.people import User
from cloud_keystore.storage import people
from cloud_keystore.storage.enrolment import software

CAPABILITY = "documents"


def listed(
    connection: Connection, documents: tuple[str, ...], holder: User, now: datetime
) -> tuple[str, ...]:
    """What the payload lists: all documents, or none if all phones of the holder are known to show
    no list. Those show how many documents there are.

    One that has not said what it is may show them. If it does not, it is sent no such request: a
    phone that said less than the truth would see fewer requests, and never another one.
    """
    if not documents:
        return ()
    phones = [each.id for each in people.list_devices(connection, holder.id) if each.is_active(now)]
    heard = software.of(connection, phones)
    if phones and all(
        each in heard and CAPABILITY not in heard[each].software.capabilities for each in phones
    ):
        return ()
    return documents
