"""A Wyoming client for text-to-speech, used by the commands, the remote engine, tests and benchmarks."""

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
    """The server cannot be reached, answered with an error, or closed the connection early.

    ``code``: of its ``error`` event; None if it sent none.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


def client_uri(uri: str) -> str:
    """Return the URI with which a client on the same machine reaches a server that listens on ``uri``."""
    return uri.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


@dataclass(frozen=True, slots=True)
class ReceivedAudio:
    """An audio chunk received from a server."""

    pcm: bytes
    rate: int
    width: int
    channels: int

    @property
    def seconds(self) -> float:
        """Length of the chunk."""
        return len(self.pcm) / (self.rate * self.width * self.channels)


@asynccontextmanager
async def connect(uri: str, *, read_timeout: float | None = None) -> AsyncIterator[AsyncClient]:
    """Connect to ``uri``. Raises ServerError if that fails, ValueError for an invalid URI."""
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
    """Connect, and return the server's ``info``. Raises ServerError."""
    async with connect(uri, read_timeout=timeout) as client:
        return await _info(uri, client, timeout)


async def _info(uri: str, client: AsyncClient, timeout: float) -> Info:
    """Return the server's ``info`` on an open connection. Raises ServerError."""
    try:
        async with asyncio.timeout(timeout):
            info = await request_info(client)
    except TimeoutError:
        raise ServerError(f"{uri} did not answer for {timeout:g} s") from None
    if info is None:
        raise ServerError(f"{uri} closed the connection without an answer")
    return info


async def request_info(client: AsyncClient) -> Info | None:
    """Return the server's ``info``, None if it closes the connection. Raises ServerError."""
    await client.write_event(Describe().event())
    while (event := await _next_event(client)) is not None:
        if Info.is_type(event.type):
            return Info.from_event(event)
        if Error.is_type(event.type):
            raise ServerError(Error.from_event(event).text)
    return None


async def speak(
    uri: str, chunks: AsyncIterable[str], voice: str | None = None
) -> AsyncGenerator[ReceivedAudio, None]:
    """Send text as it arrives, yield audio as it arrives. Raises ServerError unless all text was spoken.

    A server without support for streamed text gets the text when it is complete.
    """
    async with connect(uri) as client:
        programs = (await _info(uri, client, CONNECT_TIMEOUT)).tts
        if not any(program.supports_synthesize_streaming for program in programs):
            text = "".join([chunk async for chunk in chunks])
            async with aclosing(synthesize(client, text, voice=voice)) as received:
                async for audio in received:
                    yield audio
            return
        chosen = SynthesizeVoice(name=voice) if voice else None
        fault: Exception | None = None

        async def write() -> None:
            nonlocal fault
            try:
                await _send(client, chunks, chosen)
            except OSError:
                pass  # the server closed the connection; the reason is in its answer
            except Exception as error:
                fault = error
                with contextlib.suppress(OSError):
                    await client.disconnect()  # else _receive would wait for the answer

        writer = asyncio.create_task(write())
        try:
            async with aclosing(_receive(client)) as received:
                async for audio in received:
                    yield audio
        except ServerError as error:
            raise fault or error from None
        finally:
            writer.cancel()
            await asyncio.wait({writer})


async def synthesize(
    client: AsyncClient,
    text: str,
    *,
    voice: str | None = None,
    language: str | None = None,
    context: dict[str, Any] | None = None,
) -> AsyncGenerator[ReceivedAudio, None]:
    """Yield the audio of a complete text, on an open connection. Raises ServerError unless all was spoken.

    ``language``: BCP 47. The wyoming package's class sends a voice's name or a language, but not both.
    """
    request = Synthesize(text, context=context).event()
    names = {"name": voice, "language": language}
    request.data["voice"] = {name: value for name, value in names.items() if value}
    try:
        await client.write_event(request)
    except OSError as error:
        raise ServerError(f"the connection was lost: {error}") from error
    async with aclosing(_receive(client, AudioStop)) as received:
        async for audio in received:
            yield audio


async def _send(client: AsyncClient, chunks: AsyncIterable[str], voice: SynthesizeVoice | None) -> None:
    await client.write_event(SynthesizeStart(voice=voice).event())
    async for chunk in chunks:
        await client.write_event(SynthesizeChunk(text=chunk).event())
    await client.write_event(SynthesizeStop().event())


async def _next_event(client: AsyncClient) -> Event | None:
    """Return the next event, None at the end. Raises ServerError if the connection is lost."""
    try:
        return await client.read_event()
    except (OSError, EOFError, TimeoutError) as error:
        raise ServerError(f"the connection was lost: {str(error) or 'no answer'}") from error


async def _receive(
    client: AsyncClient, last: type[AudioStop | SynthesizeStopped] = SynthesizeStopped
) -> AsyncGenerator[ReceivedAudio, None]:
    """Yield audio up to the event ``last``. Raises ServerError."""
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
            yield ReceivedAudio(chunk.audio, chunk.rate, chunk.width, chunk.channels)
    raise ServerError("the server closed the connection before the end of the audio")
