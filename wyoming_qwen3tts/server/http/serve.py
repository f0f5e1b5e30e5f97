"""uvicorn on the service's own event loop. All of this package is imported only where it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ... import __version__
from ...config.settings import Settings
from ..web import page
from ..wyoming.listen import BACKLOG, ListenError, remove_socket, unix_socket
from ..wyoming.server import SEND_BUFFER
from .app import guarded
from .auth import keys_of
from .errors import body
from .peer import peer_of
from .websocket_protocol import FairWebSocket

LOOPBACK = ("127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - where somebody has asked for it
KEEP_ALIVE = 60.0
"""Seconds that a connection may have nothing to say between two requests."""
LARGEST_HEAD = 16_384
"""Bytes of a request's headers."""
BREAK_OFF = 1.0
"""Seconds for what is broken off at the end."""

POLL = 0.01
"""Seconds between looks whether all have left at the end."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What a peer may do, before anybody knows what it wants."""

    connections: int
    head_timeout: float
    """Seconds for the headers of a request."""
    message_bytes: int
    """Of a WebSocket."""
    send_timeout: float
    """Seconds that it may read nothing."""


class StartupGate:
    """What is served: that it starts, until it does. Who looks at the page meanwhile sees that."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self._page = page.routes()
        self._paths = page.paths()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self.app is not None:
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] in self._paths:
            await self._page(scope, receive, send)
            return
        if scope["path"] == "/health":
            answer = JSONResponse({"status": "starting", "version": __version__})
        else:
            error = body("the service is starting", "starting", 503)
            answer = JSONResponse(error, 503, {"Retry-After": "2"})
        await answer(scope, receive, send)


class HttpServer:
    """HTTP on ports and sockets: ``listen``, ``start``, then ``serve`` when there is something to serve."""

    def __init__(self, limits: HttpLimits, guard: Callable[[ASGIApp], ASGIApp]) -> None:
        """``guard`` keeps out who may not come in."""
        self._gate = StartupGate()
        self._guard = guard
        self._limits = limits
        self._sockets: list[socket.socket] = []
        self._files: list[tuple[Path, int]] = []
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    def listen(self, port: int, hosts: Sequence[str]) -> int:
        """Listen on a port of each host that there is; return it (0 was any). Raises ListenError."""
        opened: list[socket.socket] = []
        for host in hosts:
            try:
                for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    opened.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
                    port = opened[-1].getsockname()[1]
            except OSError as error:
                # A machine without IPv6 has no ::1; where a port is taken, that is to be known.
                missing = error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} or isinstance(
                    error, socket.gaierror
                )
                if opened and missing:
                    continue
                for each in opened:
                    each.close()
                where = f"[{host}]" if ":" in host else host
                raise ListenError(
                    f"cannot listen on http://{where}:{port}: {error.strerror or error}"
                ) from error
        self._sockets += opened
        return port

    def listen_unix(self, path: Path) -> None:
        """Listen on a Unix socket. Raises ListenError."""
        try:
            opened, inode = unix_socket(path)
        except OSError as error:
            raise ListenError(f"cannot listen on unix://{path}: {error.strerror or error}") from error
        self._sockets.append(opened)
        self._files.append((path, inode))

    def serve(self, app: ASGIApp) -> None:
        """Serve ``app`` from now on."""
        self._gate.app = app

    def start(self) -> None:
        """Answer; that the service is starting, until ``serve``."""
        config = uvicorn.Config(
            self._guard(self._gate),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # whom to believe is for Access to say
            http=type("Bounded", (Protocol,), {"limits": self._limits}),
            ws=FairWebSocket,
            ws_max_size=self._limits.message_bytes,
            ws_per_message_deflate=False,  # sound does not get smaller; trying costs the event loop much
            ws_ping_timeout=self._limits.send_timeout,  # who plays what it reads answers late
            timeout_keep_alive=round(KEEP_ALIVE),
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(self._sockets), name="http")

    async def stop(self, timeout: float) -> None:
        """Accept nobody more; let what is said end for up to ``timeout`` seconds, break off the rest."""
        if self._server is not None and self._task is not None:
            self._server.leave(timeout)
            await asyncio.wait({self._task}, timeout=timeout + 2 * BREAK_OFF)
            self._task.cancel()
        self.close()

    def close(self) -> None:
        """Give back what was listened on."""
        for opened in self._sockets:
            opened.close()
        for path, inode in self._files:
            remove_socket(path, inode)


def open_doors(settings: Settings, connections: int) -> HttpServer:
    """Return a server that listens wherever the settings say. Raises ListenError, SettingsError."""
    keys = keys_of(settings)
    limits = HttpLimits(
        connections=connections,
        head_timeout=settings.limits.event_timeout,
        message_bytes=settings.limits.max_event_bytes,
        send_timeout=settings.limits.send_timeout,
    )
    server = HttpServer(limits, lambda app: guarded(app, settings, keys))
    try:
        if port := settings.http.http_port:
            hosts = (
                (settings.http.http_host,) if settings.http.http_host else EVERYWHERE if keys else LOOPBACK
            )
            server.listen(port, hosts)
            _LOGGER.info(
                "Listening on http://%s:%d",
                "localhost" if hosts[0] in {*EVERYWHERE, *LOOPBACK} else hosts[0],
                port,
            )
        if settings.http.ingress_port:
            server.listen(settings.http.ingress_port, EVERYWHERE)
        if settings.http.http_socket is not None:
            server.listen_unix(settings.http.http_socket)
            _LOGGER.info("Listening for HTTP on unix://%s", settings.http.http_socket)
    except ListenError:
        server.close()
        raise
    server.start()
    return server


class _Server(uvicorn.Server):
    """uvicorn, that leaves when it is told to: its own looks every 0.1 s for that, and for every end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()
        self._patience = 0.0

    def leave(self, patience: float) -> None:
        """Accept nobody more; whoever is served may be for so many seconds."""
        self._patience = patience
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Wait for ``leave``; every second uvicorn's clock is set, which it does at every tenth tick."""
        tick = 0
        while not await self.on_tick(tick):
            tick += 10
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close; break off what takes too long."""
        for server in self.servers:
            server.close()
        for opened in sockets or []:
            opened.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while state.tasks or state.connections:  # noqa: ASYNC110 - nobody tells when they end
                    await asyncio.sleep(POLL)
        for task in state.tasks:
            task.cancel()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=BREAK_OFF)
        for connection in list(state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the service."""
        yield


class Protocol(H11Protocol):
    """uvicorn's HTTP, of which there are so many connections, and whose heads come in time."""

    limits: HttpLimits
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it."""
        super().connection_made(transport)
        self.client = peer_of(transport)
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if opened.family in {socket.AF_INET, socket.AF_INET6}:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as in Wyoming's door
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # or what nobody reads keeps a closed connection open
                limit = round(self.limits.send_timeout * 1000)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit)
        if len(self.connections) > self.limits.connections:
            _LOGGER.warning("All %d connections for HTTP are in use", self.limits.connections)
            self._refuse(503)
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the peer has left."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes of a request."""
        super().data_received(data)
        if self._answering:
            self._wait_no_more()
        elif self._late is None and not self.transport.is_closing():
            self._wait()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the rest to WebSockets."""
        self._wait_no_more()
        super().handle_websocket_upgrade(event)

    @property
    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        self._late = self.loop.call_later(self.limits.head_timeout, self._refuse, 408)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: int) -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(head.encode())
            self.transport.close()
