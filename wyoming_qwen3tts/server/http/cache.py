"""``/v1/cache``: statistics and content of the cache, and phrases synthesized in advance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from ...cache.cache import Cache
from ...cache.tiers import MEGABYTE
from ...speech import LONGEST_NAME, Caching, SpeechError, TextFeed
from ...text.phrases import Phrase, expand_template
from ..request_log import OK, RequestLog, outcome_of
from .context import TEXTS_PER_REQUEST, AppContext, build_request
from .model import Language, Name, RequestModel, Text
from .sse import EVENT_RESPONSES, Event, respond

MAX_CONCURRENT = 4
"""Phrases of one request synthesized at a time."""
MAX_PHRASES = 10_000
"""Phrases of one request, templates expanded; the command ``prerender`` has no limit."""
MAX_SHOWN = 200
"""Characters of a phrase in the list of failed ones."""
INTERFACE = "prerender"
"""The name of this interface in the log, the metrics and ``/v1/requests``."""
FATAL_CODES = {"not-kept", "stopping"}
"""Error codes after which the remaining phrases will fail too."""
VoiceQuery = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)]


class PhraseTemplate(RequestModel):
    """A phrase to synthesize; ``{0..59}`` and ``{front,back}`` in it are templates."""

    text: Text
    voice: Name | None = None
    language: Language = None


class PrerenderBody(RequestModel):
    """Phrases to synthesize and pin in the cache; ``voice`` and ``language`` are defaults for the phrases."""

    phrases: Annotated[list[Text | PhraseTemplate], Field(min_length=1, max_length=MAX_PHRASES)]
    voice: Name | None = None
    language: Language = None


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/v1/cache")
    async def statistics() -> dict[str, Any]:
        """Return the content and the hit counts of the cache, since the start of the service."""
        return {"tiers": await tier_statistics(context), "prompts": prompt_statistics(context)}

    @router.delete("/v1/cache")
    async def clear(voice: VoiceQuery | None = None) -> dict[str, Any]:
        """Delete all entries, or those of one voice, pinned or not."""
        cache = _cache(context)
        found = await tier_statistics(context, voice)
        dropped = max(each.get("entries", 0) for each in found.values())
        if failed := await cache.forget(_speaker(context, voice)):
            reason = "; ".join(f"{name}: {why}" for name, why in failed.items())
            raise SpeechError(f"some entries could not be deleted: {reason}", "not-dropped")
        return {"dropped": dropped}

    @router.get("/v1/cache/phrases")
    async def phrases(
        search: Annotated[str, Query(max_length=1000)] = "",
        voice: VoiceQuery | None = None,
        limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    ) -> dict[str, Any]:
        """List cached phrases, the last used first."""
        total, found = await _cache(context).search(search, _speaker(context, voice), limit)
        return {"total": total, "phrases": [{**asdict(each), "key": each.key.hex()} for each in found]}

    @router.delete("/v1/cache/phrases/{key}")
    async def drop(key: str) -> dict[str, int]:
        """Delete one entry, pinned or not."""
        digest = b""
        with suppress(ValueError):
            digest = bytes.fromhex(key)
        if len(digest) != 32:
            raise SpeechError(f"key must be 64 hexadecimal digits, not {key[:80]!r}", "invalid-request")
        await _cache(context).drop(digest)
        return {"dropped": 1}

    @router.post("/v1/cache/phrases", responses=EVENT_RESPONSES)
    async def prerender(asked: PrerenderBody, http: Request) -> Response:
        """Synthesize phrases and pin them; with ``Accept: text/event-stream`` progress is reported."""
        _cache(context)
        phrases = await asyncio.to_thread(
            _expand, asked, TEXTS_PER_REQUEST * context.settings.limits.max_text
        )
        return await respond(http, lambda report: _PrerenderJob(context, phrases, report).run())

    return router


async def tier_statistics(context: AppContext, voice: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the content and the counts of each cache tier. ``voice``: only the content of this voice."""
    cache = context.cache
    if cache is None:
        return {}
    settings, found = context.settings, dict[str, dict[str, Any]]()
    limits = {"memory": settings.cache.cache_memory, "disk": settings.cache.cache_disk}
    speaker = _speaker(context, voice)
    for name, stock in (await cache.contents()).items():
        counts = cache.counts[name]
        numbers = {
            "limit": round(limits[name] * MEGABYTE) if name in limits else None,
            **asdict(counts),
            "saved_seconds": round(counts.saved, 3),
        }
        del numbers["saved"]
        if isinstance(stock, str):
            found[name] = {"reason": stock, **numbers}
        elif speaker is not None:
            entries, size = stock.voices.get(speaker, (0, 0))
            found[name] = {"entries": entries, "bytes": size, **numbers}
        else:
            held = asdict(stock)
            held["voices"] = {each: {"entries": n, "bytes": size} for each, (n, size) in stock.voices.items()}
            found[name] = {**held, **numbers}
    return found


