"""uvicorn's WebSockets, of which none can keep the event loop to itself.

What uvicorn reads at a time, 256 kB, may be 40,000 frames, and all are taken before anybody else has a turn.
Messages are few at a time already: reading pauses until they are taken. Control frames and fragments are no
messages, and nothing would ever pause for them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from .peer import peer_of
from .rate import Bucket

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

SLICE = 2048
"""Bytes that are taken before others have a turn: of the smallest frames there are 341 in them."""
FRAGMENTS = 4096
"""Frames that a message may come in."""
CONTROLS = 1000
"""Pings and pongs that may come at once; a client at rest sends one in a few seconds."""
CONTROLS_A_SECOND = 100


class FairWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that takes a little at a time, and no more than it may.

    Bytes wait in ``_left`` while others have a turn, while the client is not let in yet, while a message is
    there that was not taken, and while pongs are owed to a client that reads nothing. Nothing more is read
    meanwhile.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left = bytearray()
        self._next: asyncio.Handle | None = None
        """The next slice's turn."""
        self._owing = False
        """Whether a ping came that could not be answered: who does not read its pongs gets no more."""
        self._fragments = 0
        """Of the message that is coming."""
        self._controls = Bucket(CONTROLS, CONTROLS_A_SECOND, self.loop.time())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection."""
        super().connection_made(transport)
        self.client = peer_of(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what it has sent."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes: the first of them now, if none wait already."""
        self._left += data
        if self._next is None:
            self._take()

    def resume_writing(self) -> None:
        """Go on with a client that reads again."""
        super().resume_writing()
        self._owing = False
        self._settle()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message."""
        await asyncio.sleep(0)  # where one is there already, others would have no turn
        message = await super().receive()
        self._settle()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message."""
        await super().send(message)
        self._settle()  # a close lets uvicorn read on

    # -- one slice after the other --------------------------------------------------------------------------

    def _take(self) -> None:
        """Take a slice, if this is the time."""
        self._next = None
        if self._ready and not self.transport.is_closing():
            data = bytes(self._left[:SLICE])
            del self._left[:SLICE]
            super().data_received(data)
        self._settle()

    def _settle(self) -> None:
        """Read, or arrange for the next slice, or wait: whatever is right after something has changed."""
        if self.transport.is_closing():
            self._forget()
            return
        if self._ready and not self._left:
            self.transport.resume_reading()
            return
        self.transport.pause_reading()
        if self._ready and self._next is None:
            self._next = self.loop.call_soon(self._take)

    @property
    def _ready(self) -> bool:
        entering = self.handshake_initiated and not self.handshake_complete
        return not (entering or self.read_paused or self._owing)

    def _forget(self) -> None:
        self._left.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    # -- what it may ----------------------------------------------------------------------------------------

    def handle_text(self, event: Frame) -> None:
        """Take a text, or its beginning."""
        self._fragments = 0
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take a message of bytes, or its beginning."""
        self._fragments = 0
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Take more of a message."""
        self._fragments += 1
        if self._fragments < FRAGMENTS:
            super().handle_cont(event)
        else:
            self._refuse("too many fragments")

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._may_control():
            super().handle_ping()
            self._owing = not self.writable.is_set()

    def handle_pong(self, event: Frame) -> None:
        """Take a pong."""
        if self._may_control():
            super().handle_pong(event)

    def _may_control(self) -> bool:
        """Count a control frame; tell whether it may be there."""
        if self.transport.is_closing():
            return False
        if not self._controls.wait(self.loop.time()):
            return True
        self._refuse("too many pings and pongs")
        return False

    def _refuse(self, reason: str) -> None:
        """End the connection; at once, where nobody reads why."""
        if self.transport.is_closing():
            return
        self.frames = []
        self.conn.fail(CloseCode.POLICY_VIOLATION, reason)
        self.handle_parser_exception()
        if not self.writable.is_set():
            self.transport.abort()
