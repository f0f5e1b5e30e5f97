"""uvicorn's WebSocket protocol with limits, so that no client occupies the event loop.

uvicorn reads up to 256 kB at a time, which may be 40,000 frames, and processes them without yielding. For
messages it pauses reading until the application has received them, but not for control frames and fragments.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from .peer import peer_of
from .token_bucket import TokenBucket

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

SLICE_BYTES = 2048
"""Bytes processed before other tasks run; they contain at most 341 of the smallest frames."""
MAX_FRAGMENTS = 4096
"""Frames of one message."""
CONTROL_BURST = 1000
"""Pings and pongs at once; an idle client sends one every few seconds."""
CONTROLS_PER_SECOND = 100


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that processes its input in slices, with limits for control frames and fragments.

    Input waits in ``_input`` while other tasks run, while a message was not received by the application, and
    while a pong could not be sent as the client does not read. Meanwhile nothing is read from the socket.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._input = bytearray()
        self._next: asyncio.Handle | None = None
        """The scheduled processing of the next slice."""
        self._pong_blocked = False
        """Whether a pong waits in the write buffer: no input is processed until the client has read it."""
        self._fragments = 0
        """Fragments of the incomplete message."""
        self._controls = TokenBucket(CONTROL_BURST, CONTROLS_PER_SECOND, self.loop.time())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the client's address."""
        super().connection_made(transport)
        self.client = peer_of(transport)

    def data_received(self, data: bytes) -> None:
        """Process the first slice at once, unless input is waiting already."""
        self._input += data
        if self._next is None:
            self._process_slice()

    def resume_writing(self) -> None:
        """Continue with a client that reads again."""
        super().resume_writing()
        self._pong_blocked = False
        self._update_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message."""
        message = await super().receive()
        self._update_reading()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message."""
        await super().send(message)
        self._update_reading()  # uvicorn resumes reading after a close

    # -- slices ---------------------------------------------------------------------------------------------

    def _process_slice(self) -> None:
        """Process one slice, if the connection is ready for it."""
        self._next = None
        if self._ready and not self.transport.is_closing():
            data = bytes(self._input[:SLICE_BYTES])
            del self._input[:SLICE_BYTES]
            super().data_received(data)
        self._update_reading()

    def _update_reading(self) -> None:
        """Resume or pause reading, and schedule the next slice, according to the state."""
        if self.transport.is_closing():
            self._discard_input()
            return
        if self._ready and not self._input:
            self.transport.resume_reading()
            return
        self.transport.pause_reading()
        if self._ready and self._next is None:
            self._next = self.loop.call_soon(self._process_slice)

    @property
    def _ready(self) -> bool:
        return not (self.read_paused or self._pong_blocked)

    def _discard_input(self) -> None:
        self._input.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    # -- limits ---------------------------------------------------------------------------------------------

    def handle_cont(self, event: Frame) -> None:
        """Count and handle a further fragment of a message."""
        self._fragments += 1
        if self._fragments >= MAX_FRAGMENTS:
            self._reject("too many fragments")
            return
        super().handle_cont(event)
        if event.fin:
            self._fragments = 0

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._count_control_frame():
            super().handle_ping()
            self._pong_blocked = not self.writable.is_set()

    def handle_pong(self, event: Frame) -> None:
        """Handle a pong."""
        if self._count_control_frame():
            super().handle_pong(event)

    def _count_control_frame(self) -> bool:
        """Count a control frame; return whether it may be processed."""
        if not self._controls.take(self.loop.time()):
            return True
        self._reject("too many pings and pongs")
        return False

    def _reject(self, reason: str) -> None:
        """Close the connection with an error."""
        if self.transport.is_closing():
            return
        self.conn.fail(CloseCode.POLICY_VIOLATION, reason)
        self.handle_parser_exception()
