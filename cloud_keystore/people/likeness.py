"""Who is whom: whether two users are the same person, and what tells them apart. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cloud_keystore.model.errors import UserExists
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.texts import comparable
from cloud_keystore.model.journal import Detail
from cloud_keystore.model.people import User

ELSEWHERE = "somebody elsewhere"  # whom the actor does not see


def check_new(
    user: User, others: Sequence[User], sees: Callable[[str], bool], *, namesake: bool
) -> None:
    """Raise UserExists if one of some others has the user's account or e-mail address, or has the
    same name and neither has an address. Nothing is said of others whose organisation the actor
    does not see.
    """
    for other in others:
        seen = sees(other.organisation_id)
        whose = called(other) if seen else ELSEWHERE
        if user.upn and comparable(other.upn) == comparable(user.upn):
            raise UserExists(f"upn {user.upn} is that of {whose}: an account belongs to one person")
        if user.email and emails.key(other.email) == emails.key(user.email):
            raise UserExists(
                f"{user.email} is the e-mail address of {whose}: an address belongs to one person, "
                "until that person has left (cloudcard ra user close)"
            )
        alike = seen and not (namesake or user.email or other.email)
        if alike and _same_name(other, user):
            raise UserExists(
                f"there is {whose} already: if this is somebody else, give an e-mail address, or "
                "say so (--namesake)"
            )


def called(user: User) -> str:
    """How a user is named to operators."""
    return f"{user.display_name}, UUID {user.uuid12}" if user.uuid12 else user.display_name


def _same_name(one: User, other: User) -> bool:
    return comparable(one.display_name) == comparable(other.display_name)


def facts(user: User) -> tuple[str, ...]:
    """What an operator says of a user, in the form in which it is compared."""
    said = map(comparable, (user.display_name, user.upn, user.sid))
    return emails.key(user.email), *said


def changes(user: User, changed: User) -> Mapping[str, Detail]:
    """What of a user is changed, as details of an entry: the old and the new values."""
    details: dict[str, Detail] = {}
    for word, old, new in (
        ("name", user.display_name, changed.display_name),
        ("email", user.email, changed.email),
        ("next_email", user.next_email, changed.next_email),
        ("phone", user.phone, changed.phone),
        ("organisation", user.organisation_id, changed.organisation_id),
        ("profile", user.profile, changed.profile),
    ):
        if old != new:
            details |= {f"old_{word}": old, word: new}
    return details
