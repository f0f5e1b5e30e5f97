"""The Wyoming protocol over streams: connections, their limits, and how they end.

A connection has two tasks. The reader takes events and answers what can be answered at once; the speaker
takes requests in order and sends their sound. So text goes on being read while sound is made and sent, and a
``describe`` never waits for a sentence.

How an answer ends matters more than how it begins: Home Assistant takes the end of a connection in
mid-answer for success and keeps the torso in its cache. So whatever goes wrong is said in an ``error`` event,
and only then is the connection closed; the normal stop events follow whole answers only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from wyoming.audio import AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.tts import SynthesizeStopped

from ...pipeline.synthesizer import Synthesizer
from ...speech import CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH, SpeechError, internal_error
from ..network import PeerGoneError, plain
from ..request_log import GONE, OK, RequestLog, Requests, outcome_of
from .framing import EventParser, ProtocolError, encode, encode_sound
from .session import Conversation, Dialogue

_LOGGER = logging.getLogger(__name__)

READ_SIZE = 16 * 1024
"""Bytes parsed at a time; some 300 small events, a few milliseconds of the event loop."""
WRITE_BUFFER = 64 * 1024
"""Bytes (1.4 s of sound) that may wait for the network; beyond it the client has to read first."""
SEND_BUFFER = 128 * 1024
"""Bytes the system may hold on top; left to itself it grows to minutes of sound nobody has read."""
CHUNKS_PER_WRITE = 8
REFRESH = 0.5
"""Seconds that a ``describe`` waits for a look at which voices there are. Clients wait one at least; what the
look finds later, the next ``describe`` says."""
LINGER = 2.0
"""Seconds that a failed connection's input is read and thrown away, so that its ``error`` arrives: closing a
socket with unread input makes the system drop what was sent."""

_RECORD = {"rate": SAMPLE_RATE, "width": SAMPLE_WIDTH, "channels": CHANNELS}


@dataclass(frozen=True, slots=True, kw_only=True)
class WyomingLimits:
    """What a peer may do; the settings have the defaults. Times are seconds."""

    samples_per_chunk: int
    streaming: bool
    max_event_bytes: int
    max_text: int
    max_requests: int
    """Requests that wait on one connection; beyond it nothing more is read from it."""
    max_connections: int
    idle_timeout: float
    text_timeout: float
    event_timeout: float
    send_timeout: float


class WyomingServer:
    """All connections, whatever they came in by."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        info: Callable[[], bytes],
        limits: WyomingLimits,
        refresh: Callable[[], Awaitable[None]] | None = None,
        requests: Requests | None = None,
        allowed: Sequence[str] = (),
    ) -> None:
        """``info`` gives the answer to ``describe``, encoded; ``refresh`` looks whether it has changed.

        ``refresh`` does not raise, and goes on where nobody waits for it any more. ``requests`` hears of
        every request. ``allowed``: networks (CIDR) that clients may be in, beside this machine; none is any.
        """
        self._synthesizer = synthesizer
        self._info = info
        self._refresh = refresh
        self._requests = requests if requests is not None else Requests()
        self._allowed = [ipaddress.ip_network(network) for network in allowed]
        self._limits = limits
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._stopping = False

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._connections)

    async def handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: object = None
    ) -> None:
        """Serve one peer until it leaves. ``address``: of TCP, as ``accept`` gives it."""
        connection = Connection(
            reader, writer, self._synthesizer, self._info, self._limits, self._requests, self._refresh
        )
        task = asyncio.current_task()
        assert task is not None
        refusal = self._not_allowed(address) or self._make_room()
        self._connections[connection] = task
        try:
            if refusal is None:
                await connection.run()
            else:
                await connection.refuse(refusal)
        except asyncio.CancelledError:
            _LOGGER.debug("%s: cut off", connection.peer)
        except Exception:
            _LOGGER.exception("%s: connection failed", connection.peer)
        finally:
            del self._connections[connection]
            with contextlib.suppress(AttributeError):  # Python 3.11's, of one that has just closed by itself
                writer.transport.abort()

    def _not_allowed(self, peer: object) -> SpeechError | None:
        """Return why a peer may not come in, None where it may. Unix sockets have permissions."""
        if not self._allowed or not isinstance(peer, tuple):
            return None
        address = plain(peer[0])
        if address.is_loopback or any(address in network for network in self._allowed):
            return None
        return SpeechError(f"clients at {address} may not come in (--allowed-networks)", "not-allowed")

    def _make_room(self) -> SpeechError | None:
        """Return why there is no room for one more connection, None if there is or could be made."""
        if self._stopping:
            return SpeechError("the server is stopping", "stopping")
        staying = sum(not connection.dismissed for connection in self._connections)
        if staying < self._limits.max_connections:
            return None
        idle = [connection for connection in self._connections if connection.idle_since is not None]
        if not idle:
            return SpeechError(f"all {staying} connections are busy", "busy")
        oldest = min(idle, key=lambda connection: connection.idle_since or 0.0)
        reason = SpeechError("closed as the longest idle of too many connections", "too-many-connections")
        oldest.dismiss(reason, linger=0.0)  # its place, and its open file, are wanted now
        return None

    async def stop(self, timeout: float) -> None:
        """Let running requests finish for up to ``timeout`` seconds; end the rest with ``error``.

        Stop accepting connections before.
        """
        self._stopping = True
        for connection in self._connections:
            connection.wind_down()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=timeout)
        for connection in self._connections:
            connection.dismiss(SpeechError("the server is stopping", "stopping"))
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=LINGER * 2)
        for task in self._connections.values():
            task.cancel()


