"""``/v1/audio/speech/ws``: a WebSocket that takes text while it is written and streams audio back.

Text messages are JSON objects with a ``type``, in both directions (all in ``websocket_messages.py``); binary
messages contain audio, and are sent by the server only. ::

    client                                                  server
    {"type": "speech.start", "id": "a", "voice": "Ryan"}
    {"type": "speech.text", "text": "Dinner is "}
    {"type": "speech.text", "text": "ready. It"}            {"type": "speech.started", "id": "a", …}
    {"type": "speech.text", "text": " is soup."}            binary, binary, …
    {"type": "speech.end"}                                  {"type": "speech.done", "id": "a", …}

    {"type": "speech.speak", "id": "b", "input": "Hello."}  the same for a complete text
    {"type": "speech.cancel", "id": "a"}                    {"type": "speech.cancelled", "id": "a"}
    {"type": "speech.cancel"}                               the same, of every utterance
    {"type": "ping"}                                        {"type": "pong"}

- ``speech.start`` and ``speech.speak`` have the options of ``POST /v1/audio/speech``: ``voice``, ``style``,
  ``language``, ``speed``, ``instructions``, ``model``, ``response_format`` (by default ``pcm``: 24 kHz, mono,
  signed 16 bit little endian).
- Utterances are spoken in order; ``--max-requests`` may wait, more are rejected as ``busy``.
- Each utterance ends with exactly one message: ``speech.done`` if all audio was sent, ``speech.cancelled``,
  or ``error`` with its ``id``; before the last two the audio is incomplete. Later text of it is ignored.
- An ``error`` without ``id`` means that one message was ignored; nothing else is affected. An invalid
  ``speech.text``, or another ``speech.start``, ends the open text with an error, as it would be incomplete.
- If an open text gets no message for ``--idle-timeout``, its utterance ends with an error (``timeout``). If
  nothing is open or spoken for as long, the server sends an error and closes (1001). A message of more than
  ``--max-event-bytes`` ends the connection (1009), and so does the stop of the server (1012).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress

from fastapi import APIRouter, WebSocket
from starlette.types import Message as Received
from starlette.websockets import WebSocketDisconnect, WebSocketState

from ...speech import SpeechError, internal_error
from ...telemetry import quote
from ..network import PeerGoneError
from . import websocket_messages
from .audio_response import AudioResponse
from .auth import COUNT_REQUEST, client_id
from .context import AppContext
from .websocket_messages import Cancelled, Done, Failed, InvalidMessageError, Started
from .websocket_session import Cancellation, PendingUtterance, WebSocketSession

MAX_MESSAGE_BYTES = 16 * 1024
"""Bytes of one binary message: a third of a second. Client libraries accept a megabyte by default, and the
audio of a cached utterance arrives as a whole."""
GOING_AWAY, INTERNAL_ERROR = 1001, 1011
"""Close codes (RFC 6455)."""
CANCELLED = "cancelled"
"""The outcome of a request that the client has cancelled."""

_LOGGER = logging.getLogger(__name__)


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.websocket("/v1/audio/speech/ws")
    async def converse(socket: WebSocket) -> None:
        """Serve one WebSocket."""
        await WebSocketConnection(socket, context).run()

    return router


class WebSocketConnection:
    """One WebSocket: a task that receives, and one per utterance, of which one at a time is spoken."""

    def __init__(self, socket: WebSocket, context: AppContext) -> None:
        self._socket = socket
        self._context = context
        self._session = WebSocketSession(context)
        self._speak_lock = asyncio.Lock()  # acquired in the order of the utterances
        self._tasks: dict[PendingUtterance, asyncio.Task[None]] = {}
        self._speaking: AudioResponse | None = None
        self._clock = asyncio.get_running_loop().time
        self._last_received = self._clock()

    async def run(self) -> None:
        """Receive and speak until the client disconnects or has been idle for too long."""
        try:
            await self._socket.accept()
            async with asyncio.TaskGroup() as group:
                await self._receive_messages(group)
            await self._close(GOING_AWAY, "idle timeout")
        except* (PeerGoneError, WebSocketDisconnect, OSError) as gone:
            _LOGGER.debug("websocket: connection lost error=%s", quote(gone.exceptions[0]))
        except* Exception:
            _LOGGER.exception("websocket: internal error")
            await self._close(INTERNAL_ERROR, "internal error")

    # -- receiving ------------------------------------------------------------------------------------------

    async def _receive_messages(self, group: asyncio.TaskGroup) -> None:
        """Handle messages until the idle timeout. Raises PeerGoneError."""
        while True:
            if (message := await self._receive()) is not None:
                self._last_received = self._clock()
                await self._handle(message, group)
                continue
            idle = self._context.settings.limits.idle_timeout
            late = SpeechError(f"no message was received for {idle:g} s (--idle-timeout)", "timeout")
            if not self._session.fail(late):
                await self._send(Failed(late))
                return
            self._last_received = self._clock()

    async def _receive(self) -> Received | None:
        """Return the next message, None after the idle timeout. Raises PeerGoneError."""
        while (left := self._time_left()) > 0:
            try:
                async with asyncio.timeout(left):
                    message = await self._socket.receive()
            except TimeoutError:
                continue  # an utterance may have ended meanwhile, which restarts the timeout
            if message["type"] == "websocket.disconnect":
                raise PeerGoneError(f"the client disconnected ({message.get('code')})")
            return message
        return None

    def _time_left(self) -> float:
        """Return the seconds until the idle timeout."""
        limit = self._context.settings.limits.idle_timeout
        if self._tasks and not self._session.awaits_text:
            return limit  # while utterances are queued or spoken the client need not send anything
        return self._last_received + limit - self._clock()

    async def _handle(self, message: Received, group: asyncio.TaskGroup) -> None:
        """Handle one message. Raises PeerGoneError."""
        try:
            action = self._session.receive(message.get("text"))
        except InvalidMessageError as error:
            await self._send(Failed(error, error.utterance_id))
            return
        if isinstance(action, PendingUtterance):
            self._tasks[action] = group.create_task(self._speak(action), name="utterance")
        elif isinstance(action, Cancellation):
            # All are cancelled before anything is sent, or one that waits would begin meanwhile.
            waiting = [utterance for utterance in action.utterances if self._cancel(utterance)]
            for utterance in waiting:
                await self._send(Cancelled(utterance.id))
        elif action is not None:
            await self._send(action)

    def _cancel(self, utterance: PendingUtterance) -> bool:
        """Cancel an utterance; return whether it was still waiting. If not, its task reports its end."""
        task = self._tasks[utterance]
        if self._speaking is None or self._speaking.request is not utterance.request:
            self._remove(utterance)
            task.cancel()
            return True
        if self._speaking.cancel_outcome != CANCELLED:
            self._speaking.cancel_outcome = CANCELLED
            task.cancel()
        return False

    async def _close(self, code: int, reason: str) -> None:
        """Close the WebSocket, if it is open."""
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code, reason)

    # -- speaking -------------------------------------------------------------------------------------------

    async def _speak(self, utterance: PendingUtterance) -> None:
        """Wait for the utterances before this one, speak it, and report its end. Raises PeerGoneError."""
        async with self._speak_lock:
            end = await self._send_utterance(utterance)
            self._remove(utterance)
            await self._send(end)  # still with the lock: before the first message of the next utterance

    def _remove(self, utterance: PendingUtterance) -> None:
        self._session.finish(utterance)
        del self._tasks[utterance]
        self._last_received = self._clock()

    async def _send_utterance(self, utterance: PendingUtterance) -> Done | Cancelled | Failed:
        """Send the audio of an utterance; return its last message. Raises PeerGoneError."""
        count_request = self._socket.scope.get("state", {}).get(COUNT_REQUEST, lambda: None)
        if (refusal := count_request()) is not None:
            return Failed(SpeechError(refusal.message, refusal.code), utterance.id)
        request = utterance.request
        request.client = client_id(self._socket.scope)
        answer = self._speaking = AudioResponse(self._context, request, utterance.audio_format)
        try:
            await self._send_audio(answer, utterance)
        except asyncio.CancelledError:
            if answer.cancel_outcome != CANCELLED:
                raise
            self._tasks[utterance].uncancel()  # the task continues, to send the message
            return Cancelled(utterance.id)
        except SpeechError as error:
            return Failed(error, utterance.id)
        except PeerGoneError:
            raise
        except Exception:
            _LOGGER.exception("websocket: internal error id=%s", request.report.id)
            return Failed(internal_error(), utterance.id)
        finally:
            self._speaking = None
        total, seconds = answer.total_ms, answer.audio_seconds
        return Done(
            id=utterance.id,
            audio_seconds=round(seconds, 3),
            total_ms=round(total, 1),
            rtf=round(total / 1000 / seconds, 4),
            cache=request.report.cache,
            request_id=request.report.id,
        )

    async def _send_audio(self, answer: AudioResponse, utterance: PendingUtterance) -> None:
        """Send the audio of an utterance. Raises SpeechError, PeerGoneError."""
        await answer.begin()
        started, audio_format = False, utterance.audio_format
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                if not started:
                    first, cache = round(answer.first_audio_ms, 1), utterance.request.report.cache
                    await self._send(
                        Started(utterance.id, audio_format.name, first, cache, audio_format.rate)
                    )
                    started = True
                for start in range(0, len(chunk), MAX_MESSAGE_BYTES):
                    await self._send(chunk[start : start + MAX_MESSAGE_BYTES])
                    await asyncio.sleep(0)  # sending does not yield while the buffer has room: let others run

    async def _send(self, message: websocket_messages.Message | bytes) -> None:
        """Send a message, waiting for a slow client. Raises PeerGoneError."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            raise PeerGoneError("the client disconnected")
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(websocket_messages.encode(message))
        except WebSocketDisconnect as error:
            raise PeerGoneError(str(error.__context__ or "the client disconnected")) from error
        except RuntimeError as error:  # uvicorn has closed it; its disconnect message was not received yet
            raise PeerGoneError(str(error)) from error
