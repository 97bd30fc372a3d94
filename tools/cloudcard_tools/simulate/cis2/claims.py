"""What a provider tells of a person, by the scopes that a client has asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from cloudcard_tools.simulate.directory import ORGANISATIONS, Person

# Of identity: everybody in the directory, and every holder of a card, was seen in person.
ID_ASSURANCE = "3"  # a string, as clients compare it


def _profile(person: Person) -> dict[str, object]:
    return {
        "name": person.name,
        "given_name": person.given,
        "family_name": person.family,
        "uid": person.id,
    }


def _nhsperson(person: Person) -> dict[str, object]:
    return {
        "nhsid_useruid": person.id,
        "idassurancelevel": ID_ASSURANCE,
        "name": person.name,
        "given_name": person.given,
        "family_name": person.family,
        "display_name": person.name,
        "title": person.title,
        "initials": "",
        "middle_names": "",
        "uid": person.id,
    }


def _roles(person: Person) -> dict[str, object]:
    return {
        "nhsid_useruid": person.id,
        "nhsid_nrbac_roles": [role.claim() for role in person.roles],
    }


def _organisations(person: Person) -> dict[str, object]:
    return {
        "nhsid_user_orgs": [
            {"org_name": ORGANISATIONS[code], "org_code": code} for code in person.organisations
        ]
    }


def _memberships(person: Person) -> dict[str, object]:
    places = {role.organisation: role.place for role in person.roles}
    return {
        "nhsid_org_memberships": [
            {"person_orgid": place, "org_name": ORGANISATIONS[code], "org_code": code}
            for code, place in places.items()
        ]
    }


BY_SCOPE: Mapping[str, Callable[[Person], dict[str, object]]] = {
    "profile": _profile,
    "email": lambda person: {"email": person.email},
    "nhsperson": _nhsperson,
    "nationalrbacaccess": _roles,
    "associatedorgs": _organisations,
    "organisationalmemberships": _memberships,
    "professionalmemberships": lambda _person: {},  # nobody here is registered anywhere
}


def of_person(person: Person, scopes: Set[str], role_id: str) -> dict[str, object]:
    """The claims of userinfo; `role_id` is the chosen role, or empty."""
    found: dict[str, object] = {"sub": person.id}
    for scope, claims in BY_SCOPE.items():
        if scope in scopes:
            found.update(claims(person))
    if role_id:
        found["selected_roleid"] = role_id
    return found
