"""``/v1/audio/voices``: list voices, and add, design and remove custom ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from ...engines.base import EngineUnavailableError
from ...speech import CustomVoice, SpeechError, Voice
from ...text.language_tags import parse_requested_language
from ...voices.design import check_design, create_designed_voice
from ...voices.details import LONGEST_TEXT, SEEDS
from ...voices.names import name_key
from ...voices.store import CustomVoiceStore
from .context import AppContext
from .model import Language, Name, RequestModel
from .reference_audio import cloning_engine
from .sse import EVENT_RESPONSES, Event, respond
from .uploads import UploadForm, UploadReceiver

RECORDING = frozenset({"file", "audio_sample"})
"""Names of the recording's field: the common one, and OpenAI's."""
FIELDS = frozenset({"name", "transcript", "language", "description", "seed", "consent"})
"""``consent`` is OpenAI's: the id of a recording they store. It is accepted and ignored."""
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["name", "file"],
                    "properties": {
                        "name": {"type": "string"},
                        "file": {"type": "string", "format": "binary"},
                        "transcript": {"type": "string"},
                        "language": {"type": "string"},
                        "description": {"type": "string"},
                        "seed": {"type": "integer", "minimum": 0, "maximum": SEEDS - 1},
                    },
                }
            }
        },
    }
}


NO_STORE = "there is no data directory to store voices in (--data-dir)"


class DesignBody(RequestModel):
    """A voice to design from a description."""

    name: Name
    description: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    language: Language = None
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""
    """The text of its reference recording, 7 to 12 seconds, in ``language``; there is one per language."""
    seed: Annotated[int, Field(ge=0, lt=SEEDS)] | None = None


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    uploads, designing = UploadReceiver(), asyncio.Lock()

    @router.get("/v1/audio/voices")
    async def list_voices() -> dict[str, Any]:
        """List the voices, and whether voices can be cloned and designed."""
        await context.voices.refresh()
        cannot_clone, cannot_design = _cannot_clone(context), _cannot_design(context)
        return {
            "voices": [_describe(voice, context) for voice in context.voices.catalog.voices],
            "can_clone": not cannot_clone,
            "clone_reason": cannot_clone,
            "can_design": not cannot_design,
            "design_reason": cannot_design,
            "problems": await asyncio.to_thread(_problems, context.store),
        }

    @router.post("/v1/audio/voices", status_code=201, openapi_extra=_FORM)
    async def add(http: Request) -> Response:
        """Clone a voice from a recording of 5 to 15 seconds."""
        store = _store(context)
        async with uploads.receive(http, RECORDING) as form:
            made = await _add(store, form)
        return JSONResponse(await _result(context, made), 201)

    @router.post("/v1/audio/voices/design", status_code=201, responses=EVENT_RESPONSES)
    async def design_voice(asked: DesignBody, http: Request) -> Response:
        """Design a voice from a description; with ``Accept: text/event-stream`` progress is reported."""
        store = _store(context)
        if reason := _cannot_design(context):
            raise SpeechError(reason, "not-possible")
        engine = next(engine for engine in context.pool.values() if engine.supports_design)
        language = asked.language or context.settings.text.language or "en"
        options: dict[str, Any] = {"language": language, "text": asked.text, "seed": asked.seed}
        await asyncio.to_thread(check_design, store, asked.name, asked.description, **options)
        if designing.locked():
            raise SpeechError("another voice is being designed; try again later", "busy")

        async def run(report: Callable[[Event], object]) -> Event:
            def progress(step: str) -> None:
                report({"type": "progress", "step": step})

            async with designing:
                made = await create_designed_voice(
                    engine, store, asked.name, asked.description, **options, progress=progress
                )
            return await _result(context, made)

        return await respond(http, run, 201)

    @router.delete("/v1/audio/voices/{name}")
    async def remove(name: str) -> dict[str, str]:
        """Delete a custom voice, its recording, and everything computed from it."""
        store = _store(context)
        removed = await asyncio.to_thread(store.remove, name)
        await context.voices.refresh()
        return {"removed": removed}

    return router


async def _add(store: CustomVoiceStore, form: UploadForm) -> CustomVoice:
    """Add the voice of an uploaded form to the store. Raises SpeechError."""
    if unknown := sorted(form.fields.keys() - FIELDS):
        message = f"unknown field {unknown[0][:40]!r}; known are {', '.join(sorted(FIELDS))}"
        raise SpeechError(message, "bad-form")
    if form.recording is None or not form.fields.get("name"):
        raise SpeechError("the form needs a name and a file with the recording", "bad-form")
    return await asyncio.to_thread(
        store.add,
        form.fields["name"],
        form.recording,
        transcript=form.fields.get("transcript", ""),
        language=_language(form.fields.get("language")),
        description=form.fields.get("description", ""),
        seed=_seed(form.fields.get("seed", "")),
    )


def _store(context: AppContext) -> CustomVoiceStore:
    if context.store is None:
        raise SpeechError(NO_STORE, "not-possible")
    return context.store


def _language(given: str | None) -> str | None:
    """Return the BCP 47 tag of a form's language. Raises SpeechError."""
    try:
        return parse_requested_language(given)
    except ValueError as error:
        raise SpeechError(f"language: {error}", "bad-voice") from error


def _seed(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not text.isascii() or int(text) >= SEEDS:
        raise SpeechError(
            f"seed must be a whole number from 0 to {SEEDS - 1}, not {text[:40]!r}", "bad-voice"
        )
    return int(text)


def _describe(voice: Voice, context: AppContext) -> dict[str, Any]:
    """Return the JSON object of a voice."""
    catalog = context.voices.catalog
    return {
        "id": voice.name,
        "name": voice.name,
        "description": voice.description,
        "languages": list(voice.languages),
        "engine": voice.engine,
        "model": voice.model,
        "license": voice.attribution.license,
        "kind": "preset" if voice.reference is None else "designed" if voice.designed else "cloned",
        "styles": [each.style.name for each in catalog.styles_of(voice) if each.style is not None],
        "instructions": voice.supports_instructions,
        "default": voice.name == catalog.default.name,
        "base": voice.base,
        "removable": voice.reference is not None and context.store is not None,
    }


async def _result(context: AppContext, made: CustomVoice) -> dict[str, Any]:
    """Return the response for a new voice; ``voice`` is None if no engine can speak with it."""
    await context.voices.refresh()
    found = next((v for v in context.voices.catalog.voices if name_key(v.name) == name_key(made.name)), None)
    remarks = list(made.notes)
    if found is None:
        reason = _cannot_clone(context) or "see the log"
        remarks.append(f"{made.name} is stored, but no engine can speak with it: {reason}")
    return {"voice": None if found is None else _describe(found, context), "remarks": remarks}


def _problems(store: CustomVoiceStore | None) -> list[dict[str, str]]:
    if store is None:
        return []
    return [{"name": each.name, "message": each.message} for each in store.read().problems]


def _cannot_clone(context: AppContext) -> str:
    """Return why voices cannot be cloned; empty if they can."""
    if context.store is None:
        return NO_STORE
    try:
        cloning_engine(context)
    except SpeechError as error:
        return str(error)
    return ""


def _cannot_design(context: AppContext) -> str:
    """Return why voices cannot be designed; empty if they can."""
    if reason := _cannot_clone(context):
        return reason
    for engine in context.pool.values():
        if engine.supports_design:
            try:
                engine.designer()
            except EngineUnavailableError as error:
                return str(error)
            return ""
    return "designing voices needs a VoiceDesign checkpoint of Qwen3-TTS (--model)"
