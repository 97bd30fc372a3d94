"""E-mail addresses, checked for what people mistype."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.fields.texts import comparable, text_field

LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
LONGEST_LOCAL_PART = 64  # bytes (RFC 5321, 4.5.3.1.1)
# Letters and digits of any script, and signs, in parts between single dots (RFC 6532, 3.2; RFC
# 5322, 3.2.3). Quoted ones, which hold anything, are nobody's.
LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")

NAMED = 10  # domains, in a refusal


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that e-mail addresses can have, in the form of DNS."""

    id: str
    name: str
    create_time: datetime


def email(text: str) -> str:
    """Return an e-mail address without surrounding blanks; empty if there is none. Its domain has a
    dot, but need not be one of the public DNS. Raises InvalidInput.
    """
    text = text_field("email", text, LONGEST_EMAIL, required=False)
    if not text:
        return ""
    local, at, domain = text.partition("@")
    marks = "".join(each for each in local if not unicodedata.combining(each))
    if not at or "@" in domain:
        _refuse("it needs one @")
    if not LOCAL_PART.fullmatch(marks) or len(local.encode()) > LONGEST_LOCAL_PART:
        _refuse("the part before the @ is none")
    if "." not in domain or hosts.domain(domain) is None:
        _refuse("the part after the @ is no domain")
    return text


def key(text: str) -> str:
    """An address in the form in which two of them are compared: whatever the case, in any script,
    and whether the domain is written as people or as DNS write it.
    """
    local, at, name = text.strip().rpartition("@")
    local = unicodedata.normalize("NFC", comparable(local))
    return f"{local}{at}{hosts.domain(name) or comparable(name)}"


def domain(text: str) -> str:
    """The domain of addresses, as DNS has it; a leading @ can be given too. Raises InvalidInput."""
    found = hosts.domain(text.strip().removeprefix("@"))
    if found is None or "." not in found or len(found) > LONGEST_EMAIL:
        raise InvalidInput("domain is none that an e-mail address has: give one as example.org")
    return found


def check_domain(text: str, allowed: Collection[str]) -> None:
    """Raise InvalidInput if an address has none of the domains that are allowed. If none is named,
    all are.
    """
    name = text.rpartition("@")[2]
    if text and allowed and hosts.domain(name) not in allowed:
        listed = sorted(allowed)
        more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
        raise InvalidInput(
            f"email has a domain that is not allowed: {', '.join(listed[:NAMED])}{more} can be "
            f"used (cloudcard ra domain add {name})"
        )


def _refuse(why: str) -> None:
    raise InvalidInput(f"email is not an address such as name@example.org: {why}")
