"""Names of hosts and domains."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST_NAME = 253  # characters (RFC 1035, 2.3.4, without the root's dot)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)


def number(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address; None if the text is none, or one that only this computer can use."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    scope = found.scope_id if isinstance(found, IPv6Address) else None
    return found if scope is None else None


def domain(text: str) -> str | None:
    """A domain or host name as DNS has it, in lower case and ASCII, such as "xn--bcher-kva.example"
    for "bücher.example"; None if the text is none (RFC 1123, 2.1 and RFC 5890).
    """
    try:
        ascii_name = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = ascii_name.split(".")
    # The last label of a name is not a number: it would be an address.
    if len(ascii_name) > LONGEST_NAME or labels[-1].isdigit():
        return None
    return ascii_name if all(LABEL.fullmatch(each) for each in labels) else None
