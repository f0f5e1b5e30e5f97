"""What the routes are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from ...cache.cache import Cache
from ...config.settings import Settings
from ...engines.base import Engine
from ...engines.pool import EnginePool
from ...pipeline.synthesizer import Synthesizer
from ...speech import Caching, SpeechError, SpeechRequest, TextFeed
from ...voices.registry import Voices
from ...voices.store import CustomVoiceStore
from ..request_log import Requests

DOOR = "http"
CLIENT_CLOSED_REQUEST = 499
"""The status of an answer that nobody is there to read."""
TEXTS = 10
"""All texts of one request together have no more characters than so many of the greatest length."""
MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""OpenAI's models, which clients ask for without looking: whoever speaks here answers to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """The service, as far as requests have to do with it."""

    synthesizer: Synthesizer
    voices: Voices
    settings: Settings
    requests: Requests = field(default_factory=Requests)
    pool: EnginePool
    """The engines, and how they are."""
    cache: Cache | None = None
    store: CustomVoiceStore | None = None
    """Where voices are added and removed; None where they are not."""
    connections: Callable[[], int] = lambda: 0
    """How many clients are connected to the Wyoming door."""


def request_for(
    context: AppContext,
    text: TextFeed,
    *,
    voice: str | None = None,
    style: str | None = None,
    language: str | None = None,
    instructions: str | None = None,
    speed: float | None = None,
    model: str | None = None,
    caching: Caching = Caching.AUTO,
) -> SpeechRequest:
    """Return what is asked for. Raises SpeechError, for a text that is too long or a model nobody has."""
    if model is not None:
        check_model(model, context)
    check_length(text.length, context)
    return SpeechRequest(
        text,
        voice=voice,
        speaker=style,
        language=language,
        speed=speed,
        instructions=instructions,
        reject_unknown_voice=True,
        caching=caching,
        source=DOOR,
    )


def check_model(model: str, context: AppContext) -> None:
    """Raise SpeechError for a model nobody has."""
    if model not in (known := known_models(context.voices)):
        raise SpeechError(f"there is no model {model[:80]!r}, but {', '.join(known)}", "model-not-found")


def check_length(characters: int, context: AppContext) -> None:
    """Raise SpeechError where a text is too long."""
    if characters > (most := context.settings.limits.max_text):
        raise SpeechError(f"input has over {most} characters, the most for one request", "text-too-long")


def known_models(voices: Voices) -> list[str]:
    """Return the names that a model may be asked for by."""
    return list(dict.fromkeys((*MODELS, *(voice.model for voice in voices.catalog.voices if voice.model))))


def status_of(engine: Engine) -> Mapping[str, dict[str, Any]]:
    """Return how the models of an engine are, by name; empty for one that has none."""
    return engine.status()


async def while_there(http: Request, work: Coroutine[Any, Any, None]) -> bool:
    """Do something for a client; tell whether it was still there at the end. Who leaves ends the work."""

    async def leave() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.create_task(work), asyncio.create_task(leave())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        await working
        return True
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
