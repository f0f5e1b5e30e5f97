"""Who is at the other end of a connection."""

from __future__ import annotations

import asyncio
import socket

UNKNOWN = ("unknown", 0)
"""In the place of an address that the system does not tell: nobody who is trusted."""


def peer_of(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return the address and port of a peer; None for one that came over a Unix socket.

    The address is that of when it was accepted. Who has reset the connection since has none any more by
    ``getpeername``, which uvicorn asks, and what it sent before is read all the same.
    """
    opened: socket.socket | None = transport.get_extra_info("socket")
    if opened is not None and opened.family == socket.AF_UNIX:
        return None
    peer = transport.get_extra_info("peername")
    return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) and len(peer) >= 2 else UNKNOWN
