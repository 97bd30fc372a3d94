"""Groups that directories keep by SCIM, and the roles that operators have mapped them to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

LONGEST_GROUP_NAME = 256
MOST_GROUPS = 500  # of one directory
MOST_MEMBERS = 2000  # of one group
MOST_MAPPINGS = 200  # of one directory


@unique
class NamedBy(StrEnum):
    """By which of a group's names a mapping means it, as SCIM calls them."""

    DISPLAY_NAME = "displayName"
    EXTERNAL_ID = "externalId"


@dataclass(frozen=True, slots=True)
class Group:
    """A group as its directory keeps it."""

    id: str
    client_id: str
    display_name: str
    external_id: str
    create_time: datetime
    change_time: datetime

    def name(self, named_by: NamedBy) -> str:
        """What a group is called."""
        return self.display_name if named_by is NamedBy.DISPLAY_NAME else self.external_id


@dataclass(frozen=True, slots=True)
class SaidOfGroup:
    """What a directory says of a group; of what is None it says nothing."""

    display_name: str | None = None
    external_id: str | None = None
    members: frozenset[str] | None = None  # identifiers of people at the directory


@dataclass(frozen=True, slots=True)
class SoughtGroup:
    """Which groups a directory looks for; what is empty excludes none. More can be found than have
    it in the same letters.
    """

    display_name: str = ""
    external_id: str = ""
    member: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group as its directory is shown it."""

    id: str
    display_name: str
    external_id: str
    members: tuple[str, ...]
    create_time: datetime
    change_time: datetime
    version: str


@dataclass(frozen=True, slots=True)
class FoundGroups:
    """Some of the groups that were found, and how many were."""

    total: int
    shown: tuple[ShownGroup, ...]


@dataclass(frozen=True, slots=True)
class GroupMapping:
    """Which role the members of a group have that a directory calls so, in an organisation and
    those below it. An operator who may grant the role has decided that.
    """

    id: str
    client_id: str
    named_by: NamedBy
    name: str
    role: str
    organisation_id: str
    until_time: datetime | None  # None: without end
    mapped_by: str  # an actor
    create_time: datetime

    def means(self, group: Group) -> bool:
        """Whether it is about a group."""
        return self.client_id == group.client_id and self.name == group.name(self.named_by)


@dataclass(frozen=True, slots=True)
class OperatorPerson:
    """Which person an operator is, as an RA manager of an organisation has said: groups of that
    person give the operator roles there and below it.
    """

    id: str
    identity_id: str
    user_id: str
    organisation_id: str
    until_time: datetime | None  # as long as the RA manager's own rights; None: without end
    said_by: str  # an actor
    create_time: datetime
    issuer: str | None = None  # of an OpenID provider that logs the operator in; None: none does
    subject: str | None = None  # as whom that provider knows the operator


@dataclass(frozen=True, slots=True)
class GivenRole:
    """The assignment that a mapping has given to an operator."""

    assignment_id: str
    mapping_id: str
    identity_id: str
