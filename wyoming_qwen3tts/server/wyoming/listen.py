"""Listeners for Wyoming clients: TCP, Unix sockets, standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from ...config.address import Address
from ...telemetry import quote
from .connection import READ_SIZE

BACKLOG = 1024
"""Connections that the system queues until they are accepted."""
ACCEPT_RETRY_DELAY = 0.2
"""Seconds until the next try after accepting failed, for example for lack of file descriptors."""

_LOGGER = logging.getLogger(__name__)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, object], Awaitable[None]]
"""Serves a client. The third argument is the address that ``accept`` returned: after a reset by the client
``getpeername`` has none."""


class ListenError(Exception):
    """Listening failed; the message names the address and the reason."""


class Listener:
    """Accepts connections on one address.

    Connections are accepted one at a time, so that a burst of them does not block the event loop, and the
    handler can close an idle one before the next (``asyncio.start_server`` accepts the whole backlog first,
    and stops for good when the process runs out of file descriptors).
    """

    def __init__(self, address: Address, handler: Handler, *, ipv6_too: bool = False) -> None:
        """``ipv6_too``: for 0.0.0.0 listen on the IPv6 addresses of this machine, too, if it has any."""
        self.address = address
        self.bound = address.host
        """The bound host of TCP: ``::`` if IPv6 is served too."""
        self._ipv6_too = ipv6_too and address.host == "0.0.0.0"  # noqa: S104 - a comparison
        self._handler = handler
        self._inode: int | None = None
        self._opened: list[socket.socket] = []
        self._acceptors: list[asyncio.Task[None]] = []
        self._peers: set[asyncio.Task[None]] = set()
        self._stdio: asyncio.Task[None] | None = None

    @property
    def ended(self) -> asyncio.Task[None] | None:
        """The task that ends with the client on standard input and output; None for sockets."""
        return self._stdio

    async def start(self) -> None:
        """Start listening. Raises ListenError."""
        try:
            if self.address.scheme == "tcp":
                await self._start_tcp()
            elif self.address.scheme == "unix":
                self._start_unix(Path(self.address.path))
            else:
                self._stdio = asyncio.create_task(_serve_stdio(self._handler), name="stdio")
        except OSError as error:
            raise ListenError(f"cannot listen on {self.address}: {error.strerror or error}") from error

    async def _start_tcp(self) -> None:
        host, port = self.address.host, self.address.port
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        missing: OSError | None = None
        for family, name in dict.fromkeys((info[0], str(info[4][0])) for info in found):
            both = name == "::" and socket.has_dualstack_ipv6()
            try:
                opened = socket.create_server(
                    (name, port), family=family, backlog=BACKLOG, dualstack_ipv6=both
                )
            except OSError as error:
                # The hosts file may give "localhost" an IPv6 address on a machine without IPv6.
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                missing = error
                continue
            port = opened.getsockname()[1]
            self._accept_from(opened)
        if missing is not None and not self._acceptors:
            raise missing
        self.address = Address("tcp", host=host, port=port)
        if self._ipv6_too and socket.has_ipv6:
            with contextlib.suppress(OSError):  # no IPv6, or the port is used by another server
                self._accept_from(socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG))
                self.bound = "::"

    def _start_unix(self, path: Path) -> None:
        opened, self._inode = bind_unix_socket(path)
        self._accept_from(opened)

    def _accept_from(self, opened: socket.socket) -> None:
        opened.setblocking(False)
        self._opened.append(opened)
        self._acceptors.append(asyncio.create_task(self._accept(opened), name=f"accept {self.address}"))

    async def _accept(self, opened: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, address = await loop.sock_accept(opened)
            except OSError as error:
                _LOGGER.warning(
                    "wyoming: cannot accept a connection uri=%s error=%s",
                    self.address,
                    quote(error.strerror),
                )
                await asyncio.sleep(ACCEPT_RETRY_DELAY)
                continue
            task = asyncio.create_task(self._serve(peer, address), name="peer")
            self._peers.add(task)
            task.add_done_callback(self._peers.discard)

    async def _serve(self, peer: socket.socket, address: object) -> None:
        reader, writer = await asyncio.open_connection(sock=peer, limit=READ_SIZE)
        await self._handler(reader, writer, address)

    async def stop(self) -> None:
        """Stop accepting, and remove the Unix socket's file unless replaced. Connections stay open."""
        for acceptor in self._acceptors:
            acceptor.cancel()
        await asyncio.gather(*self._acceptors, return_exceptions=True)
        for opened in self._opened:
            opened.close()
        if self._inode is not None:
            remove_socket(Path(self.address.path), self._inode)


def bind_unix_socket(path: Path) -> tuple[socket.socket, int]:
    """Listen on a Unix socket; return it and its file's inode. Raises ListenError, OSError."""
    if path.exists():
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ListenError(f"cannot listen on unix://{path}: the file exists and is not a socket")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            raise ListenError(f"cannot listen on unix://{path}: another process is listening on it")
        path.unlink()  # left over from a process that was killed
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.bind(str(path))
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened, path.stat().st_ino


def remove_socket(path: Path, inode: int) -> None:
    """Delete a Unix socket's file, unless another process has replaced it (by inode)."""
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


async def _serve_stdio(handler: Handler) -> None:
    """Serve the client on standard input and output, which may be pipes or files.

    Threads copy between them and a socket pair, so that the rest of the server always has a socket. Anything
    else that this process prints meanwhile goes to standard error.
    """
    ours, theirs = socket.socketpair()
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)

    def copy_in() -> None:
        with contextlib.suppress(OSError):
            while data := os.read(source, READ_SIZE):
                theirs.sendall(data)
        with contextlib.suppress(OSError):
            theirs.shutdown(socket.SHUT_WR)

    def copy_out() -> None:
        try:
            while data := theirs.recv(READ_SIZE):
                _write_all(sink, data)
        except OSError:
            theirs.close()

    threading.Thread(target=copy_in, name="stdin", daemon=True).start()
    output = threading.Thread(target=copy_out, name="stdout", daemon=True)
    output.start()
    reader, writer = await asyncio.open_connection(sock=ours, limit=READ_SIZE)
    try:
        await handler(reader, writer, None)
    finally:
        writer.close()
        await asyncio.to_thread(output.join)
        sys.stdout.flush()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
