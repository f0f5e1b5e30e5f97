"""A vllm-omni server: one Qwen3-TTS checkpoint behind OpenAI's speech API, as of vllm-omni 0.30.

Sound comes as raw PCM in a chunked answer, so that an answer that breaks off cannot pass for a whole one.
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
from ..qwen3.guards import FRAMES_A_SECOND, SLACK_FRAMES
from .server import ANSWER, ENGINE, Found, NoResponseError, RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2

FRAMES_A_BYTE = 6.0
"""Longest sound: so many frames for each byte of text, which is no less than its tokens (byte-level BPE). The
local engine's limit is 12 a token, and a token of English has four to five bytes."""
MOST_FRAMES = 4096
"""vllm-omni takes no higher limit."""
IDLE = 4.0
"""Seconds that an idle connection is kept: vLLM closes it after 5 (VLLM_HTTP_TIMEOUT_KEEP_ALIVE)."""
PCM = frozenset({"audio/pcm", "audio/l16", "application/octet-stream"})
"""What kinds of answers may be: anything else is not what was asked for, and would be noise."""
NOT_NOW = frozenset({429, 503})
WRONG = frozenset({400, 422})
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
        """Its own names of voices, by ours."""

    async def look(self) -> Found:
        """Ask for the model's name and its voices."""
        models = _listed(await self._get("/v1/models"), "data")
        names = [each.get("id") for each in models if isinstance(each, dict)]
        if not names or not isinstance(names[0], str):
            raise NoResponseError(f"{self.uri} has no model")
        model: str = names[0]
        answer = await self._get("/v1/audio/voices")
        voices = [name for name in _listed(answer, "voices") if isinstance(name, str)]
        uploaded = [each["name"] for each in _listed(answer, "uploaded_voices", []) if _named(each)]
        own = speakers.ordered([name for name in voices if name not in set(uploaded)])
        self._names = {speakers.title(name): name for name in own}
        speaks = _model(model)
        found = [speaks.speaker(name, shown) for shown, name in self._names.items()]
        found += [speaks.voice(name, f"{name} ({speaks.about})") for name in uploaded]
        cloner = model if _kind(model) == "base" else ""
        if not found and not cloner:
            raise NoResponseError(f"{self.uri} ({model}) has no voices")
        return Found(tuple(found), {model: f"vllm-omni {model}"}, cloner)

    def clone(self, recorded: CustomVoice, model: str) -> Voice:
        """Return a recording as a voice of the Base checkpoint there."""
        return _model(model).clone(recorded)

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM as it comes."""
        asked = await self._asked(utterance)
        most = asked["max_new_tokens"] / FRAMES_A_SECOND * SAMPLE_RATE * SAMPLE_WIDTH
        given, odd = 0, b""
        async with self._talking(), self._answer(asked) as answer:
            if utterance.on_start is not None:
                utterance.on_start()
            async for piece in answer.aiter_raw():
                data = odd + piece
                whole = len(data) - len(data) % SAMPLE_WIDTH
                data, odd = data[:whole], data[whole:]
                given += len(data)
                if data:
                    yield data
        if odd:
            raise NoResponseError(f"{self.uri} broke off within a sample")
        if given >= most:
            raise TruncatedAudioError(f"the {utterance.voice.name} voice did not find its end")

    @asynccontextmanager
    async def _answer(self, asked: dict[str, Any]) -> AsyncIterator[httpx2.Response]:
        """Ask for speech; give the answer, when it is known to be sound."""
        import httpx2

        client = self._open()
        request = client.build_request(
            "POST", f"{self.uri}/v1/audio/speech", json=asked, headers=self._headers
        )
        try:
            answer = await client.send(request, stream=True)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            # It has closed a connection that lay idle, in the very moment in which it was used again.
            answer = await client.send(request, stream=True)
        try:
            await self._check(answer)
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in PCM:
                raise EngineUnavailableError(
                    f"{self.uri} answered with {kind[:40] or 'something'}, not with PCM"
                )
            yield answer
        finally:
            await answer.aclose()

    async def close(self) -> None:
        """Close connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _asked(self, utterance: Utterance) -> dict[str, Any]:
        """Return the request's body. Raises UnsupportedTextError where a recording is gone."""
        voice = utterance.voice
        frames = SLACK_FRAMES + FRAMES_A_BYTE * len(utterance.text.encode())
        asked: dict[str, Any] = {
            "model": voice.model,
            "input": utterance.text,
            "language": speakers.language(utterance.language).title(),
            "seed": utterance.seed,
            "max_new_tokens": min(round(frames), MOST_FRAMES),
            "sample_rate": SAMPLE_RATE,
            "response_format": "pcm",
            "stream": True,
            "stream_format": "audio",
        }
        if voice.reference is None:
            asked["voice"] = self._names.get(voice.speaker, voice.speaker)
        else:
            asked["task_type"] = KINDS["base"]
            asked["ref_audio"] = await asyncio.to_thread(_audio, voice.reference)
            if voice.reference.transcript:
                asked["ref_text"] = voice.reference.transcript
            else:
                asked["x_vector_only_mode"] = True
        if voice.style is not None and voice.style.instruct and voice.supports_instructions:
            asked["instructions"] = voice.style.instruct
        return asked

    def _open(self) -> httpx2.AsyncClient:
        """Return what keeps the connections."""
        if self._client is None:
            import httpx2

            # How long sound may take is counted elsewhere, of all servers alike.
            timeout = httpx2.Timeout(None, connect=self._settings.remote_connect_timeout)
            pool = httpx2.Limits(max_connections=None, keepalive_expiry=IDLE)
            # Reading the system's certificates takes half a second.
            secure = self.uri.startswith("https://")
            self._client = httpx2.AsyncClient(timeout=timeout, limits=pool, trust_env=False, verify=secure)
        return self._client

    async def _get(self, path: str) -> Any:
        async with self._talking():
            answer = await self._open().get(f"{self.uri}{path}", headers=self._headers, timeout=ANSWER)
            await self._check(answer)
            try:
                return answer.json()
            except ValueError:
                raise NoResponseError(f"{self.uri}{path} is no JSON") from None

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[None]:
        """Raise NoResponseError for whatever goes wrong with a connection."""
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
            raise NoResponseError(f"{self.uri} did not answer for {limit:g} s") from error
        except httpx2.ConnectError as error:
            raise NoResponseError(f"{self.uri} cannot be reached: {error}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise NoResponseError(f"the connection to {self.uri} was lost: {reason}") from error

    async def _check(self, answer: httpx2.Response) -> None:
        """Raise what an answer means that is not OK."""
        if answer.status_code == 200:
            return
        text = (await answer.aread()).decode("utf-8", "replace")
        reason = f"{self.uri}: {answer.status_code} {_message(text)}"
        if answer.status_code in NOT_NOW:
            raise RequestRefusedError(reason)
        if answer.status_code in WRONG:
            raise UnsupportedTextError(reason)
        raise EngineUnavailableError(reason)


def _listed(answer: Any, name: str, default: list[Any] | None = None) -> list[Any]:
    """Return the list called ``name`` of an answer. Raises NoResponseError where there is none."""
    found = answer.get(name, default) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise NoResponseError(f"the answer has no list of {name}")
    return found


def _named(each: Any) -> bool:
    return isinstance(each, dict) and isinstance(each.get("name"), str)


def _kind(model: str) -> str:
    """Return the kind of checkpoint that a model's name tells of, as ``KINDS``; empty for none."""
    plain = re.sub(r"[^a-z]", "", model.lower())
    return next((kind for kind, name in KINDS.items() if plain.endswith(name.lower())), "")


def _size(model: str) -> str:
    found = _SIZE.search(model)
    return found[0].upper() if found else ""


def _model(name: str) -> speakers.SpeakerModel:
    """Return what a model's name tells of it."""
    kind, size = _kind(name), _size(name)
    about = " ".join(filter(None, ("Qwen3-TTS", size, KINDS[kind]))) if kind else name
    hears = supports_instructions(kind or "custom_voice", size)
    return speakers.SpeakerModel(ENGINE, name, about, supports_instructions=hears)


def _audio(reference: Reference) -> str:
    """Return a recording as a data URL. Runs in a thread."""
    try:
        data = reference.path.read_bytes()
    except OSError as error:
        raise UnsupportedTextError(f"the recording cannot be read: {error.strerror}") from error
    return f"data:audio/wav;base64,{base64.b64encode(data).decode()}"


def _message(text: str) -> str:
    """Return what an error's body says, on one line."""
    found = re.search(r'"(?:message|detail)"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    return " ".join((found[1] if found else text).split())[:200]
