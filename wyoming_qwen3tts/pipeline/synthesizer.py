"""The pipeline from text to audio: next segment, plan, cache or engine, post-processing, buffer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from ..audio.pcm import silence
from ..audio.postprocess import ReplyPostprocessor
from ..cache.cache import Cache
from ..config.settings import Settings
from ..engines.base import EngineUnavailableError, UnsupportedTextError
from ..engines.pool import EnginePool
from ..speech import Caching, SpeechError, SpeechRequest, Utterance
from ..text import segmentation
from ..text.frontend import Frontend
from ..text.scripts import has_words
from ..text.segmentation import Segment
from ..voices.calibration import Calibration
from ..voices.registry import Voices
from .buffer import AudioBuffer
from .fallback import Fallback
from .live import LiveSpeaker
from .lookup import CacheLookup
from .outcome import VOICE, Outcome
from .plan import Planner, SpeechPlan
from .reply import Reply
from .speaker import UtteranceSpeaker
from .stream import SpeechStream

NO_SPEECH = 0.1
"""Seconds of silence that answer a text without words: Home Assistant cannot convert an empty stream."""
CLAUSE_ENDS = frozenset(",;:\u2013\u2014\u3001\uff0c\uff1b\uff1a")
"""Ends of a first clause that is spoken before its sentence is known: , ; : and their like."""


class Synthesizer:
    """Turns requests into audio; a sentence is synthesized while the one before is sent."""

    def __init__(
        self,
        voices: Voices,
        pool: EnginePool,
        settings: Settings,
        *,
        calibration: Calibration,
        frontend: Frontend,
        cache: Cache | None = None,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._calibration = calibration
        self._frontend = frontend
        self._planner = Planner(voices, pool, frontend, calibration, settings.text, settings.audio.speed)
        self._lookup = CacheLookup(cache, voices, settings.cache)
        fallback = Fallback(voices, pool, self._planner)
        self._speaker = UtteranceSpeaker(pool, self._lookup, fallback)
        self._live_speaker = LiveSpeaker(frontend, self._speaker, fallback)

    def speak(self, request: SpeechRequest) -> SpeechStream:
        """Return the audio of a request; the work begins when the first chunk is asked for."""
        return SpeechStream(request, self._produce, self._settings.audio)

    async def _produce(self, request: SpeechRequest, buffer: AudioBuffer, outcome: Outcome) -> None:
        """Fill ``buffer`` with the audio of a request, and close it."""
        timeout = asyncio.timeout(None)
        try:
            plan = await self._planner.plan(request)
            if not plan.is_as_requested:
                outcome.fallback = VOICE
            async with timeout:
                postprocessor = ReplyPostprocessor(self._settings.audio, self._calibration.levels)
                reply = Reply(request, plan, postprocessor, buffer, outcome, timeout)
                await self._speak_segments(reply)
            buffer.close()
        except asyncio.CancelledError:
            buffer.close(EngineUnavailableError("the request was cancelled"))
            raise
        except TimeoutError as error:
            buffer.close(self._late(error) if timeout.expired() else error)
        except Exception as error:
            buffer.close(error)

    def _late(self, cause: TimeoutError) -> SpeechError:
        limit = self._settings.limits.first_audio_timeout
        message = f"there was no sound after {limit:g} s (--first-audio-timeout)"
        error = SpeechError(message, "deadline-exceeded")
        error.__cause__ = cause
        return error

    async def _speak_segments(self, reply: Reply) -> None:
        """Speak a request's text, segment by segment."""
        pause: float | None = None
        async with aclosing(await self._split(reply)) as segments:
            async for segment in segments:
                if reply.stores is None:
                    reply.stores = self._lookup.stores(reply.request)
                plan = await self._planner.for_segment(segment, reply.request, reply.plan)
                pause = segment.pause if pause is None else pause + (segment.pause or 0.0)
                if await self._speak_segment(segment, plan, reply, pause):
                    pause = None
        if reply.postprocessor.trailing_silence is None:
            if reply.plan.caching == Caching.PIN:
                raise UnsupportedTextError("there is nothing to say")
            await reply.put(silence(NO_SPEECH))
        elif pause:
            await reply.put(silence(pause))

    async def _speak_segment(
        self, segment: Segment, plan: SpeechPlan, reply: Reply, pause: float | None
    ) -> bool:
        """Speak one segment; return whether it has words. ``pause``: seconds before it."""
        plain = self._frontend.remove_markup(segment.text, plan.expected)
        if segment.rest is not None and not has_words(plain):
            segment = await segmentation.complete_segment(segment)
            plain = self._frontend.remove_markup(segment.text, plan.expected)
        if not has_words(plain):
            return False
        language, utterance = await self._planner.utterance(plain, plan)
        if reply.sentence_voice is not None:
            utterance = self._planner.with_voice(reply.sentence_voice, utterance, language)
        if segment.rest is not None and not self._speaks_live(utterance.voice.engine):
            segment = await segmentation.complete_segment(segment)
            plain = self._frontend.remove_markup(segment.text, language)
        reply.expect_audio_within(self._settings.limits.first_audio_timeout)
        if segment.rest is not None:
            await self._live_speaker.speak(utterance, segment, language, reply)
            reply.sentence_voice = None
            return True
        if self._planner.reads_pronunciations(utterance.voice):
            plain = self._frontend.remove_markup(segment.text, language, pronunciations=True)
        utterance = replace(utterance, text=await self._planner.normalize(plain, language))
        if not has_words(utterance.text):
            return False
        for each in await self._cached_fragments(utterance, segment, language, reply):
            voice = await self._speaker.speak(each, reply, language, pause)
            pause = None
        reply.sentence_voice = voice if segment.text.rstrip()[-1:] in CLAUSE_ENDS else None
        return True

    def _speaks_live(self, engine: str) -> bool:
        return self._pool[engine].supports_live_text and self._pool.up(engine)

    async def _split(self, reply: Reply) -> AsyncGenerator[Segment, None]:
        """Return the segments of a request's text, as they become known."""
        request, text = reply.request, self._settings.text
        # Cached utterances are whole sentences, and a pinned one has no clauses of its own.
        live = text.live_text and request.caching not in {Caching.ON, Caching.PIN}
        first_clause = text.first_clause and not live and request.caching != Caching.PIN
        return segmentation.split_segments(
            request.text,
            markup=request.markup,
            language=reply.plan.expected,
            first_clause=first_clause and not await self._begins_with_cached(reply),
            live=live,
        )

    # -- cached sentences -----------------------------------------------------------------------------------

    async def _begins_with_cached(self, reply: Reply) -> bool:
        """Return whether a text begins with a long sentence that is cached: then it is not to be cut."""
        request, plan = reply.request, reply.plan
        if not self._lookup.looks_up(plan.caching) or not request.text.ended:
            return False
        text = request.text.peek()
        if segmentation.is_too_short_to_split(text):
            return False
        segment = await segmentation.find_first_segment(text, markup=request.markup, language=plan.expected)
        if (
            segment is None
            or segment.voice
            or segment.language
            or len(segmentation.split_fragments(segment.text)) == 1
        ):
            return False
        plain = self._frontend.remove_markup(segment.text, plan.expected)
        if not has_words(plain):
            return False
        language, utterance = await self._planner.utterance(plain, plan)
        utterance = replace(utterance, text=await self._planner.normalize(plain, language))
        return await self._speaker.knows(utterance, reply)

    async def _cached_fragments(
        self, utterance: Utterance, segment: Segment, language: str, reply: Reply
    ) -> Sequence[Utterance]:
        """Return a sentence's fragments where they are cached and the whole is not; else the whole.

        A reply may have begun with its first clause, so that a sentence is cached in fragments.
        """
        if reply.plan.caching == Caching.PIN or not self._lookup.looks_up(reply.plan.caching):
            return [utterance]
        fragments = segmentation.split_fragments(segment.text)
        if len(fragments) == 1 or await self._speaker.knows(utterance, reply):
            return [utterance]
        found = []
        for fragment in fragments:
            plain = self._frontend.remove_markup(fragment, language)
            text = await self._planner.normalize(plain, language)
            if has_words(text):
                found.append(replace(utterance, text=text))
                if not await self._speaker.knows(found[-1], reply):
                    return [utterance]
        return found
