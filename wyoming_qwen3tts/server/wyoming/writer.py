"""The sending side of a Wyoming connection: events, audio, back-pressure, and how the connection closes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from wyoming.event import Event

from ...speech import SAMPLE_WIDTH
from ..network import PeerGoneError
from ..request_log import RequestLog
from .framing import encode, encode_audio_chunk

WRITE_BUFFER = 64 * 1024
"""Bytes (1.4 s of audio) buffered by the transport; beyond them sending waits until the client reads."""
SEND_BUFFER = 128 * 1024
"""Bytes of the socket's own buffer; by default it grows to minutes of audio that the client has not read."""
CHUNKS_PER_WRITE = 8


class EventWriter:
    """Sends events to one client. Its methods raise PeerGoneError if the client has left or does not read."""

    def __init__(self, stream: asyncio.StreamWriter, samples_per_chunk: int, send_timeout: float) -> None:
        """``send_timeout``: seconds that the client may read nothing."""
        self._stream = stream
        self._chunk_size = samples_per_chunk * SAMPLE_WIDTH
        self._send_timeout = send_timeout
        peer = stream.get_extra_info("peername")
        self.host, self.port = (str(peer[0]), str(peer[1])) if isinstance(peer, tuple) else ("", "")
        """The client's address; empty if it has none, as over a Unix socket."""
        stream.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._socket: socket.socket | None = stream.get_extra_info("socket")
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if self._is_tcp:
                # asyncio sets this only for sockets created with the protocol's number. Without it the first
                # audio can wait 40 ms, until the client has acknowledged the audio-start before it.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def _is_tcp(self) -> bool:
        return self._socket is not None and self._socket.family in {socket.AF_INET, socket.AF_INET6}

    def write(self, event: Event | bytes) -> None:
        """Buffer an event (bytes are encoded already) without waiting."""
        self._stream.write(encode(event) if isinstance(event, Event) else event)

    async def send(self, event: Event | bytes) -> None:
        """Send an event."""
        self.write(event)
        await self.drain()

    async def send_audio(self, pcm: bytes, log: RequestLog) -> None:
        """Send PCM as ``audio-chunk`` events, a few per write, waiting for a slow client."""
        chunks = []
        for start in range(0, len(pcm), self._chunk_size):
            chunk = pcm[start : start + self._chunk_size]
            milliseconds = round(log.audio_seconds * 1000)
            chunks.append(encode_audio_chunk(chunk, milliseconds))
            first = log.add_audio(chunk)
            if first or len(chunks) == CHUNKS_PER_WRITE:
                await self._flush(chunks, log)
        await self._flush(chunks, log)

    async def _flush(self, chunks: list[bytes], log: RequestLog) -> None:
        self._stream.write(b"".join(chunks))
        chunks.clear()
        with log.sending():
            await self.drain()
        await asyncio.sleep(0)  # draining does not yield while the buffer has room: let other tasks run

    async def drain(self) -> None:
        """Wait until the client has read enough."""
        transport = self._stream.transport
        while (left := transport.get_write_buffer_size()) > WRITE_BUFFER or transport.is_closing():
            try:  # rarely reached: a timeout costs more than sending the data
                async with asyncio.timeout(self._send_timeout) as timeout:
                    await self._stream.drain()
            except OSError as error:
                if not timeout.expired():
                    raise PeerGoneError(str(error)) from error
                if transport.get_write_buffer_size() >= left:
                    reason = f"the client read nothing for {self._send_timeout:g} s"
                    raise PeerGoneError(reason) from error
            else:
                return

    def reset_on_close(self) -> None:
        """Make the close send a TCP reset: clients take a normal end for that of a complete answer."""
        if self._socket is not None and self._is_tcp:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def end(self) -> None:
        """Send an end of file, where the transport can. Raises OSError."""
        if self._stream.can_write_eof():
            self._stream.write_eof()

    async def close(self) -> None:
        """Close the connection once the buffered data is sent, or ``send_timeout`` has passed."""
        self._stream.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._send_timeout):
                await self._stream.wait_closed()
