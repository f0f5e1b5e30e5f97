"""What is cached under which key, and what is not cached at all."""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable
from dataclasses import replace

from ..audio.postprocess import ProcessedAudio
from ..cache.cache import Cache, PinError
from ..cache.entry import Entry
from ..engines.base import Engine, EngineUnavailableError
from ..speech import Caching, SpeechError, Utterance, Voice
from ..voices.names import key as name_key
from ..voices.registry import Voices

_LOGGER = logging.getLogger(__name__)


class CacheLookup:
    """The cache as the pipeline uses it."""

    def __init__(self, cache: Cache | None, voices: Voices, exclude_voices: Collection[str]) -> None:
        """``cache``: None caches nothing. ``exclude_voices``: names of voices whose speech is not cached."""
        self._cache = cache
        self._voices = voices
        self._exclude_voices = frozenset(map(name_key, exclude_voices))

    async def knows(
        self, utterance: Utterance, engine: Engine, caching: Caching, *, flying: bool = True
    ) -> bool:
        """Tell whether an utterance need not be synthesized. ``flying``: because it is in flight, too."""
        try:
            key = self.key(utterance, engine, caching)
        except EngineUnavailableError:
            return False  # what its audio depends on is not known yet
        return key is not None and self._cache is not None and await self._cache.knows(key, flying=flying)

    def key(
        self, utterance: Utterance, engine: Engine, caching: Caching, *, live: bool = False
    ) -> bytes | None:
        """Return the cache key of an utterance; None where it is not cached.

        ``live``: its text is still being written. Raises SpeechError where it should be pinned and cannot be.
        """
        voice = utterance.voice
        reason = self._reason_not_cached(voice)
        if caching == Caching.PIN and reason:
            raise _not_pinned(utterance, reason)
        if caching == Caching.OFF or reason or live:
            return None
        try:
            identity = engine.identity(voice)
        except SpeechError:
            raise
        except Exception as error:
            _LOGGER.exception("The %s engine failed", engine.name)
            raise EngineUnavailableError(f"the {engine.name} engine does not know itself: {error}") from error
        if identity is None:
            if caching == Caching.PIN:
                raise _not_pinned(utterance, f"the {engine.name} voices do not say the same thing twice")
            return None
        return utterance.key(identity)

    def processed(self, key: bytes | None, settings: Hashable, caching: Caching) -> ProcessedAudio | None:
        """Return an utterance that was processed with the same settings; None where it is not in memory."""
        if self._cache is None or key is None or caching == Caching.PIN:
            return None
        return self._cache.memory.derived(key, settings)

    def keep_processed(self, key: bytes, settings: Hashable, audio: ProcessedAudio) -> None:
        """Keep a post-processed utterance in memory beside its entry."""
        if self._cache is not None:
            self._cache.memory.keep_derived(key, settings, audio, len(audio.pcm))

    async def pin(self, key: bytes, utterance: Utterance, entry: Entry, generation: int) -> None:
        """Pin an utterance. Raises SpeechError where that is not possible."""
        assert self._cache is not None
        entry = replace(entry, text=utterance.text, voice=utterance.voice.speaker)
        try:
            await self._cache.pin(key, entry, generation)
        except PinError as error:
            raise _not_pinned(utterance, str(error)) from error

    def _reason_not_cached(self, voice: Voice) -> str:
        """Return why the speech of a voice is not cached, as the end of a sentence; empty if it is."""
        if self._cache is None:
            return "nothing is (--cache-memory, --cache-disk, --cache-redis)"
        if {name_key(voice.name), name_key(voice.speaker)} & self._exclude_voices:
            return f"nothing is that {voice.speaker} says (--cache-exclude-voices)"
        if voice.reference is not None and not self._voices.catalog.has_recording(voice.reference):
            return f"{voice.speaker} is gone"
        return ""


def _not_pinned(utterance: Utterance, reason: str) -> SpeechError:
    return SpeechError(f"{utterance.text[:40]!r} is not kept: {reason}", "not-kept")
