"""Requests with a stopwatch. An answer that is not whole is an error, never a fast answer."""

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
"""Seconds for a whole answer; with eight at a time the last may come late."""
SHORTEST = 0.3
"""Seconds of sound that any text has."""
SHORTEST_PER_CHARACTER = 0.03
"""Seconds of sound that a character has at the least: twice as fast as quick speech."""

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


class InvalidAnswerError(Exception):
    """An answer failed, broke off or cannot be whole."""


class TimedOutError(InvalidAnswerError):
    """An answer took too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How long an answer took, in seconds from just before the request was sent."""

    first: float
    """Until the first sound."""
    total: float
    """Until the normal end."""
    sound: float
    """Seconds of sound in it."""


def unique(sentences: Sequence[str]) -> list[str]:
    """Return the text with a new word in every sentence, so that no store of sentences can help."""
    return [f"{sentence[:-1]}, {_word()}{sentence[-1]}" for sentence in sentences]


def _word() -> str:
    return "".join(random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(4))


async def speak(
    port: int,
    sentences: Sequence[str],
    *,
    streamed: bool,
    heard: Callable[[float], None] = lambda seconds: None,
) -> Answer:
    """Have a text spoken on a new connection; the time to connect is not counted. Raises InvalidAnswerError.

    ``heard`` is called with the seconds of every piece of sound.
    """
    async with _connected(port, SPEAK_TIMEOUT) as client:
        events = _streamed(sentences) if streamed else [Synthesize(text=" ".join(sentences)).event()]
        sent = time.perf_counter()
        for event in events:
            await client.write_event(event)
        answer = await _listen(client, sent, streamed=streamed, heard=heard)
    shortest = max(SHORTEST, SHORTEST_PER_CHARACTER * sum(map(len, sentences)))
    if answer.sound < shortest:
        raise InvalidAnswerError(
            f"{answer.sound:.2f} s of sound for a text that has {shortest:.2f} s at the least"
        )
    return answer


async def describe(port: int, timeout: float) -> float:
    """Ask what the server has, on a new connection; return the seconds from before connecting to the answer.

    Raises InvalidAnswerError, TimedOutError after ``timeout`` seconds.
    """
    began = time.perf_counter()
    async with _connected(port, timeout) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
        took = time.perf_counter() - began
    if event is None or not Info.is_type(event.type):
        raise InvalidAnswerError(f"describe was answered with {event.type if event else 'nothing'}")
    if not any(program.voices for program in Info.from_event(event).tts):
        raise InvalidAnswerError("describe was answered without a voice")
    return took


def _streamed(sentences: Sequence[str]) -> list[Event]:
    chunks = [SynthesizeChunk(text=f"{sentence} ").event() for sentence in sentences]
    return [SynthesizeStart().event(), *chunks, SynthesizeStop().event()]


async def _listen(
    client: AsyncTcpClient, sent: float, *, streamed: bool, heard: Callable[[float], None]
) -> Answer:
    first = 0.0
    sound = 0.0
    started = audible = False
    while (event := await client.read_event()) is not None:
        if Error.is_type(event.type):
            raise InvalidAnswerError(f"error: {Error.from_event(event).text}")
        if AudioStart.is_type(event.type):
            started = True
        elif AudioChunk.is_type(event.type):
            now = time.perf_counter()
            if not started:
                raise InvalidAnswerError("sound came before audio-start")
            first = first or now - sent
            chunk = AudioChunk.from_event(event)
            sound += chunk.seconds
            heard(chunk.seconds)
            audible = audible or any(chunk.audio)
        elif (SynthesizeStopped if streamed else AudioStop).is_type(event.type):
            total = time.perf_counter() - sent
            if not audible:
                raise InvalidAnswerError("the answer has no sound, or only silence")
            return Answer(first, total, sound)
    raise InvalidAnswerError(
        f"the connection ended after {sound:.2f} s of sound, before the end of the answer"
    )


@asynccontextmanager
async def _connected(port: int, timeout: float) -> AsyncIterator[AsyncTcpClient]:
    """Connect, for ``timeout`` seconds at most; turn whatever breaks a connection into InvalidAnswerError."""
    # Not the client's own read_timeout: it costs a task for every event, and Python 3.11's wait_for loses
    # a cancellation that comes together with an event.
    client = AsyncTcpClient(HOST, port)
    try:
        async with asyncio.timeout(timeout):
            await client.connect()
            yield client
    except TimeoutError as error:
        raise TimedOutError(f"no end after {timeout:g} s") from error
    except (OSError, EOFError) as error:
        raise InvalidAnswerError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()