class Connection:
    """One peer."""

    _numbers = itertools.count(1)

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        synthesizer: Synthesizer,
        info: Callable[[], bytes],
        limits: WyomingLimits,
        log: Requests,
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._synthesizer = synthesizer
        self._limits = limits
        self._log = log
        self._refresh = refresh
        self._parser = EventParser(limits.max_event_bytes)
        self._dialogue = Dialogue(info, streaming=limits.streaming, max_text=limits.max_text)
        self._requests: asyncio.Queue[Conversation | SpeechError | None] = asyncio.Queue(limits.max_requests)
        self._conversation: Conversation | None = None
        """What is being spoken."""
        self._winding_down = False
        self._speaker: asyncio.Task[None] | None = None
        self._dismissal: SpeechError | None = None
        self._linger = LINGER
        self._warned = False
        self._last_heard = self._event_began = time.monotonic()
        peer = writer.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else ""
        self.peer = f"#{next(self._numbers)} {_address(writer)}".rstrip()
        writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        if (opened := writer.get_extra_info("socket")) is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if opened.family in {socket.AF_INET, socket.AF_INET6}:
                # asyncio does that only for sockets that were made with the protocol's number. Without it the
                # first sound can wait 40 ms, until the client has acknowledged the audio-start before it.
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def dismissed(self) -> bool:
        """True once the connection is being broken off."""
        return self._dismissal is not None

    @property
    def idle_since(self) -> float | None:
        """When the peer was last heard of (monotonic seconds); None while there is something to say."""
        busy = (
            self.dismissed
            or self._conversation is not None
            or not self._requests.empty()
            or self._dialogue.awaits_text
        )
        return None if busy else self._last_heard

    async def run(self) -> None:
        """Read and speak until the peer leaves or fails."""
        _LOGGER.debug("%s: connected", self.peer)
        self._speaker = asyncio.create_task(self._speak_requests(), name="speaker")
        reader = asyncio.create_task(self._read_requests(), name="reader")
        try:
            await asyncio.wait((reader, self._speaker), return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and reader.exception() is None:
                await asyncio.wait((self._speaker,))
            fault = _fault(reader) or _fault(self._speaker) or self._dismissal
        finally:
            for task in (reader, self._speaker):
                task.cancel()
            await asyncio.gather(reader, self._speaker, return_exceptions=True)
        if isinstance(fault, PeerGoneError):
            _LOGGER.debug("%s: gone: %s", self.peer, fault)
            self._reset()
        else:
            await self._say_goodbye(fault)
            _LOGGER.debug("%s: disconnected", self.peer)

    async def refuse(self, error: SpeechError) -> None:
        """Tell a peer that it cannot be served."""
        _LOGGER.warning("%s: refused: %s", self.peer, error)
        with contextlib.suppress(PeerGoneError):
            await self._send(_error(error))
        await self._close()

    def wind_down(self) -> None:
        """Finish what was asked for, then close; the answer to anything new is an error."""
        self._winding_down = True
        if self.idle_since is not None:
            self._requests.put_nowait(None)

    def dismiss(self, error: SpeechError, linger: float = LINGER) -> None:
        """Break off: send ``error`` in the place of whatever is being said, and close."""
        self._dismissal, self._linger = error, linger
        if self._speaker is not None:
            self._speaker.cancel()

    async def _say_goodbye(self, fault: BaseException | None) -> None:
        """Close, with an error if something was cut short."""
        if fault is not None:
            if not isinstance(fault, SpeechError):
                _LOGGER.error("%s: failed", self.peer, exc_info=fault)
                fault = internal_error()
            _LOGGER.warning("%s: %s: %s", self.peer, fault.code, fault)
            with contextlib.suppress(PeerGoneError):
                await self._send(_error(fault))
        await self._close()

    def _reset(self) -> None:
        """Let the connection end with a reset: a plain end of it is taken for that of a whole answer."""
        opened = self._writer.get_extra_info("socket")
        if opened is not None and opened.family in {socket.AF_INET, socket.AF_INET6}:
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _close(self) -> None:
        """End our side, read what still comes, close."""
        with contextlib.suppress(OSError, TimeoutError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(self._linger):
                while await self._reader.read(READ_SIZE):
                    pass
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._limits.send_timeout):
                await self._writer.wait_closed()

    # -- reading --------------------------------------------------------------------------------------------

    async def _read_requests(self) -> None:
        """Take events until the peer's end of file or a fault. Raises PeerGoneError."""
        try:
            while data := await self._read():
                unfinished = self._parser.in_event
                self._last_heard = time.monotonic()
                self._parser.feed(data)
                while (event := self._parser.pop()) is not None:
                    unfinished = False
                    await self._receive(event)
                if not unfinished:
                    self._event_began = self._last_heard
        except SpeechError as error:
            # Said after what was asked for before; in an open stream, in the place of its end.
            if not self._dialogue.fail(error):
                await self._requests.put(error)
            return
        if self._parser.in_event or self._dialogue.awaits_text:
            # It may still listen to what it asked for before; the rest of this one nobody will ever know.
            torso = SpeechError("the connection ended in the middle of a request", "incomplete-request")
            spoken = self._conversation is not None and not self._conversation.request.text.ended
            if not self._dialogue.fail(torso):
                await self._requests.put(torso)
            elif spoken:
                self.dismiss(torso)
            return
        await self._requests.put(None)

    async def _read(self) -> bytes:
        """Return the next bytes, none at the end of file.

        Raises PeerGoneError; ProtocolError if it is late.
        """
        while True:
            left = self._time_left()
            if left <= 0:
                if self._parser.in_event:
                    late = f"an event was not complete after {self._limits.event_timeout:g} s"
                else:
                    late = f"nothing came for {self._patience:g} s"
                raise ProtocolError(late, "timeout")
            try:
                async with asyncio.timeout(left) as patience:
                    return await self._reader.read(READ_SIZE)
            except OSError as error:  # TimeoutError, ours or the network's, is one too
                if not patience.expired():
                    raise PeerGoneError(str(error)) from error

    def _time_left(self) -> float:
        """Return the seconds the peer may still be silent."""
        now = time.monotonic()
        if self._parser.in_event:
            # Counted from the event's first bytes: a peer cannot dribble for ever.
            return self._event_began + self._limits.event_timeout - now
        if self._dialogue.awaits_text:
            return self._last_heard + self._patience - now
        # While there is something to say, the peer only has to listen.
        return (self.idle_since or now) + self._limits.idle_timeout - now

    @property
    def _patience(self) -> float:
        """Seconds without an event from a peer that owes one.

        A language model may think for long before its first word. One that stops in the middle has died, and
        its listener hears silence until somebody says so.
        """
        idle = self._limits.idle_timeout
        return min(idle, self._limits.text_timeout) if self._dialogue.in_text else idle

    async def _receive(self, event: Event) -> None:
        if self._refresh is not None and Describe.is_type(event.type):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH):
                    await self._refresh()
        try:
            answer = self._dialogue.receive(event)
        except ProtocolError as error:
            if error.fatal:
                raise
            # Once is enough for the log: a client that sends audio sends much of it.
            level = logging.DEBUG if self._warned else logging.WARNING
            _LOGGER.log(level, "%s: %s: %s", self.peer, error.code, error)
            self._warned = True
            answer = _error(error)
        if isinstance(answer, Event | bytes):
            await self._send(answer)
        elif answer is not None:
            if self._winding_down:
                answer.request.text.fail(SpeechError("the server is stopping", "stopping"))
            answer.request.source, answer.request.client = self.peer, self._client
            await self._requests.put(answer)

    # -- speaking -------------------------------------------------------------------------------------------

    async def _speak_requests(self) -> None:
        """Speak until told to end. Raises SpeechError where the connection has to end with it."""
        while (conversation := await self._requests.get()) is not None:
            if isinstance(conversation, SpeechError):
                raise conversation
            self._conversation = conversation
            try:
                await self._speak(conversation)
            finally:
                self._conversation = None
                self._last_heard = time.monotonic()
            if self._winding_down and self._requests.empty():
                return

    async def _speak(self, conversation: Conversation) -> None:
        """Send one whole answer, or raise."""
        request, log = conversation.request, RequestLog(conversation.request, self._log, "wyoming")
        try:
            log.begin()
            async with aclosing(self._synthesizer.speak(request)) as pieces:
                async for piece in pieces:
                    if not log.audio_seconds:
                        self._write(AudioStart(**_RECORD, timestamp=0).event())
                    await self._send_sound(piece, log)
            self._write(AudioStop(timestamp=round(log.audio_seconds * 1000)).event())
            if conversation.streamed:
                self._write(SynthesizeStopped().event())
            with log.sending():
                await self._drain()
        except PeerGoneError:
            log.write(GONE)
            raise
        except BaseException as error:
            log.write(outcome_of(error, self._dismissal.code if self._dismissal else GONE))
            raise
        log.write(OK)

    async def _send_sound(self, piece: bytes, log: RequestLog) -> None:
        """Send PCM as chunk events, a few to a write, waiting for the client where it is slow."""
        size = self._limits.samples_per_chunk * SAMPLE_WIDTH
        chunks = []
        for start in range(0, len(piece), size):
            sound = piece[start : start + size]
            milliseconds = round(log.audio_seconds * 1000)
            chunks.append(encode_sound(sound, milliseconds))
            first = log.sent(sound)
            if first or len(chunks) == CHUNKS_PER_WRITE:
                await self._flush(chunks, log)
        await self._flush(chunks, log)

    async def _flush(self, chunks: list[bytes], log: RequestLog) -> None:
        self._writer.write(b"".join(chunks))
        chunks.clear()
        with log.sending():
            await self._drain()
        await asyncio.sleep(0)  # drain does not yield while there is room: others want the loop too

    def _write(self, event: Event | bytes) -> None:
        self._writer.write(encode(event) if isinstance(event, Event) else event)

    async def _send(self, event: Event | bytes) -> None:
        self._write(event)
        await self._drain()

    async def _drain(self) -> None:
        """Wait until the client has read enough. Raises PeerGoneError where it does not, or cannot."""
        transport = self._writer.transport
        while (left := transport.get_write_buffer_size()) > WRITE_BUFFER or transport.is_closing():
            try:  # as nearly never: a limit of time costs more than what is sent
                async with asyncio.timeout(self._limits.send_timeout) as patience:
                    await self._writer.drain()
            except OSError as error:
                if not patience.expired():
                    raise PeerGoneError(str(error)) from error
                if transport.get_write_buffer_size() >= left:
                    raise PeerGoneError(f"it read nothing for {self._limits.send_timeout:g} s") from error
            else:
                return


def _fault(task: asyncio.Task[None]) -> BaseException | None:
    """Return what ended ``task``, None where it goes on, was cancelled, or ended well."""
    return task.exception() if task.done() and not task.cancelled() else None


def _error(error: SpeechError) -> Event:
    return Error(text=str(error), code=error.code).event()


def _address(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
