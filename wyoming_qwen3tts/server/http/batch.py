"""``/v1/audio/speech/batch``: many texts in, one archive out that is streamed while it is made.

The archive has a complete file for each text that could be synthesized; ``index.json``, the last file, lists
all texts with their files or errors. If no text can be synthesized, the response is the first one's error. If
the server fails in between, the archive is truncated, which every program that reads it detects.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, HTTPException, Path, Request, Response
from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from ...speech import SpeechError, SpeechRequest, TextFeed
from .archives import ARCHIVES, content_disposition
from .auth import client_id
from .batch_jobs import BatchItem, BatchJob, BatchProgress, BatchRegistry
from .context import (
    CLIENT_CLOSED_REQUEST,
    TEXTS_PER_REQUEST,
    AppContext,
    build_request,
    check_model,
    run_while_connected,
)
from .model import Language, Name, describe_error
from .speech import ResponseFormat, SpeechOptions, Speed, SpokenModel, VoiceId, format_of
from .stream import ClosingStreamingResponse

MAX_TEXTS = 1000
"""Texts of one batch."""
RequestId = Annotated[str | None, Header(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class BatchInput(SpokenModel):
    """One text, with options that override the batch's."""

    input: str
    voice: Name | VoiceId | None = None
    style: Name | None = None
    language: Language = None
    speed: Speed | None = None
    instructions: str | None = None
    name: Annotated[str, Field(max_length=200)] | None = None
    """The name of its file, after its number; by default its first words."""


class BatchBody(SpeechOptions):
    """Texts, options for all of them, and the archive's format."""

    inputs: Annotated[list[str | BatchInput], Field(min_length=1, max_length=MAX_TEXTS)]
    response_format: ResponseFormat = "wav"
    archive: Literal["zip", "multipart"] = "zip"

    @field_validator("inputs", mode="before")
    @classmethod
    def _validate_inputs(cls, inputs: Any) -> Any:
        """Return the inputs as BatchInput. Raises PydanticCustomError, which names the invalid one."""
        if not isinstance(inputs, list) or len(inputs) > MAX_TEXTS:
            return inputs  # the field's own validation rejects it
        return [_validate_input(each, number) for number, each in enumerate(inputs, 1)]


def _validate_input(given: Any, number: int) -> BatchInput:
    try:
        return BatchInput.model_validate({"input": given} if isinstance(given, str) else given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ": ".join(["number {number}", *map(str, first["loc"][:1]), "{message}"])
        raise PydanticCustomError(
            "item", where, {"number": number, "message": describe_error(first)}
        ) from error


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    batches = BatchRegistry()

    @router.post(
        "/v1/audio/speech/batch",
        response_class=Response,
        responses={
            200: {
                "description": "A file for each text that could be synthesized, and index.json last",
                "content": {"application/zip": {}, "multipart/mixed": {}},
            }
        },
    )
    async def speak(asked: BatchBody, http: Request, x_request_id: RequestId = None) -> Response:
        """Speak many texts. `X-Request-Id`, if the client sends one, is the id of the batch's progress."""
        audio_format = format_of(asked.response_format, asked.sample_rate)
        check_model(asked.model, context)
        items = _items(asked, context, client_id(http.scope))
        archive = ARCHIVES[asked.archive]()
        progress = batches.begin(x_request_id or uuid.uuid4().hex, len(items))
        job = BatchJob(context, items, audio_format, archive, progress)
        begun = False
        try:
            begun = await run_while_connected(http, job.begin())
        finally:
            if not begun:
                await job.close()
        if not begun:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        headers = {"X-Request-Id": progress.id, "Content-Disposition": content_disposition(archive.name)}
        return ClosingStreamingResponse(job.chunks(), archive.content_type, headers, job.close)

    @router.get("/v1/audio/speech/batch/{id}")
    async def progress(name: Annotated[str, Path(alias="id")]) -> BatchProgress:
        """Return the progress of a running batch, or of one of the last hundred."""
        if (found := batches.find(name)) is None:
            raise HTTPException(404, f"unknown batch {name[:80]!r}: never started, or too old")
        return found

    return router


def _items(asked: BatchBody, context: AppContext, client: str) -> list[BatchItem]:
    """Return the texts to speak. Raises SpeechError if they are too long together."""
    inputs = [each for each in asked.inputs if isinstance(each, BatchInput)]  # all are, after validation
    characters = sum(len(each.input) for each in inputs)
    if characters > (limit := TEXTS_PER_REQUEST * context.settings.limits.max_text):
        raise SpeechError(
            f"the inputs have {characters} characters together; the limit is {limit}", "text-too-long"
        )
    return [_item(asked, given, number, context, client) for number, given in enumerate(inputs, 1)]


def _item(asked: BatchBody, given: BatchInput, number: int, context: AppContext, client: str) -> BatchItem:
    voice = given.voice.id if isinstance(given.voice, VoiceId) else given.voice
    voice = voice or asked.voice_name

    def build() -> SpeechRequest:
        if not given.input:
            raise SpeechError("the input is empty", "invalid-request")
        request = build_request(
            context,
            TextFeed.whole(given.input),
            voice=voice,
            style=given.style or asked.style,
            language=given.language or asked.language,
            instructions=given.instructions or asked.instructions,
            speed=given.speed or asked.speed,
            model=asked.model,
        )
        request.client, request.is_interactive = client, False
        return request

    return BatchItem(number, given.input, given.input if given.name is None else given.name, voice, build)
