"""What the log says of a request, whatever door it came in by."""

from __future__ import annotations

import logging
import math
import time

from ..audio.pcm import duration
from ..speech import SpeechRequest

_LOGGER = logging.getLogger(__name__)


class RequestLog:
    """One line of log a request. Its clock starts when it is made."""

    def __init__(self, request: SpeechRequest) -> None:
        self._request = request
        self._started = time.monotonic()
        self._first: float | None = None
        self.audio_seconds = 0.0
        self.outcome = "failed"

    def sent(self, sound: bytes) -> bool:
        """Count a chunk; tell whether it was the first."""
        self.audio_seconds += duration(sound)
        first = self._first is None
        if self._first is None:
            self._first = time.monotonic() - self._started
        return first

    @property
    def first(self) -> float:
        """Seconds from the request to its first sound; not a number before."""
        return math.nan if self._first is None else self._first

    @property
    def seconds(self) -> float:
        """Seconds since the request."""
        return time.monotonic() - self._started

    def write(self) -> None:
        """Log the request."""
        _LOGGER.info(
            "%s: spoke %d characters: %s, %s, %.1f s of sound in %.0f ms",
            self._request.source,
            self._request.text.length,
            self.outcome,
            "no sound" if self._first is None else f"first sound after {self._first * 1000:.0f} ms",
            self.audio_seconds,
            self.seconds * 1000,
        )
