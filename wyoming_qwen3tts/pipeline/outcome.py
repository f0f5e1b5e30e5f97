"""What became of a request: the pipeline returns it beside the audio."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..speech import BYTES_PER_SECOND, Utterance

VOICE, ENGINE = "voice", "engine"
"""Reasons for a fallback: there is no such voice; its engine cannot speak."""
MISS, PART, OFF = "miss", "part", "off"
"""Sources of audio beside the cache's tiers: it was made; some of it was; nothing was looked up."""


@dataclass(slots=True)
class Outcome:
    """What became of a request, up to now. Times are seconds."""

    voice: str = ""
    engine: str = ""
    language: str = ""
    """BCP 47. Voice, engine and language are those of the first utterance; others may have another one."""
    fallback: str = ""
    """Why another voice speaks than the requested one: VOICE or ENGINE; empty where none does."""
    first_audio: float | None = None
    """From the request to its first audio; None before."""
    queue: float = 0.0
    """Wait of its utterances until their engine began with them."""
    synthesis: float = 0.0
    """Wait for their audio after that."""
    made: float = 0.0
    """Audio that engines made for it, before pauses and changes of speed."""
    sources: list[str] = field(default_factory=list)
    """Source of each utterance, in order: a tier of the cache, MISS or OFF."""

    @property
    def cache(self) -> str:
        """Source of the audio: PART where some was made and some was not, else that of the last utterance."""
        made = [source in {MISS, OFF} for source in self.sources]
        if any(made) and not all(made):
            return PART
        return self.sources[-1] if self.sources else OFF

    def record_voice(self, utterance: Utterance) -> None:
        """Record who speaks the first utterance."""
        self.voice, self.engine = utterance.voice.name, utterance.voice.engine
        self.language = utterance.language

    def record_engine_fallback(self) -> None:
        """Record that another engine speaks."""
        self.fallback = self.fallback or ENGINE


class UtteranceTiming:
    """Times of one utterance of a request: until its engine begins, and then until its audio is there."""

    def __init__(self, outcome: Outcome, source: str) -> None:
        """``source``: of its audio, as far as it is known."""
        self._outcome = outcome
        self._index = len(outcome.sources)
        outcome.sources.append(source)
        self._asked = time.monotonic()
        self._queued: float | None = None
        self._has_audio = False

    def set_source(self, source: str) -> None:
        """Correct the source."""
        self._outcome.sources[self._index] = source

    def record_start(self) -> None:
        """Record that the engine begins, if it did not before. From any thread."""
        if self._queued is None:
            self._queued = time.monotonic() - self._asked

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as synthesis."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._outcome.synthesis += time.monotonic() - began

    def record_audio(self, chunk: bytes) -> None:
        """Count a chunk; with the first one it is known how much of the wait was for the queue."""
        outcome = self._outcome
        if not self._has_audio and self._queued is not None:
            outcome.queue += self._queued
            outcome.synthesis -= self._queued
        self._has_audio = True
        if outcome.sources[self._index] in {MISS, OFF}:
            outcome.made += len(chunk) / BYTES_PER_SECOND
