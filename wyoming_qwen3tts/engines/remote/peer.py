"""A Wyoming server on another machine: one like this, or any other that speaks.

Connections are kept and used again. One that has lain idle may be closed at the other end in the very moment
in which it is used: then the request is made again on a new one, and that is nobody's fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from wyoming.client import AsyncClient
from wyoming.info import TtsVoice

from ... import client as wyoming_client
from ...client import ReceivedAudio, ServerError
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
from .server import ANSWER, ENGINE, Found, NoResponseError, RequestRefusedError, within

if TYPE_CHECKING:
    from soxr import ResampleStream

IDLE = 4
"""Connections kept for later."""
BUSY = frozenset({"busy", "loop-detected", "stopping", "too-many-connections"})
ITS_TEXT = frozenset({"cannot-speak", "invalid-text", "no-voice-for-script", "unknown-voice"})
"""Codes of the errors of servers like ours: it may speak later; it will never say this."""


class WyomingPeer:
    """A Wyoming server. Every sentence is a ``synthesize`` event of its own."""

    def __init__(self, uri: str, settings: RemoteSettings) -> None:
        self.uri = uri
        self._settings = settings
        self._idle: dict[AsyncClient, asyncio.Task[None]] = {}
        """Connections for later, and what notices that the other end closes one."""

    async def look(self) -> Found:
        """Ask for its voices."""
        error = NoResponseError(f"{self.uri} did not say for {ANSWER:g} s which voices it has")
        connection = await self._connect()
        try:
            info = await within(ANSWER, wyoming_client.request_info(connection), error)
        except (ServerError, OSError, ValueError, KeyError, TypeError) as reason:
            raise NoResponseError(f"{self.uri}: {reason}") from reason
        finally:
            await _leave(connection)
        if info is None:
            raise NoResponseError(f"{self.uri} closed the connection without an answer")
        voices, identities = [], {}
        for program in info.tts:
            if not program.installed:
                continue
            model = program.name  # of whatever version: one of another version may stand in
            identities[model] = " ".join(filter(None, ("wyoming", model, program.version)))
            there = [voice for voice in program.voices if voice.installed and voice.languages]
            voices += [_voice(voice, model, levelled=program.name == PROGRAM) for voice in there]
        if not voices:
            raise NoResponseError(f"{self.uri} has no voices")
        return Found(tuple(voices), identities)

    def clone(self, recorded: CustomVoice, model: str) -> Voice:
        """Refuse: the protocol has no recordings."""
        raise EngineUnavailableError("a Wyoming server takes no recordings")

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM, brought to our rate, as it comes."""
        while True:
            connection = await self._take()
            used = connection is not None
            if connection is None:
                connection = await self._connect()
            whole = heard = False
            try:
                async with aclosing(_say(connection, utterance)) as sounds:
                    async for pcm in sounds:
                        heard = True
                        yield pcm
                whole = True
            except ServerError as error:
                if used and not heard and error.code is None:
                    continue  # it was closed while it lay idle
                raise _meaning(self.uri, error) from error
            else:
                return
            finally:
                if whole and len(self._idle) < IDLE:
                    self._idle[connection] = asyncio.create_task(self._watch(connection))
                else:
                    await _leave(connection)

    async def close(self) -> None:
        """Close what lies idle."""
        while (connection := await self._take()) is not None:
            await _leave(connection)

    async def _take(self) -> AsyncClient | None:
        """Return a connection that lies idle, the one used last; None where none does."""
        if not self._idle:
            return None
        connection, watch = self._idle.popitem()
        watch.cancel()
        await asyncio.wait({watch})
        return connection

    async def _watch(self, connection: AsyncClient) -> None:
        """Close an idle connection when the other end does, or says anything."""
        with suppress(OSError, EOFError, ValueError, KeyError):
            await connection.read_event()
        self._idle.pop(connection, None)
        await _leave(connection)

    async def _connect(self) -> AsyncClient:
        connection = AsyncClient.from_uri(self.uri, connect_timeout=None)
        limit = self._settings.remote_connect_timeout
        try:
            await within(
                limit, connection.connect(), NoResponseError(f"{self.uri} did not answer for {limit:g} s")
            )
        except OSError as error:
            raise NoResponseError(f"{self.uri} cannot be reached: {error.strerror or error}") from error
        return connection


async def _leave(connection: AsyncClient) -> None:
    with suppress(OSError):
        await connection.disconnect()


async def _say(connection: AsyncClient, utterance: Utterance) -> AsyncGenerator[bytes, None]:
    """Yield what is said on an open connection, at our rate. Raises ServerError."""
    if utterance.on_start is not None:
        utterance.on_start()
    language = None if utterance.language == UNDETERMINED else utterance.language
    # Whoever would stand in there is not kept here as this voice; others may be asked first. And whoever
    # asks this server for help in its turn is told that it has asked already.
    context = {"fallback": False, "via": utterance.hops}
    sounds = wyoming_client.synthesize(
        connection, utterance.text, voice=utterance.voice.speaker, language=language, context=context
    )
    converter: _Converter | None = None
    try:
        async with aclosing(sounds):
            async for sound in sounds:
                if converter is None:
                    converter = _Converter(sound)
                if pcm := converter(sound):
                    yield pcm
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"no answer to be understood: {error!r}") from error
    if converter is not None and (pcm := converter.rest()):
        yield pcm


class _Converter:
    """Brings a server's sound to 24 kHz, mono."""

    def __init__(self, sound: ReceivedAudio) -> None:
        """``sound``: the first piece. Raises ServerError for what is not 16 bit."""
        self._format = sound.rate, sound.width, sound.channels
        self._resample: ResampleStream | None = None
        if sound.width != SAMPLE_WIDTH:
            raise ServerError(f"its sound has {8 * sound.width} bits a sample, not {8 * SAMPLE_WIDTH}")
        if sound.rate != SAMPLE_RATE:
            import soxr

            self._resample = soxr.ResampleStream(sound.rate, SAMPLE_RATE, 1, dtype="int16")

    def __call__(self, sound: ReceivedAudio) -> bytes:
        """Return the next samples; there may be none yet. Raises ServerError where the format changes."""
        if (sound.rate, sound.width, sound.channels) != self._format:
            raise ServerError("its sound changed its format")
        if len(sound.pcm) % (sound.width * sound.channels):
            raise ServerError(f"it sent {len(sound.pcm)} bytes, not samples")
        if self._resample is None and sound.channels == 1:
            return sound.pcm
        import numpy as np

        samples = np.frombuffer(sound.pcm, "<i2")
        if sound.channels > 1:
            samples = samples.reshape(-1, sound.channels).mean(axis=1).round().astype("<i2")
        if self._resample is not None:
            samples = self._resample.resample_chunk(samples)
        return bytes(samples.astype("<i2").tobytes())

    def rest(self) -> bytes:
        """Return the last samples."""
        if self._resample is None:
            return b""
        import numpy as np

        return bytes(self._resample.resample_chunk(np.zeros(0, "<i2"), last=True).astype("<i2").tobytes())


def _voice(voice: TtsVoice, model: str, *, levelled: bool) -> Voice:
    """Return a voice of another server as one of ours, its description without what only sorts it there."""
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


def _meaning(uri: str, error: ServerError) -> EngineUnavailableError | UnsupportedTextError:
    """Return what an error of the other server is here."""
    text = f"{uri}: {error}"
    if error.code in BUSY:
        return RequestRefusedError(text)
    if error.code in ITS_TEXT:
        return UnsupportedTextError(text)
    return EngineUnavailableError(text) if error.code else NoResponseError(text)
