"""One Wyoming connection: reading, speaking, timeouts, and how it ends.

A connection has two tasks. The reader takes events and answers at once what can be answered at once; the
speaker takes requests in order and sends their audio. So text is still read while audio is synthesized and
sent, and a ``describe`` never waits for an utterance.

Home Assistant takes the end of a connection in mid-answer for success, and caches the truncated audio. So
every fault is reported by an ``error`` event before the connection is closed, and the normal stop events
are sent after complete answers only.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from wyoming.audio import AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.tts import SynthesizeStopped

from ...config.settings import LimitSettings, ServerSettings
from ...pipeline.synthesizer import Synthesizer
from ...speech import CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH, SpeechError, internal_error
from ...telemetry import quote
from ..network import PeerGoneError
from ..request_log import GONE, OK, AdmissionControl, RequestHistory, RequestLog, outcome_of
from .framing import EventParser, ProtocolError
from .session import PendingRequest, WyomingSession
from .writer import EventWriter

_LOGGER = logging.getLogger(__name__)

INTERFACE = "wyoming"
"""The name of this interface in the log, the metrics and ``/v1/requests``."""
READ_SIZE = 16 * 1024
"""Bytes parsed at a time; some 300 small events, a few milliseconds of the event loop."""
REFRESH_TIMEOUT = 0.5
"""Seconds that a ``describe`` waits for a refresh of the voices. Clients wait one second at least; what the
refresh finds later is in the answer to the next ``describe``."""
LINGER = 2.0
"""Seconds that a failed connection's input is read and discarded, so that its ``error`` arrives: closing a
socket with unread input makes the system drop what was sent."""

_AUDIO_FORMAT = {"rate": SAMPLE_RATE, "width": SAMPLE_WIDTH, "channels": CHANNELS}


class Connection:
    """One client's connection."""

    _numbers = itertools.count(1)

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        synthesizer: Synthesizer,
        info: Callable[[], bytes],
        settings: ServerSettings,
        limits: LimitSettings,
        *,
        admission: AdmissionControl,
        history: RequestHistory,
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = EventWriter(writer, settings.samples_per_chunk, limits.send_timeout)
        self._synthesizer = synthesizer
        self._limits = limits
        self._admission = admission
        self._history = history
        self._refresh = refresh
        self._parser = EventParser(limits.max_event_bytes)
        self._session = WyomingSession(info, streaming=settings.streaming, max_text=limits.max_text)
        self._queue: asyncio.Queue[PendingRequest | SpeechError | None] = asyncio.Queue(limits.max_requests)
        """Requests to speak in order; an error ends the connection with it, None ends it without one."""
        self._current: PendingRequest | None = None
        """The request being spoken."""
        self._draining = False
        self._speaker: asyncio.Task[None] | None = None
        self._abort_reason: SpeechError | None = None
        self._linger = LINGER
        self._warned = False
        self._last_received = self._event_began = time.monotonic()
        self._client = self._writer.host
        address = f"{self._writer.host}:{self._writer.port}" if self._writer.host else ""
        self.peer = f"#{next(self._numbers)} {address}".rstrip()
        """The connection's number, and the client's address if it has one; for the log."""

    @property
    def aborted(self) -> bool:
        """True once ``abort`` was called."""
        return self._abort_reason is not None

    @property
    def idle_since(self) -> float | None:
        """When data was last received (monotonic seconds); None while a request is open, queued or spoken."""
        busy = (
            self.aborted or self._current is not None or not self._queue.empty() or self._session.awaits_text
        )
        return None if busy else self._last_received

    async def run(self) -> None:
        """Read and speak until the client disconnects or a fault ends the connection."""
        _LOGGER.debug("wyoming: connected client=%s", quote(self.peer))
        self._speaker = asyncio.create_task(self._speak_requests(), name="speaker")
        reader = asyncio.create_task(self._read_requests(), name="reader")
        try:
            await asyncio.wait((reader, self._speaker), return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and reader.exception() is None:
                await asyncio.wait((self._speaker,))
            fault = _fault(reader) or _fault(self._speaker) or self._abort_reason
        finally:
            for task in (reader, self._speaker):
                task.cancel()
            await asyncio.gather(reader, self._speaker, return_exceptions=True)
        if isinstance(fault, PeerGoneError):
            _LOGGER.debug("wyoming: connection lost client=%s error=%s", quote(self.peer), quote(fault))
            self._writer.reset_on_close()
        else:
            await self._finish(fault)
            _LOGGER.debug("wyoming: disconnected client=%s", quote(self.peer))

    async def refuse(self, error: SpeechError) -> None:
        """Send ``error`` and close, without serving the client."""
        self._warn("connection refused", error)
        with contextlib.suppress(PeerGoneError):
            await self._writer.send(_error_event(error))
        await self._close()

    def drain(self) -> None:
        """Finish the requests received so far, then close; new requests are answered with an error."""
        self._draining = True
        if self.idle_since is not None:
            self._queue.put_nowait(None)

    def abort(self, error: SpeechError, linger: float = LINGER) -> None:
        """Cancel the request being spoken, send ``error`` instead, and close.

        ``linger``: seconds for which input is still read and discarded.
        """
        self._abort_reason, self._linger = error, linger
        if self._speaker is not None:
            self._speaker.cancel()

    async def _finish(self, fault: BaseException | None) -> None:
        """Close the connection, after an ``error`` event if there was a fault."""
        if fault is not None:
            if not isinstance(fault, SpeechError):
                _LOGGER.error("wyoming: internal error client=%s", quote(self.peer), exc_info=fault)
                fault = internal_error()
            self._warn("connection ended with an error", fault)
            with contextlib.suppress(PeerGoneError):
                await self._writer.send(_error_event(fault))
        await self._close()

    def _warn(self, fact: str, error: SpeechError, level: int = logging.WARNING) -> None:
        _LOGGER.log(
            level, "wyoming: %s client=%s code=%s error=%s", fact, quote(self.peer), error.code, quote(error)
        )

    async def _close(self) -> None:
        """Send an end of file, discard remaining input for ``_linger`` seconds, close."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.end()
            async with asyncio.timeout(self._linger):
                while await self._reader.read(READ_SIZE):
                    pass
        await self._writer.close()

    # -- reading --------------------------------------------------------------------------------------------

    async def _read_requests(self) -> None:
        """Process events until the client's end of file or a fault. Raises PeerGoneError."""
        try:
            while data := await self._read():
                unfinished = self._parser.in_event
                self._last_received = time.monotonic()
                self._parser.feed(data)
                while (event := self._parser.pop()) is not None:
                    unfinished = False
                    await self._receive(event)
                if not unfinished:
                    self._event_began = self._last_received
        except SpeechError as error:
            # Reported after the requests before it; in an open stream, in place of that stream's end.
            if not self._session.fail(error):
                await self._queue.put(error)
            return
        if self._parser.in_event or self._session.awaits_text:
            # The client may still read the answers to earlier requests; this one will never be complete.
            truncated = SpeechError("the connection ended in the middle of a request", "incomplete-request")
            speaking = self._current is not None and not self._current.request.text.ended
            if not self._session.fail(truncated):
                await self._queue.put(truncated)
            elif speaking:
                self.abort(truncated)
            return
        await self._queue.put(None)

    async def _read(self) -> bytes:
        """Return the next bytes, none at the end of file.

        Raises PeerGoneError; ProtocolError (``timeout``) if none arrive in time.
        """
        while True:
            left = self._time_left()
            if left <= 0:
                if self._parser.in_event:
                    late = f"an event was not complete after {self._limits.event_timeout:g} s"
                else:
                    late = f"no event was received for {self._text_timeout:g} s"
                raise ProtocolError(late, "timeout")
            try:
                async with asyncio.timeout(left) as timeout:
                    return await self._reader.read(READ_SIZE)
            except OSError as error:  # also TimeoutError, of the timeout above or of the network
                if not timeout.expired():
                    raise PeerGoneError(str(error)) from error

    def _time_left(self) -> float:
        """Return the seconds until the current timeout."""
        now = time.monotonic()
        if self._parser.in_event:
            # Counted from the event's first bytes, so that a client cannot send single bytes for ever.
            return self._event_began + self._limits.event_timeout - now
        if self._session.awaits_text:
            return self._last_received + self._text_timeout - now
        # While requests are queued or spoken the client need not send anything.
        return (self.idle_since or now) + self._limits.idle_timeout - now

    @property
    def _text_timeout(self) -> float:
        """Seconds without an event after which a stream of text ends.

        A language model may think for long before its first word. One that stops after it has failed, and
        the listener hears silence until the error is reported.
        """
        idle = self._limits.idle_timeout
        return min(idle, self._limits.text_timeout) if self._session.in_text else idle

    async def _receive(self, event: Event) -> None:
        if self._refresh is not None and Describe.is_type(event.type):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_TIMEOUT):
                    await self._refresh()
        try:
            answer = self._session.receive(event)
        except ProtocolError as error:
            if error.fatal:
                raise
            # Only the first is a warning: a client that sends audio sends many of these events.
            self._warn("event ignored", error, logging.DEBUG if self._warned else logging.WARNING)
            self._warned = True
            answer = _error_event(error)
        if isinstance(answer, Event | bytes):
            await self._writer.send(answer)
        elif answer is not None:
            if self._draining:
                answer.request.text.fail(SpeechError("the server is stopping", "stopping"))
            answer.request.source, answer.request.client = self.peer, self._client
            await self._queue.put(answer)

    # -- speaking -------------------------------------------------------------------------------------------

    async def _speak_requests(self) -> None:
        """Speak queued requests until None is queued. Raises SpeechError if that ends the connection."""
        while (pending := await self._queue.get()) is not None:
            if isinstance(pending, SpeechError):
                raise pending
            self._current = pending
            try:
                await self._speak(pending)
            finally:
                self._current = None
                self._last_received = time.monotonic()
            if self._draining and self._queue.empty():
                return

    async def _speak(self, pending: PendingRequest) -> None:
        """Send one complete answer, or raise."""
        request = pending.request
        log = RequestLog(request, self._admission, self._history, INTERFACE)
        try:
            log.begin()
            async with aclosing(self._synthesizer.speak(request)) as speech:
                log.outcome = speech.outcome
                async for pcm in speech:
                    if not log.audio_seconds:
                        self._writer.write(AudioStart(**_AUDIO_FORMAT, timestamp=0).event())
                    await self._writer.send_audio(pcm, log)
            self._writer.write(AudioStop(timestamp=round(log.audio_seconds * 1000)).event())
            if pending.streamed:
                self._writer.write(SynthesizeStopped().event())
            with log.sending():
                await self._writer.drain()
        except PeerGoneError:
            log.write(GONE)
            raise
        except BaseException as error:
            log.write(outcome_of(error, self._abort_reason.code if self._abort_reason else GONE))
            raise
        log.write(OK)


def _fault(task: asyncio.Task[None]) -> BaseException | None:
    """Return the exception that ended ``task``; None if it is running, was cancelled, or succeeded."""
    return task.exception() if task.done() and not task.cancelled() else None


def _error_event(error: SpeechError) -> Event:
    return Error(text=str(error), code=error.code).event()
