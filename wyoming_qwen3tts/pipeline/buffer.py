"""The bounded audio buffer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from ..audio.pcm import PlaybackClock
from ..speech import BYTES_PER_SECOND

READ_AHEAD = 60.0
"""Seconds of an uncached utterance that are taken from its engine before they are wanted."""


class AudioBuffer:
    """PCM that was made and is not taken yet: a queue bounded in seconds, with one writer and one reader."""

    def __init__(self, seconds: float) -> None:
        self.playback = PlaybackClock()
        """How much of the audio that was taken the client has still to play."""
        self.size = 0
        """Bytes that were ever put in."""
        self._limit = int(seconds * BYTES_PER_SECOND)
        self._held = 0
        self._chunks: deque[bytes] = deque()
        self._is_closed = False
        self._error: Exception | None = None
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def put(self, chunk: bytes) -> None:
        """Add a chunk, which may be empty; wait first while the limit is reached.

        Exceeds the limit by one chunk at most.
        """
        await self._has_room.wait()
        if not chunk:
            return
        self.size += len(chunk)
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held >= self._limit:
            self._has_room.clear()
        self._has_news.set()

    def close(self, error: Exception | None = None) -> None:
        """Let the reader come to the end, or to ``error``, after what is in the buffer."""
        self._is_closed, self._error = True, error
        self._has_news.set()

    @property
    def playback_end(self) -> float:
        """When the listener has played all of it (``time.monotonic``)."""
        return (self.playback.ends or time.monotonic()) + self._held / BYTES_PER_SECOND

    @property
    def has_audio(self) -> bool:
        """Whether ``take`` returns a chunk at once."""
        return bool(self._chunks)

    async def take(self) -> bytes | None:
        """Return the next chunk, None at the end. Raises the writer's error after the audio before it."""
        await self._has_news.wait()
        if self._chunks:
            chunk = self._chunks.popleft()
            self._held -= len(chunk)
            if self._held < self._limit:
                self._has_room.set()
            if not self._chunks and not self._is_closed:
                self._has_news.clear()
            return chunk
        if self._error is not None:
            raise self._error
        return None

    def __aiter__(self) -> AudioBuffer:
        return self

    async def __anext__(self) -> bytes:
        if (chunk := await self.take()) is None:
            raise StopAsyncIteration
        return chunk


@asynccontextmanager
async def read_ahead(audio: AsyncGenerator[bytes, None]) -> AsyncIterator[AudioBuffer]:
    """Read ``audio`` up to READ_AHEAD seconds ahead, so that no engine waits for a slow client."""
    buffer = AudioBuffer(READ_AHEAD)

    async def fill() -> None:
        try:
            async with aclosing(audio):
                async for chunk in audio:
                    await buffer.put(chunk)
        except Exception as error:
            buffer.close(error)
        else:
            buffer.close()

    filling = asyncio.create_task(fill(), name="read-ahead")
    try:
        yield buffer
    finally:
        filling.cancel()
        await asyncio.wait({filling})
