"""Between people and groups of SCIM and what use cases take and give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from scim2_models import Meta, PatchOp, Reference

from cloud_keystore.model.directories.entries import Said, Shown
from cloud_keystore.model.directories.groups import SaidOfGroup, ShownGroup
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.rest.scim.models import (
    AT,
    MOBILE,
    USER,
    WORK,
    Email,
    Enterprise,
    Group,
    GroupOfUser,
    Member,
    Name,
    Person,
    PhoneNumber,
    User,
)

CORE, ENTERPRISE = str(User.__schema__).lower(), str(Enterprise.__schema__).lower()
PLACE = "organization"  # the attribute for which all of the extension stands


def person(found: Shown, base: str) -> Person:
    """A person as SCIM shows them."""
    made = Person(
        id=found.id,
        user_name=found.user_name,
        external_id=found.external_id or None,
        display_name=found.name,
        active=found.active,
        meta=Meta(
            resource_type="User",
            created=found.create_time,
            last_modified=found.change_time,
            location=Reference(location(found, base)),
            version=etag(found),
        ),
    )
    if found.given_name or found.family_name:
        made.name = Name(given_name=found.given_name or None, family_name=found.family_name or None)
    if found.email:
        made.emails = [Email(value=found.email, type=WORK)]
    if found.phone:
        made.phone_numbers = [PhoneNumber(value=found.phone, type=MOBILE)]
    if found.organisation:
        made[Enterprise] = Enterprise(organization=found.organisation)
    if found.groups:
        made.groups = [
            GroupOfUser(value=own, display=name, ref=Reference(f"{base}{AT}/Groups/{own}"))
            for own, name in found.groups
        ]
    return made


def group(found: ShownGroup, base: str) -> Group:
    """A group as SCIM shows it."""
    made = Group(
        id=found.id,
        display_name=found.display_name,
        external_id=found.external_id or None,
        meta=Meta(
            resource_type="Group",
            created=found.create_time,
            last_modified=found.change_time,
            location=Reference(f"{base}{AT}/Groups/{found.id}"),
            version=etag(found),
        ),
    )
    if found.members:
        made.members = [
            Member(value=each, ref=Reference(f"{base}{AT}/Users/{each}"), type=USER)
            for each in found.members
        ]
    return made


def whole_group(given: Group) -> SaidOfGroup:
    """What a directory says with all of a group: of what it leaves out, that there is none. Raises
    InvalidInput.
    """
    members = [each.value for each in given.members or ()]
    if not all(members):
        raise InvalidInput("members has one without a value: give the id of a user in each")
    return SaidOfGroup(
        display_name=given.display_name or "",
        external_id=given.external_id or "",
        members=frozenset(each for each in members if each),
    )


def location(found: Shown, base: str) -> str:
    """Where a person is found."""
    return f"{base}{AT}/Users/{found.id}"


def etag(found: Shown | ShownGroup) -> str:
    """By which a client says which version it has seen."""
    return f'W/"{found.version}"'


def whole(given: Person) -> Said:
    """What a directory says with all of a person: of what it leaves out, that there is none."""
    extension = given[Enterprise]
    organisation = None if extension is None else extension.organization
    return Said(
        user_name=given.user_name,
        external_id=given.external_id or "",
        name=given.display_name or _of_parts(given.name),
        given_name=_part(given.name, "given_name"),
        family_name=_part(given.name, "family_name"),
        email=_meant(given.emails, "", WORK),
        phone=_number(given.phone_numbers, ""),
        organisation=organisation or "",
        department=None if extension is None else extension.department,
        active=given.active,
    )


def changed(before: Person, after: Person, named: frozenset[str]) -> Said:
    """What a directory says with a change that names some attributes."""
    extension = after[Enterprise]
    name = after.display_name if "displayname" in named else None
    # A name that was made of its parts follows them.
    follows = before.display_name in (_of_parts(before.name), before.user_name)
    if "displayname" not in named and "name" in named and follows:
        name = _of_parts(after.name)
    said = Said(
        user_name=after.user_name if "username" in named else None,
        external_id=(after.external_id or "") if "externalid" in named else None,
        name=name,
        given_name=_part(after.name, "given_name") if "name" in named else None,
        family_name=_part(after.name, "family_name") if "name" in named else None,
        email=_meant(after.emails, _meant(before.emails, "", WORK), WORK)
        if "emails" in named
        else None,
        phone=_number(after.phone_numbers, _number(before.phone_numbers, ""))
        if "phonenumbers" in named
        else None,
        active=after.active if "active" in named else None,
    )
    if PLACE not in named:
        return said
    place = "" if extension is None else extension.organization or ""
    department = None if extension is None else extension.department
    is_new = before[Enterprise] is None or place != (before[Enterprise].organization or "")
    return Said(
        **{name: getattr(said, name) for name in Said.__dataclass_fields__}
        | {"organisation": place if is_new or not department else "", "department": department}
    )


def named(patch: PatchOp[Person]) -> frozenset[str]:
    """The attributes that a change names, in small letters."""
    found = set[str]()
    for each in patch.operations or []:
        if each.path:
            found.add(_attribute(str(each.path)))
        elif isinstance(each.value, Mapping):
            found |= {_attribute(str(name)) for name in each.value}
    return frozenset(found)


def _attribute(path: str) -> str:
    text = path.lower()
    if text.startswith(ENTERPRISE):
        return PLACE
    return re.split(r"[.\[]", text.removeprefix(f"{CORE}:"))[0]


def _part(name: Name | None, part: str) -> str:
    return "" if name is None else getattr(name, part) or ""


def _of_parts(name: Name | None) -> str | None:
    """A name made of its parts; None without any."""
    if name is None:
        return None
    parts = " ".join(filter(None, (name.given_name, name.family_name)))
    return name.formatted or parts or None


def _meant(values: Iterable[Email | PhoneNumber] | None, before: str, kind: str) -> str:
    """The value that is meant: one that is new, the primary one, or else that of a type."""
    there = [each for each in values or () if each.value]
    there = [each for each in there if each.value != before] or there
    there.sort(key=lambda each: (not each.primary, each.type != kind))
    return (there[0].value or "") if there else ""


def _number(numbers: Iterable[PhoneNumber] | None, before: str) -> str:
    """The phone number that is meant: that of a mobile phone, before others. One can be written as
    a URI (RFC 3966, 3).
    """
    return _meant(numbers, before, MOBILE).removeprefix("tel:")
