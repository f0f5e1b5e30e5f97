"""The address of a connection's client."""

from __future__ import annotations

import asyncio
import socket

UNKNOWN = ("unknown", 0)
"""Stands for an address that the system does not report; it is never trusted."""


def peer_of(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return the client's address and port; None over a Unix socket.

    This is the address at the time of accepting. uvicorn calls ``getpeername`` instead, which fails once the
    client has reset the connection, although the request it sent before is still processed.
    """
    opened: socket.socket | None = transport.get_extra_info("socket")
    if opened is not None and opened.family == socket.AF_UNIX:
        return None
    peer = transport.get_extra_info("peername")
    return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) and len(peer) >= 2 else UNKNOWN
