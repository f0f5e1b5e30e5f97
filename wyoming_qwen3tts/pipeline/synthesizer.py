"""The road from text to sound: an async stream of text in, an async stream of PCM out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from ..audio import pcm as sound
from ..audio.postprocess import PostprocessingSettings, ReplyPostprocessor
from ..cache.cache import Cache
from ..cache.entry import Entry
from ..engines.base import Engine, EngineUnavailableError, TruncatedAudioError, UnsupportedTextError
from ..engines.pool import EnginePool
from ..speech import (
    MISS,
    OFF,
    VOICE,
    Caching,
    SpeechError,
    SpeechRequest,
    TextFeed,
    Utterance,
    UtteranceTiming,
    Voice,
)
from ..text import segmentation
from ..text.frontend import Frontend
from ..text.scripts import has_words
from ..text.segmentation import Segment
from ..voices.calibration import Calibration
from ..voices.registry import Voices
from ..voices.styles import instructed
from .buffer import AudioBuffer, read_ahead
from .lookup import CacheLookup
from .plan import Planner, VoicePlan

_LOGGER = logging.getLogger(__name__)

NOTHING_TO_SAY = 0.1
"""Seconds of silence that answer a text without words: Home Assistant cannot convert an empty stream."""
KEEP_ALIVE = 0.05
"""Seconds of silence a second that keep a stream alive while its listener still has sound."""
BRIDGE_STEP = 0.2
"""Seconds of silence at a time once the listener has run dry, in real time."""
HEAD_START = 10.0
"""Seconds that a reply's first sentence counts as overdue: it goes before every other but those of listeners
who have run dry for longer, so that nobody starves."""
NO_HURRY = 60.0
"""Seconds until what nobody listens to is due."""
CLAUSE_ENDS = frozenset(",;:\u2013\u2014\u3001\uff0c\uff1b\uff1a")
"""What a first clause ends with that is spoken before its sentence is known: , ; : and their like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Bounds of one request; the settings have their defaults."""

    buffer_seconds: float
    """Sound made ahead of what the client has taken."""
    deadline: float = 0.0
    """Seconds from a request's words to its first sound; 0 is no limit."""
    keepalive_after: float
    """Seconds without text, once sound began, after which silence is sent; 0 sends none."""
    live_text: bool = False
    """Speak a sentence while it is being written, where the voice can."""
    first_clause: bool = False
    """Begin a reply with the first clause of a long sentence."""


@dataclass(slots=True)
class _Job:
    """One request on the road."""

    request: SpeechRequest
    reply: ReplyPostprocessor
    lead: AudioBuffer
    keep: bool | None = None
    """Whether its sentences may be kept; None before the first one."""
    begun: Voice | None = None
    """Who has said the beginning of a sentence that is not at its end yet."""

    @property
    def due(self) -> float:
        """When its listener runs dry; for who has heard nothing yet, some time ago; for nobody, later."""
        if not self.request.listened or self.request.caching == Caching.PIN:
            return time.monotonic() + NO_HURRY
        return self.lead.dry if self.lead.heard else time.monotonic() - HEAD_START


