"""The plan of a request: everything that it leaves open, resolved once."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, replace

from ..config.settings import TextSettings
from ..engines.pool import EnginePool
from ..speech import (
    FASTEST,
    LONGEST_NAME,
    LONGEST_TAG,
    SLOWEST,
    Caching,
    SpeechError,
    SpeechRequest,
    Utterance,
    Voice,
)
from ..text import phonemes
from ..text.frontend import Frontend
from ..text.segmentation import Segment
from ..voices.calibration import Calibration
from ..voices.catalog import speaks
from ..voices.names import shorten
from ..voices.registry import Voices
from ..voices.styles import with_instructions

REFRESH_TIMEOUT = 5.0
"""Seconds that a request waits, at most, for a look whether an unknown voice has just been added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechPlan:
    """How a request, or a segment of it with markup of its own, is spoken."""

    voice: Voice
    language: str | None
    """BCP 47: the language that the request names, or that a style binds its voice to; None is detected."""
    expected: str
    """BCP 47: the language that text has unless it looks otherwise."""
    is_language_known: bool
    """Whether the request or the settings name ``expected``; if not, it is the voice's first language."""
    languages: tuple[str, ...] | None
    """The languages to detect among; None is any."""
    is_as_requested: bool
    """Whether the voice and style exist that the request names."""
    is_open: bool
    """Whether the request names neither a voice nor a language, so that the text chooses the voice."""
    speed: float = 1.0
    caching: Caching = Caching.AUTO
    allows_fallback: bool = True
    """Whether another engine's voice may speak where the voice cannot."""
    hops: tuple[str, ...] = ()
    """Servers that the request has passed through, this one last."""


