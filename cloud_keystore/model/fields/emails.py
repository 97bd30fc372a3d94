"""E-mail addresses, checked for what people mistype."""

from __future__ import annotations

import re
import unicodedata

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.fields.texts import text_field

LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
LONGEST_LOCAL_PART = 64  # bytes (RFC 5321, 4.5.3.1.1)
# Letters and digits of any script, and signs, in parts between single dots (RFC 6532, 3.2; RFC
# 5322, 3.2.3). Quoted ones, which hold anything, are nobody's.
LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")


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


def _refuse(why: str) -> None:
    raise InvalidInput(f"email is not an address such as name@example.org: {why}")
