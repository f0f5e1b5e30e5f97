"""What the routes share: the parts of the service, and how a request for speech is built."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from ...cache.cache import Cache
from ...config.settings import Settings
from ...engines.pool import EnginePool
from ...pipeline.synthesizer import Synthesizer
from ...speech import Caching, SpeechError, SpeechRequest, TextFeed
from ...voices.registry import Voices
from ...voices.store import CustomVoiceStore
from ..request_log import AdmissionControl, RequestHistory

INTERFACE = "http"
"""The name of this interface in the log, the metrics and ``/v1/requests``."""
CLIENT_CLOSED_REQUEST = 499
"""The status of a response whose client has disconnected (nginx's number)."""
TEXTS_PER_REQUEST = 10
"""The texts of one request may have this many times ``--max-text`` characters together."""
OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""OpenAI's model names, which clients have built in: accepted for whatever model is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """The parts of the service that the routes use."""

    synthesizer: Synthesizer
    voices: Voices
    settings: Settings
    admission: AdmissionControl = field(default_factory=AdmissionControl)
    history: RequestHistory = field(default_factory=RequestHistory)
    pool: EnginePool
    cache: Cache | None = None
    """None if caching is off."""
    store: CustomVoiceStore | None = None
    """The store of custom voices; None if they cannot be added or removed."""
    connections: Callable[[], int] = lambda: 0
    """Returns the number of open Wyoming connections."""


def build_request(
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
    """Return a speech request. Raises SpeechError if the text is too long or the model unknown."""
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
        source=INTERFACE,
    )


def check_model(model: str, context: AppContext) -> None:
    """Raise SpeechError for an unknown model."""
    if model not in (known := known_models(context.voices)):
        raise SpeechError(f"unknown model {model[:80]!r}; known are {', '.join(known)}", "model-not-found")


def check_length(characters: int, context: AppContext) -> None:
    """Raise SpeechError if a text is too long."""
    if characters > (limit := context.settings.limits.max_text):
        raise SpeechError(
            f"input has over {limit} characters, the limit for one request (--max-text)", "text-too-long"
        )


def known_models(voices: Voices) -> list[str]:
    """Return the accepted model names: OpenAI's, and those of the voices' models."""
    models = (voice.model for voice in voices.catalog.voices if voice.model)
    return list(dict.fromkeys((*OPENAI_MODELS, *models)))


async def run_while_connected(http: Request, work: Coroutine[Any, Any, None]) -> bool:
    """Run ``work``, cancelling it if the client disconnects; return whether it ran to its end."""

    async def disconnected() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.create_task(work), asyncio.create_task(disconnected())
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
