"""Which parts of a prescription are signed: when, which, by whom, for whom, and what. Pure."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from cloudcard_tools.eps.canonical import Unreadable, canonical, read, without_blanks

HL7 = "urn:hl7-org:v3"
PRESCRIPTION = f"{{{HL7}}}ParentPrescription"
PLACES = {"h": HL7}
PERTINENT = "h:pertinentInformation1/h:pertinentPrescription"
MOST_ITEMS = 100
# Of a line item these are not signed: they change after it was.
UNSIGNED = ("h:repeatNumber/h:low", "h:pertinentInformation4")
TIMES = ("%Y%m%d%H%M%S%z", "%Y%m%d%H%M%S")  # without a zone it is UTC


LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class Fragments:
    """What is signed of a prescription: its canonical bytes, and the time that is in them. What
    tells it apart for its signer, and names no patient: its number, and how many items it has.
    """

    content: bytes
    time: datetime
    number: str
    items: int


def of_prescription(content: bytes) -> Fragments:
    """The fragments of a message with one prescription. Raises Unreadable."""
    root = read(content)
    found = list(root.iter(PRESCRIPTION))
    if len(found) != 1:
        raise Unreadable(f"the message has {len(found)} prescriptions instead of one")
    prescription = found[0]
    pertinent = _only(prescription, PERTINENT)
    time, number = _only(pertinent, "h:author/h:time"), _first(pertinent, "h:id")
    items = pertinent.findall("h:pertinentInformation2/h:pertinentLineItem", PLACES)
    if not 0 < len(items) <= MOST_ITEMS:
        raise Unreadable(f"a prescription has 1 to {MOST_ITEMS} line items")
    hashed = etree.Element("FragmentsToBeHashed")
    for parts in (
        (time, number),
        (_only(pertinent, "h:author/h:AgentPerson"),),
        (_only(prescription, "h:recordTarget"),),
        *((each,) for each in items),
    ):
        fragment = etree.SubElement(hashed, "Fragment")
        for part in parts:
            copied = deepcopy(part)
            without_blanks(copied)
            fragment.append(copied)
    for item in hashed.findall("Fragment/h:pertinentLineItem", PLACES):
        for path in UNSIGNED:
            for each in item.findall(path, PLACES):
                each.getparent().remove(each)
    moment = _moment(time.get("value", ""))
    return Fragments(canonical(hashed), moment, _shown(number.get("root", "")), len(items))


def _only(element: etree._Element, path: str) -> etree._Element:
    found = element.findall(path, PLACES)
    if len(found) != 1:
        name = path.replace("h:", "")
        raise Unreadable(f"the prescription has {len(found)} of {name} instead of one")
    return found[0]


def _first(element: etree._Element, path: str) -> etree._Element:
    found = element.find(path, PLACES)
    if found is None:
        raise Unreadable(f"the prescription has no {path.replace('h:', '')}")
    return found


def _shown(number: str) -> str:
    """The identifier that is signed. The one that people read, 83C40E-ZZQ020-00003X, is not."""
    if not (0 < len(number) <= LONGEST_NUMBER and number.isascii() and number.isprintable()):
        raise Unreadable("the prescription has no identifier that can be shown")
    return number


def _moment(text: str) -> datetime:
    for form in TIMES:
        try:
            found = datetime.strptime(text, form)
        except ValueError:
            continue
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    raise Unreadable("the author's time is no time such as 20261129213000")
