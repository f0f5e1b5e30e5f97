"""Tell Home Assistant's Supervisor where speech is, so that Home Assistant offers to set it up.

An app is given a token in ``SUPERVISOR_TOKEN``; without it there is no Supervisor. What was told stays told
when the service stops: Home Assistant expects an app to come back at the same address.
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

_LOGGER = logging.getLogger(__name__)

TOKEN = "SUPERVISOR_TOKEN"  # noqa: S105 - the variable's name
URL = "SUPERVISOR_URL"
"""A variable that says where the Supervisor is, for tests; by default HOME."""
HOME = "http://supervisor"
"""The Supervisor's name inside of an app's container."""
PAUSES = (1.0, 5.0, 15.0, 60.0, 120.0)
"""Seconds between tries; after the last one it is given up."""
PATIENCE = 10.0
"""Seconds that one try may take."""
LONGEST_ANSWER = 4096
"""Bytes of an answer that are read."""
LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals that may be of another mind later, as the Supervisor's own faults (5xx) may."""


class DiscoveryRefusedError(Exception):
    """The Supervisor does not take it, and will not later; the message says why."""


def address_to_tell(
    listening: Iterable[Address], remote: Sequence[str], *, announce_remote: bool
) -> str | None:
    """Return the URI that Home Assistant is to connect to; None where there is none.

    That of this container, by its own name and its first TCP port; or, where ``announce_remote`` asks for
    it, the first TCP address of the other machines.
    """
    if announce_remote:
        for uri in remote:
            if uri.startswith("tcp://"):
                return uri
        _LOGGER.warning("Settings: remote_announce: remote_uri has no tcp://HOST:PORT to announce")
    for address in listening:
        if address.scheme == "tcp":
            return str(Address("tcp", host=socket.gethostname(), port=address.port))
    return None


class Message:
    """What the Supervisor is told, in the background, until it has taken it."""

    def __init__(self, uri: str, token: str, base: str | None = None) -> None:
        """``base``: the Supervisor's address; by default what SUPERVISOR_URL says, or HOME."""
        self.uri = uri
        self._token = token
        self._base = urlsplit(base or os.environ.get(URL) or HOME)
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell; nobody waits for it."""
        self._telling = asyncio.create_task(self._tell(), name="supervisor")

    async def stop(self) -> None:
        """Try no more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        for pause in (*PAUSES, None):
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._post()
            except DiscoveryRefusedError as error:
                return _LOGGER.warning("The Supervisor refuses to announce %s: %s", self.uri, error)
            except (OSError, ValueError) as error:  # TimeoutError is an OSError
                reason = str(error) or type(error).__name__
                if pause is None:
                    return _LOGGER.warning("The Supervisor could not be told of %s: %s", self.uri, reason)
                _LOGGER.debug("The Supervisor could not be told yet: %s", reason)
                await asyncio.sleep(pause)
            else:
                return _LOGGER.info("The Supervisor announces %s to Home Assistant", self.uri)
        return None

    async def _post(self) -> None:
        """Tell once. Raises DiscoveryRefusedError, OSError, ValueError.

        HTTP/1.0 by hand: the answer's end is the connection's, and unlike a library's thread it can be
        cancelled while the Supervisor hangs.
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
            answer = await _up_to(reader, LONGEST_ANSWER)
        finally:
            writer.close()
        status = answer.partition(b"\r\n")[0].decode("latin-1")
        version, _, code = status.partition(" ")
        if not version.startswith("HTTP/") or not code[:3].isdecimal():
            raise ValueError(f"an answer that is no HTTP: {status[:40]!r}")
        number = int(code[:3])
        if number >= HTTPStatus.INTERNAL_SERVER_ERROR or number in LATER:
            raise ValueError(f"{code} {_message(answer)}".strip())
        if number != HTTPStatus.OK:
            raise DiscoveryRefusedError(f"{code} {_message(answer)}".strip())


async def _up_to(reader: asyncio.StreamReader, limit: int) -> bytes:
    """Return what comes until the end, or the first ``limit`` bytes of it."""
    found = b""
    while len(found) < limit and (piece := await reader.read(limit - len(found))):
        found += piece
    return found


def _message(answer: bytes) -> str:
    """Return what the Supervisor says is wrong, in one line, in brackets; "" where it says nothing."""
    try:
        found = json.loads(answer.partition(b"\r\n\r\n")[2])
        said = found["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"({' '.join(str(said).split())})"
