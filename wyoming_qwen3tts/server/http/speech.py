"""``/v1/audio/speech``: a text in, a file out that is heard while it is made."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from ...audio.encoding import FORMATS, Format
from ...speech import FASTEST, SLOWEST, SpeechError, SpeechRequest, TextFeed
from .access import client_of
from .answer import Answer
from .events import MEDIA_TYPE, event, fault
from .model import Language, Model, Name
from .parts import CLIENT_CLOSED_REQUEST, MODELS, Parts, known_models, request_for, while_there
from .stream import Stream
from .whole import threaded

FRAMES_A_SECOND = 12.5
"""What counts as tokens of sound: the codec's frames."""

Asked = Literal["mp3", "opus", "flac", "wav", "pcm", "aac"]
Speed = Annotated[float, Field(ge=SLOWEST, le=FASTEST)]


class VoiceId(Model):
    """A voice as an object, as OpenAI names those that somebody made."""

    id: Name


class Manner(Model):
    """How to speak a text: OpenAI's options, and ``language`` and ``style`` of our own."""

    voice: Name | VoiceId | None = None
    model: Name = MODELS[0]
    instructions: str | None = None
    speed: Speed | None = None
    response_format: Asked = "mp3"
    language: Language = None
    style: Name | None = None

    @property
    def voice_name(self) -> str | None:
        """The voice's name, None where any will do."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    def request(self, parts: Parts, text: TextFeed) -> SpeechRequest:
        """Return the request to speak ``text`` so. Raises SpeechError."""
        return request_for(
            parts,
            text,
            voice=self.voice_name,
            style=self.style,
            language=self.language,
            instructions=self.instructions,
            speed=self.speed,
            model=self.model,
        )


class Speech(Manner):
    """What OpenAI's speech request has, and ``stream`` of our own."""

    input: Annotated[str, Field(min_length=1)]
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool = True


_HEADERS = {
    "X-Request-Id": "the same as in the log",
    "X-First-Audio-Ms": "from the request to its first sound",
    "X-Cache": "where the sound comes from: memory, disk, redis, shared, part, miss or off",
    "X-Engine": "the engine that speaks, or did when the sound was made",
    "X-Fallback": "why another speaks than was asked for: engine; absent if none does",
    "X-Total-Ms": 'of the whole answer, with "stream": false',
    "X-Audio-Seconds": 'of sound, with "stream": false',
    "X-RTF": 'real-time factor: seconds for a second of sound, with "stream": false',
}
SOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The sound, while it is made",
        "content": {form.content_type: {} for form in FORMATS.values()} | {MEDIA_TYPE: {}},
        "headers": {
            name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
        },
    }
}
"""What OpenAPI is told of an answer."""


def form_of(asked: str) -> Format:
    """Return a format that is spoken here. Raises SpeechError."""
    if asked not in FORMATS:
        raise SpeechError(
            f"response_format {asked} is not spoken here, but {', '.join(FORMATS)}", "invalid-request"
        )
    return FORMATS[asked]


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.post("/v1/audio/speech", response_class=Response, responses=SOUND)
    async def speak(asked: Speech, http: Request) -> Response:
        """Speak a text; the answer begins with its first sound, and breaks off if it cannot be whole."""
        request = asked.request(parts, TextFeed.whole(asked.input))
        request.client = client_of(http.scope)
        form = form_of(asked.response_format)
        answer = Answer(parts, request, form)
        if not await while_there(http, answer.begin()):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        if asked.stream_format == "sse":
            return Stream(_events(answer), MEDIA_TYPE, answer.headers, answer.close)
        if asked.stream and http.scope["http_version"] != "1.0":  # which has no end but the connection's
            return Stream(answer.pieces(), form.content_type, answer.headers, answer.close)
        if not await while_there(http, answer.whole()):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        headers = {**answer.headers, "Content-Length": str(answer.file.size)}
        return Stream(threaded(answer.file.blocks()), form.content_type, headers, answer.close)

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List what can be asked for as ``model``."""
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": 0, "owned_by": "wyoming-qwen3tts"}
                for name in known_models(parts.voices)
            ],
        }

    return router


async def _events(answer: Answer) -> AsyncGenerator[str, None]:
    """Yield OpenAI's server-sent events; ``speech.audio.done`` comes after a whole answer only."""
    try:
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                audio = base64.b64encode(piece).decode()
                yield event({"type": "speech.audio.delta", "audio": audio})
    except SpeechError as error:
        yield event(fault(error))
        return
    tokens = {
        "input_tokens": answer.request.text.length,
        "output_tokens": round(answer.audio_seconds * FRAMES_A_SECOND),
    }
    usage = {**tokens, "total_tokens": sum(tokens.values())}
    yield event({"type": "speech.audio.done", "usage": usage})
