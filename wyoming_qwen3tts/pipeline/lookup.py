"""What is cached under which key, and what is not cached at all."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Hashable

from ..audio.postprocess import ProcessedAudio
from ..cache.cache import Cache
from ..cache.keys import utterance_key
from ..cache.singleflight import Make, MayRetry
from ..config.settings import CacheSettings
from ..engines.base import Engine, EngineUnavailableError
from ..speech import Caching, SpeechError, SpeechRequest, Utterance, Voice
from ..voices.names import name_key
from ..voices.registry import Voices

_LOGGER = logging.getLogger(__name__)


class CacheLookup:
    """The cache as the pipeline uses it."""

    def __init__(self, cache: Cache | None, voices: Voices, settings: CacheSettings) -> None:
        """``cache``: None caches nothing."""
        self._cache = cache
        self._voices = voices
        self._caches_live = settings.cache_live
        self._excluded_voices = frozenset(map(name_key, settings.cache_exclude_voices))

    def looks_up(self, caching: Caching) -> bool:
        """Return whether a request with ``caching`` is served from the cache at all."""
        return self._cache is not None and caching != Caching.OFF

    def stores(self, request: SpeechRequest) -> bool:
        """Return whether new utterances of a request are stored.

        Text that is still being written comes from a language model, which rarely repeats itself; text that
        is whole may be a phrase.
        """
        return self._caches_live or request.text.ended or request.caching != Caching.AUTO

    async def knows(
        self, utterance: Utterance, engine: Engine, caching: Caching, *, in_flight: bool = True
    ) -> bool:
        """Return whether an utterance need not be synthesized. ``in_flight``: what is being made counts."""
        try:
            key = self.key(utterance, engine, caching)
        except EngineUnavailableError:
            return False  # what its audio depends on is not known now
        return (
            key is not None and self._cache is not None and await self._cache.knows(key, in_flight=in_flight)
        )

    def key(
        self, utterance: Utterance, engine: Engine, caching: Caching, *, is_live: bool = False
    ) -> bytes | None:
        """Return the cache key of an utterance; None where it is not cached.

        ``is_live``: its text is still being written. Raises SpeechError where it cannot be pinned.
        """
        voice = utterance.voice
        reason = self._reason_not_cached(voice)
        if caching == Caching.PIN and reason:
            raise not_pinned(utterance, reason)
        if caching == Caching.OFF or reason or is_live:
            return None
        try:
            identity = engine.identity(voice)
        except SpeechError:
            raise
        except Exception as error:
            _LOGGER.exception("engine: identity failed engine=%s", engine.name)
            raise EngineUnavailableError(f"the {engine.name} engine has no identity: {error}") from error
        if identity is None:
            if caching == Caching.PIN:
                raise not_pinned(utterance, f"the {engine.name} voices do not repeat themselves exactly")
            return None
        return utterance_key(utterance, identity)

    def speak(
        self,
        key: bytes,
        utterance: Utterance,
        make: Make,
        *,
        stores: bool,
        pin: bool,
        may_retry: MayRetry,
        on_source: Callable[[str], object],
    ) -> AsyncGenerator[bytes, None]:
        """Return the audio of an utterance from the cache, or as ``make`` yields it: ``Cache.speak``."""
        assert self._cache is not None
        return self._cache.speak(
            key,
            make,
            text=utterance.text,
            voice=utterance.voice.speaker,
            keep=stores and not pin,  # pinning stores it
            pin=pin,
            may_retry=may_retry,
            on_source=on_source,
        )

    def keeps_processed(self, key: bytes | None, caching: Caching, *, stores: bool) -> bool:
        """Return whether a post-processed utterance is kept: where its entry is in memory, or will be."""
        if self._cache is None or key is None or caching == Caching.PIN:
            return False
        return stores or key in self._cache.memory

    def processed(self, key: bytes | None, settings: Hashable, caching: Caching) -> ProcessedAudio | None:
        """Return an utterance that was processed with the same settings; None where it is not in memory."""
        if self._cache is None or key is None or caching == Caching.PIN:
            return None
        return self._cache.memory.processed(key, settings)

    def keep_processed(self, key: bytes, settings: Hashable, audio: ProcessedAudio) -> None:
        """Keep a post-processed utterance in memory beside its entry."""
        if self._cache is not None:
            self._cache.memory.store_processed(key, settings, audio, len(audio.pcm))

    def _reason_not_cached(self, voice: Voice) -> str:
        """Return why the speech of a voice is not cached, as the end of a sentence; empty if it is."""
        if self._cache is None:
            return "there is no cache (--cache-memory, --cache-disk, --cache-redis)"
        if {name_key(voice.name), name_key(voice.speaker)} & self._excluded_voices:
            return f"the voice {voice.speaker} is excluded (--cache-exclude-voices)"
        if voice.reference is not None and not self._voices.catalog.has_recording(voice.reference):
            return f"the voice {voice.speaker} is gone"
        return ""


def not_pinned(utterance: Utterance, reason: str) -> SpeechError:
    """Return the error for an utterance that cannot be pinned."""
    return SpeechError(f"{utterance.text[:40]!r} is not kept: {reason}", "not-kept")