class Synthesizer:
    """Takes requests to sound: sentences, voices, engines, and one sentence made while another is sent."""

    def __init__(
        self,
        voices: Voices,
        pool: EnginePool,
        limits: RequestLimits,
        *,
        finishing: PostprocessingSettings,
        calibration: Calibration,
        speed: float,
        frontend: Frontend,
        language: str | None = None,
        cache: Cache | None = None,
        cache_live: bool = False,
        cache_exclude_voices: Collection[str] = (),
    ) -> None:
        """``speed``, ``language`` (BCP 47): where a request has no own.

        ``cache_live``: keep the sentences of texts that are still being written. ``cache_exclude_voices``:
        names of voices of whose speech nothing is kept.
        """
        self._voices = voices
        self._pool = pool
        self._limits = limits
        self._finishing = finishing
        self._calibration = calibration
        self._speed = speed
        self._frontend = frontend
        self._planner = Planner(voices, pool, frontend, calibration, language)
        self._cache = cache
        self._lookup = CacheLookup(cache, voices, cache_exclude_voices)
        self._cache_live = cache_live
        self._here = secrets.token_hex(8)
        """What servers that are asked for help see this one as: a request that has been here is in a loop."""

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``request`` in order: PCM pieces of whole samples, of any length above zero.

        Raises SpeechError when some of the text cannot be said: whatever came before is then not the whole.
        Closing the generator (``aclosing``) cancels the work.
        """
        if self._here in request.hops:
            raise SpeechError("this server asks another one that asks it", "loop-detected")
        lead = AudioBuffer(self._limits.buffer_seconds)
        maker = asyncio.create_task(self._make(request, lead), name="maker")
        clock, playback = time.monotonic, lead.playback
        wait: float | None = None
        try:
            while True:
                try:
                    if lead.ready:
                        piece = await lead.take()
                    else:
                        async with asyncio.timeout(wait) as patience:
                            piece = await lead.take()
                    wait = self._limits.keepalive_after or None
                except TimeoutError:
                    if not patience.expired():
                        raise  # the voice's own
                    if not request.text.waiting:
                        continue  # the engine is at work: this pause is not the text's
                    in_hand = playback.in_hand(clock())
                    piece = sound.silence(BRIDGE_STEP if in_hand <= BRIDGE_STEP else KEEP_ALIVE)
                    wait = min(self._limits.keepalive_after, max(BRIDGE_STEP, in_hand - BRIDGE_STEP))
                if piece is None:
                    return
                playback.sent(piece, clock())
                yield piece
        finally:
            maker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await maker

    async def _make(self, request: SpeechRequest, lead: AudioBuffer) -> None:
        """Fill ``lead`` with the sound of ``request``; runs as a task beside whoever empties it."""
        try:
            job = _Job(request, ReplyPostprocessor(self._finishing, self._calibration.levels), lead)
            limits = self._limits
            plan = await self._planner.for_request(
                request, request.language, reject_unknown_voice=request.reject_unknown_voice
            )
            if not plan.is_as_requested:
                request.report.fallback = VOICE
            if request.instructions:
                plan = replace(plan, voice=instructed(plan.voice, request.instructions))
            # What is to be kept is said in whole sentences.
            live = limits.live_text and request.caching not in {Caching.ON, Caching.PIN}
            cut = limits.first_clause and not live and request.caching != Caching.PIN
            text = segmentation.split_segments(
                request.text,
                markup=request.markup,
                language=plan.expected,
                first_clause=cut and not await self._begins_with_known(job, plan),
                live=live,
            )
            pause: float | None = None
            async with self._deadline(lead), aclosing(text) as segments:
                async for segment in segments:
                    if job.keep is None:
                        # Who writes a text while it is read is a language model, and that rarely says a thing
                        # twice. What was there at once is a phrase, or may be.
                        job.keep = self._cache_live or request.text.ended or request.caching != Caching.AUTO
                    own = (
                        await self._planner.for_segment(segment, request)
                        if segment.voice or segment.language
                        else plan
                    )
                    pause = segment.pause if pause is None else pause + (segment.pause or 0.0)
                    speed = segment.rate * (self._speed if request.speed is None else request.speed)
                    if await self._say_part(job, segment, own, speed, pause):
                        pause = None
            if job.reply.trail is None:
                if request.caching == Caching.PIN:
                    lead.close(UnsupportedTextError("there is nothing to say"))
                    return
                await lead.put(sound.silence(NOTHING_TO_SAY))
            elif pause:
                await lead.put(sound.silence(pause))
            lead.close()
        except asyncio.CancelledError:
            lead.close(EngineUnavailableError("the voice was cancelled"))
            raise
        except Exception as error:
            lead.close(error)

    @asynccontextmanager
    async def _deadline(self, lead: AudioBuffer) -> AsyncGenerator[None, None]:
        """End what happens inside if nothing is heard in time. Raises SpeechError (``deadline-exceeded``)."""
        try:
            async with asyncio.timeout(None) as patience:
                lead.patience = patience
                yield
        except TimeoutError as error:
            if not patience.expired():
                raise
            limit = self._limits.deadline
            message = f"there was no sound after {limit:g} s (--first-audio-timeout)"
            raise SpeechError(message, "deadline-exceeded") from error
        finally:
            lead.patience = None

    async def _say_part(
        self, job: _Job, segment: Segment, plan: VoicePlan, speed: float, pause: float | None
    ) -> bool:
        """Make the sound of one part of a text; tell whether there was anything to say."""
        plain = self._frontend.remove_markup(segment.text, plan.expected)
        if segment.rest is not None and not has_words(plain):
            segment = await segmentation.complete_segment(segment)
            plain = self._frontend.remove_markup(segment.text, plan.expected)
        if not has_words(plain):
            return False
        language, utterance = await self._planner.utterance(plain, plan, speed)
        utterance = replace(utterance, hops=(*job.request.hops, self._here))
        if job.begun is not None:
            utterance = self._planner.with_voice(job.begun, utterance, language)
        if segment.rest is not None and not self._speaks_live(utterance.voice.engine):
            segment = await segmentation.complete_segment(segment)
            plain = self._frontend.remove_markup(segment.text, language)
        job.lead.hurry(self._limits.deadline)
        if segment.rest is not None:
            await self._say_live(utterance, segment, language, job)
            job.begun = None
            return True
        if self._planner.reads_pronunciations(utterance.voice):
            plain = self._frontend.remove_markup(segment.text, language, pronunciations=True)
        utterance = replace(utterance, text=await self._planner.normalized(plain, language))
        if not has_words(utterance.text):
            return False
        for each in await self._as_known(utterance, segment, language, job):
            voice = await self._say(each, job, language, pause=pause)
            pause = None
        job.begun = voice if segment.text.rstrip()[-1:] in CLAUSE_ENDS else None
        return True

    def _speaks_live(self, engine: str) -> bool:
        return self._pool[engine].supports_live_text and self._pool.up(engine)

    async def _begins_with_known(self, job: _Job, plan: VoicePlan) -> bool:
        """Tell whether a reply begins with a long sentence that is known: then it is not to be cut."""
        request = job.request
        if self._cache is None or request.caching == Caching.OFF or not request.text.ended:
            return False
        if segmentation.is_too_short_to_split(request.text.peek()):
            return False
        segment = await segmentation.find_first_segment(
            request.text.peek(), markup=request.markup, language=plan.expected
        )
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
        language, utterance = await self._planner.utterance(plain, plan, 1.0)
        return await self._known(
            replace(utterance, text=await self._planner.normalized(plain, language)), job
        )

    async def _as_known(
        self, utterance: Utterance, segment: Segment, language: str, job: _Job
    ) -> Sequence[Utterance]:
        """Return the utterances that a sentence is said in: itself, or the pieces of it that are known."""
        if job.request.caching in {Caching.OFF, Caching.PIN} or self._cache is None:
            return [utterance]
        pieces = segmentation.split_fragments(segment.text)
        if len(pieces) == 1 or await self._known(utterance, job):
            return [utterance]
        found = []
        for piece in pieces:
            spoken = await self._planner.normalized(self._frontend.remove_markup(piece, language), language)
            if has_words(spoken):
                found.append(replace(utterance, text=spoken))
                if not await self._known(found[-1], job):
                    return [utterance]
        return found

    async def _known(self, utterance: Utterance, job: _Job, *, flying: bool = True) -> bool:
        """Tell whether an utterance need not be synthesized. ``flying``: because it is in flight, too."""
        engine = self._pool[utterance.voice.engine]
        return await self._lookup.knows(utterance, engine, job.request.caching, flying=flying)

    async def _say_live(self, utterance: Utterance, segment: Segment, language: str, job: _Job) -> None:
        """Say a sentence that is still being written."""
        frontend = self._frontend
        pieces = segmentation.normalize_incrementally(
            segment, lambda text: frontend.normalize(frontend.remove_markup(text, language), language)
        )
        rest = TextFeed()
        async with aclosing(pieces):
            first = await anext(pieces, "")
            said = [first]
            pump = asyncio.create_task(_pump(pieces, rest, said), name="pump")
            heard = job.lead.heard
            try:
                if has_words(first):
                    await self._say_once(replace(utterance, text=first), job, rest)
            except (EngineUnavailableError, UnsupportedTextError) as error:
                other = self._stand_in(replace(utterance, text=first), language, job, heard, error)
                if other is None:
                    raise
                await asyncio.wait({pump})  # until all of it is written
                await self._say(replace(other, text="".join(said)), job, language)
            finally:
                pump.cancel()
                await asyncio.wait({pump})

    async def _say(self, utterance: Utterance, job: _Job, language: str, pause: float | None = None) -> Voice:
        """Make the sound of one utterance, with the first engine that can; return who says it.

        ``language``: of its text, BCP 47. See ``_say_once``.
        """
        out: list[str] = []
        heard, sources = job.lead.heard, job.request.report.sources
        before = len(sources)
        engine = utterance.voice.engine
        if not self._pool.up(engine) and not await self._known(utterance, job, flying=False):
            utterance = self._stand_in(utterance, language, job, heard, out=[engine]) or utterance
        while True:
            try:
                await self._say_once(utterance, job, pause=pause)
            except (EngineUnavailableError, UnsupportedTextError) as error:
                first, again = not out, job.begun is not None and isinstance(error, EngineUnavailableError)
                out.append(utterance.voice.engine)
                other = self._stand_in(utterance, language, job, heard, error, out=out)
                if other is None and first and again and job.lead.heard == heard:
                    # Another voice in the middle of a sentence is not to be: the same one tries once more.
                    other = utterance if await self._pool.wait_ready(utterance.voice.engine) else None
                if other is None:
                    raise
                utterance = other
                del sources[before:]
            else:
                return utterance.voice

    def _stand_in(
        self,
        utterance: Utterance,
        language: str,
        job: _Job,
        heard: int,
        error: SpeechError | None = None,
        *,
        out: Sequence[str] = (),
    ) -> Utterance | None:
        """Return what another engine may say in the place of an utterance, None where none may.

        ``language``: of the text, BCP 47. ``out``: further engines that cannot. ``heard``: what the listener
        had heard before it; now it has to be the same. What is to be kept for ever is its own voice's to say,
        and so is what has begun a sentence its end.
        """
        own = job.request.caching == Caching.PIN or not job.request.fallback
        if own or job.lead.heard != heard or job.begun is not None:
            return None
        engines = self._pool.stand_ins((*out, utterance.voice.engine))
        voice = self._voices.catalog.stand_in(utterance.voice, language, utterance.text, engines)
        if voice is None:
            return None
        job.request.report.stands_in()
        level = logging.DEBUG if error is None else logging.INFO
        _LOGGER.log(level, "%s speaks for %s: %s", voice.name, utterance.voice.name, error or "it is down")
        return self._planner.with_voice(voice, utterance, language)

    async def _say_once(
        self,
        utterance: Utterance,
        job: _Job,
        rest: TextFeed | None = None,
        pause: float | None = None,
    ) -> None:
        """Make the sound of one utterance: whole, or as far as a voice that lost itself came.

        ``rest``: what its text goes on with, if it is still being written (for an engine with
        ``supports_live_text`` only). ``pause``: seconds of silence before it; None is what the settings say.
        """
        engine = self._pool[utterance.voice.engine]
        _LOGGER.debug("%s says: %s", utterance.voice.name, utterance.text)
        pieces = 0
        key = self._lookup.key(
            utterance, engine, job.request.caching, live=rest is not None and engine.supports_live_text
        )
        recipe = job.reply.recipe(utterance.voice, utterance.speed)
        report, heard = job.request.report, job.lead.heard
        report.says(utterance, first=not heard)
        if (known := self._lookup.processed(key, recipe, job.request.caching)) is not None:
            report.sources.append(self._cache.memory.name if self._cache is not None else OFF)
            await job.lead.put(job.reply.again(known, pause))
            return
        finish, lead = job.reply.begin(utterance.voice, utterance.speed, pause), job.lead
        generation, began = self._cache.generation if self._cache is not None else 0, time.monotonic()
        sounds: list[bytes] | None = [] if job.request.caching == Caching.PIN else None
        whole = True
        turn = UtteranceTiming(report)
        utterance = replace(utterance, on_start=turn.begin, playback_deadline=job.due)
        async with aclosing(self._sounds(utterance, engine, rest, job, key)) as stream:
            while True:
                try:
                    with turn.waiting():
                        piece = await anext(stream, None)
                except TruncatedAudioError as cut:
                    if sounds is not None:
                        raise  # it was to be kept for ever, and is not even whole
                    _LOGGER.warning("%s was cut short: %s", utterance.text[:40], cut)
                    whole = False
                    break
                if piece is None:
                    break
                pieces += 1
                turn.heard(piece)
                if sounds is not None:
                    sounds.append(piece)
                await lead.put(
                    finish.push(piece) if finish.light(piece) else await asyncio.to_thread(finish.push, piece)
                )
        if not pieces:
            raise UnsupportedTextError(f"the {engine.name} voice gave no sound for {utterance.text[:40]!r}")
        await lead.put(finish.finish() if finish.light(b"") else await asyncio.to_thread(finish.finish))
        if not whole and lead.heard == heard:
            raise EngineUnavailableError(f"the {engine.name} voice gave nothing to be heard")
        if key is not None and whole:
            if sounds is not None:
                cost = time.monotonic() - began
                await self._lookup.pin(key, utterance, Entry(b"".join(sounds), cost), generation)
            self._lookup.keep_processed(key, recipe, finish.finished)

    def _sounds(
        self, utterance: Utterance, engine: Engine, rest: TextFeed | None, job: _Job, key: bytes | None
    ) -> AsyncGenerator[bytes, None]:
        """Return the sound of an utterance: from the cache, from whoever makes it now, or from its engine."""
        sources = job.request.report.sources
        if self._cache is None or key is None:
            sources.append(OFF)
            if rest is not None and engine.supports_live_text:
                return self._pool.speak_live(utterance, rest)
            return read_ahead(self._pool.speak(utterance))
        sources.append(MISS)

        def found(where: str) -> None:
            sources[-1] = where

        return self._cache.speak(
            key,
            lambda: self._pool.speak(utterance),
            text=utterance.text,
            voice=utterance.voice.speaker,
            keep=bool(job.keep) and job.request.caching != Caching.PIN,  # once is enough
            found=found,
        )


async def _pump(pieces: AsyncGenerator[str, None], feed: TextFeed, said: list[str]) -> None:
    """Give ``feed`` what ``pieces`` yields, and write it down."""
    try:
        async for piece in pieces:
            said.append(piece)
            feed.push(piece)
        feed.end()
    except Exception as error:
        feed.fail(error)
