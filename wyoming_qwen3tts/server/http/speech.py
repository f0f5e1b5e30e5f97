"""``/v1/audio/speech``: a text in, a file out that is heard while it is made."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from ...audio.encoding import FORMATS, Encoder, Format, Raw, Wav, wav_header
from ...speech import FASTEST, SLOWEST, SpeechError, SpeechRequest, TextFeed
from ...synthesizer import Synthesizer
from ...voices.register import Voices
from ..requests import RequestLog

MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""OpenAI's models, which clients ask for without looking: whoever speaks here answers to them."""
CLIENT_CLOSED_REQUEST = 499
"""The status of an answer that nobody is there to read."""
EVENT = "data: {}\n\n"
FRAMES_A_SECOND = 12.5
"""What counts as tokens of sound: the codec's frames."""


class VoiceId(BaseModel):
    """A voice as an object, as OpenAI names those that somebody made."""

    id: str


class Speech(BaseModel):
    """What OpenAI's speech request has, and ``language`` (BCP 47) and ``stream`` of our own."""

    input: Annotated[str, Field(min_length=1)]
    voice: str | VoiceId | None = None
    model: str = MODELS[0]
    instructions: str | None = None
    speed: Annotated[float, Field(ge=SLOWEST, le=FASTEST)] | None = None
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm", "aac"] = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    language: str | None = None
    stream: bool = True