class Planner:
    """Resolves requests into plans, and texts into utterances."""

    def __init__(
        self,
        voices: Voices,
        pool: EnginePool,
        frontend: Frontend,
        calibration: Calibration,
        settings: TextSettings,
        speed: float = 1.0,
    ) -> None:
        """``speed``: of requests that name none."""
        self._voices = voices
        self._pool = pool
        self._frontend = frontend
        self._calibration = calibration
        self._language = settings.language
        self._speed = speed
        self._hop = secrets.token_hex(8)
        """This server's name for others: a request that comes back with it is in a loop."""

    # -- plans ----------------------------------------------------------------------------------------------

    async def plan(self, request: SpeechRequest) -> SpeechPlan:
        """Return the plan of a request. Raises SpeechError."""
        if self._hop in request.hops:
            raise SpeechError("this server asks another one that asks it", "loop-detected")
        plan = await self._for_language(
            request, request.language, reject_unknown=request.reject_unknown_voice
        )
        if request.instructions:
            plan = replace(plan, voice=with_instructions(plan.voice, request.instructions))
        return replace(
            plan,
            speed=self._speed if request.speed is None else request.speed,
            caching=request.caching,
            allows_fallback=request.fallback,
            hops=(*request.hops, self._hop),
        )

    async def for_segment(self, segment: Segment, request: SpeechRequest, plan: SpeechPlan) -> SpeechPlan:
        """Return the plan of a segment; markup may name a voice, language or speed. Raises SpeechError."""
        own = plan
        if segment.voice:
            own = await self._resolve(segment.voice, None, segment.language or request.language)
        elif segment.language:
            own = await self._for_language(request, segment.language)
        return replace(
            own,
            speed=segment.rate * plan.speed,
            caching=plan.caching,
            allows_fallback=plan.allows_fallback,
            hops=plan.hops,
        )

    async def _for_language(
        self, request: SpeechRequest, language: str | None, *, reject_unknown: bool = False
    ) -> SpeechPlan:
        """Return the plan of a request's voice in ``language`` (BCP 47). Raises SpeechError."""
        if (clone := request.clone) is None:
            return await self._resolve(
                request.voice, request.speaker, language, reject_unknown=reject_unknown
            )
        expected = language if speaks(clone, language) else self._language
        return SpeechPlan(
            voice=clone,
            language=language,
            expected=expected if speaks(clone, expected) and expected else clone.languages[0],
            is_language_known=language is not None or self._language is not None,
            languages=clone.languages,
            is_as_requested=True,
            is_open=False,
        )

    async def _resolve(
        self, named: str | None, speaker: str | None, language: str | None, *, reject_unknown: bool = False
    ) -> SpeechPlan:
        """Return the plan for these names, each of which may be None.

        Raises SpeechError where the voice cannot have the style and, if ``reject_unknown``, where voice or
        style are unknown; otherwise the default voice takes their place.
        """
        # The catalog is searched on the event loop, so the names are bounded.
        named, speaker = named and named[:LONGEST_NAME], speaker and speaker[:LONGEST_NAME]
        language = language and language[:LONGEST_TAG]
        if not self._voices.catalog.knows_names(named, speaker):
            # It may have been added a second ago.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_TIMEOUT):
                    await self._voices.refresh()
        catalog = self._voices.catalog
        is_as_requested = catalog.knows_names(named, speaker)
        if reject_unknown and not is_as_requested:
            what = f"no voice {shorten(named)!r}" if named else f"no style {shorten(speaker or '')!r}"
            if named and speaker and catalog.knows_names(named):
                what = f"no style {shorten(speaker)!r} of {shorten(named)}"
            raise SpeechError(f"there is {what}", "voice-not-found")
        voice = catalog.find(named, language or self._language, speaker)
        if language is not None:
            voice = catalog.allow_language(voice, language)
        elif voice.style is not None:
            language = voice.style.language
        is_open = not catalog.has_voice(named, speaker) and language is None
        configured = self._language if speaks(voice, self._language) else None
        return SpeechPlan(
            voice=voice,
            language=language,
            expected=language or configured or voice.languages[0],
            is_language_known=language is not None or self._language is not None,
            languages=None if is_open else voice.languages,
            is_as_requested=is_as_requested,
            is_open=is_open,
        )

    # -- utterances -----------------------------------------------------------------------------------------

    async def utterance(self, plain: str, plan: SpeechPlan) -> tuple[str, Utterance]:
        """Return the language (BCP 47) of text without markup, and its utterance without text."""
        language = plan.language or self._frontend.detect_language(plain, plan.expected, plan.languages)
        voice = self._reader(plan, plain, language)
        if not speaks(voice, language):
            language = voice.languages[0]
        await self._calibration.wait_measured(voice)
        if not self._frontend.is_loaded(language):
            await asyncio.to_thread(self._frontend.load, language)
        is_known = plan.is_language_known or self._frontend.detects_language or language != plan.expected
        tag = self._voices.catalog.spoken_language(voice, language if is_known else None)
        speed = plan.speed * (voice.style.speed if voice.style is not None else 1.0)
        speed = max(SLOWEST, min(FASTEST, speed))
        return language, Utterance("", voice, tag, seed=voice.seed, speed=speed, hops=plan.hops)

    def with_voice(self, voice: Voice, utterance: Utterance, language: str) -> Utterance:
        """Return an utterance for another voice. ``language``: of its text, BCP 47."""
        if voice == utterance.voice:
            return utterance
        if not self.reads_pronunciations(voice):
            utterance = replace(utterance, text=phonemes.remove_pronunciations(utterance.text))
        tag = self._voices.catalog.spoken_language(voice, language)
        return replace(utterance, voice=voice, language=tag, seed=voice.seed)

    def reads_pronunciations(self, voice: Voice) -> bool:
        """Return whether the engine of a voice takes phonemes."""
        engine = self._pool.get(voice.engine)
        return engine is not None and engine.supports_phonemes(voice)

    async def normalize(self, plain: str, language: str) -> str:
        """Return the spoken form of text without markup; in a thread where that takes long."""
        if self._frontend.is_fast_to_normalize(plain):
            return self._frontend.normalize(plain, language)
        return await asyncio.to_thread(self._frontend.normalize, plain, language)

    def _reader(self, plan: SpeechPlan, text: str, language: str) -> Voice:
        """Return the voice that speaks ``text``: the plan's, unless it is open or cannot read the text."""
        if plan.is_open and not speaks(plan.voice, language):
            found = self._voices.catalog.find(None, language)
            if speaks(found, language):
                return found
        return self._voices.catalog.voice_for_script(plan.voice, text)
