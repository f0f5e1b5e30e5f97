"""The plan of a request: which voice says its text, in which language, style and speed."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace

from ..engines.pool import EnginePool
from ..speech import FASTEST, LONGEST_NAME, LONGEST_TAG, SLOWEST, SpeechError, SpeechRequest, Utterance, Voice
from ..text import phonemes
from ..text.frontend import Frontend
from ..text.segmentation import Segment
from ..voices.calibration import Calibration
from ..voices.catalog import speaks
from ..voices.names import brief
from ..voices.registry import Voices

REFRESH = 5.0
"""Seconds that a request waits, at most, for a look whether an unknown voice has just been added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicePlan:
    """Which voice says a text, and in which language."""

    voice: Voice
    language: str | None
    """BCP 47: the language that the request names, or that a style binds its voice to; None is detected."""
    expected: str
    """BCP 47: the language that the text has unless it looks otherwise."""
    language_known: bool
    """Whether the request or the settings name ``expected``; if not, it is the voice's first language."""
    languages: tuple[str, ...] | None
    """The languages to detect among; None is any."""
    is_as_requested: bool
    """Whether the voice and style exist that the request names."""
    is_open: bool
    """Whether the request names neither a voice nor a language, so that the text chooses the voice."""


class Planner:
    """Resolves names of voices, styles and languages into plans, and texts into utterances."""

    def __init__(
        self,
        voices: Voices,
        pool: EnginePool,
        frontend: Frontend,
        calibration: Calibration,
        language: str | None,
    ) -> None:
        """``language``: BCP 47, of texts that say nothing about their own; None is the voice's."""
        self._voices = voices
        self._pool = pool
        self._frontend = frontend
        self._calibration = calibration
        self._language = language

    def with_voice(self, voice: Voice, utterance: Utterance, language: str) -> Utterance:
        """Return an utterance for another voice. ``language``: of its text, BCP 47."""
        if voice == utterance.voice:
            return utterance
        if not self.reads_pronunciations(voice):
            utterance = replace(utterance, text=phonemes.remove_pronunciations(utterance.text))
        tag = self._voices.catalog.language(voice, language)
        return replace(utterance, voice=voice, language=tag, seed=voice.seed)

    def reads_pronunciations(self, voice: Voice) -> bool:
        """Tell whether the engine of a voice takes phonemes."""
        engine = self._pool.get(voice.engine)
        return engine is not None and engine.supports_phonemes(voice)

    async def utterance(self, plain: str, plan: VoicePlan, speed: float) -> tuple[str, Utterance]:
        """Return the language of plain text and its utterance, whose text is still empty."""
        language = plan.language or self._frontend.detect_language(plain, plan.expected, plan.languages)
        voice = self._reader(plan, plain, language)
        if not speaks(voice, language):
            language = voice.languages[0]
        await self._calibration.ready(voice)
        if not self._frontend.is_loaded(language):
            await asyncio.to_thread(self._frontend.load, language)
        known = plan.language_known or self._frontend.detects_language or language != plan.expected
        tag = self._voices.catalog.language(voice, language if known else None)
        if voice.style is not None:
            speed *= voice.style.speed
        return language, Utterance("", voice, tag, seed=voice.seed, speed=max(SLOWEST, min(FASTEST, speed)))

    async def normalized(self, plain: str, language: str) -> str:
        """Return plain text in its spoken form."""
        if self._frontend.is_fast_to_normalize(plain):
            return self._frontend.normalize(plain, language)
        return await asyncio.to_thread(self._frontend.normalize, plain, language)

    async def for_segment(self, segment: Segment, request: SpeechRequest) -> VoicePlan:
        """Return the plan of a segment whose markup names a voice or a language. Raises SpeechError."""
        language = segment.language or request.language
        if segment.voice:
            return await self._resolve(segment.voice, None, language)
        return await self.for_request(request, language)

    async def for_request(
        self, request: SpeechRequest, language: str | None, *, reject_unknown_voice: bool = False
    ) -> VoicePlan:
        """Return the plan of a request in ``language`` (BCP 47). Raises SpeechError."""
        if (clone := request.clone) is None:
            return await self._resolve(
                request.voice, request.speaker, language, reject_unknown_voice=reject_unknown_voice
            )
        expected = language if speaks(clone, language) else self._language
        return VoicePlan(
            voice=clone,
            language=language,
            expected=expected if speaks(clone, expected) and expected else clone.languages[0],
            language_known=language is not None or self._language is not None,
            languages=clone.languages,
            is_as_requested=True,
            is_open=False,
        )

    async def _resolve(
        self,
        named: str | None,
        speaker: str | None,
        language: str | None,
        *,
        reject_unknown_voice: bool = False,
    ) -> VoicePlan:
        """Return the plan for these names, each of which may be None.

        Raises SpeechError where the voice cannot have the style and, if ``reject_unknown_voice``, where voice
        or style are unknown; otherwise the default voice takes their place.
        """
        # The catalog is searched on the event loop, so the names are bounded.
        named, speaker = named and named[:LONGEST_NAME], speaker and speaker[:LONGEST_NAME]
        language = language and language[:LONGEST_TAG]
        if not self._voices.catalog.understands(named, speaker):
            # It may have been added a second ago.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH):
                    await self._voices.refresh()
        catalog = self._voices.catalog
        if reject_unknown_voice and not catalog.understands(named, speaker):
            what = f"no voice {brief(named)!r}" if named else f"no style {brief(speaker or '')!r}"
            if named and speaker and catalog.understands(named):
                what = f"no style {brief(speaker)!r} of {brief(named)}"
            raise SpeechError(f"there is {what}", "voice-not-found")
        voice = catalog.find(named, language or self._language, speaker)
        if language is not None:
            voice = catalog.unbound(voice, language)
        elif voice.style is not None:
            language = voice.style.language
        free = not catalog.has(named, speaker) and language is None
        expected = (
            language or (self._language if speaks(voice, self._language) else None) or voice.languages[0]
        )
        return VoicePlan(
            voice=voice,
            language=language,
            expected=expected,
            language_known=language is not None or self._language is not None,
            languages=None if free else voice.languages,
            is_as_requested=catalog.understands(named, speaker),
            is_open=free,
        )

    def _reader(self, plan: VoicePlan, text: str, language: str) -> Voice:
        """Return the voice that says ``text``: the plan's, unless the plan is open or it cannot read it."""
        if plan.is_open and not speaks(plan.voice, language):
            found = self._voices.catalog.find(None, language)
            if speaks(found, language):
                return found
        return self._voices.catalog.reader(plan.voice, text)
