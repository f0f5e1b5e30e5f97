"""``/v1/audio/speech``: a text in, an audio file out that is streamed while it is synthesized."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ...audio.formats import AAC_MODULE, FORMATS, Format
from ...speech import FASTEST, SLOWEST, SpeechError, SpeechRequest, TextFeed
from ...voices.details import LONGEST_TEXT
from .audio_response import AudioResponse
from .auth import client_id
from .context import (
    CLIENT_CLOSED_REQUEST,
    OPENAI_MODELS,
    AppContext,
    build_request,
    known_models,
    run_while_connected,
)
from .encoded_file import iterate_in_thread
from .model import Language, Name, RequestModel
from .reference_audio import MAX_ENCODED_LENGTH, ReferenceAudioCloner
from .sse import MEDIA_TYPE, encode_event, error_event
from .stream import ClosingStreamingResponse

FRAMES_PER_SECOND = 12.5
"""Frames of the audio codec, reported as output tokens."""

ResponseFormat = Literal[
    "mp3", "opus", "aac", "flac", "wav", "pcm", "mulaw", "alaw", "wav_mulaw", "wav_alaw"
]  # the names of encode.FORMATS
SampleRate = Annotated[int, Field(ge=8000, le=48_000)]
Speed = Annotated[float, Field(ge=SLOWEST, le=FASTEST)]


IGNORED = frozenset(
    "backend metadata prompt_cache_key provider_endpoint safety_identifier service_tier store stream_options "
    "user".split()
)
"""Accepted fields of other services that do not affect the audio: OpenAI's accounting, routing of proxies."""


class VoiceId(RequestModel):
    """A voice as an object: OpenAI's form for custom voices."""

    id: Name


class SpokenModel(RequestModel):
    """A request for speech. Unknown fields are errors: ignoring them could change the result."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name not in IGNORED}


class SpeechOptions(SpokenModel):
    """How to speak a text: OpenAI's options, and this service's own ``language`` and ``style``."""

    voice: Name | VoiceId | None = None
    model: Name = OPENAI_MODELS[0]
    instructions: str | None = None
    speed: Speed | None = None
    response_format: ResponseFormat = "mp3"
    sample_rate: SampleRate | None = None
    """Hz, for formats that support several; by default the format's own."""
    language: Language = None
    style: Name | None = None

    @property
    def voice_name(self) -> str | None:
        """The requested voice's name; None for the default voice."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    def request(self, context: AppContext, text: TextFeed) -> SpeechRequest:
        """Return the request to speak ``text`` with these options. Raises SpeechError."""
        return build_request(
            context,
            text,
            voice=self.voice_name,
            style=self.style,
            language=self.language,
            instructions=self.instructions,
            speed=self.speed,
            model=self.model,
        )


class SpeechBody(SpeechOptions):
    """OpenAI's speech request, vllm-omni's fields for cloning, and this service's own ``stream``."""

    input: Annotated[str, Field(min_length=1)]
    ref_audio: Annotated[str, Field(min_length=1, max_length=MAX_ENCODED_LENGTH)] | None = None
    """A recording to clone for this request, instead of ``voice``: base64 or a data URL."""
    ref_text: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    """The transcript of ``ref_audio``, word for word; it makes the clone more similar."""
    x_vector_only_mode: bool = False
    """Use only the timbre of the recording, and ignore ``ref_text``; vllm-omni's name."""
    task_type: Literal["Base", "CustomVoice", "VoiceDesign"] | None = None
    """vllm-omni's field. It follows from the other fields here, and is an error if it contradicts them."""
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool = True

    @model_validator(mode="after")
    def _check_clone(self) -> Self:
        if self.ref_audio is None:
            for name in ("ref_text", "x_vector_only_mode"):
                if getattr(self, name):
                    raise PydanticCustomError("clone", "{name} needs ref_audio", {"name": name})
        elif self.style is not None:
            raise PydanticCustomError("clone", "style: a voice cloned from ref_audio has no styles")
        if self.task_type is not None and (self.task_type == "Base") != (self.ref_audio is not None):
            message = 'task_type: "Base" needs ref_audio, the others exclude it'
            raise PydanticCustomError("clone", message)
        return self


