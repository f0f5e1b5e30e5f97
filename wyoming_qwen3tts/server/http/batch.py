"""``/v1/audio/speech/batch``: many texts in, one archive out that is sent while it is made.

What can be said is in it, each text in a file of its own that is whole; what cannot is named in
``index.json``, the last file. If nothing can be said, the answer is the first text's error. If the service
breaks off, the archive has no end, and whoever opens it can tell.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, HTTPException, Path, Request, Response
from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from ...speech import SpeechError, SpeechRequest, TextFeed
from .archives import ARCHIVES, disposition
from .auth import client_of
from .batch_jobs import Batches, Making, Progress, Wanted
from .context import CLIENT_CLOSED_REQUEST, TEXTS, AppContext, check_model, request_for, while_there
from .model import Language, Name, reason
from .speech import ResponseFormat, SpeechOptions, Speed, SpokenModel, VoiceId, form_of
from .stream import Stream

MOST = 1000
"""Texts of one batch."""
RequestId = Annotated[str | None, Header(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Item(SpokenModel):
    """One text, and what is its own about it."""

    input: str
    voice: Name | VoiceId | None = None
    style: Name | None = None
    language: Language = None
    speed: Speed | None = None
    instructions: str | None = None
    name: Annotated[str, Field(max_length=200)] | None = None
    """What its file is called, after its number; its first words, where nobody says."""


class BatchBody(SpeechOptions):
    """Texts, how all are to be spoken that do not say it themselves, and what to pack them into."""

    inputs: Annotated[list[str | Item], Field(min_length=1, max_length=MOST)]
    response_format: ResponseFormat = "wav"
    archive: Literal["zip", "multipart"] = "zip"

    @field_validator("inputs", mode="before")
    @classmethod
    def _each(cls, inputs: Any) -> Any:
        """Return the inputs, all as items. Says which one is wrong."""
        if not isinstance(inputs, list) or len(inputs) > MOST:
            return inputs  # which is refused
        return [_item(each, number) for number, each in enumerate(inputs, 1)]


def _item(given: Any, number: int) -> Item:
    try:
        return Item.model_validate({"input": given} if isinstance(given, str) else given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ": ".join(["number {number}", *map(str, first["loc"][:1]), "{message}"])
        raise PydanticCustomError("item", where, {"number": number, "message": reason(first)}) from error


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    batches = Batches()

    @router.post(
        "/v1/audio/speech/batch",
        response_class=Response,
        responses={
            200: {
                "description": "A file for each text that can be said, and index.json last",
                "content": {"application/zip": {}, "multipart/mixed": {}},
            }
        },
    )
    async def speak(asked: BatchBody, http: Request, x_request_id: RequestId = None) -> Response:
        """Speak many texts. `X-Request-Id`, if the client sends one, is what its progress is found by."""
        form = form_of(asked.response_format, asked.sample_rate)
        check_model(asked.model, context)
        wanted = _wanted(asked, context, client_of(http.scope))
        archive = ARCHIVES[asked.archive]()
        progress = batches.begin(x_request_id or uuid.uuid4().hex, len(wanted))
        making = Making(context, wanted, form, archive, progress)
        begun = False
        try:
            begun = await while_there(http, making.begin())
        finally:
            if not begun:
                await making.close()
        if not begun:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        headers = {"X-Request-Id": progress.id, "Content-Disposition": disposition(archive.name)}
        return Stream(making.pieces(), archive.content_type, headers, making.close)

    @router.get("/v1/audio/speech/batch/{id}")
    async def progress(name: Annotated[str, Path(alias="id")]) -> Progress:
        """Say how far a batch is; the last hundred are remembered."""
        if (found := batches.find(name)) is None:
            raise HTTPException(404, f"there is no batch {name[:80]!r}, or not any more")
        return found

    return router


def _wanted(asked: BatchBody, context: AppContext, client: str) -> list[Wanted]:
    """Return the texts. Raises SpeechError where all together are too long."""
    items = [each for each in asked.inputs if isinstance(each, Item)]  # as the model has made them
    characters = sum(len(each.input) for each in items)
    if characters > (most := TEXTS * context.settings.limits.max_text):
        raise SpeechError(
            f"the inputs have {characters} characters together; the most is {most}", "text-too-long"
        )
    return [_one(asked, item, number, context, client) for number, item in enumerate(items, 1)]


def _one(asked: BatchBody, item: Item, number: int, context: AppContext, client: str) -> Wanted:
    voice = item.voice.id if isinstance(item.voice, VoiceId) else item.voice
    voice = voice or asked.voice_name

    def request() -> SpeechRequest:
        if not item.input:
            raise SpeechError("the input is empty", "invalid-request")
        wish = request_for(
            context,
            TextFeed.whole(item.input),
            voice=voice,
            style=item.style or asked.style,
            language=item.language or asked.language,
            instructions=item.instructions or asked.instructions,
            speed=item.speed or asked.speed,
            model=asked.model,
        )
        wish.client, wish.listened = client, False
        return wish

    return Wanted(number, item.input, item.input if item.name is None else item.name, voice, request)
