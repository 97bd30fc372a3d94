"""Who has a ticket, and in which role: a response of SAML 1.1, which nobody signs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape

from cloudcard_tools.simulate.directory import Person, Role

BEFORE, AFTER = timedelta(minutes=3), timedelta(minutes=1)
ISSUER = "cloudcard simulator"
NAMESPACE = "http://www.syntegra.com"
SUCCESS = "samlp:Success"


def response(person: Person, role: Role | None, number: str, mode: str, now: datetime) -> bytes:
    """The response about a person: the role that was chosen, or all of them."""
    attributes = "".join(
        f'<saml:Attribute AttributeName="{name}" AttributeNamespace="{NAMESPACE}">'
        f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue></saml:Attribute>"
        for name, value in _attributes(person, role, mode)
    )
    moment = _time(now)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" '
        'xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" MajorVersion="1" MinorVersion="1" '
        f'ResponseID="R{number}" IssueInstant="{moment}">'
        f'<samlp:Status><samlp:StatusCode Value="{SUCCESS}"/></samlp:Status>'
        f'<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="A{number}" '
        f'Issuer="{ISSUER}" IssueInstant="{moment}">'
        f'<saml:Conditions NotBefore="{_time(now - BEFORE)}" NotOnOrAfter="{_time(now + AFTER)}"/>'
        f"<saml:AttributeStatement><saml:Subject><saml:NameIdentifier>{person.id}"
        f"</saml:NameIdentifier></saml:Subject>{attributes}</saml:AttributeStatement>"
        "</saml:Assertion></samlp:Response>"
    ).encode()


def _attributes(person: Person, role: Role | None, mode: str) -> Iterator[tuple[str, str]]:
    """All in one list: each nhsIdCode begins the block of a role."""
    yield "uid", person.id
    yield "cn", person.name
    yield "ssbMode", mode
    for each in person.roles if role is None else (role,):
        yield "nhsIdCode", each.organisation
        yield "nhsJobRole", each.job.name
        yield "nhsJobRoleCode", each.job.code
        yield "uniqueJobRoleIdentifier", each.id
        yield "nhsOrgProfileId", each.place
        for code in each.job.activities:
            yield "nhsBusinessFunctionCode", code


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
