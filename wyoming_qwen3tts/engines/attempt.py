"""One utterance while its engine works on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from ..speech import TextFeed
from .base import EngineUnavailableError

END = object()
"""What ``Attempt.next`` returns after the last chunk."""


class Attempt:
    """Waits for an engine's audio, and can be aborted from outside while it does."""

    def __init__(self, incidents: int, text: TextFeed | None = None) -> None:
        """``incidents``: of the engine's breaker, at the start. ``text``: still being written, if it is."""
        self.incidents = incidents
        self.started = False
        """Whether the engine works on it, and not on utterances before it."""
        self.has_audio = False
        self._ticks = 0
        """Looks of the supervisor since it began to wait for the next chunk."""
        self._text = text
        self._error: EngineUnavailableError | None = None
        """Why it was aborted."""
        self._timeout: asyncio.Timeout | None = None
        """Set while the next chunk is waited for."""

    @property
    def waits_for_engine(self) -> bool:
        """Whether it is the engine that is waited for, and not the text or the listener."""
        return self._timeout is not None and (self._text is None or self._text.ended)

    def count_tick(self) -> int:
        """Count a look of the supervisor; return how many there were since the last chunk."""
        self._ticks += 1
        return self._ticks

    def abort(self, error: EngineUnavailableError) -> None:
        """Let ``next`` raise ``error``, now or when it is called again."""
        if self._error is not None:
            return  # it is being raised already
        self._error = error
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def next(self, audio: AsyncGenerator[bytes, None]) -> object:
        """Return the engine's next chunk, END after the last. Raises its error, or the abort's."""
        if self._error is not None:
            raise self._error
        self._ticks = 0
        try:
            async with asyncio.timeout(None) as self._timeout:
                return await anext(audio, END)
        except TimeoutError:
            if self._error is None:
                raise
            raise self._error from None
        finally:
            self._timeout = None
