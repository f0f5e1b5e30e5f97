"""A Wyoming server on another machine: this one or any other text-to-speech server.

Connections are kept open and reused. The server may close an idle one just when it is reused: the request is
then repeated on a new connection, which does not count as a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from wyoming.client import AsyncClient
from wyoming.info import TtsVoice

from ... import client as wyoming_client
from ...client import ReceivedAudio, ServerError, connect_reason
from ...config.settings import RemoteSettings
from ...speech import (
    DEFAULT,
    LAST,
    PROGRAM,
    SAMPLE_RATE,
    SAMPLE_WIDTH,
    SECOND,
    UNDETERMINED,
    Attribution,
    CustomVoice,
    Utterance,
    Voice,
)
from ..base import EngineUnavailableError, UnsupportedTextError
from .server import (
    ENGINE,
    RESPONSE_TIMEOUT,
    NoResponseError,
    RequestRefusedError,
    ServerInfo,
    wait_with_timeout,
)

if TYPE_CHECKING:
    from soxr import ResampleStream

MAX_IDLE_CONNECTIONS = 4
"""Idle connections kept open for reuse."""
BUSY_CODES = frozenset({"busy", "loop-detected", "stopping", "too-many-connections"})
UNSUPPORTED_TEXT_CODES = frozenset({"cannot-speak", "invalid-text", "no-voice-for-script", "unknown-voice"})
"""Error codes of this server: another time it may work; it will never speak this text."""


class WyomingPeer:
    """A Wyoming server. Every sentence is a ``synthesize`` event of its own."""

    def __init__(self, uri: str, settings: RemoteSettings) -> None:
        self.uri = uri
        self._settings = settings
        self._idle: dict[AsyncClient, asyncio.Task[None]] = {}
        """Idle connections, each with the task that detects that the server closes it."""

    async def fetch_info(self) -> ServerInfo:
        """Request the voices."""
        error = NoResponseError(f"{self.uri} did not send its voices within {RESPONSE_TIMEOUT:g} s")
        connection = await self._connect()
        try:
            info = await wait_with_timeout(RESPONSE_TIMEOUT, wyoming_client.request_info(connection), error)
        except (ServerError, OSError, ValueError, KeyError, TypeError) as reason:
            raise NoResponseError(f"{self.uri}: {reason}") from reason
        finally:
            await _disconnect(connection)
        if info is None:
            raise NoResponseError(f"{self.uri} closed the connection without an answer")
        voices, identities = [], {}
        for program in info.tts:
            if not program.installed:
                continue
            model = program.name  # without its version: servers of different versions may replace each other
            identities[model] = " ".join(filter(None, ("wyoming", model, program.version)))
            usable = [voice for voice in program.voices if voice.installed and voice.languages]
            voices += [_voice(voice, model, levelled=program.name == PROGRAM) for voice in usable]
        if not voices:
            raise NoResponseError(f"{self.uri} has no voices")
        return ServerInfo(tuple(voices), identities)

    def clone(self, recorded: CustomVoice, model: str) -> Voice:
        """Raise EngineUnavailableError: the protocol has no recordings."""
        raise EngineUnavailableError("a Wyoming server takes no recordings")

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM as it arrives, converted to SAMPLE_RATE."""
        while True:
            connection = await self._pop_idle()
            is_reused = connection is not None
            if connection is None:
                connection = await self._connect()
            is_complete = has_audio = False
            try:
                async with aclosing(_synthesize(connection, utterance)) as audio:
                    async for pcm in audio:
                        has_audio = True
                        yield pcm
                is_complete = True
            except ServerError as error:
                if is_reused and not has_audio and error.code is None:
                    continue  # it was closed while idle
                raise _to_engine_error(self.uri, error) from error
            else:
                return
            finally:
                if is_complete and len(self._idle) < MAX_IDLE_CONNECTIONS:
                    self._idle[connection] = asyncio.create_task(self._watch(connection))
                else:
                    await _disconnect(connection)

    async def close(self) -> None:
        """Close idle connections."""
        while (connection := await self._pop_idle()) is not None:
            await _disconnect(connection)

    async def _pop_idle(self) -> AsyncClient | None:
        """Remove and return the idle connection used last; None where there is none."""
        if not self._idle:
            return None
        connection, watch = self._idle.popitem()
        watch.cancel()
        await asyncio.wait({watch})
        return connection

    async def _watch(self, connection: AsyncClient) -> None:
        """Close an idle connection when the server closes it or sends anything."""
        with suppress(OSError, EOFError, ValueError, KeyError):
            await connection.read_event()
        self._idle.pop(connection, None)
        await _disconnect(connection)

    async def _connect(self) -> AsyncClient:
        connection = AsyncClient.from_uri(self.uri, connect_timeout=None)
        limit = self._settings.remote_connect_timeout
        try:
            await wait_with_timeout(
                limit, connection.connect(), NoResponseError(f"{self.uri} did not respond within {limit:g} s")
            )
        except OSError as error:
            raise NoResponseError(f"{self.uri} cannot be reached: {connect_reason(error)}") from error
        except BaseException:  # cancelled or late: it may have connected in this moment
            await _disconnect(connection)
            raise
        return connection


