"""The audio of one request as its client reads it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from ..audio.pcm import silence
from ..config.settings import AudioSettings
from ..speech import SpeechRequest
from .buffer import AudioBuffer
from .outcome import Outcome

KEEPALIVE = 0.05
"""Seconds of silence a second that keep a stream alive while its listener still has audio."""
BRIDGE_STEP = 0.2
"""Seconds of silence at a time once the listener has none, in real time."""

Produce = Callable[[SpeechRequest, AudioBuffer, Outcome], Awaitable[None]]
"""Fills the buffer with the audio of a request, and closes it."""


class SpeechStream:
    """PCM chunks of whole samples, in order, of any length above zero; and the request's outcome.

    Iterating raises SpeechError when some of the text cannot be spoken: what came before is then not the
    whole. ``aclose`` (``contextlib.aclosing``) cancels the work.
    """

    def __init__(self, request: SpeechRequest, produce: Produce, settings: AudioSettings) -> None:
        self.outcome = Outcome()
        """Complete when the stream has ended."""
        self._request = request
        self._produce = produce
        self._keepalive_after = settings.keepalive_after or None
        self._buffer = AudioBuffer(settings.buffer_seconds)
        self._started = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._wait: float | None = None
        """Seconds to wait for a chunk before silence is sent; None is for ever."""

    def __aiter__(self) -> SpeechStream:
        return self

    async def __anext__(self) -> bytes:
        if self._is_closed:
            raise StopAsyncIteration
        if self._task is None:
            producing = self._produce(self._request, self._buffer, self.outcome)
            self._task = asyncio.ensure_future(producing)
        try:
            chunk = await self._next()
        except BaseException:
            await self.aclose()
            raise
        if chunk is None:
            await self.aclose()
            raise StopAsyncIteration
        now = time.monotonic()
        if self.outcome.first_audio is None:
            self.outcome.first_audio = now - self._started
        self._buffer.playback.add(chunk, now)
        return chunk

    async def _next(self) -> bytes | None:
        """Return the next chunk, or silence while the text stalls; None at the end."""
        while True:
            try:
                if self._buffer.has_audio:
                    chunk = await self._buffer.take()
                else:
                    async with asyncio.timeout(self._wait) as timeout:
                        chunk = await self._buffer.take()
            except TimeoutError:
                if not timeout.expired():
                    raise  # an engine's own
                if self._request.text.waiting:
                    return self._silence()
                # Otherwise the pause is the engine's and not the text's.
            else:
                self._wait = self._keepalive_after
                return chunk

    def _silence(self) -> bytes:
        """Return silence for a stalled text, and set the wait before the next."""
        assert self._keepalive_after is not None
        unplayed = self._buffer.playback.buffered_seconds(time.monotonic())
        self._wait = min(self._keepalive_after, max(BRIDGE_STEP, unplayed - BRIDGE_STEP))
        return silence(BRIDGE_STEP if unplayed <= BRIDGE_STEP else KEEPALIVE)

    async def aclose(self) -> None:
        """Cancel the work that is left."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
