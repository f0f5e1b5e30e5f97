"""Discovery by Home Assistant's Supervisor: report the service's address, so that Home Assistant offers it.

A Home Assistant app gets a token in ``SUPERVISOR_TOKEN``; without it there is no Supervisor. The report is
not withdrawn when the service stops: Home Assistant expects an app to return at the same address.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from ...config.address import Address
from ...telemetry import quote

_LOGGER = logging.getLogger(__name__)

TOKEN = "SUPERVISOR_TOKEN"  # noqa: S105 - the variable's name
URL = "SUPERVISOR_URL"
"""The variable that overrides the Supervisor's address, for tests."""
DEFAULT_URL = "http://supervisor"
"""The Supervisor's address inside an app's container."""
RETRY_DELAYS = (1.0, 5.0, 15.0, 60.0, 120.0)
"""Seconds between tries; after the last one it gives up."""
REQUEST_TIMEOUT = 10.0
"""Seconds of one try."""
MAX_RESPONSE_BYTES = 4096
RETRIED_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Client errors that may be temporary; server errors (5xx) are retried too."""


class DiscoveryRefusedError(Exception):
    """The Supervisor rejects the report for good; the message says why."""


def discovery_uri(
    listening: Iterable[Address], remote: Sequence[str], *, announce_remote: bool
) -> str | None:
    """Return the URI that Home Assistant should connect to; None if there is none.

    It is this container's host name and first TCP port; with ``announce_remote`` the first TCP address of
    ``remote``, the other machines.
    """
    if announce_remote:
        for uri in remote:
            if uri.startswith("tcp://"):
                return uri
        _LOGGER.warning("supervisor: remote_announce needs a tcp://HOST:PORT in remote_uri; using this one's")
    for address in listening:
        if address.scheme == "tcp":
            return str(Address("tcp", host=socket.gethostname(), port=address.port))
    return None


class SupervisorDiscovery:
    """Reports the service's address to the Supervisor in the background, until that succeeds."""

    def __init__(self, uri: str, token: str, base: str | None = None) -> None:
        """``base``: the Supervisor's address; by default SUPERVISOR_URL, or DEFAULT_URL."""
        self.uri = uri
        self._token = token
        self._base = urlsplit(base or os.environ.get(URL) or DEFAULT_URL)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start reporting in the background."""
        self._task = asyncio.create_task(self._report(), name="supervisor")

    async def stop(self) -> None:
        """Stop trying."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _report(self) -> None:
        for delay in (*RETRY_DELAYS, None):
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT):
                    await self._post()
            except DiscoveryRefusedError as error:
                return _LOGGER.warning(
                    "supervisor: discovery refused uri=%s error=%s", self.uri, quote(error)
                )
            except (OSError, ValueError) as error:  # TimeoutError is an OSError
                reason = str(error) or type(error).__name__
                if delay is None:
                    return _LOGGER.warning(
                        "supervisor: discovery failed, giving up uri=%s error=%s", self.uri, quote(reason)
                    )
                _LOGGER.debug("supervisor: discovery failed retry=%gs error=%s", delay, quote(reason))
                await asyncio.sleep(delay)
            else:
                return _LOGGER.info("supervisor: announced to Home Assistant uri=%s", self.uri)
        return None

    async def _post(self) -> None:
        """Report once. Raises DiscoveryRefusedError, OSError, ValueError.

        Written as plain HTTP/1.0: the response ends with the connection, and unlike a client library's
        thread this can be cancelled while the Supervisor does not answer.
        """
        body = json.dumps({"service": "wyoming", "config": {"uri": self.uri}}).encode()
        lines = (
            f"POST {self._base.path}/discovery HTTP/1.0",
            f"Host: {self._base.netloc}",
            f"Authorization: Bearer {self._token}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        head = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
        reader, writer = await asyncio.open_connection(self._base.hostname, self._base.port or 80)
        try:
            writer.write(head + body)
            await writer.drain()
            answer = await _read_up_to(reader, MAX_RESPONSE_BYTES)
        finally:
            writer.close()
        status = answer.partition(b"\r\n")[0].decode("latin-1")
        version, _, code = status.partition(" ")
        if not version.startswith("HTTP/") or not code[:3].isdecimal():
            raise ValueError(f"the response is not HTTP: {status[:40]!r}")
        number = int(code[:3])
        if number >= HTTPStatus.INTERNAL_SERVER_ERROR or number in RETRIED_STATUSES:
            raise ValueError(f"{code} {_message(answer)}".strip())
        if number != HTTPStatus.OK:
            raise DiscoveryRefusedError(f"{code} {_message(answer)}".strip())


async def _read_up_to(reader: asyncio.StreamReader, limit: int) -> bytes:
    """Return the input up to its end, or its first ``limit`` bytes."""
    found = b""
    while len(found) < limit and (piece := await reader.read(limit - len(found))):
        found += piece
    return found


def _message(answer: bytes) -> str:
    """Return the error message of a response, on one line, in brackets; "" if it has none."""
    try:
        found = json.loads(answer.partition(b"\r\n\r\n")[2])
        message = found["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"({' '.join(str(message).split())})"
