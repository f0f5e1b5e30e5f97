"""``/v1/audio/speech/ws``: text in, while it is being written; sound out, while it is being made.

Messages of text are JSON objects with a ``type``, in both directions (all in ``websocket_messages.py``);
binary messages are sound, and come from the server only. ::

    client                                                  server
    {"type": "speech.start", "id": "a", "voice": "Ryan"}
    {"type": "speech.text", "text": "Dinner is "}
    {"type": "speech.text", "text": "ready. It"}            {"type": "speech.started", "id": "a", …}
    {"type": "speech.text", "text": " is soup."}            binary, binary, …
    {"type": "speech.end"}                                  {"type": "speech.done", "id": "a", …}

    {"type": "speech.speak", "id": "b", "input": "Hello."}  the same for a text that is whole
    {"type": "speech.cancel", "id": "a"}                    {"type": "speech.cancelled", "id": "a"}
    {"type": "speech.cancel"}                               the same, of every utterance
    {"type": "ping"}                                        {"type": "pong"}

- ``speech.start`` and ``speech.speak`` take what ``POST /v1/audio/speech`` does: ``voice``, ``style``,
  ``language``, ``speed``, ``instructions``, ``model``, ``response_format`` (``pcm`` unless it says another:
  24 kHz, mono, signed 16 bit little endian).
- Utterances are spoken in order; a few may wait (``--max-requests``), more are refused as ``busy``.
- An utterance has one end: ``speech.done`` if all of it was sent, ``speech.cancelled``, or ``error`` with its
  ``id``; the sound before the last two is not the whole. What still comes of its text is then ignored.
- An ``error`` without ``id`` is about a message that was ignored; everything else goes on. A piece of text
  that cannot be read, or another ``speech.start``, ends the text that is open with an error, for it would not
  be whole.
- Who owes us text and says nothing for ``--idle-timeout`` gets that utterance's end (``timeout``); who has
  nothing to say for as long is told so and sent away (1001). A message of more than ``--max-event-bytes``
  ends the connection (1009), and so does the service's stop (1012).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress

from fastapi import APIRouter, WebSocket
from starlette.types import Message as Received
from starlette.websockets import WebSocketDisconnect, WebSocketState

from ...speech import SpeechError, internal_error
from ..network import PeerGoneError
from . import websocket_messages
from .audio_response import AudioResponse
from .auth import COUNT, client_of
from .context import AppContext
from .websocket_messages import Cancelled, Done, Failed, InvalidMessageError, Started
from .websocket_session import Cancellation, PendingUtterance, WebSocketSession

LARGEST_SOUND = 16 * 1024
"""Bytes of one binary message: a third of a second. Clients' libraries take a megabyte at the most, and a
sentence that was said before is there in one piece."""
IDLE, BROKEN = 1001, 1011
"""Codes of ends that are ours (RFC 6455): we go away; something went wrong here."""
CANCELLED = "cancelled"
"""The outcome of what the client did not want any more."""

_LOGGER = logging.getLogger(__name__)


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.websocket("/v1/audio/speech/ws")
    async def converse(socket: WebSocket) -> None:
        """Speak what is written."""
        await WebSocketConnection(socket, context).run()

    return router


class WebSocketConnection:
    """One WebSocket: a task that listens, and one for each utterance, of which one at a time has its turn."""

    def __init__(self, socket: WebSocket, context: AppContext) -> None:
        self._socket = socket
        self._context = context
        self._dialogue = WebSocketSession(context)
        self._turn = asyncio.Lock()  # it is given in the order that it was asked for
        self._tasks: dict[PendingUtterance, asyncio.Task[None]] = {}
        self._speaking: AudioResponse | None = None
        self._clock = asyncio.get_running_loop().time
        self._last_heard = self._clock()

    async def run(self) -> None:
        """Listen and speak until the client leaves, or has had nothing to say for long."""
        try:
            await self._socket.accept()
            async with asyncio.TaskGroup() as group:
                await self._listen(group)
            await self._close(IDLE, "nothing came")
        except* (PeerGoneError, WebSocketDisconnect, OSError) as gone:
            _LOGGER.debug("A WebSocket is gone: %s", gone.exceptions[0])
        except* Exception:
            _LOGGER.exception("A WebSocket failed")
            await self._close(BROKEN, "internal error")

    # -- listening ------------------------------------------------------------------------------------------

    async def _listen(self, group: asyncio.TaskGroup) -> None:
        """Take messages until there is silence. Raises PeerGoneError."""
        while True:
            if (message := await self._receive()) is not None:
                self._last_heard = self._clock()
                await self._take(message, group)
                continue
            late = SpeechError(
                f"nothing came for {self._context.settings.limits.idle_timeout:g} s", "timeout"
            )
            if not self._dialogue.fail(late):
                await self._send(Failed(late))
                return
            self._last_heard = self._clock()

    async def _receive(self) -> Received | None:
        """Return the next message, None if it is late. Raises PeerGoneError."""
        while (left := self._time_left()) > 0:
            try:
                async with asyncio.timeout(left):
                    message = await self._socket.receive()
            except TimeoutError:
                continue  # something may have been said meanwhile
            if message["type"] == "websocket.disconnect":
                raise PeerGoneError(f"it left ({message.get('code')})")
            return message
        return None

    def _time_left(self) -> float:
        """Return the seconds that the client may still be silent."""
        limit = self._context.settings.limits.idle_timeout
        if self._tasks and not self._dialogue.awaits_text:
            return limit  # while there is something to say, the client only has to listen
        return self._last_heard + limit - self._clock()

    async def _take(self, message: Received, group: asyncio.TaskGroup) -> None:
        """Do what a message says. Raises PeerGoneError."""
        try:
            found = self._dialogue.receive(message.get("text"))
        except InvalidMessageError as error:
            await self._send(Failed(error, error.whose))
            return
        if isinstance(found, PendingUtterance):
            self._tasks[found] = group.create_task(self._say(found), name="utterance")
        elif isinstance(found, Cancellation):
            waiting = [job for job in found.jobs if self._stop(job)]  # all at once, or one gets its turn
            for job in waiting:
                await self._send(Cancelled(job.id))
        elif found is not None:
            await self._send(found)

    def _stop(self, job: PendingUtterance) -> bool:
        """End an utterance; tell whether it was still waiting. Of another its task tells the end."""
        task = self._tasks[job]
        if self._speaking is None or self._speaking.request is not job.request:
            self._over(job)
            task.cancel()
            return True
        if self._speaking.given_up != CANCELLED:
            self._speaking.given_up = CANCELLED
            task.cancel()
        return False

    async def _close(self, code: int, reason: str) -> None:
        """Close, unless that has happened."""
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code, reason)

    # -- speaking -------------------------------------------------------------------------------------------

    async def _say(self, job: PendingUtterance) -> None:
        """Wait for an utterance's turn, speak it, and tell its end. Raises PeerGoneError."""
        async with self._turn:
            end = await self._spoken(job)
            self._over(job)
            await self._send(end)  # before anything of the next one

    def _over(self, job: PendingUtterance) -> None:
        self._dialogue.over(job)
        del self._tasks[job]
        self._last_heard = self._clock()

    async def _spoken(self, job: PendingUtterance) -> Done | Cancelled | Failed:
        """Send the sound of an utterance; return what became of it. Raises PeerGoneError."""
        if (refusal := self._socket.scope.get("state", {}).get(COUNT, lambda: None)()) is not None:
            return Failed(SpeechError(refusal.message, refusal.code), job.id)
        job.request.client = client_of(self._socket.scope)
        answer = self._speaking = AudioResponse(self._context, job.request, job.form)
        try:
            await self._send_sound(answer, job)
        except asyncio.CancelledError:
            if answer.given_up != CANCELLED:
                raise
            self._tasks[job].uncancel()  # it goes on, to tell
            return Cancelled(job.id)
        except SpeechError as error:
            return Failed(error, job.id)
        except PeerGoneError:
            raise
        except Exception:
            _LOGGER.exception("What was asked for over a WebSocket failed")
            return Failed(internal_error(), job.id)
        finally:
            self._speaking = None
        total, seconds = answer.total_ms, answer.audio_seconds
        return Done(
            id=job.id,
            audio_seconds=round(seconds, 3),
            total_ms=round(total, 1),
            rtf=round(total / 1000 / seconds, 4),
            cache=job.request.report.cache,
            request_id=job.request.report.id,
        )

    async def _send_sound(self, answer: AudioResponse, job: PendingUtterance) -> None:
        """Send the sound of an utterance. Raises SpeechError, PeerGoneError."""
        await answer.begin()
        started = False
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                if not started:
                    first, cache = round(answer.first_audio_ms, 1), job.request.report.cache
                    await self._send(Started(job.id, job.form.name, first, cache, job.form.rate))
                    started = True
                for start in range(0, len(piece), LARGEST_SOUND):
                    await self._send(piece[start : start + LARGEST_SOUND])
                    await asyncio.sleep(0)  # sending does not yield while there is room: others want the loop

    async def _send(self, message: websocket_messages.Message | bytes) -> None:
        """Send a message, waiting for the client where it is slow. Raises PeerGoneError."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            raise PeerGoneError("it left")
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(websocket_messages.encode(message))
        except WebSocketDisconnect as error:
            raise PeerGoneError(str(error.__context__ or "it left")) from error
        except RuntimeError as error:  # uvicorn has closed it, and there was no time yet to be told
            raise PeerGoneError(str(error)) from error
