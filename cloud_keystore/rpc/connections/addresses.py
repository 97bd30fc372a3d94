"""Callers' addresses, and what counts as one place."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TypeAlias
from urllib.parse import unquote

Peer: TypeAlias = tuple[bytes, int]  # the packed address, and the port

NETWORK_BYTES = 8  # of an IPv6 address: whoever has one address has all of its /64


def peer_of(text: str) -> Peer | None:
    """gRPC's name of a caller's address, such as ipv4:192.0.2.1:1234 or ipv6:%5B::1%5D:1234."""
    kind, _, place = unquote(text).partition(":")
    host, _, port = place.rpartition(":")
    try:
        return (packed(host.strip("[]")), int(port)) if kind in ("ipv4", "ipv6") else None
    except ValueError:
        return None


def packed(host: str) -> bytes:
    """An address; one of IPv4 within IPv6 is itself. Raises ValueError."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).packed


def network(address: bytes) -> bytes:
    """What counts as one place for an address: itself, or the /64 of IPv6."""
    return address[:NETWORK_BYTES] if len(address) > NETWORK_BYTES else address


def network_of(peer: str) -> bytes | str:
    """What counts as one place for a caller's address: an IPv4 address, or a /64 of IPv6."""
    found = peer_of(peer)
    return peer if found is None else network(found[0])
