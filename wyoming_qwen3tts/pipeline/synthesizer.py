"""The road from text to sound: an async stream of text in, an async stream of PCM out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection, Hashable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from ..audio import pcm as sound
from ..audio.postprocess import PostprocessingSettings, ProcessedAudio, ReplyPostprocessor
from ..cache.cache import Cache, PinError
from ..cache.entry import Entry
from ..engines.base import (
    Engine,
    EngineUnavailableError,
    TruncatedAudioError,
    UnsupportedTextError,
)
from ..engines.pool import EnginePool
from ..speech import (
    BYTES_PER_SECOND,
    FASTEST,
    LONGEST_NAME,
    LONGEST_TAG,
    MISS,
    OFF,
    SLOWEST,
    VOICE,
    Caching,
    SpeechError,
    SpeechRequest,
    TextFeed,
    Utterance,
    UtteranceTiming,
    Voice,
)
from ..text import flow, phonemes
from ..text.flow import Part
from ..text.frontend import Frontend
from ..text.scripts import has_words
from ..voices.calibration import Calibration
from ..voices.catalog import speaks
from ..voices.names import brief
from ..voices.names import key as name_key
from ..voices.registry import Voices
from ..voices.styles import instructed

_LOGGER = logging.getLogger(__name__)

NOTHING_TO_SAY = 0.1
"""Seconds of silence that answer a text without words: Home Assistant cannot convert an empty stream."""
KEEP_ALIVE = 0.05
"""Seconds of silence a second that keep a stream alive while its listener still has sound."""
BRIDGE_STEP = 0.2
"""Seconds of silence at a time once the listener has run dry, in real time."""
AHEAD = 60.0
"""Seconds of an utterance's sound that are taken from its engine before they are wanted."""
HEAD_START = 10.0
"""Seconds that a reply's first sentence counts as overdue: it goes before every other but those of listeners
who have run dry for longer, so that nobody starves."""
NO_HURRY = 60.0
"""Seconds until what nobody listens to is due."""
CLAUSE_ENDS = frozenset(",;:\u2013\u2014\u3001\uff0c\uff1b\uff1a")
"""What a first clause ends with that is spoken before its sentence is known: , ; : and their like."""
REFRESH = 5.0
"""Seconds that a request waits, at most, for a look whether a voice that nobody knows has just been added."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Who:
    """Who may say a text, and in which language."""

    voice: Voice
    language: str | None
    """The language somebody asked for, or that a style binds its voice to."""
    expected: str
    """The language it most likely is."""
    known: bool
    """Whether ``expected`` is more than the voice's first language."""
    among: tuple[str, ...] | None
    """The languages it can be; None is any."""
    understood: bool
    """Whether it is who was asked for."""
    free: bool
    """Nobody asked for a voice or a language: the text decides."""


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
        crew: EnginePool,
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
        self._crew = crew
        self._limits = limits
        self._finishing = finishing
        self._calibration = calibration
        self._speed = speed
        self._frontend = frontend
        self._language = language
        self._cache = cache
        self._cache_live = cache_live
        self._cache_exclude_voices = frozenset(map(name_key, cache_exclude_voices))
        self._here = secrets.token_hex(8)
        """What servers that are asked for help see this one as: a request that has been here is in a loop."""

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``request`` in order: PCM pieces of whole samples, of any length above zero.

        Raises SpeechError when some of the text cannot be said: whatever came before is then not the whole.
        Closing the generator (``aclosing``) cancels the work.
        """
        if self._here in request.via:
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
            who = await self._who_of(request, request.language, strict=request.strict)
            if not who.understood:
                request.report.fallback = VOICE
            if request.instructions:
                who = replace(who, voice=instructed(who.voice, request.instructions))
            # What is to be kept is said in whole sentences.
            live = limits.live_text and request.caching not in {Caching.ON, Caching.PIN}
            cut = limits.first_clause and not live and request.caching != Caching.PIN
            text = flow.parts(
                request.text,
                markup=request.markup,
                language=who.expected,
                first_clause=cut and not await self._begins_with_known(job, who),
                live=live,
            )
            pause: float | None = None
            async with self._deadline(lead), aclosing(text) as parts:
                async for part in parts:
                    if job.keep is None:
                        # Who writes a text while it is read is a language model, and that rarely says a thing
                        # twice. What was there at once is a phrase, or may be.
                        job.keep = self._cache_live or request.text.ended or request.caching != Caching.AUTO
                    own = await self._who_in(part, request) if part.voice or part.language else who
                    pause = part.pause if pause is None else pause + (part.pause or 0.0)
                    speed = part.rate * (self._speed if request.speed is None else request.speed)
                    if await self._say_part(job, part, own, speed, pause):
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

    async def _say_part(self, job: _Job, part: Part, who: _Who, speed: float, pause: float | None) -> bool:
        """Make the sound of one part of a text; tell whether there was anything to say."""
        plain = self._frontend.plain(part.text, who.expected)
        if part.rest is not None and not has_words(plain):
            part = await flow.whole(part)
            plain = self._frontend.plain(part.text, who.expected)
        if not has_words(plain):
            return False
        language, utterance = await self._utterance(plain, who, speed)
        utterance = replace(utterance, via=(*job.request.via, self._here))
        if job.begun is not None:
            utterance = self._by(job.begun, utterance, language)
        if part.rest is not None and not self._speaks_live(utterance.voice.engine):
            part = await flow.whole(part)
            plain = self._frontend.plain(part.text, language)
        job.lead.hurry(self._limits.deadline)
        if part.rest is not None:
            await self._say_live(utterance, part, language, job)
            job.begun = None
            return True
        if self._reads_pronunciations(utterance.voice):
            plain = self._frontend.plain(part.text, language, pronunciations=True)
        utterance = replace(utterance, text=await self._spoken(plain, language))
        if not has_words(utterance.text):
            return False
        for each in await self._as_known(utterance, part, language, job):
            voice = await self._say(each, job, language, pause=pause)
            pause = None
        job.begun = voice if part.text.rstrip()[-1:] in CLAUSE_ENDS else None
        return True

    def _by(self, voice: Voice, utterance: Utterance, language: str) -> Utterance:
        """Return an utterance as another voice says it. ``language``: of its text, BCP 47."""
        if voice == utterance.voice:
            return utterance
        if not self._reads_pronunciations(voice):
            utterance = replace(utterance, text=phonemes.words(utterance.text))
        tag = self._voices.catalog.language(voice, language)
        return replace(utterance, voice=voice, language=tag, seed=voice.seed)

    def _reads_pronunciations(self, voice: Voice) -> bool:
        engine = self._crew.get(voice.engine)
        return engine is not None and engine.supports_phonemes(voice)

    def _speaks_live(self, engine: str) -> bool:
        return self._crew[engine].supports_live_text and self._crew.up(engine)

    async def _utterance(self, plain: str, who: _Who, speed: float) -> tuple[str, Utterance]:
        """Return the language that a text is in, and who says it how; its words come later."""
        language = who.language or self._frontend.language(plain, who.expected, who.among)
        voice = self._reader(who, plain, language)
        if not speaks(voice, language):
            language = voice.languages[0]
        await self._calibration.ready(voice)
        if not self._frontend.ready(language):
            await asyncio.to_thread(self._frontend.load, language)
        known = who.known or self._frontend.detects or language != who.expected
        tag = self._voices.catalog.language(voice, language if known else None)
        if voice.style is not None:
            speed *= voice.style.speed
        return language, Utterance("", voice, tag, seed=voice.seed, speed=max(SLOWEST, min(FASTEST, speed)))

    async def _spoken(self, plain: str, language: str) -> str:
        """Return a text as it is read aloud."""
        if self._frontend.light(plain):
            return self._frontend.spoken(plain, language)
        return await asyncio.to_thread(self._frontend.spoken, plain, language)

    async def _begins_with_known(self, job: _Job, who: _Who) -> bool:
        """Tell whether a reply begins with a long sentence that is known: then it is not to be cut."""
        request = job.request
        if self._cache is None or request.caching == Caching.OFF or not request.text.ended:
            return False
        if flow.is_short(request.text.peek()):
            return False
        part = await flow.first(request.text.peek(), markup=request.markup, language=who.expected)
        if part is None or part.voice or part.language or len(flow.pieces(part.text)) == 1:
            return False
        plain = self._frontend.plain(part.text, who.expected)
        if not has_words(plain):
            return False
        language, utterance = await self._utterance(plain, who, 1.0)
        return await self._known(replace(utterance, text=await self._spoken(plain, language)), job)

    async def _as_known(
        self, utterance: Utterance, part: Part, language: str, job: _Job
    ) -> Sequence[Utterance]:
        """Return the utterances that a sentence is said in: itself, or the pieces of it that are known."""
        if job.request.caching in {Caching.OFF, Caching.PIN} or self._cache is None:
            return [utterance]
        pieces = flow.pieces(part.text)
        if len(pieces) == 1 or await self._known(utterance, job):
            return [utterance]
        found = []
        for piece in pieces:
            spoken = await self._spoken(self._frontend.plain(piece, language), language)
            if has_words(spoken):
                found.append(replace(utterance, text=spoken))
                if not await self._known(found[-1], job):
                    return [utterance]
        return found

    async def _known(self, utterance: Utterance, job: _Job, *, flying: bool = True) -> bool:
        """Tell whether an utterance need not be made. ``flying``: because it is being made, too."""
        try:
            key = self._key(utterance, self._crew[utterance.voice.engine], None, job)
        except EngineUnavailableError:
            return False  # nobody knows yet what its engine would say
        return key is not None and self._cache is not None and await self._cache.knows(key, flying=flying)

    async def _who_in(self, part: Part, request: SpeechRequest) -> _Who:
        """Return who may say a part of a request whose text names a voice or a language for it."""
        language = part.language or request.language
        if part.voice:
            return await self._who(part.voice, None, language)
        return await self._who_of(request, language)

    async def _who_of(self, request: SpeechRequest, language: str | None, *, strict: bool = False) -> _Who:
        """Return who may say a request in ``language``. Raises SpeechError."""
        if (clone := request.clone) is None:
            return await self._who(request.voice, request.speaker, language, strict=strict)
        expected = language if speaks(clone, language) else self._language
        return _Who(
            voice=clone,
            language=language,
            expected=expected if speaks(clone, expected) and expected else clone.languages[0],
            known=language is not None or self._language is not None,
            among=clone.languages,
            understood=True,
            free=False,
        )

    async def _who(
        self, named: str | None, speaker: str | None, language: str | None, *, strict: bool = False
    ) -> _Who:
        """Return who may say what asks for this voice, style and language, if it asks for any.

        Raises SpeechError where a voice cannot have the style that was asked for; and if ``strict`` where
        nobody knows voice or style, for whom another would speak.
        """
        # All voices are looked through for them, on the event loop.
        named, speaker = named and named[:LONGEST_NAME], speaker and speaker[:LONGEST_NAME]
        language = language and language[:LONGEST_TAG]
        if not self._voices.catalog.understands(named, speaker):
            # Somebody may have added it a second ago, and nobody else is to say what it was meant to say.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH):
                    await self._voices.refresh()
        catalog = self._voices.catalog
        if strict and not catalog.understands(named, speaker):
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
        return _Who(
            voice=voice,
            language=language,
            expected=expected,
            known=language is not None or self._language is not None,
            among=None if free else voice.languages,
            understood=catalog.understands(named, speaker),
            free=free,
        )

    def _reader(self, who: _Who, text: str, language: str) -> Voice:
        """Return the voice that says ``text``.

        A voice that somebody asked for stays, if it can read the letters; otherwise the language decides.
        """
        if who.free and not speaks(who.voice, language):
            found = self._voices.catalog.find(None, language)
            if speaks(found, language):
                return found
        return self._voices.catalog.reader(who.voice, text)

    async def _say_live(self, utterance: Utterance, part: Part, language: str, job: _Job) -> None:
        """Say a sentence that is still being written."""
        frontend = self._frontend
        pieces = flow.spoken_while_written(
            part, lambda text: frontend.spoken(frontend.plain(text, language), language)
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
        if not self._crew.up(engine) and not await self._known(utterance, job, flying=False):
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
                    other = utterance if await self._crew.wait_ready(utterance.voice.engine) else None
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
        engines = self._crew.stand_ins((*out, utterance.voice.engine))
        voice = self._voices.catalog.stand_in(utterance.voice, language, utterance.text, engines)
        if voice is None:
            return None
        job.request.report.stands_in()
        level = logging.DEBUG if error is None else logging.INFO
        _LOGGER.log(level, "%s speaks for %s: %s", voice.name, utterance.voice.name, error or "it is down")
        return self._by(voice, utterance, language)

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
        engine = self._crew[utterance.voice.engine]
        _LOGGER.debug("%s says: %s", utterance.voice.name, utterance.text)
        pieces = 0
        key = self._key(utterance, engine, rest, job)
        recipe = job.reply.recipe(utterance.voice, utterance.speed)
        report, heard = job.request.report, job.lead.heard
        report.says(utterance, first=not heard)
        if (known := self._finished(key, recipe, job)) is not None:
            report.sources.append(self._cache.memory.name if self._cache is not None else OFF)
            await job.lead.put(job.reply.again(known, pause))
            return
        finish, lead = job.reply.begin(utterance.voice, utterance.speed, pause), job.lead
        generation, began = self._cache.generation if self._cache is not None else 0, time.monotonic()
        sounds: list[bytes] | None = [] if job.request.caching == Caching.PIN else None
        whole = True
        turn = UtteranceTiming(report)
        utterance = replace(utterance, begun=turn.begin, due=job.due)
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
                await self._pin(key, utterance, Entry(b"".join(sounds), cost), generation)
            self._keep_finished(key, recipe, finish.finished)

    async def _pin(self, key: bytes, utterance: Utterance, entry: Entry, generation: int) -> None:
        """Keep an utterance for ever. Raises SpeechError where that cannot be."""
        assert self._cache is not None
        entry = replace(entry, text=utterance.text, voice=utterance.voice.speaker)
        try:
            await self._cache.pin(key, entry, generation)
        except PinError as error:
            raise _not_kept(utterance, str(error)) from error

    def _key(self, utterance: Utterance, engine: Engine, rest: TextFeed | None, job: _Job) -> bytes | None:
        """Return what the cache knows an utterance by; None where it has no part in it.

        Raises SpeechError where it was to be kept for ever and cannot be.
        """
        caching, voice = job.request.caching, utterance.voice
        reason = self._never_kept(voice)
        if caching == Caching.PIN and reason:
            raise _not_kept(utterance, reason)
        if caching == Caching.OFF or reason or (rest is not None and engine.supports_live_text):
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
                raise _not_kept(utterance, f"the {engine.name} voices do not say the same thing twice")
            return None
        return utterance.key(identity)

    def _finished(self, key: bytes | None, recipe: Hashable, job: _Job) -> ProcessedAudio | None:
        """Return an utterance as it was heard before, None where that is not in memory."""
        if self._cache is None or key is None or job.request.caching == Caching.PIN:
            return None
        return self._cache.memory.derived(key, recipe)

    def _keep_finished(self, key: bytes, recipe: Hashable, finished: ProcessedAudio) -> None:
        if self._cache is not None:
            self._cache.memory.keep_derived(key, recipe, finished, len(finished.pcm))

    def _sounds(
        self, utterance: Utterance, engine: Engine, rest: TextFeed | None, job: _Job, key: bytes | None
    ) -> AsyncGenerator[bytes, None]:
        """Return the sound of an utterance: from the cache, from whoever makes it now, or from its engine."""
        sources = job.request.report.sources
        if self._cache is None or key is None:
            sources.append(OFF)
            if rest is not None and engine.supports_live_text:
                return self._crew.speak_live(utterance, rest)
            return _ahead(self._crew.speak(utterance))
        sources.append(MISS)

        def found(where: str) -> None:
            sources[-1] = where

        return self._cache.speak(
            key,
            lambda: self._crew.speak(utterance),
            text=utterance.text,
            voice=utterance.voice.speaker,
            keep=bool(job.keep) and job.request.caching != Caching.PIN,  # once is enough
            found=found,
        )

    def _never_kept(self, voice: Voice) -> str:
        """Return why nothing is kept of what a voice says, as the end of a sentence; empty if it is."""
        if self._cache is None:
            return "nothing is (--cache-memory, --cache-disk, --cache-redis)"
        if {name_key(voice.name), name_key(voice.speaker)} & self._cache_exclude_voices:
            return f"nothing is that {voice.speaker} says (--cache-exclude-voices)"
        if voice.reference is not None and not self._voices.catalog.has_recording(voice.reference):
            return f"{voice.speaker} is gone"
        return ""


def _not_kept(utterance: Utterance, reason: str) -> SpeechError:
    return SpeechError(f"{utterance.text[:40]!r} is not kept: {reason}", "not-kept")


async def _ahead(sounds: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield ``sounds``, taken AHEAD of whoever wants them: a slow listener keeps no engine waiting."""
    lead = AudioBuffer(AHEAD)

    async def fill() -> None:
        try:
            async with aclosing(sounds):
                async for piece in sounds:
                    await lead.put(piece)
        except Exception as error:
            lead.close(error)
        else:
            lead.close()

    filling = asyncio.create_task(fill(), name="ahead")
    try:
        while (piece := await lead.take()) is not None:
            yield piece
    finally:
        filling.cancel()
        await asyncio.wait({filling})


