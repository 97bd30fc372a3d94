"""What a broker tells an application of a ticket: a response of SAML 1.1, read strictly. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from lxml import etree

from cloud_keystore.model.spine.tickets import HeldRole, SpineIdentity

PLACES = {
    "p": "urn:oasis:names:tc:SAML:1.0:protocol",
    "s": "urn:oasis:names:tc:SAML:1.0:assertion",
}
RESPONSE = f"{{{PLACES['p']}}}Response"
SUCCESS = "Success"
MOST_BYTES = 1 << 20
MOST_ATTRIBUTES = 20_000
LONGEST_VALUE = 256
DIGITS = 12  # of somebody's number
FORM = "%Y-%m-%dT%H:%M:%SZ"
BLOCK = "nhsIdCode"  # begins the block of a role


class Unclear(Exception):
    """An answer that says of nobody for certain whose a ticket is; the text says why, and has
    nothing of the answer.
    """


class ClockOff(Unclear):
    """An answer that does not count now."""


def identity(answer: bytes, now: datetime) -> SpineIdentity:
    """Whose a ticket is. Raises Unclear, and ClockOff for an answer that does not count now."""
    root = _read(answer)
    if root.tag != RESPONSE:
        raise Unclear("it is no Response of SAML 1.1")
    status = _only(root, "p:Status/p:StatusCode").get("Value", "")
    if status.rpartition(":")[2] != SUCCESS:
        raise Unclear("its status is not that of success")
    assertion = _only(root, "s:Assertion")
    _require_now(_only(assertion, "s:Conditions"), now)
    statement = _only(assertion, "s:AttributeStatement")
    subject = _text(_only(statement, "s:Subject/s:NameIdentifier"))
    about, roles = _divided(_attributes(statement))
    uid, name = about.get("uid", ""), about.get("cn", "")
    if uid != subject or not name or not (len(uid) == DIGITS and uid.isascii() and uid.isdigit()):
        raise Unclear("it does not say for certain whose the ticket is")
    if about.get("ssbMode") not in ("0", "1"):
        raise Unclear("it does not say whether it is of the live or the training service")
    return SpineIdentity(uid, name, about["ssbMode"] == "1", tuple(map(_role, roles)))


def _read(answer: bytes) -> etree._Element:
    """A document without anything of others. Raises Unclear."""
    if len(answer) > MOST_BYTES:
        raise Unclear(f"it has more than {MOST_BYTES} bytes")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
    )
    try:
        root = etree.fromstring(answer, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Unclear("it is no XML") from None
    if root.getroottree().docinfo.doctype:
        raise Unclear("it has a document type")
    return root


def _require_now(conditions: etree._Element, now: datetime) -> None:
    try:
        begin, end = (
            datetime.strptime(conditions.get(each, ""), FORM).replace(tzinfo=UTC)
            for each in ("NotBefore", "NotOnOrAfter")
        )
    except ValueError:
        raise Unclear("it does not say when it counts") from None
    if not begin <= now < end:
        raise ClockOff(
            f"it counts from {begin:{FORM}} to {end:{FORM}}, and the clock here says {now:{FORM}}"
        )


def _attributes(statement: etree._Element) -> Sequence[tuple[str, str]]:
    found = statement.findall("s:Attribute", PLACES)
    if len(found) > MOST_ATTRIBUTES:
        raise Unclear(f"it has more than {MOST_ATTRIBUTES} attributes")
    return [
        (each.get("AttributeName", ""), _text(_only(each, "s:AttributeValue"))) for each in found
    ]


def _divided(
    told: Sequence[tuple[str, str]],
) -> tuple[Mapping[str, str], Sequence[Mapping[str, str]]]:
    """What is said of the person, each once, and what is said of each role."""
    about: dict[str, str] = {}
    roles: list[dict[str, str]] = []
    for name, value in told:
        if name == BLOCK:
            roles.append({})
        where = roles[-1] if roles else about
        if not roles and name in about:
            raise Unclear("it says something of the person twice")
        where.setdefault(name, value)
    return about, roles


def _role(told: Mapping[str, str]) -> HeldRole:
    number = told.get("uniqueJobRoleIdentifier", "")
    if not number:
        raise Unclear("it has a role without an identifier")
    name, code = told.get("nhsJobRole", ""), told.get("nhsJobRoleCode", "")
    return HeldRole(number, told[BLOCK], name, code)


def _only(element: etree._Element, path: str) -> etree._Element:
    found = element.findall(path, PLACES)
    if len(found) != 1:
        raise Unclear(f"it has {len(found)} of {path.replace('s:', '').replace('p:', '')}")
    return found[0]


def _text(element: etree._Element) -> str:
    text = " ".join((element.text or "").split())
    if len(element) or len(text) > LONGEST_VALUE or not text.isprintable():
        raise Unclear("it has a value that cannot be shown")
    return text
