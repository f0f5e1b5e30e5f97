"""The clients of ``load``, in a separate process, so that measuring does not slow the server down.

``python -m benchmarks.load_clients`` reads a ``Plan`` as one line of JSON from standard input, sends requests
for its duration or until that input ends, receives the last replies completely, and prints its results as
JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

BYTES_PER_SECOND = 48_000
"""24 kHz, 16 bit, mono."""
PACED_BUFFER_SECONDS = 0.5
"""Seconds of audio that a paced client buffers, as a small player does."""
MIN_UNDERRUN_SECONDS = 0.020
"""Seconds without audio that count as an underrun: a sound card buffers as much."""
REPLY_TIMEOUT = 180.0
"""Seconds for a whole reply."""
ERROR_PAUSE = 1.0
"""Seconds of a client's pause after an error."""
TICK = 0.02

TRUNCATED, WRONG, DIFFERS = "truncated", "wrong", "differs"
MIN_CORRELATION = 0.99
"""Correlation from which on two recordings of equal length differ only in the last bits of their samples."""


@dataclass(frozen=True, slots=True)
class Item:
    """A request."""

    sentences: Sequence[str]
    voice: str | None
    streamed: bool
    reference: str = ""
    """File with the samples of the same reply, recorded without other requests."""

    def events(self) -> list[Event]:
        """Return the events that a client sends."""
        voice = SynthesizeVoice(name=self.voice) if self.voice else None
        if not self.streamed:
            return [Synthesize(text=" ".join(self.sentences), voice=voice).event()]
        chunks = [SynthesizeChunk(text=f"{sentence} ").event() for sentence in self.sentences]
        return [SynthesizeStart(voice=voice).event(), *chunks, SynthesizeStop().event()]


@dataclass(frozen=True, slots=True)
class Plan:
    """Work of a process of clients."""

    uri: str
    numbers: Sequence[int]
    """Number of each client: its random seed, and its name in the results."""
    paced: Sequence[int]
    """Numbers of the clients that read only as fast as they play."""
    seconds: float
    pause: float
    """Longest pause before a request, seconds; the mean is half of it."""
    decks: Sequence[Sequence[Item]]
    """Requests of a client, shuffled within each deck: after a few requests all clients have the same mix."""


@dataclass(slots=True)
class Reply:
    """Result of a request. Times are seconds on ``time.perf_counter``."""

    client: int
    item: int
    sent: float
    first: float = math.nan
    """Seconds to the first audio."""
    total: float = math.nan
    """Seconds to the end, or to the error."""
    sound: float = 0.0
    """Seconds of received audio."""
    seconds_in_time: float = 0.0
    """Seconds of audio received before the end of the measurement."""
    underruns: int = 0
    stall_seconds: float = 0.0
    """Seconds in which playback in real time, started with the first chunk, has nothing to play."""
    error: str = ""
    """Code of the server's or the client's error; empty for a complete reply."""
    verdict: str = ""
    """Empty if equal to the reference; else ``truncated`` (fewer samples), ``differs`` or ``wrong``."""
    correlation: float = 1.0
    max_difference: int = 0
    """Largest difference of a sample."""
    extra_seconds: float = 0.0
    """Seconds of audio beyond the length of the reference."""

    def to_json(self) -> dict[str, object]:
        """Return the fields, with None for NaN, which JSON lacks."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


class ClientFailedError(Exception):
    """A reply is incomplete; the message is a code."""


class Playback:
    """Simulates playback of arriving audio in real time, to find underruns."""

    def __init__(self) -> None:
        self.underruns = 0
        self.stall_seconds = 0.0
        self.played_until = math.nan
        """Time at which all received audio will have been played; NaN before the first chunk."""

    def push(self, at: float, seconds: float) -> None:
        """Add a chunk that arrived at ``at``."""
        if math.isnan(self.played_until):
            self.played_until = at
        if (late := at - self.played_until) > 0:
            self.stall_seconds += late
            self.underruns += late >= MIN_UNDERRUN_SECONDS
            self.played_until = at
        self.played_until += seconds


class Comparison:
    """Compares a reply with its reference while it arrives, without storing it."""

    def __init__(self, reference: NDArray[np.int16]) -> None:
        self._reference = reference
        self._at = 0
        self._same = True
        self._xy = self._xx = self._yy = 0.0
        self._max_difference = 0

    def push(self, pcm: bytes) -> None:
        """Compare the next samples."""
        came = np.frombuffer(pcm, np.int16)
        known = self._reference[self._at : self._at + len(came)]
        if self._same and not (len(known) == len(came) and np.array_equal(known, came)):
            self._same = False
            before = self._reference[: self._at].astype(np.float64)
            self._xy = self._xx = self._yy = float(before @ before)
        if not self._same:
            x, y = known.astype(np.float64), came[: len(known)].astype(np.float64)
            self._xy, self._xx, self._yy = (
                sum_so_far + float(more)
                for sum_so_far, more in ((self._xy, x @ y), (self._xx, x @ x), (self._yy, y @ y))
            )
            self._max_difference = max(self._max_difference, int(np.abs(x - y).max(initial=0)))
        self._at += len(came)

    def judge(self, reply: Reply) -> None:
        """Set the verdict of a complete reply."""
        missing = len(self._reference) - self._at
        if self._same and not missing:
            return
        power = math.sqrt(self._xx * self._yy)
        reply.correlation = 1.0 if self._same else self._xy / power if power else 0.0
        reply.max_difference = self._max_difference
        reply.extra_seconds = -missing * 2 / BYTES_PER_SECOND
        is_alike = not missing and reply.correlation >= MIN_CORRELATION
        reply.verdict = DIFFERS if is_alike else TRUNCATED if missing > 0 else WRONG


@functools.cache
def load_samples(reference: str) -> NDArray[np.int16]:
    """Return a reference's samples."""
    return np.fromfile(reference, np.int16)


