"""Peer addresses, and the error of a lost connection."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address


class PeerGoneError(Exception):
    """The peer closed the connection, or stopped reading from it: nothing more can be sent."""


def parse_address(address: str) -> IPv4Address | IPv6Address:
    """Return an IP address without its zone, an IPv4-mapped IPv6 one as IPv4. Raises ValueError."""
    found: IPv4Address | IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found
