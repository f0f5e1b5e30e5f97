"""A vllm-omni server: one Qwen3-TTS checkpoint behind OpenAI's speech API, as of vllm-omni 0.30.

Audio arrives as raw PCM in a chunked response, so that a truncated response is always detected.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ...config.settings import RemoteSettings
from ...speech import SAMPLE_RATE, SAMPLE_WIDTH, CustomVoice, Reference, Utterance, Voice
from ..base import EngineUnavailableError, TruncatedAudioError, UnsupportedTextError
from ..qwen3 import speakers
from ..qwen3.download import KINDS, supports_instructions
from ..qwen3.guards import FRAMES_PER_SECOND, SLACK_FRAMES
from .server import ENGINE, RESPONSE_TIMEOUT, NoResponseError, RequestRefusedError, ServerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2

FRAMES_PER_BYTE = 6.0
"""Frame limit per byte of text; a text has at most as many tokens as bytes (byte-level BPE). The local engine
has a limit of 12 per token, and an English token has four to five bytes."""
MAX_FRAMES = 4096
"""The highest limit that vllm-omni accepts."""
KEEPALIVE_SECONDS = 4.0
"""Seconds for which an idle connection is kept: vLLM closes it after 5 (VLLM_HTTP_TIMEOUT_KEEP_ALIVE)."""
PCM_CONTENT_TYPES = frozenset({"audio/pcm", "audio/l16", "application/octet-stream"})
"""Accepted content types: anything else is not PCM and would be noise."""
BUSY_STATUSES = frozenset({429, 503})
UNSUPPORTED_TEXT_STATUSES = frozenset({400, 422})
_SIZE = re.compile(r"[01]\.[67]B", re.IGNORECASE)


class OmniServer:
    """A vllm-omni server."""

    def __init__(self, uri: str, settings: RemoteSettings) -> None:
        self.uri = uri.rstrip("/")
        self._settings = settings
        self._headers = {"Accept-Encoding": "identity"}
        if key := settings.remote_key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client: httpx2.AsyncClient | None = None
        self._names: dict[str, str] = {}
        """The server's names of voices, by the names used here."""

    async def fetch_info(self) -> ServerInfo:
        """Request the model's name and voices."""
        models = _get_list(await self._get("/v1/models"), "data")
        names = [each.get("id") for each in models if isinstance(each, dict)]
        if not names or not isinstance(names[0], str):
            raise NoResponseError(f"{self.uri} lists no model at /v1/models")
        model: str = names[0]
        response = await self._get("/v1/audio/voices")
        voices = [name for name in _get_list(response, "voices") if isinstance(name, str)]
        uploaded = [each["name"] for each in _get_list(response, "uploaded_voices", []) if _has_name(each)]
        own = speakers.sort_by_preference([name for name in voices if name not in set(uploaded)])
        self._names = {speakers.display_name(name): name for name in own}
        speaker_model = _speaker_model(model)
        found = [speaker_model.speaker(name, shown) for shown, name in self._names.items()]
        found += [
            speaker_model.voice(name, f"{name} ({speaker_model.model_description})") for name in uploaded
        ]
        cloner = model if _kind(model) == "base" else ""
        if not found and not cloner:
            raise NoResponseError(f"{self.uri} ({model}) has no voices")
        return ServerInfo(tuple(found), {model: f"vllm-omni {model}"}, cloner)

    def clone(self, recorded: CustomVoice, model: str) -> Voice:
        """Return a recording as a voice of the server's Base checkpoint."""
        return _speaker_model(model).clone(recorded)

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM as it arrives."""
        body = await self._request_body(utterance)
        max_bytes = body["max_new_tokens"] / FRAMES_PER_SECOND * SAMPLE_RATE * SAMPLE_WIDTH
        received, remainder = 0, b""
        async with self._connection_errors(), self._request_audio(body) as response:
            if utterance.on_start is not None:
                utterance.on_start()
            async for piece in response.aiter_raw():
                data = remainder + piece
                whole = len(data) - len(data) % SAMPLE_WIDTH
                data, remainder = data[:whole], data[whole:]
                received += len(data)
                if data:
                    yield data
        if remainder:
            raise NoResponseError(f"{self.uri} ended the audio within a sample")
        if received >= max_bytes:
            raise TruncatedAudioError(
                f"the {utterance.voice.name} voice did not end within {body['max_new_tokens']} frames"
            )

    @asynccontextmanager
    async def _request_audio(self, body: dict[str, Any]) -> AsyncIterator[httpx2.Response]:
        """Request speech; yield the response once its status and content type are checked."""
        import httpx2

        client = self._get_client()
        request = client.build_request(
            "POST", f"{self.uri}/v1/audio/speech", json=body, headers=self._headers
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            # The server closed an idle connection just when it was reused.
            response = await client.send(request, stream=True)
        try:
            await self._raise_for_status(response)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in PCM_CONTENT_TYPES:
                raise EngineUnavailableError(
                    f"{self.uri} sent {kind[:40] or 'no content type'} instead of PCM"
                )
            yield response
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _request_body(self, utterance: Utterance) -> dict[str, Any]:
        """Return the request's body. Raises UnsupportedTextError where a recording cannot be read."""
        voice = utterance.voice
        frames = SLACK_FRAMES + FRAMES_PER_BYTE * len(utterance.text.encode())
        body: dict[str, Any] = {
            "model": voice.model,
            "input": utterance.text,
            "language": speakers.to_model_language(utterance.language).title(),
            "seed": utterance.seed,
            "max_new_tokens": min(round(frames), MAX_FRAMES),
            "sample_rate": SAMPLE_RATE,
            "response_format": "pcm",
            "stream": True,
            "stream_format": "audio",
        }
        if voice.reference is None:
            body["voice"] = self._names.get(voice.speaker, voice.speaker)
        else:
            body["task_type"] = KINDS["base"]
            body["ref_audio"] = await asyncio.to_thread(_data_url, voice.reference)
            if voice.reference.transcript:
                body["ref_text"] = voice.reference.transcript
            else:
                body["x_vector_only_mode"] = True
        if voice.style is not None and voice.style.instruct and voice.supports_instructions:
            body["instructions"] = voice.style.instruct
        return body

    def _get_client(self) -> httpx2.AsyncClient:
        """Return the HTTP client, created on first use."""
        if self._client is None:
            import httpx2

            # RemoteEngine applies the timeouts for audio, the same for all kinds of servers.
            timeout = httpx2.Timeout(None, connect=self._settings.remote_connect_timeout)
            pool = httpx2.Limits(max_connections=None, keepalive_expiry=KEEPALIVE_SECONDS)
            # Reading the system's certificates takes half a second.
            secure = self.uri.startswith("https://")
            self._client = httpx2.AsyncClient(timeout=timeout, limits=pool, trust_env=False, verify=secure)
        return self._client

    async def _get(self, path: str) -> Any:
        async with self._connection_errors():
            response = await self._get_client().get(
                f"{self.uri}{path}", headers=self._headers, timeout=RESPONSE_TIMEOUT
            )
            await self._raise_for_status(response)
            try:
                return response.json()
            except ValueError:
                raise NoResponseError(f"{self.uri}{path} did not respond with JSON") from None

    @asynccontextmanager
    async def _connection_errors(self) -> AsyncIterator[None]:
        """Raise NoResponseError for errors of the connection."""
        try:
            import httpx2
        except ImportError as error:
            raise EngineUnavailableError(
                f"http needs httpx2 ({error}); pip install 'wyoming-qwen3tts[remote]'"
            ) from error
        try:
            yield
        except httpx2.ConnectTimeout as error:
            limit = self._settings.remote_connect_timeout
            raise NoResponseError(f"{self.uri} did not respond within {limit:g} s") from error
        except httpx2.ConnectError as error:
            raise NoResponseError(f"{self.uri} cannot be reached: {error}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise NoResponseError(f"the connection to {self.uri} was lost: {reason}") from error

    async def _raise_for_status(self, response: httpx2.Response) -> None:
        """Raise the engine's error for a status other than 200."""
        if response.status_code == 200:
            return
        text = (await response.aread()).decode("utf-8", "replace")
        reason = f"{self.uri}: {response.status_code} {_message(text)}"
        if response.status_code in BUSY_STATUSES:
            raise RequestRefusedError(reason)
        if response.status_code in UNSUPPORTED_TEXT_STATUSES:
            raise UnsupportedTextError(reason)
        raise EngineUnavailableError(reason)


def _get_list(response: Any, name: str, default: list[Any] | None = None) -> list[Any]:
    """Return the list ``name`` of a response. Raises NoResponseError where there is none."""
    found = response.get(name, default) if isinstance(response, dict) else None
    if not isinstance(found, list):
        raise NoResponseError(f"the response has no list {name!r}")
    return found


def _has_name(each: Any) -> bool:
    return isinstance(each, dict) and isinstance(each.get("name"), str)


def _kind(model: str) -> str:
    """Return the kind of checkpoint, a key of ``KINDS``, in a model's name; empty for none."""
    plain = re.sub(r"[^a-z]", "", model.lower())
    return next((kind for kind, name in KINDS.items() if plain.endswith(name.lower())), "")


def _size(model: str) -> str:
    found = _SIZE.search(model)
    return found[0].upper() if found else ""


def _speaker_model(name: str) -> speakers.SpeakerModel:
    """Return the model with this name; its kind and size are taken from the name."""
    kind, size = _kind(name), _size(name)
    model_description = " ".join(filter(None, ("Qwen3-TTS", size, KINDS[kind]))) if kind else name
    follows_instructions = supports_instructions(kind or "custom_voice", size)
    return speakers.SpeakerModel(ENGINE, name, model_description, supports_instructions=follows_instructions)


def _data_url(reference: Reference) -> str:
    """Return a recording as a data URL. Runs in a thread."""
    try:
        data = reference.path.read_bytes()
    except OSError as error:
        raise UnsupportedTextError(f"the recording cannot be read: {error.strerror}") from error
    return f"data:audio/wav;base64,{base64.b64encode(data).decode()}"


def _message(text: str) -> str:
    """Return the message in an error response's body, on one line."""
    found = re.search(r'"(?:message|detail)"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    return " ".join((found[1] if found else text).split())[:200]
