"""``/v1/cache``: what was said before and is kept, and phrases that are said before anybody asks for them."""

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
from .context import TEXTS, AppContext, request_for, status_of
from .model import Language, Name, RequestModel, Text
from .sse import ALSO, Event, answered

AT_A_TIME = 4
"""Phrases that are said at a time."""
MOST = 10_000
"""Phrases of one request, templates written out; the command ``prerender`` takes more."""
SHOWN = 200
"""Characters of a phrase that is named because it could not be kept."""
DOOR = "prerender"
LASTING = {"not-kept", "stopping"}
"""Codes of errors after which no other phrase will do better."""
Asking = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)]


class Asked(RequestModel):
    """Something to say; ``{0..59}`` and ``{front,back}`` in it are templates."""

    text: Text
    voice: Name | None = None
    language: Language = None


class Phrases(RequestModel):
    """What is to be said and kept for ever; ``voice`` and ``language`` are for those that name none."""

    phrases: Annotated[list[Text | Asked], Field(min_length=1, max_length=MOST)]
    voice: Name | None = None
    language: Language = None


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/v1/cache")
    async def statistics() -> dict[str, Any]:
        """Say what is kept, and of how much use it was since the service began."""
        return {"tiers": await tiers(context), "prompts": prompts(context)}

    @router.delete("/v1/cache")
    async def clear(voice: Asking | None = None) -> dict[str, Any]:
        """Drop what a voice said, or everything, pinned or not."""
        cache = _cache(context)
        dropped = max(each.get("entries", 0) for each in (await tiers(context, voice)).values())
        if failed := await cache.forget(_speaker(context, voice)):
            reason = "; ".join(f"{name}: {why}" for name, why in failed.items())
            raise SpeechError(f"some of it may still be kept: {reason}", "not-dropped")
        return {"dropped": dropped}

    @router.get("/v1/cache/phrases")
    async def phrases(
        search: Annotated[str, Query(max_length=1000)] = "",
        voice: Asking | None = None,
        limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    ) -> dict[str, Any]:
        """List what is kept, the last used first."""
        total, found = await _cache(context).listed(search, _speaker(context, voice), limit)
        return {"total": total, "phrases": [{**asdict(each), "key": each.key.hex()} for each in found]}

    @router.delete("/v1/cache/phrases/{key}")
    async def drop(key: str) -> dict[str, int]:
        """Drop one entry, pinned or not."""
        digest = b""
        with suppress(ValueError):
            digest = bytes.fromhex(key)
        if len(digest) != 32:
            raise SpeechError("a key is 64 hexadecimal digits", "invalid-request")
        await _cache(context).drop(digest)
        return {"dropped": 1}

    @router.post("/v1/cache/phrases", responses=ALSO)
    async def keep(asked: Phrases, http: Request) -> Response:
        """Say phrases and keep them for ever; with ``Accept: text/event-stream`` it is told how far it is."""
        _cache(context)
        wanted = await asyncio.to_thread(_expanded, asked, TEXTS * context.settings.limits.max_text)
        return await answered(http, lambda tell: _PrerenderJob(context, wanted, tell).run())

    return router


async def tiers(context: AppContext, voice: str | None = None) -> dict[str, dict[str, Any]]:
    """Return of each tier what it holds, of one voice alone if asked, and what was counted."""
    cache = context.cache
    if cache is None:
        return {}
    settings, found = context.settings, dict[str, dict[str, Any]]()
    limits = {"memory": settings.cache.cache_memory, "disk": settings.cache.cache_disk}
    speaker = _speaker(context, voice)
    for name, stock in (await cache.stocks()).items():
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


def prompts(context: AppContext) -> dict[str, Any]:
    """Return what became of the calls for cloned voices' prompts, by model."""
    return {
        model: status["clones"]
        for engine in context.pool.values()
        for model, status in status_of(engine).items()
        if "clones" in status
    }


def _cache(context: AppContext) -> Cache:
    if context.cache is None:
        raise SpeechError("nothing is kept (--cache-memory, --cache-disk, --cache-redis)", "not-possible")
    return context.cache


def _speaker(context: AppContext, voice: str | None) -> str | None:
    """Return the name by which a voice is known to the cache; that of one that is gone stays as it is."""
    if voice is None or not context.voices.catalog.understands(voice):
        return voice
    return context.voices.catalog.find(voice).speaker


def _expanded(asked: Phrases, most: int) -> list[Phrase]:
    """Return all that is to be said, templates written out: ``most`` characters. Raises SpeechError.

    Work for a thread: there may be ten thousand.
    """
    characters = 0
    found: dict[Phrase, None] = {}
    for each in asked.phrases:
        text, voice, language = (
            (each, None, None) if isinstance(each, str) else (each.text, each.voice, each.language)
        )
        voice, language = voice or asked.voice, language or asked.language
        try:
            texts = expand_template(text, MOST - len(found), MOST)
        except ValueError as error:
            raise SpeechError(f"{text[:40]!r}: {error}", "bad-phrase") from error
        characters += sum(map(len, texts))
        if characters > most:
            raise SpeechError(f"the phrases have over {most:,} characters together", "text-too-long")
        found |= {Phrase(one, voice, language): None for one in texts}
    return list(found)


class _PrerenderJob:
    """Phrases that are said and kept, and what became of them."""

    def __init__(
        self, context: AppContext, phrases: Sequence[Phrase], tell: Callable[[Event], object]
    ) -> None:
        self._context = context
        self._left = iter(phrases)
        self._total = len(phrases)
        self._tell = tell
        self._stored, self._seconds = 0, 0.0
        self._failed: list[dict[str, Any]] = []
        self._lasting: SpeechError | None = None

    async def run(self) -> dict[str, Any]:
        """Say all of them; return how many are stored. Raises SpeechError where none can be."""
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_A_TIME, self._total)):
                group.create_task(self._work())
        if self._lasting is not None:
            raise self._lasting
        return {"stored": self._stored, "failed": self._failed, "seconds": round(self._seconds, 2)}

    async def _work(self) -> None:
        for phrase in self._left:
            try:
                self._seconds += await _said(self._context, phrase)
                self._stored += 1
            except SpeechError as error:
                if error.code in LASTING:
                    self._lasting = error
                fault = {"message": str(error), "code": error.code}
                self._failed.append({"text": phrase.text[:SHOWN], "voice": phrase.voice, "error": fault})
            done = self._stored + len(self._failed)
            self._tell({"type": "progress", "done": done, "total": self._total, "failed": len(self._failed)})
            if self._lasting is not None:
                return


async def _said(context: AppContext, phrase: Phrase) -> float:
    """Say a phrase to nobody, and keep it; return the seconds of its sound. Raises SpeechError."""
    request = request_for(
        context,
        TextFeed.whole(phrase.text),
        voice=phrase.voice,
        language=phrase.language,
        caching=Caching.PIN,
    )
    request.listened = False
    log = RequestLog(request, context.requests, DOOR)
    try:
        log.begin()
        async with aclosing(context.synthesizer.speak(request)) as sounds:
            async for sound in sounds:
                log.sent(sound)
    except BaseException as error:
        log.write(outcome_of(error))
        raise
    log.write(OK)
    return log.audio_seconds
