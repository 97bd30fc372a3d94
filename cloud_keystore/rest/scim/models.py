"""People and groups as SCIM has them, as far as it is kept here, and what the service tells of
itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Generic, TypeAlias

from pydantic import Field
from scim2_models import (
    URN,
    AnyExtension,
    Attribute,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    Meta,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    Schema,
    SchemaExtension,
    ScimPolicy,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

AT = "/scim/v2"
MOST_RESULTS = 200  # of one answer
WORK, MOBILE = "work", "mobile"
USER = "User"
# What sub-attributes are answered with: types, and the form of numbers, by two that nobody has.
CANONICAL: Mapping[tuple[str, str], Sequence[str]] = MappingProxyType(
    {
        ("emails", "type"): (WORK,),
        ("phoneNumbers", "type"): (MOBILE,),
        ("phoneNumbers", "value"): ("+447700900123", "+447700900456"),
    }
)
# What programs of others send besides is passed over: Microsoft Entra's own writing, too.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
# What is taken from a request and never answered, so that no schema has it.
UNTOLD = frozenset({"formatted", "primary", "department"})
ALWAYS = frozenset({"displayName", "active"})  # in each answer, though a request can lack them


class Name(ComplexAttribute):
    """The parts of a name."""

    formatted: str | None = None
    given_name: str | None = None
    family_name: str | None = None


class Email(ComplexAttribute):
    """An e-mail address; a person has one."""

    value: str | None = None
    type: str | None = None
    primary: bool | None = None


class PhoneNumber(ComplexAttribute):
    """A phone number; a person has one."""

    value: str | None = None
    type: str | None = None
    primary: bool | None = None


# Here, because annotations are looked at before there is this class.
ToGroup: TypeAlias = Reference["Group"]


class GroupOfUser(ComplexAttribute):
    """A group of the directory in which a person is; groups say who that is."""

    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    ref: Annotated[ToGroup | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    display: Annotated[str | None, Mutability.read_only] = None


class User(Resource[AnyExtension], Generic[AnyExtension]):
    """A person."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    external_id: Annotated[str | None, CaseExact.true] = None
    display_name: str | None = None
    name: Name | None = None
    emails: list[Email] | None = None
    phone_numbers: list[PhoneNumber] | None = None
    active: bool | None = None
    groups: Annotated[list[GroupOfUser] | None, Mutability.read_only] = None


class Enterprise(Extension):
    """What of the enterprise extension is kept."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    organization: str | None = None
    department: str | None = None


Person: TypeAlias = User[Enterprise]
ToPerson: TypeAlias = Reference[Person]


class Member(ComplexAttribute):
    """Somebody in a group."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[ToPerson | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=[USER])


if TYPE_CHECKING:
    NoExtension: TypeAlias = Extension
else:
    NoExtension = AnyExtension  # in the place of which the library puts nothing


class Group(Resource[NoExtension]):
    """People whom a directory has put together."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    external_id: Annotated[str | None, CaseExact.true] = None
    members: list[Member] | None = None


def config(base: str) -> ServiceProviderConfig:
    """What the service can do."""
    token = AuthenticationScheme(
        type=AuthenticationScheme.Type.oauthbearertoken,
        name="API client's token",
        description="Authorization: Bearer, with the token of cloudcard ra client add.",
        primary=True,
    )
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[token],
        meta=Meta(
            resource_type="ServiceProviderConfig", location=f"{base}{AT}/ServiceProviderConfig"
        ),
    )


def resource_types(base: str) -> list[ResourceType]:
    """People, and groups of them."""
    return [
        ResourceType(
            id="Group",
            name="Group",
            description="People together; an operator can let a group give a role.",
            endpoint=Reference("/Groups"),
            schema=Reference(str(Group.__schema__)),
            meta=Meta(resource_type="ResourceType", location=f"{base}{AT}/ResourceTypes/Group"),
        ),
        ResourceType(
            id="User",
            name="User",
            description="A person who holds cards.",
            endpoint=Reference("/Users"),
            schema=Reference(str(User.__schema__)),
            schema_extensions=[
                SchemaExtension(schema=Reference(str(Enterprise.__schema__)), required=False)
            ],
            meta=Meta(resource_type="ResourceType", location=f"{base}{AT}/ResourceTypes/User"),
        ),
    ]


def schemas(base: str, organisations: Sequence[str]) -> list[Schema]:
    """What groups and people have, with the names of the organisations where people can be."""
    found = [Group.to_schema(), User.to_schema(), Enterprise.to_schema()]
    for schema in found:
        schema.attributes = _told(schema.attributes or [], organisations)
        schema.meta = Meta(resource_type="Schema", location=f"{base}{AT}/Schemas/{schema.id}")
    return found


def _told(attributes: Sequence[Attribute], organisations: Sequence[str]) -> list[Attribute]:
    told = [each for each in attributes if each.name not in UNTOLD]
    for each in told:
        if each.name in ALWAYS:
            each.required = Required.true
        if each.name == "organization":
            each.canonical_values = list(organisations)
        if each.sub_attributes:
            each.sub_attributes = _told(each.sub_attributes, organisations)
            for part in each.sub_attributes:
                if known := CANONICAL.get((each.name or "", part.name or "")):
                    part.canonical_values = [*known]
    return told
