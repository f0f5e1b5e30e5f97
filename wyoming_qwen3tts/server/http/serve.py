"""uvicorn on the service's own event loop. This package is imported only if HTTP is configured."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ... import __version__
from ...config.settings import LimitSettings, Settings
from ..web import page
from ..wyoming.listen import BACKLOG, ListenError, bind_unix_socket, remove_socket
from ..wyoming.writer import SEND_BUFFER
from .app import add_middleware
from .auth import load_api_keys
from .errors import error_body
from .peer import peer_of
from .websocket_protocol import BoundedWebSocketProtocol

LOOPBACK = ("127.0.0.1", "::1")
ALL_INTERFACES = ("0.0.0.0", "::")  # noqa: S104 - used only if API keys or the settings ask for it
KEEP_ALIVE = 60.0
"""Seconds that a connection may be idle between two requests."""
MAX_HEADER_BYTES = 16_384
CANCEL_TIMEOUT = 1.0
"""Seconds that cancelled requests have to end at the stop."""
POLL_INTERVAL = 0.01
"""Seconds between checks at the stop whether all requests have ended."""

_LOGGER = logging.getLogger(__name__)


class StartupGate:
    """The ASGI application: answers ``starting`` until ``app`` is set; the web page is always served."""

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
            error = error_body("the service is starting; retry in 2 s", "starting", 503)
            answer = JSONResponse(error, 503, {"Retry-After": "2"})
        await answer(scope, receive, send)


class HttpServer:
    """HTTP on TCP ports and Unix sockets: ``listen``, ``start``, and ``serve`` once the service is ready."""

    def __init__(self, limits: LimitSettings, add_middleware: Callable[[ASGIApp], ASGIApp]) -> None:
        """``add_middleware``: wraps the application in authentication and limits."""
        self._gate = StartupGate()
        self._add_middleware = add_middleware
        self._limits = limits
        self._sockets: list[socket.socket] = []
        self._files: list[tuple[Path, int]] = []
        """Paths of Unix sockets, and their inodes."""
        self._server: _UvicornServer | None = None
        self._task: asyncio.Task[None] | None = None

    def listen(self, port: int, hosts: Sequence[str]) -> int:
        """Listen on a port of each existing host; return the port (0 chooses one). Raises ListenError."""
        opened: list[socket.socket] = []
        for host in hosts:
            try:
                for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    opened.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
                    self._set_options(opened[-1])
                    port = opened[-1].getsockname()[1]
            except OSError as error:
                # A machine without IPv6 has no ::1, which is fine; a port in use is an error.
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

    def _set_options(self, listening: socket.socket) -> None:
        """Set the options of a TCP socket that accepted ones inherit: uvicorn has no settings for them."""
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        # asyncio sets this only for sockets created with the protocol's number; see wyoming.writer.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # else unread data keeps a closed connection open
            limit = round(self._limits.send_timeout * 1000)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit)

    def listen_unix(self, path: Path) -> None:
        """Listen on a Unix socket. Raises ListenError."""
        try:
            opened, inode = bind_unix_socket(path)
        except OSError as error:
            raise ListenError(f"cannot listen on unix://{path}: {error.strerror or error}") from error
        self._sockets.append(opened)
        self._files.append((path, inode))

    def serve(self, app: ASGIApp) -> None:
        """Serve ``app`` from now on."""
        self._gate.app = app

    def start(self) -> None:
        """Start answering requests: with ``starting``, until ``serve`` is called."""
        config = uvicorn.Config(
            self._add_middleware(self._gate),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # Authenticator handles requests of proxies
            http=type("LimitedHttpProtocol", (HttpProtocol,), {"limits": self._limits}),
            ws=BoundedWebSocketProtocol,
            ws_max_size=self._limits.max_event_bytes,
            ws_per_message_deflate=False,  # audio hardly shrinks, and compressing blocks the event loop
            ws_ping_timeout=self._limits.send_timeout,  # a client that plays what it reads answers late
            timeout_keep_alive=round(KEEP_ALIVE),
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        self._server = _UvicornServer(config)
        self._task = asyncio.create_task(self._server.serve(self._sockets), name="http")

    async def stop(self, timeout: float) -> None:
        """Stop accepting; let requests finish for up to ``timeout`` seconds, then cancel them."""
        if self._server is not None and self._task is not None:
            # uvicorn's own shutdown cancels requests and returns at once, so that their errors are lost; its
            # main loop would notice should_exit after up to 0.1 s.
            self._task.cancel()
            await asyncio.wait({self._task})
            if self._server.started:
                await self._finish_connections(self._server, timeout)
        self.close()

    async def _finish_connections(self, server: uvicorn.Server, timeout: float) -> None:
        """Stop accepting, wait for running requests, cancel the rest and wait until their errors are sent."""
        for listening in server.servers:
            listening.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while state.tasks or state.connections:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(POLL_INTERVAL)
        for task in state.tasks:
            task.cancel()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=CANCEL_TIMEOUT)

    def close(self) -> None:
        """Close the listening sockets, and remove their files."""
        for opened in self._sockets:
            opened.close()
        for path, inode in self._files:
            remove_socket(path, inode)


def open_http_server(settings: Settings) -> HttpServer:
    """Return a started server that listens as configured. Raises ListenError, SettingsError."""
    keys = load_api_keys(settings)
    server = HttpServer(settings.limits, lambda app: add_middleware(app, settings, keys))
    try:
        if port := settings.http.http_port:
            # Without keys only this machine may send requests, so other interfaces are of no use.
            hosts = (
                (settings.http.http_host,)
                if settings.http.http_host
                else ALL_INTERFACES
                if keys
                else LOOPBACK
            )
            server.listen(port, hosts)
            shown = "localhost" if hosts[0] in {*ALL_INTERFACES, *LOOPBACK} else hosts[0]
            _LOGGER.info("http: listening uri=http://%s:%d", shown, port)
        if settings.http.ingress_port:
            server.listen(settings.http.ingress_port, ALL_INTERFACES)
        if settings.http.http_socket is not None:
            server.listen_unix(settings.http.http_socket)
            _LOGGER.info("http: listening uri=unix://%s", settings.http.http_socket)
    except ListenError:
        server.close()
        raise
    server.start()
    return server


class _UvicornServer(uvicorn.Server):
    """uvicorn's server without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not install signal handlers: the service has its own."""
        yield


class HttpProtocol(H11Protocol):
    """uvicorn's HTTP protocol with limits: connections, and time for the headers of a request."""

    limits: LimitSettings
    _head_timer: asyncio.TimerHandle | None = None
    """Runs while the connection waits for the headers of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or reject it if there are too many."""
        super().connection_made(transport)
        self.client = peer_of(transport)
        if len(self.connections) > self.limits.max_connections:
            _LOGGER.warning("http: connection refused, limit reached limit=%d", self.limits.max_connections)
            self._refuse(503)
            return
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Parse data; stop the timer once the headers of a request have arrived."""
        super().data_received(data)
        if self._answering or self.transport.get_protocol() is not self:  # the other one is a WebSocket's
            self._stop_head_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._start_head_timer()

    @property
    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.event_timeout, self._refuse, 408)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int) -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(head.encode())
            self.transport.close()