async def _disconnect(connection: AsyncClient) -> None:
    with suppress(OSError):
        await connection.disconnect()


async def _synthesize(connection: AsyncClient, utterance: Utterance) -> AsyncGenerator[bytes, None]:
    """Yield the PCM of an utterance from an open connection, at SAMPLE_RATE. Raises ServerError."""
    if utterance.on_start is not None:
        utterance.on_start()
    language = None if utterance.language == UNDETERMINED else utterance.language
    # No fallback on the server: its audio would be cached here as that of this voice, and other servers may
    # have the voice. The hops let servers detect a loop of requests.
    context = {"fallback": False, "via": utterance.hops}
    audio = wyoming_client.synthesize(
        connection, utterance.text, voice=utterance.voice.speaker, language=language, context=context
    )
    converter: _AudioConverter | None = None
    try:
        async with aclosing(audio):
            async for chunk in audio:
                if converter is None:
                    converter = _AudioConverter(chunk)
                if pcm := converter(chunk):
                    yield pcm
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"invalid response: {error!r}") from error
    if converter is not None and (pcm := converter.flush()):
        yield pcm


class _AudioConverter:
    """Converts a server's audio to 24 kHz, mono."""

    def __init__(self, chunk: ReceivedAudio) -> None:
        """``chunk``: the first one. Raises ServerError for other samples than 16 bit."""
        self._format = chunk.rate, chunk.width, chunk.channels
        self._resample: ResampleStream | None = None
        if chunk.width != SAMPLE_WIDTH:
            raise ServerError(f"its audio has {8 * chunk.width} bits per sample, not {8 * SAMPLE_WIDTH}")
        if chunk.rate != SAMPLE_RATE:
            import soxr

            self._resample = soxr.ResampleStream(chunk.rate, SAMPLE_RATE, 1, dtype="int16")

    def __call__(self, chunk: ReceivedAudio) -> bytes:
        """Return the next samples; may be empty. Raises ServerError where the format changes."""
        if (chunk.rate, chunk.width, chunk.channels) != self._format:
            raise ServerError("its audio format changed within an utterance")
        if len(chunk.pcm) % (chunk.width * chunk.channels):
            raise ServerError(f"it sent {len(chunk.pcm)} bytes, which are not whole samples")
        if self._resample is None and chunk.channels == 1:
            return chunk.pcm
        import numpy as np

        samples = np.frombuffer(chunk.pcm, "<i2")
        if chunk.channels > 1:
            samples = samples.reshape(-1, chunk.channels).mean(axis=1).round().astype("<i2")
        if self._resample is not None:
            samples = self._resample.resample_chunk(samples)
        return bytes(samples.astype("<i2").tobytes())

    def flush(self) -> bytes:
        """Return the last samples."""
        if self._resample is None:
            return b""
        import numpy as np

        return bytes(self._resample.resample_chunk(np.zeros(0, "<i2"), last=True).astype("<i2").tobytes())


def _voice(voice: TtsVoice, model: str, *, levelled: bool) -> Voice:
    """Return a server's voice as a ``Voice``, without a prefix of its description that only sorts."""
    description, rank = voice.description or voice.name, 0
    for prefix, its in ((DEFAULT, 0), (SECOND, 1), (LAST, 2)):
        if description.startswith(prefix):
            description, rank = description.removeprefix(prefix), its
    return Voice(
        voice.name,
        description,
        tuple(language.replace("_", "-") for language in voice.languages),
        ENGINE,
        Attribution(voice.attribution.name, voice.attribution.url),
        version=voice.version,
        model=model,
        levelled=levelled,
        rank=rank,
    )


def _to_engine_error(uri: str, error: ServerError) -> EngineUnavailableError | UnsupportedTextError:
    """Return the engine's error for a server's error."""
    text = f"{uri}: {error}"
    if error.code in BUSY_CODES:
        return RequestRefusedError(text)
    if error.code in UNSUPPORTED_TEXT_CODES:
        return UnsupportedTextError(text)
    return EngineUnavailableError(text) if error.code else NoResponseError(text)
