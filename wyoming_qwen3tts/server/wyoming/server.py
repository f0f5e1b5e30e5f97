"""The Wyoming server: accepts or rejects connections, and ends them at the stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Awaitable, Callable

from ...config.settings import LimitSettings, ServerSettings
from ...pipeline.synthesizer import Synthesizer
from ...speech import SpeechError
from ...telemetry import quote
from ..network import parse_address
from ..request_log import AdmissionControl, RequestHistory
from .connection import LINGER, Connection

_LOGGER = logging.getLogger(__name__)


class WyomingServer:
    """All Wyoming connections, over whatever transport they came in."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        info: Callable[[], bytes],
        settings: ServerSettings,
        limits: LimitSettings,
        *,
        refresh: Callable[[], Awaitable[None]] | None = None,
        admission: AdmissionControl | None = None,
        history: RequestHistory | None = None,
    ) -> None:
        """Serve with ``synthesizer``.

        ``info``: returns the encoded answer to ``describe``. ``refresh``: looks for changed voices before a
        ``describe`` is answered; it must not raise, and continues in the background when the wait for it
        times out.
        """
        self._synthesizer = synthesizer
        self._info = info
        self._refresh = refresh
        self._admission = admission if admission is not None else AdmissionControl()
        self._history = history if history is not None else RequestHistory()
        self._allowed = [ipaddress.ip_network(network) for network in settings.allowed_networks]
        self._settings = settings
        self._limits = limits
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._stopping = False

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    async def handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: object = None
    ) -> None:
        """Serve one client until it disconnects. ``address``: of TCP, as ``accept`` returned it."""
        connection = Connection(
            reader,
            writer,
            self._synthesizer,
            self._info,
            self._settings,
            self._limits,
            admission=self._admission,
            history=self._history,
            refresh=self._refresh,
        )
        task = asyncio.current_task()
        assert task is not None
        refusal = self._check_address(address) or self._make_room()
        self._connections[connection] = task
        try:
            if refusal is None:
                await connection.run()
            else:
                await connection.refuse(refusal)
        except asyncio.CancelledError:
            _LOGGER.debug("wyoming: connection cancelled client=%s", quote(connection.peer))
        except Exception:
            _LOGGER.exception("wyoming: connection failed client=%s", quote(connection.peer))
        finally:
            del self._connections[connection]
            with contextlib.suppress(AttributeError):  # in Python 3.11, if it was closed just now
                writer.transport.abort()

    def _check_address(self, peer: object) -> SpeechError | None:
        """Return why a peer's address is not allowed, else None. Unix sockets have file permissions."""
        if not self._allowed or not isinstance(peer, tuple):
            return None
        address = parse_address(peer[0])
        if address.is_loopback or any(address in network for network in self._allowed):
            return None
        return SpeechError(f"clients at {address} are not allowed (--allowed-networks)", "not-allowed")

    def _make_room(self) -> SpeechError | None:
        """Return why no further connection is possible, else None. May close the longest idle one."""
        if self._stopping:
            return SpeechError("the server is stopping", "stopping")
        open_ones = sum(not connection.aborted for connection in self._connections)
        if open_ones < self._limits.max_connections:
            return None
        idle = [connection for connection in self._connections if connection.idle_since is not None]
        if not idle:
            return SpeechError(
                f"all {open_ones} connections are busy (--max-connections); try again later", "busy"
            )
        oldest = min(idle, key=lambda connection: connection.idle_since or 0.0)
        reason = SpeechError(
            "too many connections (--max-connections): the longest idle one was closed",
            "too-many-connections",
        )
        oldest.abort(reason, linger=0.0)  # its open file is needed now
        return None

    async def stop(self, timeout: float) -> None:
        """Let running requests finish for up to ``timeout`` seconds; end the rest with ``error``.

        Call after the listeners have stopped accepting connections.
        """
        self._stopping = True
        for connection in self._connections:
            connection.drain()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=timeout)
        for connection in self._connections:
            connection.abort(SpeechError("the server is stopping", "stopping"))
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=LINGER * 2)
        for task in self._connections.values():
            task.cancel()
