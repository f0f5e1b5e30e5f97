"""Peers: their addresses, and that they are gone."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address


class PeerGoneError(Exception):
    """The peer cannot be told anything any more: it left, or reads nothing."""


def plain(address: str) -> IPv4Address | IPv6Address:
    """Return an address without a zone, an IPv4 one that IPv6 carries as what it is. Raises ValueError."""
    found: IPv4Address | IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found