def prompt_statistics(context: AppContext) -> dict[str, Any]:
    """Return where the prompts of cloned voices came from, by model."""
    return {
        model: status["clones"]
        for engine in context.pool.values()
        for model, status in engine.status().items()
        if "clones" in status
    }


def _cache(context: AppContext) -> Cache:
    if context.cache is None:
        message = "the cache is off (--cache-memory, --cache-disk, --cache-redis)"
        raise SpeechError(message, "not-possible")
    return context.cache


def _speaker(context: AppContext, voice: str | None) -> str | None:
    """Return the voice name that cache entries have; the name of a removed voice is returned unchanged."""
    if voice is None or not context.voices.catalog.knows_names(voice):
        return voice
    return context.voices.catalog.find(voice).speaker


def _expand(asked: PrerenderBody, max_characters: int) -> list[Phrase]:
    """Return the phrases with their templates expanded. Raises SpeechError. Blocks: call it in a thread."""
    characters = 0
    found: dict[Phrase, None] = {}
    for each in asked.phrases:
        text, voice, language = (
            (each, None, None) if isinstance(each, str) else (each.text, each.voice, each.language)
        )
        voice, language = voice or asked.voice, language or asked.language
        try:
            texts = expand_template(text, MAX_PHRASES - len(found), MAX_PHRASES)
        except ValueError as error:
            raise SpeechError(f"{text[:40]!r}: {error}", "bad-phrase") from error
        characters += sum(map(len, texts))
        if characters > max_characters:
            raise SpeechError(
                f"the phrases have over {max_characters:,} characters together, the limit", "text-too-long"
            )
        found |= {Phrase(one, voice, language): None for one in texts}
    return list(found)


class _PrerenderJob:
    """Synthesizes phrases and pins them in the cache."""

    def __init__(
        self, context: AppContext, phrases: Sequence[Phrase], report: Callable[[Event], object]
    ) -> None:
        """``report``: called with an event after each phrase."""
        self._context = context
        self._remaining = iter(phrases)
        self._total = len(phrases)
        self._report = report
        self._stored, self._seconds = 0, 0.0
        self._failed: list[dict[str, Any]] = []
        self._fatal: SpeechError | None = None

    async def run(self) -> dict[str, Any]:
        """Synthesize all phrases; return the result. Raises SpeechError with one of FATAL_CODES."""
        async with asyncio.TaskGroup() as group:
            for _ in range(min(MAX_CONCURRENT, self._total)):
                group.create_task(self._work())
        if self._fatal is not None:
            raise self._fatal
        return {"stored": self._stored, "failed": self._failed, "seconds": round(self._seconds, 2)}

    async def _work(self) -> None:
        for phrase in self._remaining:
            try:
                self._seconds += await _store(self._context, phrase)
                self._stored += 1
            except SpeechError as error:
                if error.code in FATAL_CODES:
                    self._fatal = error
                fault = {"message": str(error), "code": error.code}
                self._failed.append({"text": phrase.text[:MAX_SHOWN], "voice": phrase.voice, "error": fault})
            done = self._stored + len(self._failed)
            failed = len(self._failed)
            self._report({"type": "progress", "done": done, "total": self._total, "failed": failed})
            if self._fatal is not None:
                return


async def _store(context: AppContext, phrase: Phrase) -> float:
    """Synthesize a phrase and pin it in the cache; return its seconds of audio. Raises SpeechError."""
    request = build_request(
        context,
        TextFeed.whole(phrase.text),
        voice=phrase.voice,
        language=phrase.language,
        caching=Caching.PIN,
    )
    request.is_interactive = False
    log = RequestLog(request, context.admission, context.history, INTERFACE)
    try:
        log.begin()
        async with aclosing(context.synthesizer.speak(request)) as speech:
            log.outcome = speech.outcome
            async for pcm in speech:
                log.add_audio(pcm)
    except BaseException as error:
        log.write(outcome_of(error))
        raise
    log.write(OK)
    return log.audio_seconds
