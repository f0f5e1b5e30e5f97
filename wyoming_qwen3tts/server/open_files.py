"""The system's limit of open files, which bounds the number of connections."""

from __future__ import annotations

import logging
import resource

_LOGGER = logging.getLogger(__name__)

SPARE = 128
"""Open files for libraries and processes, and for clients that are being refused."""


def affordable_connections(connections: int, servers: int) -> int:
    """Raise the limit of open files as far as allowed; return how many connections each server may have."""
    wanted = connections * servers + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        connections = max(allowed // 4, allowed - SPARE) // servers
        _LOGGER.warning(
            "service: connections of each server limited by open files max_connections=%d open_files=%d",
            connections,
            allowed,
        )
    return connections
