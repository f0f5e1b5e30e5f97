"""A Wyoming client for speech: what the commands use, and tests and benchmarks too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

CONNECT_TIMEOUT = 5.0
"""Seconds."""


class ServerError(Exception):
    """The server refused, failed or broke off; the message says what it said.

    ``code``: of its ``error`` event, for programs; ``None`` where it sent none.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


def reachable(uri: str) -> str:
    """Return where a client on the same machine reaches a server that listens on ``uri``."""
    return uri.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound as it arrived."""

    pcm: bytes
    rate: int
    width: int
    channels: int

    @property
    def seconds(self) -> float:
        """Length of the piece."""
        return len(self.pcm) / (self.rate * self.width * self.channels)


@asynccontextmanager
async def connect(uri: str, *, read_timeout: float | None = None) -> AsyncIterator[AsyncClient]:
    """Connect to ``uri``. Raises ServerError where nobody answers, ValueError for what is no URI."""
    client = AsyncClient.from_uri(uri, connect_timeout=CONNECT_TIMEOUT, read_timeout=read_timeout)
    try:
        await client.connect()
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or f"no answer for {CONNECT_TIMEOUT:g} s"
        raise ServerError(f"cannot connect to {uri}: {reason}") from error
    try:
        yield client
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()


async def describe(uri: str, *, timeout: float) -> Info:
    """Return what the server tells about itself. Raises ServerError."""
    async with connect(uri, read_timeout=timeout) as client:
        return await _info(uri, client, timeout)


async def _info(uri: str, client: AsyncClient, timeout: float) -> Info:
    """Return what a server tells about itself on an open connection. Raises ServerError."""
    try:
        async with asyncio.timeout(timeout):
            info = await ask(client)
    except TimeoutError:
        raise ServerError(f"{uri} did not answer for {timeout:g} s") from None
    if info is None:
        raise ServerError(f"{uri} closed the connection without an answer")
    return info


async def ask(client: AsyncClient) -> Info | None:
    """Return what the server tells about itself, None where it hangs up. Raises ServerError."""
    await client.write_event(Describe().event())
    while (event := await _next_event(client)) is not None:
        if Info.is_type(event.type):
            return Info.from_event(event)
        if Error.is_type(event.type):
            raise ServerError(Error.from_event(event).text)
    return None


async def speak(
    uri: str, pieces: AsyncIterable[str], voice: str | None = None
) -> AsyncGenerator[Sound, None]:
    """Send text as it arrives, yield sound as it arrives. Raises ServerError unless all of it was spoken.

    A server that takes no text in pieces is asked when the text has ended.
    """
    async with connect(uri) as client:
        programs = (await _info(uri, client, CONNECT_TIMEOUT)).tts
        if not any(program.supports_synthesize_streaming for program in programs):
            text = "".join([piece async for piece in pieces])
            async with aclosing(say(client, text, voice=voice)) as sounds:
                async for sound in sounds:
                    yield sound
            return
        chosen = SynthesizeVoice(name=voice) if voice else None
        fault: Exception | None = None

        async def write() -> None:
            nonlocal fault
            try:
                await _send(client, pieces, chosen)
            except OSError:
                pass  # the server closed the connection: what it answered says why
            except Exception as error:
                fault = error
                with contextlib.suppress(OSError):
                    await client.disconnect()  # or its answer would be waited for

        writer = asyncio.create_task(write())
        try:
            async with aclosing(_receive(client)) as sounds:
                async for sound in sounds:
                    yield sound
        except ServerError as error:
            raise fault or error from None
        finally:
            writer.cancel()
            await asyncio.wait({writer})


async def say(
    client: AsyncClient,
    text: str,
    *,
    voice: str | None = None,
    language: str | None = None,
    context: dict[str, Any] | None = None,
) -> AsyncGenerator[Sound, None]:
    """Ask for a whole text on an open connection. Raises ServerError unless all of it was spoken.

    ``language``: BCP 47. The protocol's own class sends a voice's name or a language; servers may know both.
    """
    request = Synthesize(text, context=context).event()
    names = {"name": voice, "language": language}
    request.data["voice"] = {name: value for name, value in names.items() if value}
    try:
        await client.write_event(request)
    except OSError as error:
        raise ServerError(f"the connection was lost: {error}") from error
    async with aclosing(_receive(client, AudioStop)) as sounds:
        async for sound in sounds:
            yield sound


async def _send(client: AsyncClient, pieces: AsyncIterable[str], voice: SynthesizeVoice | None) -> None:
    await client.write_event(SynthesizeStart(voice=voice).event())
    async for piece in pieces:
        await client.write_event(SynthesizeChunk(text=piece).event())
    await client.write_event(SynthesizeStop().event())


async def _next_event(client: AsyncClient) -> Event | None:
    """Return the next event, None at the end. Raises ServerError where the connection is lost."""
    try:
        return await client.read_event()
    except (OSError, EOFError, TimeoutError) as error:
        raise ServerError(f"the connection was lost: {str(error) or 'no answer'}") from error


async def _receive(
    client: AsyncClient, last: type[AudioStop | SynthesizeStopped] = SynthesizeStopped
) -> AsyncGenerator[Sound, None]:
    """Yield sound up to the event ``last``. Raises ServerError."""
    started = False
    while (event := await _next_event(client)) is not None:
        if Error.is_type(event.type):
            error = Error.from_event(event)
            raise ServerError(f"{error.text} ({error.code})" if error.code else error.text, error.code)
        if last.is_type(event.type):
            return
        started = started or AudioStart.is_type(event.type)
        if started and AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            yield Sound(chunk.audio, chunk.rate, chunk.width, chunk.channels)
    raise ServerError("the server closed the connection before the end")
