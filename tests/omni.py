"""A server that answers as vllm-omni does, to what vllm-omni's own class of requests takes, with an engine of ours.

vllm-omni itself needs a GPU. Its class is read from the file of its package, without the package: importing that
asks for vllm. What it refuses, and how it streams, follows ``entrypoints/openai/serving_speech.py`` and
``tts_adapters/qwen3_tts.py`` of vllm-omni 0.30.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import ValidationError

from tests.web import free_port
from wyoming_qwen3tts.engines.base import Engine
from wyoming_qwen3tts.engines.qwen3.speakers import TAGS
from wyoming_qwen3tts.speech import Utterance

CUSTOM, BASE = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice", "Qwen/Qwen3-TTS-12Hz-1.7B-Base"
LANGUAGES = {"Auto", *(name.title() for name in TAGS)}
ODD = 1001
"""Bytes of a piece of an answer: no whole number of samples."""


def protocol() -> ModuleType:
    """Return vllm-omni's own classes of requests and responses."""
    if sys.version_info >= (3, 14):
        pytest.skip("vllm-omni does not install on Python 3.14")
    package = importlib.util.find_spec("vllm_omni")
    if package is None or package.origin is None:
        pytest.fail("vllm-omni is missing; script/setup --dev installs it", pytrace=False)
    path = Path(package.origin).parent / "entrypoints" / "openai" / "protocol" / "audio.py"
    spec = importlib.util.spec_from_file_location("vllm_omni_audio", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydantic, about how it is written
        spec.loader.exec_module(module)
    return module


Say = Callable[[Any], AsyncIterator[bytes]]
"""From a request, of vllm-omni's class, to PCM."""


@dataclass(eq=False)
class Omni:
    """The server: what it has, what it was asked, and what is to go wrong."""

    say: Say
    model: str = CUSTOM
    speakers: Sequence[str] = ("ryan", "uncle_fu", "vivian")
    uploaded: Sequence[str] = ()
    key: str = ""
    port: int = 0
    asked: list[Any] = field(default_factory=list)
    """Requests that it spoke, as vllm-omni's class read them."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """The same, as they were sent."""
    peers: set[tuple[str, int]] = field(default_factory=set)
    """Connections that speech was asked for on."""
    fault: Callable[[], Awaitable[Response | None]] | None = None
    """What happens first; its response is the answer."""
    cancelled: int = 0
    """Answers whose client went away."""

    @property
    def uri(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> FastAPI:
        """Return what serves."""
        app = FastAPI()
        request_class = protocol().OpenAICreateSpeechRequest

        def allowed(request: Request) -> bool:
            return not self.key or request.headers.get("authorization") == f"Bearer {self.key}"

        @app.get("/v1/models")
        async def models(request: Request) -> Response:
            if not allowed(request):
                return error(401, "Unauthorized")
            return JSONResponse({"object": "list", "data": [{"id": self.model, "object": "model"}]})

        @app.get("/v1/audio/voices")
        async def voices(request: Request) -> Response:
            if not allowed(request):
                return error(401, "Unauthorized")
            uploaded = [{"name": name, "consent": "", "created_at": 0} for name in self.uploaded]
            return JSONResponse(
                {"voices": sorted([*self.speakers, *self.uploaded]), "uploaded_voices": uploaded}
            )

        @app.post("/v1/audio/speech")
        async def speech(request: Request) -> Response:
            if not allowed(request):
                return error(401, "Unauthorized")
            if self.fault is not None and (answer := await self.fault()) is not None:
                return answer
            body = await request.json()
            try:
                wanted = request_class.model_validate(body)
            except ValidationError as invalid:
                return error(422, str(invalid))
            if (reason := self._refusal(wanted)) is not None:
                return error(400, reason)
            assert request.client is not None
            self.peers.add((request.client.host, request.client.port))
            self.asked.append(wanted)
            self.bodies.append(body)
            return StreamingResponse(self._stream(wanted), media_type="audio/pcm")

        return app

    def _refusal(self, wanted: Any) -> str | None:
        """Return why a request is not spoken: what vllm-omni's adapter checks of one that streams."""
        if wanted.task_type is None and (wanted.ref_audio is not None or wanted.ref_text is not None):
            wanted.task_type = "Base"
        voice = (wanted.voice or "").lower()
        if voice in self.uploaded:
            wanted.task_type = "Base"
        task = wanted.task_type or "CustomVoice"
        custom = task == "CustomVoice"
        named = custom or voice in self.uploaded
        transcribed = wanted.x_vector_only_mode or (wanted.ref_text or "").strip()
        wrong = {
            "is not a raw stream": not wanted.is_raw_audio_stream() or wanted.response_format != "pcm",
            "has another speed": wanted.speed != 1.0,
            "is for another model": wanted.model not in {None, self.model},
            f"is for {task}": not self.model.endswith(task),
            "has no text": not wanted.input.strip(),
            f"has language {wanted.language}": (wanted.language or "Auto").title() not in LANGUAGES,
            "has another sample_rate": wanted.sample_rate not in {None, 8000, 24000},
            "has a high max_new_tokens": (wanted.max_new_tokens or 1) > 4096,
            f"has voice {wanted.voice}": custom and voice not in self.speakers,
            "has ref_text without Base": custom and wanted.ref_text is not None,
            "has x_vector_only_mode without Base": custom and wanted.x_vector_only_mode is not None,
            "has no ref_audio": not named and not str(wanted.ref_audio).startswith("data:audio/wav;base64,"),
            "has no ref_text": not named and not transcribed,
        }
        return next((f"the request {reason}" for reason, is_so in wrong.items() if is_so), None)

    async def _stream(self, wanted: Any) -> AsyncIterator[bytes]:
        rest, whole = b"", False
        try:
            async with aclosing(self.say(wanted)) as sounds:  # type: ignore[type-var]
                async for sound in sounds:
                    rest += sound
                    while len(rest) >= ODD:
                        yield rest[:ODD]
                        rest = rest[ODD:]
            if rest:
                yield rest
            whole = True
        finally:
            self.cancelled += not whole


def error(status: int, message: str) -> JSONResponse:
    """Return an error in vLLM's form."""
    kind = {"message": message, "type": "BadRequestError", "param": None, "code": status}
    return JSONResponse({"error": kind}, status)


def by(engine: Engine) -> Say:
    """Return what says a request with an engine of ours."""

    async def say(wanted: Any) -> AsyncIterator[bytes]:
        voices = {voice.name.lower().replace(" ", "_"): voice for voice in engine.voices()}
        language = next((tag for name, tag in TAGS.items() if name.title() == wanted.language), "und")
        said = Utterance(wanted.input, voices[wanted.voice.lower()], language, wanted.seed)
        async with aclosing(engine.speak(said)) as sounds:
            async for sound in sounds:
                yield sound

    return say


@asynccontextmanager
async def serving(omni: Omni) -> AsyncIterator[Omni]:
    """Serve on a free port of this machine."""
    omni.port = omni.port or free_port()
    config = uvicorn.Config(omni.app(), "127.0.0.1", omni.port, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())  # serve would install handlers for the process's signals
    while not server.started:
        await asyncio.sleep(0.01)
        assert not task.done(), "the server did not start"
    try:
        yield omni
    finally:
        server.should_exit = server.force_exit = True
        await task