async def receive_reply(
    client: AsyncClient, item: Item, reply: Reply, *, paced: bool, stop: asyncio.Event
) -> bytes:
    """Send a request and receive its reply; return the samples unless there is a reference to compare with.

    ``stop``: a paced client reads as fast as possible once it is set. Raises ClientFailedError, OSError.
    """
    playback, received_pcm = Playback(), bytearray()
    comparison = Comparison(load_samples(item.reference)) if item.reference else None
    reply.sent = time.perf_counter()
    try:
        for event in item.events():
            await client.write_event(event)
        end = SynthesizeStopped if item.streamed else AudioStop
        while True:
            if paced and not math.isnan(playback.played_until) and not stop.is_set():
                await _wait(stop, playback.played_until - PACED_BUFFER_SECONDS - time.perf_counter())
            received = await client.read_event()
            now = time.perf_counter()
            if received is None:
                raise ClientFailedError("connection-lost")
            if AudioChunk.is_type(received.type):
                chunk = AudioChunk.from_event(received)
                if math.isnan(reply.first):
                    reply.first = now - reply.sent
                playback.push(now, chunk.seconds)
                reply.sound += chunk.seconds
                reply.seconds_in_time = reply.seconds_in_time if stop.is_set() else reply.sound
                comparison.push(chunk.audio) if comparison else received_pcm.extend(chunk.audio)
            elif Error.is_type(received.type):
                raise ClientFailedError(Error.from_event(received).code or "error-without-code")
            elif end.is_type(received.type):
                break
    finally:
        reply.total = time.perf_counter() - reply.sent
        reply.underruns, reply.stall_seconds = playback.underruns, playback.stall_seconds
    if comparison:
        comparison.judge(reply)
    return bytes(received_pcm)


class LoadClient:
    """One client: a connection, and one request after another."""

    def __init__(self, plan: Plan, number: int, stop: asyncio.Event, replies: list[Reply]) -> None:
        self._plan = plan
        self._number = number
        self._stop = stop
        self._replies = replies
        self._random = random.Random(number)
        self._client: AsyncClient | None = None

    async def run(self) -> None:
        """Send requests until ``stop`` is set; receive the last reply completely."""
        paced = self._number in self._plan.paced
        positions = self._positions()
        try:
            while not self._stop.is_set():
                await _wait(self._stop, self._random.uniform(0, self._plan.pause))
                if self._stop.is_set():
                    break
                if not positions:
                    positions = self._positions()
                await self._request(*positions.pop(), paced=paced)
        finally:
            await self._disconnect()

    def _positions(self) -> list[tuple[int, Item]]:
        """Return all items with their numbers, in shuffled decks that are shuffled themselves."""
        numbered: list[list[tuple[int, Item]]] = []
        count = 0
        for deck in self._plan.decks:
            numbered.append(list(enumerate(deck, count)))
            count += len(deck)
            self._random.shuffle(numbered[-1])
        self._random.shuffle(numbered)
        return [position for deck in numbered for position in deck]

    async def _request(self, number: int, item: Item, *, paced: bool) -> None:
        reply = Reply(self._number, number, time.perf_counter())
        self._replies.append(reply)
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                if self._client is None:
                    client = AsyncClient.from_uri(self._plan.uri)
                    await client.connect()
                    self._client = client
                await receive_reply(self._client, item, reply, paced=paced, stop=self._stop)
        except TimeoutError:
            reply.error = "timeout"
        except ClientFailedError as error:
            reply.error = str(error)
        except OSError as error:
            reply.error = type(error).__name__
        if reply.error:
            if math.isnan(reply.total):
                reply.total = time.perf_counter() - reply.sent
            await self._disconnect()
            await _wait(self._stop, ERROR_PAUSE)

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError):
                await client.disconnect()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Wait for ``seconds``, or until ``stop`` is set."""
    if seconds <= 0:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _measure_lag(found: list[float]) -> None:
    """Record by how many seconds this process wakes late: the resolution of its measurements."""
    while True:
        wanted = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        found.append(time.perf_counter() - wanted)


async def run(plan: Plan) -> dict[str, object]:
    """Execute a plan; return the results."""
    stop = asyncio.Event()
    replies: list[Reply] = []
    lags: list[float] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    loop.call_later(plan.seconds, stop.set)
    threading.Thread(target=_wait_for_stdin_end, args=(loop, stop), daemon=True).start()
    ticking = asyncio.create_task(_measure_lag(lags))
    clients = [LoadClient(plan, number, stop, replies).run() for number in plan.numbers]
    await asyncio.gather(*clients)
    ticking.cancel()
    lags.sort()
    return {
        "began": began,
        "lag": lags[int(len(lags) * 0.99)] if lags else 0.0,
        "replies": [reply.to_json() for reply in replies],
    }


def _wait_for_stdin_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set ``stop`` when standard input ends: the parent process asks for the results so far."""
    sys.stdin.read()
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)


def plan_from_json(text: str) -> Plan:
    """Return the plan of a JSON object."""
    found = json.loads(text)
    found["decks"] = [[Item(**item) for item in deck] for deck in found["decks"]]
    return Plan(**found)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(plan_from_json(sys.stdin.readline())))), flush=True)