async def _pump(pieces: AsyncGenerator[str, None], feed: TextFeed, said: list[str]) -> None:
    """Give ``feed`` what ``pieces`` yields, and write it down."""
    try:
        async for piece in pieces:
            said.append(piece)
            feed.push(piece)
        feed.end()
    except Exception as error:
        feed.fail(error)


class AudioBuffer:
    """Sound made and not yet taken: a queue bounded in seconds, one maker, one taker."""

    def __init__(self, seconds: float) -> None:
        self._limit = int(seconds * BYTES_PER_SECOND)
        self._held = 0
        self.playback = sound.PlaybackClock()
        """What the listener has of it."""
        self.heard = 0
        """Bytes that were ever put in."""
        self.patience: asyncio.Timeout | None = None
        """What ends the maker if nothing is heard; the first sound calls it off."""
        self._pieces: deque[bytes] = deque()
        self._closed = False
        self._error: Exception | None = None
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def hurry(self, seconds: float) -> None:
        """Let ``patience`` end in so many seconds; 0 is never."""
        if seconds and self.patience is not None and not self.heard:
            self.patience.reschedule(asyncio.get_running_loop().time() + seconds)

    async def put(self, piece: bytes) -> None:
        """Add a piece, which may be empty; wait first while the limit is reached.

        Overshoots by at most one piece.
        """
        await self._room.wait()
        if not piece:
            return
        if not self.heard and self.patience is not None and not self.patience.expired():
            self.patience.reschedule(None)
        self.heard += len(piece)
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= self._limit:
            self._room.clear()
        self._filled.set()

    def close(self, error: Exception | None = None) -> None:
        """Say that nothing more comes, or that ``error`` does."""
        self._closed, self._error = True, error
        self._filled.set()

    @property
    def dry(self) -> float:
        """When the listener has heard all of it, or had (``time.monotonic``)."""
        return (self.playback.ends or time.monotonic()) + self._held / BYTES_PER_SECOND

    @property
    def ready(self) -> bool:
        """Whether there is a piece that ``take`` gives at once."""
        return bool(self._pieces)

    async def take(self) -> bytes | None:
        """Return the next piece, None at the end; raise the maker's error in its place in the order."""
        await self._filled.wait()
        if self._pieces:
            piece = self._pieces.popleft()
            self._held -= len(piece)
            if self._held < self._limit:
                self._room.set()
            if not self._pieces and not self._closed:
                self._filled.clear()
            return piece
        if self._error is not None:
            raise self._error
        return None
