"""One utterance: from the cache or an engine, through post-processing, into the buffer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from ..audio.postprocess import Postprocessor
from ..cache.cache import PinError
from ..cache.memory import MemoryCache
from ..engines.base import (
    Engine,
    EngineUnavailableError,
    SilentAudioError,
    TooShortAudioError,
    TruncatedAudioError,
    UnsupportedTextError,
)
from ..engines.pool import EnginePool
from ..speech import Caching, TextFeed, Utterance, Voice
from ..telemetry import quote
from .buffer import AudioBuffer, read_ahead
from .fallback import Fallback
from .lookup import CacheLookup, not_pinned
from .outcome import MISS, OFF, UtteranceTiming
from .reply import Reply

_LOGGER = logging.getLogger(__name__)


class UtteranceSpeaker:
    """Speaks utterances with the first engine that can."""

    def __init__(self, pool: EnginePool, lookup: CacheLookup, fallback: Fallback) -> None:
        self._pool = pool
        self._lookup = lookup
        self._fallback = fallback

    async def knows(self, utterance: Utterance, reply: Reply, *, in_flight: bool = True) -> bool:
        """Return whether an utterance need not be synthesized. ``in_flight``: what is being made counts."""
        engine = self._pool[utterance.voice.engine]
        return await self._lookup.knows(utterance, engine, reply.plan.caching, in_flight=in_flight)

    async def speak(
        self, utterance: Utterance, reply: Reply, language: str, pause: float | None = None
    ) -> Voice:
        """Speak an utterance, or its fallback; return the voice that did.

        ``language``: of its text, BCP 47. ``pause``: seconds of silence before it; None is the settings'.
        Raises SpeechError.
        """
        failed: list[str] = []
        size, sources = reply.buffer.size, len(reply.outcome.sources)
        engine = utterance.voice.engine
        if not self._pool.up(engine) and not await self.knows(utterance, reply, in_flight=False):
            other = self._fallback.replace(utterance, language, reply, [engine])
            if other is not None:
                failed, utterance = [engine], other
        while True:
            try:
                await self.attempt(utterance, reply, pause=pause)
            except (EngineUnavailableError, UnsupportedTextError) as error:
                if reply.buffer.size != size:
                    raise
                del reply.outcome.sources[sources:]
                failed.append(utterance.voice.engine)
                other = self._fallback.replace(utterance, language, reply, failed, error)
                if other is None and await self._may_retry(utterance, reply, failed, error):
                    other = utterance
                if other is None:
                    raise
                utterance = other
            else:
                return utterance.voice

    async def _may_retry(
        self, utterance: Utterance, reply: Reply, failed: list[str], error: Exception
    ) -> bool:
        """Return, when its engine is up, whether the rest of a sentence may be tried once more.

        No other voice may speak it in the middle of a sentence.
        """
        if reply.sentence_voice is None or len(failed) > 1 or not isinstance(error, EngineUnavailableError):
            return False
        return await self._pool.may_retry(utterance.voice.engine)

    async def attempt(
        self, utterance: Utterance, reply: Reply, rest: TextFeed | None = None, pause: float | None = None
    ) -> None:
        """Speak an utterance with its own voice; truncated audio of an engine is spoken, too, but not cached.

        ``rest``: the rest of its text, where it is still being written. Raises SpeechError.
        """
        engine = self._pool[utterance.voice.engine]
        _LOGGER.debug(
            "utterance: begins voice=%s text=%s", quote(utterance.voice.name), quote(utterance.text)
        )
        caching, size = reply.plan.caching, reply.buffer.size
        key = self._lookup.key(utterance, engine, caching, is_live=rest is not None)
        settings = reply.postprocessor.settings(utterance.voice, utterance.speed)
        if not size:
            reply.outcome.record_voice(utterance)
        if (processed := self._lookup.processed(key, settings, caching)) is not None:
            reply.outcome.sources.append(MemoryCache.name)
            await reply.put(reply.postprocessor.replay(processed, pause))
            return
        keep = self._lookup.keeps_processed(key, caching, stores=bool(reply.stores))
        processor = reply.postprocessor.begin(utterance.voice, utterance.speed, pause, keep=keep)
        timing = UtteranceTiming(reply.outcome, OFF if key is None else MISS)
        utterance = replace(
            utterance, on_start=timing.record_start, playback_deadline=reply.playback_deadline
        )
        is_whole = True
        try:
            async with self._audio(utterance, engine, reply, key, rest, timing) as audio:
                await _process(audio, processor, reply, timing)
        except TruncatedAudioError as error:
            if caching == Caching.PIN:
                raise
            _LOGGER.warning(
                "utterance: truncated text=%s reason=%s", quote(utterance.text[:40]), quote(error)
            )
            is_whole = False
        except PinError as error:
            raise not_pinned(utterance, str(error)) from error
        await reply.put(
            processor.finish() if processor.is_fast(b"") else await asyncio.to_thread(processor.finish)
        )
        if not is_whole and reply.buffer.size == size:
            raise SilentAudioError(f"the {engine.name} voice gave nothing to be heard")
        if key is not None and keep and is_whole:
            self._lookup.keep_processed(key, settings, processor.processed)

    @asynccontextmanager
    async def _audio(
        self,
        utterance: Utterance,
        engine: Engine,
        reply: Reply,
        key: bytes | None,
        rest: TextFeed | None,
        timing: UtteranceTiming,
    ) -> AsyncIterator[AudioBuffer | AsyncGenerator[bytes, None]]:
        """Open the audio of an utterance: of the cache, or of its engine where it is not cached."""

        async def may_retry(error: Exception) -> bool:
            if isinstance(error, SilentAudioError):
                return False
            is_failure = isinstance(error, EngineUnavailableError | TooShortAudioError)
            return is_failure and await self._pool.may_retry(engine.name)

        if key is None and rest is None:
            async with read_ahead(self._pool.speak(utterance)) as buffer:
                yield buffer
            return
        if key is None:
            audio = self._pool.speak(utterance, rest)
        else:
            audio = self._lookup.speak(
                key,
                utterance,
                lambda: self._pool.speak(utterance),
                stores=bool(reply.stores),
                pin=reply.plan.caching == Caching.PIN,
                may_retry=may_retry,
                on_source=timing.set_source,
            )
        async with aclosing(audio):
            yield audio


async def _process(
    audio: AudioBuffer | AsyncGenerator[bytes, None],
    processor: Postprocessor,
    reply: Reply,
    timing: UtteranceTiming,
) -> None:
    """Post-process an utterance's chunks as they come, and give them to the listener."""
    while True:
        with timing.waiting():
            chunk = await anext(audio, None)
        if chunk is None:
            return
        timing.record_audio(chunk)
        await reply.put(
            processor.push(chunk)
            if processor.is_fast(chunk)
            else await asyncio.to_thread(processor.push, chunk)
        )
