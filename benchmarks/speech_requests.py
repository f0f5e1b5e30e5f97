"""Timed Wyoming requests. An incomplete response is an error, never a fast response."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped

HOST = "127.0.0.1"
SPEAK_TIMEOUT = 120.0
"""Seconds for a complete response; with eight concurrent requests the last one may be late."""
SHORTEST = 0.3
"""Minimum seconds of audio of any text."""
SHORTEST_PER_CHARACTER = 0.03
"""Minimum seconds of audio per character: twice as fast as quick speech."""

LONG_TEXT = (
    "The garden gate was left open during the night.",
    "By the morning three sheep had found their way to the vegetables.",
    "My neighbour saw them first and called from her kitchen window.",
    "We chased them around the pond until everybody was out of breath.",
    "The dog thought that all of this was a game made up for him.",
    "In the end a bucket of oats did what no running could do.",
    "One after another they followed the sound back to their field.",
    "We closed the gate with a chain and counted the heads of cabbage.",
    "Eleven were gone and two had been sat upon.",
    "Since then I look at that gate every evening before I go to bed.",
)
"""About forty seconds of speech."""


class InvalidResponseError(Exception):
    """A response is an error, truncated or too short."""


class TimedOutError(InvalidResponseError):
    """A response took too long."""


@dataclass(frozen=True, slots=True)
class SpeechTiming:
    """Times of a response, in seconds from just before the request was sent."""

    first: float
    """Until the first audio."""
    total: float
    """Until the normal end."""
    sound: float
    """Seconds of audio in the response."""


def unique(sentences: Sequence[str]) -> list[str]:
    """Return the text with a new word in every sentence, so that no sentence is cached."""
    return [f"{sentence[:-1]}, {_word()}{sentence[-1]}" for sentence in sentences]


def _word() -> str:
    return "".join(random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(4))


async def speak(
    port: int,
    sentences: Sequence[str],
    *,
    streamed: bool,
    on_audio: Callable[[float], None] = lambda seconds: None,
) -> SpeechTiming:
    """Request speech on a new connection; the time to connect is excluded. Raises InvalidResponseError.

    ``on_audio`` is called with the seconds of every chunk.
    """
    async with _connected(port, SPEAK_TIMEOUT) as client:
        events = _streamed(sentences) if streamed else [Synthesize(text=" ".join(sentences)).event()]
        sent = time.perf_counter()
        for event in events:
            await client.write_event(event)
        answer = await _listen(client, sent, streamed=streamed, on_audio=on_audio)
    shortest = max(SHORTEST, SHORTEST_PER_CHARACTER * sum(map(len, sentences)))
    if answer.sound < shortest:
        raise InvalidResponseError(
            f"{answer.sound:.2f} s of audio for a text with a minimum of {shortest:.2f} s"
        )
    return answer


async def describe(port: int, timeout: float) -> float:
    """Send ``describe`` on a new connection; return the seconds until the response, connecting included.

    Raises InvalidResponseError, TimedOutError after ``timeout`` seconds.
    """
    began = time.perf_counter()
    async with _connected(port, timeout) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
        took = time.perf_counter() - began
    if event is None or not Info.is_type(event.type):
        raise InvalidResponseError(f"the response to describe was {event.type if event else 'nothing'}")
    if not any(program.voices for program in Info.from_event(event).tts):
        raise InvalidResponseError("the response to describe has no voice")
    return took


def _streamed(sentences: Sequence[str]) -> list[Event]:
    chunks = [SynthesizeChunk(text=f"{sentence} ").event() for sentence in sentences]
    return [SynthesizeStart().event(), *chunks, SynthesizeStop().event()]


async def _listen(
    client: AsyncTcpClient, sent: float, *, streamed: bool, on_audio: Callable[[float], None]
) -> SpeechTiming:
    first = 0.0
    sound = 0.0
    started = audible = False
    while (event := await client.read_event()) is not None:
        if Error.is_type(event.type):
            raise InvalidResponseError(f"error: {Error.from_event(event).text}")
        if AudioStart.is_type(event.type):
            started = True
        elif AudioChunk.is_type(event.type):
            now = time.perf_counter()
            if not started:
                raise InvalidResponseError("audio-chunk before audio-start")
            first = first or now - sent
            chunk = AudioChunk.from_event(event)
            sound += chunk.seconds
            on_audio(chunk.seconds)
            audible = audible or any(chunk.audio)
        elif (SynthesizeStopped if streamed else AudioStop).is_type(event.type):
            total = time.perf_counter() - sent
            if not audible:
                raise InvalidResponseError("the response has no audio, or only silence")
            return SpeechTiming(first, total, sound)
    raise InvalidResponseError(
        f"the connection was closed after {sound:.2f} s of audio, before the end of the response"
    )


@asynccontextmanager
async def _connected(port: int, timeout: float) -> AsyncIterator[AsyncTcpClient]:
    """Connect, for at most ``timeout`` seconds; errors of the connection become InvalidResponseError."""
    # Not the client's own read_timeout: it costs a task for every event, and Python 3.11's wait_for loses
    # a cancellation that comes together with an event.
    client = AsyncTcpClient(HOST, port)
    try:
        async with asyncio.timeout(timeout):
            await client.connect()
            yield client
    except TimeoutError as error:
        raise TimedOutError(f"not complete after {timeout:g} s") from error
    except (OSError, EOFError) as error:
        raise InvalidResponseError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()
