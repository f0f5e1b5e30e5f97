"""A Wyoming client for text-to-speech, used by the commands, the remote engine, tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import os
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
)

from .config.address import Address
from .config.describe import variable_name
from .config.settings import OPTIONS, Settings, SettingsError

CONNECT_TIMEOUT = 5.0
"""Seconds."""


class ServerError(Exception):
    """The server cannot be reached, answered with an error, or closed the connection early.

    ``code``: of its ``error`` event; None if it sent none.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ConnectError(ServerError):
    """Nothing answers at an address."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"cannot connect to {uri}: {reason}")
        self.uri = uri

    @property
    def is_local(self) -> bool:
        """Whether the address is one of this machine."""
        address = Address.parse(self.uri)
        return (
            address.scheme == "unix"
            or address.host in {"localhost", "::1"}
            or address.host.startswith("127.")
        )

    @property
    def listen_uri(self) -> str:
        """The address that a server has to listen on to be reached there."""
        return self.uri if self.is_local else f"tcp://0.0.0.0:{Address.parse(self.uri).port}"


def configured_uri() -> str | None:
    """Return the address of this machine's server according to the server's own variable, if it is set.

    Raises SettingsError for an invalid one.
    """
    for uri in os.environ.get(variable_name("uri"), "").split():
        try:
            address = Address.parse(uri)
        except ValueError:
            allowed = OPTIONS["uri"].metadata["kind"].allowed
            message = f"{variable_name('uri')}: {uri!r} is not allowed; allowed: {allowed}"
            raise SettingsError(message) from None
        if address.scheme != "stdio":
            return client_uri(uri)
    return None


def default_uri() -> str:
    """Return the address of this machine's server: the configured one, or that of a server's default."""
    return configured_uri() or client_uri(Settings().server.uri[0])


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


def connect_reason(error: OSError) -> str:
    """Return why a connection failed. asyncio's own text repeats the address."""
    known = isinstance(error, ConnectionError) and error.errno
    return os.strerror(error.errno) if known and error.errno else error.strerror or str(error)


@asynccontextmanager
async def connect(uri: str, *, read_timeout: float | None = None) -> AsyncIterator[AsyncClient]:
    """Connect to ``uri``. Raises ConnectError if that fails, ValueError for an invalid URI."""
    client = AsyncClient.from_uri(uri, connect_timeout=CONNECT_TIMEOUT, read_timeout=read_timeout)
    try:
        await client.connect()
    except (OSError, TimeoutError) as error:
        reason = connect_reason(error) or f"no answer for {CONNECT_TIMEOUT:g} s"
        raise ConnectError(uri, reason) from error
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
        raise ServerError(f"{uri} closed the connection without an answer; is it a Wyoming server?")
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
    uri: str,
    chunks: AsyncIterable[str],
    voice: str | None = None,
    language: str | None = None,
    context: dict[str, Any] | None = None,
) -> AsyncGenerator[ReceivedAudio, None]:
    """Send text as it arrives, yield audio as it arrives. Raises ServerError unless all text was spoken.

    ``language``: BCP 47. ``context``: of the first event. A server without support for streamed text gets the
    text when it is complete.
    """
    async with connect(uri) as client:
        programs = (await _info(uri, client, CONNECT_TIMEOUT)).tts
        if not any(program.supports_synthesize_streaming for program in programs):
            text = "".join([chunk async for chunk in chunks])
            spoken = synthesize(client, text, voice=voice, language=language, context=context)
            async with aclosing(spoken) as received:
                async for audio in received:
                    yield audio
            return
        fault: Exception | None = None

        async def write() -> None:
            nonlocal fault
            try:
                await _send(client, chunks, _voice(voice, language), context)
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

    ``language``: BCP 47.
    """
    request = Synthesize(text, context=context).event()
    request.data["voice"] = _voice(voice, language)
    try:
        await client.write_event(request)
    except OSError as error:
        raise ServerError(f"the connection was lost: {error}") from error
    async with aclosing(_receive(client, AudioStop)) as received:
        async for audio in received:
            yield audio


def _voice(name: str | None, language: str | None) -> dict[str, str]:
    """Return ``voice`` of an event. The wyoming package's class sends a name or a language, but not both."""
    return {key: value for key, value in (("name", name), ("language", language)) if value}


async def _send(
    client: AsyncClient,
    chunks: AsyncIterable[str],
    voice: dict[str, str],
    context: dict[str, Any] | None,
) -> None:
    start = SynthesizeStart(context=context).event()
    start.data["voice"] = voice
    await client.write_event(start)
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
