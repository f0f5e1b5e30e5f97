"""The bounded audio buffer between synthesis and the client."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ..audio.pcm import PlaybackClock
from ..speech import BYTES_PER_SECOND

READ_AHEAD = 60.0
"""Seconds of an uncached utterance that are taken from its engine before they are wanted."""


class AudioBuffer:
    """Audio that is made and not yet taken: a queue bounded in seconds, with one writer and one reader."""

    def __init__(self, seconds: float) -> None:
        self._limit = int(seconds * BYTES_PER_SECOND)
        self._held = 0
        self.playback = PlaybackClock()
        """How much of it the client still has to play."""
        self.heard = 0
        """Bytes that were ever put in."""
        self.patience: asyncio.Timeout | None = None
        """Ends the writer if no audio comes in time; the first audio cancels it."""
        self._pieces: deque[bytes] = deque()
        self._closed = False
        self._error: Exception | None = None
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def hurry(self, seconds: float) -> None:
        """Let ``patience`` end in so many seconds; 0 is never."""
        if seconds and self.patience is not None and not self.heard:
            self.patience.reschedule(asyncio.get_running_loop().time() + seconds)

    async def put(self, piece: bytes) -> None:
        """Add a piece, which may be empty; wait first while the limit is reached.

        Overshoots by at most one piece.
        """
        await self._room.wait()
        if not piece:
            return
        if not self.heard and self.patience is not None and not self.patience.expired():
            self.patience.reschedule(None)
        self.heard += len(piece)
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= self._limit:
            self._room.clear()
        self._filled.set()

    def close(self, error: Exception | None = None) -> None:
        """Say that nothing more comes, or that ``error`` does."""
        self._closed, self._error = True, error
        self._filled.set()

    @property
    def dry(self) -> float:
        """When the listener has heard all of it, or had (``time.monotonic``)."""
        return (self.playback.ends or time.monotonic()) + self._held / BYTES_PER_SECOND

    @property
    def ready(self) -> bool:
        """Whether there is a piece that ``take`` gives at once."""
        return bool(self._pieces)

    async def take(self) -> bytes | None:
        """Return the next piece, None at the end; raise the maker's error in its place in the order."""
        await self._filled.wait()
        if self._pieces:
            piece = self._pieces.popleft()
            self._held -= len(piece)
            if self._held < self._limit:
                self._room.set()
            if not self._pieces and not self._closed:
                self._filled.clear()
            return piece
        if self._error is not None:
            raise self._error
        return None


async def read_ahead(sounds: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield ``sounds``, read up to READ_AHEAD seconds ahead, so that no engine waits for a slow client."""
    lead = AudioBuffer(READ_AHEAD)

    async def fill() -> None:
        try:
            async with aclosing(sounds):
                async for piece in sounds:
                    await lead.put(piece)
        except Exception as error:
            lead.close(error)
        else:
            lead.close()

    filling = asyncio.create_task(fill(), name="read-ahead")
    try:
        while (piece := await lead.take()) is not None:
            yield piece
    finally:
        filling.cancel()
        await asyncio.wait({filling})
