"""Names of hosts and domains."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

LONGEST_NAME = 253  # characters (RFC 1035, 2.3.4, without the root's dot)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)
_UNICAST = IPv6Network("2000::/3")  # what is given out (RFC 4291, 2.4)
# Teredo and 6to4, which carry packets to an address of IPv4
_CARRYING = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))


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


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the internet, and not of this computer, its network, or a group.
    IPv6 has other ways to write addresses of IPv4, which are refused.
    """
    if isinstance(address, IPv6Address) and (
        address not in _UNICAST or any(address in each for each in _CARRYING)
    ):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