def routes(synthesizer: Synthesizer, voices: Voices, *, max_text: int) -> APIRouter:
    """Return the routes. ``max_text``: characters of one request."""
    router = APIRouter()

    @router.post("/v1/audio/speech")
    async def speak(asked: Speech, http: Request) -> Response:
        """Speak a text; the answer begins with its first sound, and breaks off if it cannot be whole."""
        name = asked.voice.id if isinstance(asked.voice, VoiceId) else asked.voice
        request = _request(
            voices, asked.input, name, asked.language, asked.instructions, asked.speed, max_text
        )
        _check_model(asked.model, voices)
        if asked.response_format == "aac":
            raise SpeechError(
                f"response_format aac is not spoken here, but {', '.join(FORMATS)}", "invalid-request"
            )
        answer = Answer(synthesizer, request, FORMATS[asked.response_format])
        if not await _before_it_leaves(http, answer.begin()):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        if asked.stream_format == "sse":
            return StreamingResponse(answer.events(), media_type="text/event-stream", headers=answer.headers)
        media = FORMATS[asked.response_format].content_type
        if asked.stream and http.scope["http_version"] != "1.0":  # which has no end but the connection's
            return StreamingResponse(answer.pieces(), media_type=media, headers=answer.headers)
        if not await _before_it_leaves(http, answer.whole()):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return Response(answer.content, media_type=media, headers=answer.headers)

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List what can be asked for as ``model``."""
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": 0, "owned_by": "wyoming-qwen3tts"}
                for name in known_models(voices)
            ],
        }

    @router.get("/v1/audio/voices")
    async def list_voices() -> dict[str, Any]:
        """List the voices, as Home Assistant is offered them."""
        await voices.refresh()
        return {
            "voices": [
                {
                    "id": voice.name,
                    "name": voice.name,
                    "description": voice.description,
                    "languages": list(voice.languages),
                }
                for voice in voices.catalog.voices
            ]
        }

    return router


def known_models(voices: Voices) -> list[str]:
    """Return the names that a model may be asked for by."""
    return list(dict.fromkeys((*MODELS, *(voice.model for voice in voices.catalog.voices if voice.model))))


def _check_model(model: str, voices: Voices) -> None:
    known = known_models(voices)
    if model not in known:
        raise SpeechError(f"there is no model {model!r}, but {', '.join(known)}", "model-not-found")


async def _before_it_leaves(http: Request, work: Coroutine[Any, Any, None]) -> bool:
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


def _request(
    voices: Voices,
    text: str,
    voice: str | None,
    language: str | None,
    instructions: str | None,
    speed: float | None,
    max_text: int,
) -> SpeechRequest:
    """Return what is asked for. Raises SpeechError."""
    if len(text) > max_text:
        raise SpeechError(f"input has over {max_text} characters, the most for one request", "text-too-long")
    return SpeechRequest(
        TextFeed.whole(text),
        voice=voice,
        language=language,
        speed=speed,
        instructions=instructions,
        strict=True,
        source="http",
    )


class Answer:
    """The sound of one request on its way out, in a format."""

    def __init__(self, synthesizer: Synthesizer, request: SpeechRequest, form: Format) -> None:
        self._sounds = synthesizer.speak(request)
        self._form = form
        self._encoder: Encoder = form.encoder()
        self._first = b""
        self._log = RequestLog(request)
        self._text = request.text
        self.content = b""
        self.headers = {"X-Request-Id": uuid.uuid4().hex}

    async def begin(self) -> None:
        """Wait for the first sound: what goes wrong before has an answer of its own. Raises SpeechError."""
        try:
            self._first = await anext(self._sounds)
        except BaseException as error:
            await self._sounds.aclose()
            self._ended(error)
            raise
        self._log.sent(self._first)
        self.headers["X-First-Audio-Ms"] = f"{self._log.first * 1000:.1f}"

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the file. Raises SpeechError where it cannot be whole: then it has no end."""
        try:
            async with aclosing(self._sounds):
                if piece := await self._encoded(self._first):
                    yield piece
                async for sound in self._sounds:
                    self._log.sent(sound)
                    if piece := await self._encoded(sound):
                        yield piece
            if (
                piece := self._encoder.finish()
                if self._light
                else await asyncio.to_thread(self._encoder.finish)
            ):
                yield piece
        except BaseException as error:
            self._ended(error)
            raise
        self._ended(None)

    def _ended(self, error: BaseException | None) -> None:
        """Log what became of it."""
        if isinstance(error, SpeechError):
            self._log.outcome = error.code
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._log.outcome = "gone"
        elif error is None:
            self._log.outcome = "ok"
        self._log.write()

    async def whole(self) -> None:
        """Make the file, ``content``, and say in ``headers`` what it took."""
        async with aclosing(self.pieces()) as pieces:
            content = b"".join([piece async for piece in pieces])
        if self._form.encoder is Wav:
            head = wav_header(0)
            content = wav_header(len(content) - len(head)) + content[len(head) :]
        total, seconds = self._log.seconds, self._log.audio_seconds
        self.headers |= {
            "X-Total-Ms": f"{total * 1000:.1f}",
            "X-Audio-Seconds": f"{seconds:.3f}",
            "X-RTF": f"{total / seconds:.4f}",
        }
        self.content = content

    async def events(self) -> AsyncGenerator[str, None]:
        """Yield OpenAI's server-sent events; ``speech.audio.done`` comes after a whole answer only."""
        try:
            async with aclosing(self.pieces()) as pieces:
                async for piece in pieces:
                    audio = base64.b64encode(piece).decode()
                    yield EVENT.format(json.dumps({"type": "speech.audio.delta", "audio": audio}))
        except SpeechError as error:
            fault = {"type": "error", "error": {"message": str(error), "code": error.code}}
            yield EVENT.format(json.dumps(fault))
            return
        tokens = {
            "input_tokens": self._text.length,
            "output_tokens": round(self._log.audio_seconds * FRAMES_A_SECOND),
        }
        usage = {**tokens, "total_tokens": sum(tokens.values())}
        yield EVENT.format(json.dumps({"type": "speech.audio.done", "usage": usage}))

    @property
    def _light(self) -> bool:
        return self._form.encoder in {Raw, Wav}

    async def _encoded(self, sound: bytes) -> bytes:
        if self._light:
            return self._encoder.push(sound)
        return await asyncio.to_thread(self._encoder.push, sound)
