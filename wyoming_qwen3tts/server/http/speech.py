"""``/v1/audio/speech``: a text in, a file out that is heard while it is made."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ...audio.encode import AAC_MODULE, FORMATS, Format
from ...speech import FASTEST, SLOWEST, SpeechError, SpeechRequest, TextFeed
from ...voices.store import LONGEST_TEXT
from .audio_response import AudioResponse
from .auth import client_of
from .context import CLIENT_CLOSED_REQUEST, MODELS, AppContext, known_models, request_for, while_there
from .model import Language, Name, RequestModel
from .reference_audio import LARGEST_ENCODED, RequestClones
from .sse import MEDIA_TYPE, event, fault
from .stream import Stream
from .whole import threaded

FRAMES_A_SECOND = 12.5
"""What counts as tokens of sound: the codec's frames."""

ResponseFormat = Literal[
    "mp3", "opus", "aac", "flac", "wav", "pcm", "mulaw", "alaw", "wav_mulaw", "wav_alaw"
]  # the names of encode.FORMATS
SampleRate = Annotated[int, Field(ge=8000, le=48_000)]
Speed = Annotated[float, Field(ge=SLOWEST, le=FASTEST)]


IGNORED = frozenset(
    "backend metadata prompt_cache_key provider_endpoint safety_identifier service_tier store stream_options "
    "user".split()
)
"""Fields that clients send to others and that change no sound: accounting of OpenAI's, routes of proxies."""


class VoiceId(RequestModel):
    """A voice as an object, as OpenAI names those that somebody made."""

    id: Name


class SpokenModel(RequestModel):
    """A request for speech. An unknown field is an error: the speech would not be as it asks."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name not in IGNORED}


class SpeechOptions(SpokenModel):
    """How to speak a text: OpenAI's options, and ``language`` and ``style`` of our own."""

    voice: Name | VoiceId | None = None
    model: Name = MODELS[0]
    instructions: str | None = None
    speed: Speed | None = None
    response_format: ResponseFormat = "mp3"
    sample_rate: SampleRate | None = None
    """Samples a second, for formats that have a choice; their own where it is absent."""
    language: Language = None
    style: Name | None = None

    @property
    def voice_name(self) -> str | None:
        """The voice's name, None where any will do."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    def request(self, context: AppContext, text: TextFeed) -> SpeechRequest:
        """Return the request to speak ``text`` so. Raises SpeechError."""
        return request_for(
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
    """What OpenAI's speech request has, and ``stream`` of our own."""

    input: Annotated[str, Field(min_length=1)]
    ref_audio: Annotated[str, Field(min_length=1, max_length=LARGEST_ENCODED)] | None = None
    """A recording that is cloned for this request alone: base64 or a data URL; in the place of ``voice``."""
    ref_text: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    """What is said in it, word for word: a closer likeness."""
    x_vector_only_mode: bool = False
    """Take only the timbre of the recording, and leave ``ref_text`` out; as vllm-omni calls it."""
    task_type: Literal["Base", "CustomVoice", "VoiceDesign"] | None = None
    """vllm-omni's, which follows from the other fields here: an error where it contradicts them."""
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool = True

    @model_validator(mode="after")
    def _check_clone(self) -> Self:
        if self.ref_audio is None:
            for name in ("ref_text", "x_vector_only_mode"):
                if getattr(self, name):
                    raise PydanticCustomError("clone", "{name} goes with ref_audio", {"name": name})
        elif self.style is not None:
            raise PydanticCustomError("clone", "style: a voice of ref_audio has no styles")
        if self.task_type is not None and (self.task_type == "Base") != (self.ref_audio is not None):
            raise PydanticCustomError("clone", 'task_type: "Base" goes with ref_audio, the others without')
        return self


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


def form_of(asked: str, sample_rate: int | None = None) -> Format:
    """Return the format of an answer. Raises SpeechError where it cannot be made."""
    form = FORMATS[asked]
    if asked == "aac" and importlib.util.find_spec(AAC_MODULE) is None:
        message = "response_format aac needs PyAV on the server: pip install 'wyoming-qwen3tts[aac]'"
        raise SpeechError(message, "not-possible")
    try:
        return form if sample_rate is None else form.at(sample_rate)
    except ValueError as error:
        raise SpeechError(f"sample_rate: {error}", "invalid-request") from error


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    clones = RequestClones(context)

    @router.post("/v1/audio/speech", response_class=Response, responses=SOUND)
    async def speak(asked: SpeechBody, http: Request) -> Response:
        """Speak a text; the answer begins with its first sound, and breaks off if it cannot be whole."""
        request = asked.request(context, TextFeed.whole(asked.input))
        request.client = client_of(http.scope)
        form = form_of(asked.response_format, asked.sample_rate)
        drop: Callable[[], object] | None = None
        if asked.ref_audio is not None:
            transcript = "" if asked.x_vector_only_mode else asked.ref_text or ""
            request.clone, drop = await clones.voice(asked.ref_audio, transcript, asked.language)
            request.fallback = False  # no other voice is that person's
        answer = AudioResponse(context, request, form, drop)
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
                for name in known_models(context.voices)
            ],
        }

    return router


async def _events(answer: AudioResponse) -> AsyncGenerator[str, None]:
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
