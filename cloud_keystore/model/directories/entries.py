"""What directories say of people: API clients that keep them by SCIM. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, unique

from cloud_keystore.model.people import User

LEAVING_TIME = timedelta(hours=1)
LONGEST_USER_NAME = 254
LONGEST_EXTERNAL_ID = 256


@unique
class Field(StrEnum):
    """What of a person a directory says, and an operator can change by hand."""

    NAME = "name"
    EMAIL = "email"
    ORGANISATION = "organisation"
    PHONE = "phone"


def value(user: User, field: Field) -> str:
    """What holds of a user."""
    match field:
        case Field.NAME:
            return user.display_name
        case Field.EMAIL:
            return user.email
        case Field.ORGANISATION:
            return user.organisation_id
        case Field.PHONE:
            return user.phone


def with_value(user: User, field: Field, new: str) -> User:
    """A user of whom something else holds."""
    match field:
        case Field.NAME:
            return replace(user, display_name=new)
        case Field.EMAIL:
            return replace(user, email=new)
        case Field.ORGANISATION:
            return replace(user, organisation_id=new)
        case Field.PHONE:
            return replace(user, phone=new)


@dataclass(frozen=True, slots=True)
class Said:
    """What a directory says of a person; of what is None it says nothing."""

    user_name: str | None = None
    external_id: str | None = None
    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    email: str | None = None
    organisation: str | None = None  # its name, or its identifier
    department: str | None = None  # the same, of one below it
    phone: str | None = None
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What a directory says of one field."""

    said: str = ""  # last; empty: nothing
    given: str | None = None  # what the person got of it last; None: nothing yet
    kept: str | None = None  # what was said when an operator decided to keep another value

    def differs(self, holds: str) -> bool:
        """Whether something else holds, and nobody has decided about it."""
        return bool(self.said) and self.said not in (holds, self.kept)

    def taken(self) -> Word:
        """After the person got what is said."""
        return Word(self.said, self.said)


NOTHING = Word()


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """What a directory has said of a person, what of it holds, and what an operator has decided
    against it. Its identifier is the person's at the directory, and stays when the person comes
    back as another user.
    """

    id: str
    client_id: str
    user_id: str  # empty as long as there was nobody
    user_name: str
    create_time: datetime
    change_time: datetime
    external_id: str = ""
    given_name: str = ""
    family_name: str = ""
    name: Word = NOTHING
    email: Word = NOTHING
    organisation: Word = NOTHING  # its identifier
    phone: Word = NOTHING  # as E.164 has it
    active: bool = True  # as the directory says
    deleted: bool = False
    leave_time: datetime | None = None  # when the directory has last closed somebody by it

    def word(self, field: Field) -> Word:
        """What is said of a field."""
        match field:
            case Field.NAME:
                return self.name
            case Field.EMAIL:
                return self.email
            case Field.ORGANISATION:
                return self.organisation
            case Field.PHONE:
                return self.phone

    def having(self, field: Field, word: Word) -> DirectoryEntry:
        """The same entry, with something else said of a field."""
        match field:
            case Field.NAME:
                return replace(self, name=word)
            case Field.EMAIL:
                return replace(self, email=word)
            case Field.ORGANISATION:
                return replace(self, organisation=word)
            case Field.PHONE:
                return replace(self, phone=word)


def settle(
    entry: DirectoryEntry, user: User, said: Mapping[Field, str]
) -> tuple[DirectoryEntry, User]:
    """What becomes of an entry and of its person when the directory says something: what somebody
    else has changed since the directory said it last, or had said before it, stays.
    """
    for field, new in said.items():
        now, word = value(user, field), replace(entry.word(field), said=new)
        own = word.given == now or (word.given is None and now in ("", new))
        # A person is always somewhere, and called something.
        if own and (new or field in (Field.EMAIL, Field.PHONE)):
            user, word = with_value(user, field, new), word.taken()
        entry = entry.having(field, word)
    return entry, user


@dataclass(frozen=True, slots=True)
class Sought:
    """Whom a directory looks for; what is empty excludes nobody. More can be found than have it in
    the same letters.
    """

    user_name: str = ""
    external_id: str = ""
    email: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A person as a directory is shown them."""

    id: str
    user_name: str
    external_id: str
    name: str
    given_name: str
    family_name: str
    email: str
    phone: str
    organisation: str  # its name; empty if the directory says nothing of it
    active: bool
    create_time: datetime
    change_time: datetime
    version: str
    groups: tuple[tuple[str, str], ...] = ()  # identifiers and names


@dataclass(frozen=True, slots=True)
class Found:
    """Some of the people who were found, and how many were."""

    total: int
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that a directory says of a person, and another one that holds."""

    user: User
    entry_id: str
    client_id: str
    client_name: str
    field: Field
    said: str
    holds: str
    change_time: datetime  # when the directory has last said something