_HEADERS = {
    "X-Request-Id": "id of the request in the log",
    "X-First-Audio-Ms": "time to first audio",
    "X-Cache": "where the audio comes from: memory, disk, redis, shared, part, miss or off",
    "X-Engine": "the engine that synthesizes the audio, or did when it was cached",
    "X-Fallback": "why another engine is used than requested: engine; absent if none is",
    "X-Total-Ms": 'time of the complete answer, with "stream": false',
    "X-Audio-Seconds": 'length of the audio, with "stream": false',
    "X-RTF": 'real-time factor: seconds of work per second of audio, with "stream": false',
}
AUDIO_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The audio, streamed while it is synthesized",
        "content": {each.content_type: {} for each in FORMATS.values()} | {MEDIA_TYPE: {}},
        "headers": {
            name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
        },
    }
}
"""The OpenAPI description of the response."""


def format_of(asked: str, sample_rate: int | None = None) -> Format:
    """Return the requested audio format. Raises SpeechError if it is not available."""
    audio_format = FORMATS[asked]
    if asked == "aac" and importlib.util.find_spec(AAC_MODULE) is None:
        message = "response_format aac needs PyAV on the server: pip install 'wyoming-qwen3tts[aac]'"
        raise SpeechError(message, "not-possible")
    try:
        return audio_format if sample_rate is None else audio_format.at(sample_rate)
    except ValueError as error:
        raise SpeechError(f"sample_rate: {error}", "invalid-request") from error


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    cloner = ReferenceAudioCloner(context)

    @router.post("/v1/audio/speech", response_class=Response, responses=AUDIO_RESPONSES)
    async def speak(asked: SpeechBody, http: Request) -> Response:
        """Speak a text; the response begins with the first audio, and stays incomplete if synthesis fails."""
        request = asked.request(context, TextFeed.whole(asked.input))
        request.client = client_id(http.scope)
        audio_format = format_of(asked.response_format, asked.sample_rate)
        delete_recording: Callable[[], object] | None = None
        if asked.ref_audio is not None:
            transcript = "" if asked.x_vector_only_mode else asked.ref_text or ""
            request.clone, delete_recording = await cloner.voice(asked.ref_audio, transcript, asked.language)
            request.fallback = False  # another voice would not be the recorded person's
        answer = AudioResponse(context, request, audio_format, delete_recording)
        if not await run_while_connected(http, answer.begin()):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        if asked.stream_format == "sse":
            return ClosingStreamingResponse(_events(answer), MEDIA_TYPE, answer.headers, answer.close)
        if asked.stream and http.scope["http_version"] != "1.0":  # HTTP/1.0 cannot mark a truncated answer
            return ClosingStreamingResponse(
                answer.chunks(), audio_format.content_type, answer.headers, answer.close
            )
        if not await run_while_connected(http, answer.make_file()):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        headers = {**answer.headers, "Content-Length": str(answer.file.size)}
        blocks = iterate_in_thread(answer.file.blocks())
        return ClosingStreamingResponse(blocks, audio_format.content_type, headers, answer.close)

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List the accepted values of ``model``."""
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": 0, "owned_by": "wyoming-qwen3tts"}
                for name in known_models(context.voices)
            ],
        }

    return router


async def _events(answer: AudioResponse) -> AsyncGenerator[str, None]:
    """Yield OpenAI's server-sent events; ``speech.audio.done`` follows a complete answer only."""
    try:
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                audio = base64.b64encode(chunk).decode()
                yield encode_event({"type": "speech.audio.delta", "audio": audio})
    except SpeechError as error:
        yield encode_event(error_event(error))
        return
    tokens = {
        "input_tokens": answer.request.text.length,
        "output_tokens": round(answer.audio_seconds * FRAMES_PER_SECOND),
    }
    usage = {**tokens, "total_tokens": sum(tokens.values())}
    yield encode_event({"type": "speech.audio.done", "usage": usage})
