"""Codes by e-mail: how they are made, asked for and taken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest
from types import MappingProxyType

from sqlalchemy import Connection

from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.errors import AddressUnreachable, TooManyCalls
from cloud_keystore.model.outbox.media import Medium, medium_of
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.portal.codes import (
    CODE_DIGITS,
    CODE_TRIES,
    HOUR,
    LINK_BYTES,
    MOST_CODES,
    TIMES,
    Link,
    MailedCode,
    Purpose,
)
from cloud_keystore.storage.credentials.portal import codes
from cloud_keystore.storage.outbox import notifications as outbox

SENDS_NOTHING: Mapping[Medium, str] = MappingProxyType(
    {
        Medium.EMAIL: (
            "this keystore sends no e-mail: its administrator names a mail server (cloudcard serve "
            "--mail-server)"
        ),
        Medium.SMS: (
            "this keystore sends no SMS: its administrator names a gateway (cloudcard serve "
            "--sms-url)"
        ),
    }
)


def code_of(seal: Seal, code_id: str) -> str:
    """The digits of a code, once more."""
    drawn = int.from_bytes(seal.derive("mailed code", code_id.encode()))
    return f"{drawn % 10**CODE_DIGITS:0{CODE_DIGITS}}"


def link_of(seal: Seal, code_id: str) -> Link:
    """The link of a code, once more."""
    return Link(code_id, seal.derive("mailed link", code_id.encode())[:LINK_BYTES])


def send(
    connection: Connection,
    template: Template,
    purpose: Purpose,
    who: str,
    user: User | None,
    now: datetime,
    random: Random,
    *,
    address: str = "",
) -> MailedCode:
    """Send a code to a user's address, or to another one, by the medium of the template; for None
    the same is done, and nothing sent. Raises AddressUnreachable if nobody is told anything by
    that, and TooManyCalls.
    """
    medium = medium_of(template)
    if not outbox.tells(connection, medium):
        raise AddressUnreachable(SENDS_NOTHING[medium])
    for time, most in MOST_CODES.items():
        # Those for another purpose would tell who is known.
        if purpose is Purpose.CHANGE or medium is Medium.SMS:
            counted = codes.count_to(connection, address, purpose, now - time)
        else:
            counted = codes.count(connection, who, purpose, now - time)
        if counted >= most:
            raise TooManyCalls(
                "as many codes were asked for as there may be for a while: wait an hour, or a day",
                HOUR.total_seconds(),
            )
    made = MailedCode(
        id=new_id(now, random),
        who=who,
        user_id=None if user is None else user.id,
        purpose=purpose,
        address="" if user is None else address or user.email,
        tries_left=CODE_TRIES,
        create_time=now,
        expire_time=now + TIMES[purpose],
    )
    codes.add(connection, made)
    outbox.put_even(connection, template, made.user_id, now, made.id, made.address)
    return made


def take(
    connection: Connection,
    seal: Seal,
    purpose: Purpose,
    who: str,
    user: User,
    given: str,
    now: datetime,
    *,
    address: str = "",
) -> tuple[MailedCode | None, bool]:
    """The code that is awaited from a user, None if there is none, and whether it was given. A
    wrong one spends a try, in the transaction that takes it. It counts if it went to the user's
    address, or to another one that is given.
    """
    code = codes.spend_try(connection, who, purpose, now)
    if code is None:
        return None, False
    fits = compare_digest(code_of(seal, code.id).encode(), given.encode(errors="replace"))
    sent_to = address or user.email
    right = fits and bool(user.id) and code.user_id == user.id and code.address == sent_to
    if right:
        codes.give_back(connection, code)
    return code, right


def follow(
    connection: Connection, seal: Seal, link: Link, now: datetime
) -> tuple[MailedCode | None, bool]:
    """The code of a link, None if it is not awaited any more, and whether the link is right. A
    wrong one spends a try.
    """
    known = codes.find(connection, link.code_id)
    if known is None or known.purpose is not Purpose.CHANGE or not known.is_live(now):
        return None, False
    code = codes.spend_try(connection, known.who, known.purpose, now)
    if code is None or code.id != known.id:
        return None, False
    return code, compare_digest(link_of(seal, code.id).proof, link.proof)
