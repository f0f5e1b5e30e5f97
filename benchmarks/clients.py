"""The clients of ``load``: a process of their own, so that the stopwatch is not in the server.

``python -m benchmarks.clients`` takes a ``Plan`` as one line of JSON on standard input, asks for the time
that it says or until that input ends, hears the last replies to their end, and prints what it noted as JSON.
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
IN_HAND = 0.5
"""Seconds of sound that a paced client has in hand before it reads on, as a small player has."""
NOTICED = 0.020
"""Seconds for which playback must be dry to count as an underrun: a sound card has as much in hand."""
PATIENCE = 180.0
"""Seconds for a whole reply."""
BACK_OFF = 1.0
"""Seconds that a client waits after an error."""
TICK = 0.02

CUT, WRONG, DIFFERS = "cut", "wrong", "differs"
ALIKE = 0.99
"""Correlation from which two sounds of one length are the same but for the last bits of their samples."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to ask for."""

    sentences: Sequence[str]
    voice: str | None
    streamed: bool
    reference: str = ""
    """The file with the samples of the same reply, spoken alone."""

    def events(self) -> list[Event]:
        """Return what a client sends."""
        voice = SynthesizeVoice(name=self.voice) if self.voice else None
        if not self.streamed:
            return [Synthesize(text=" ".join(self.sentences), voice=voice).event()]
        chunks = [SynthesizeChunk(text=f"{sentence} ").event() for sentence in self.sentences]
        return [SynthesizeStart(voice=voice).event(), *chunks, SynthesizeStop().event()]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process of clients does."""

    uri: str
    numbers: Sequence[int]
    """One for each client: its seed, and its name in the results."""
    paced: Sequence[int]
    """Those of them that read as fast as they play."""
    seconds: float
    pause: float
    """Longest pause before a request, seconds; the mean is half of it."""
    decks: Sequence[Sequence[Item]]
    """What a client goes through, shuffled inside each deck: all get the same mix, be it ever so little."""


@dataclass(slots=True)
class Reply:
    """What became of a request. Times are seconds on ``time.perf_counter``."""

    client: int
    item: int
    sent: float
    first: float = math.nan
    """Seconds to the first sound."""
    total: float = math.nan
    """Seconds to the end, or to the error."""
    sound: float = 0.0
    """Seconds of sound that came."""
    in_time: float = 0.0
    """Seconds of it that came before the time was over."""
    underruns: int = 0
    dry: float = 0.0
    """Seconds in which playback, begun at the first chunk, had nothing to play."""
    error: str = ""
    """The error's code, or ours; empty for a reply that ended as it should."""
    verdict: str = ""
    """Empty for the reference's samples; else ``cut`` (fewer), ``differs`` (nearly them) or ``wrong``."""
    correlation: float = 1.0
    most: int = 0
    """Largest difference of a sample."""
    longer: float = 0.0
    """Seconds that it has more than the reference."""

    def to_json(self) -> dict[str, object]:
        """Return it without not-a-numbers, which JSON has not."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


class ClientFailedError(Exception):
    """A reply did not end as it should; the message is a code."""


class Playback:
    """Plays in thought, in real time, what arrives, to find when it would have run dry."""

    def __init__(self) -> None:
        self.underruns = 0
        self.dry = 0.0
        self.until = math.nan
        """When all that came will have been played; not a number before the first sound."""

    def heard(self, at: float, seconds: float) -> None:
        """Take a chunk that came at ``at``."""
        if math.isnan(self.until):
            self.until = at
        if (late := at - self.until) > 0:
            self.dry += late
            self.underruns += late >= NOTICED
            self.until = at
        self.until += seconds


class Comparison:
    """Compares a reply with its reference while it comes, and keeps none of it."""

    def __init__(self, reference: NDArray[np.int16]) -> None:
        self._reference = reference
        self._at = 0
        self._same = True
        self._xy = self._xx = self._yy = 0.0
        self._most = 0

    def heard(self, pcm: bytes) -> None:
        """Take the next samples."""
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
            self._most = max(self._most, int(np.abs(x - y).max(initial=0)))
        self._at += len(came)

    def judge(self, reply: Reply) -> None:
        """Write the verdict on a reply that has ended well."""
        missing = len(self._reference) - self._at
        if self._same and not missing:
            return
        power = math.sqrt(self._xx * self._yy)
        reply.correlation = 1.0 if self._same else self._xy / power if power else 0.0
        reply.most = self._most
        reply.longer = -missing * 2 / BYTES_PER_SECOND
        alike = not missing and reply.correlation >= ALIKE
        reply.verdict = DIFFERS if alike else CUT if missing > 0 else WRONG


@functools.cache
def samples_of(reference: str) -> NDArray[np.int16]:
    """Return a reference's samples."""
    return np.fromfile(reference, np.int16)


async def hear(client: AsyncClient, item: Item, reply: Reply, *, paced: bool, over: asyncio.Event) -> bytes:
    """Ask for ``item`` and hear all of it; return its samples where it has no reference to compare with.

    ``over``: reads as fast as it can from then on. Raises ClientFailedError, OSError.
    """
    playback, kept = Playback(), bytearray()
    comparison = Comparison(samples_of(item.reference)) if item.reference else None
    reply.sent = time.perf_counter()
    try:
        for event in item.events():
            await client.write_event(event)
        end = SynthesizeStopped if item.streamed else AudioStop
        while True:
            if paced and not math.isnan(playback.until) and not over.is_set():
                await _wait(over, playback.until - IN_HAND - time.perf_counter())
            event_or_none = await client.read_event()
            now = time.perf_counter()
            if event_or_none is None:
                raise ClientFailedError("connection-lost")
            if AudioChunk.is_type(event_or_none.type):
                chunk = AudioChunk.from_event(event_or_none)
                if math.isnan(reply.first):
                    reply.first = now - reply.sent
                playback.heard(now, chunk.seconds)
                reply.sound += chunk.seconds
                reply.in_time = reply.in_time if over.is_set() else reply.sound
                comparison.heard(chunk.audio) if comparison else kept.extend(chunk.audio)
            elif Error.is_type(event_or_none.type):
                raise ClientFailedError(Error.from_event(event_or_none).code or "error-without-code")
            elif end.is_type(event_or_none.type):
                break
    finally:
        reply.total = time.perf_counter() - reply.sent
        reply.underruns, reply.dry = playback.underruns, playback.dry
    if comparison:
        comparison.judge(reply)
    return bytes(kept)


class Asker:
    """One client: a connection, and one request after the other."""

    def __init__(self, plan: Plan, number: int, over: asyncio.Event, replies: list[Reply]) -> None:
        self._plan = plan
        self._number = number
        self._over = over
        self._replies = replies
        self._random = random.Random(number)
        self._client: AsyncClient | None = None

    async def run(self) -> None:
        """Ask until it is over, and hear the last reply to its end."""
        paced = self._number in self._plan.paced
        positions = self._positions()
        try:
            while not self._over.is_set():
                await _wait(self._over, self._random.uniform(0, self._plan.pause))
                if self._over.is_set():
                    break
                if not positions:
                    positions = self._positions()
                await self._ask(*positions.pop(), paced=paced)
        finally:
            await self._leave()

    def _positions(self) -> list[tuple[int, Item]]:
        """Return all items with their numbers, last first; shuffled inside their decks, and these too."""
        numbered: list[list[tuple[int, Item]]] = []
        count = 0
        for deck in self._plan.decks:
            numbered.append(list(enumerate(deck, count)))
            count += len(deck)
            self._random.shuffle(numbered[-1])
        self._random.shuffle(numbered)
        return [position for deck in numbered for position in deck]

    async def _ask(self, number: int, item: Item, *, paced: bool) -> None:
        reply = Reply(self._number, number, time.perf_counter())
        self._replies.append(reply)
        try:
            async with asyncio.timeout(PATIENCE):
                if self._client is None:
                    client = AsyncClient.from_uri(self._plan.uri)
                    await client.connect()
                    self._client = client
                await hear(self._client, item, reply, paced=paced, over=self._over)
        except TimeoutError:
            reply.error = "timeout"
        except ClientFailedError as error:
            reply.error = str(error)
        except OSError as error:
            reply.error = type(error).__name__
        if reply.error:
            if math.isnan(reply.total):
                reply.total = time.perf_counter() - reply.sent
            await self._leave()
            await _wait(self._over, BACK_OFF)

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError):
                await client.disconnect()


async def _wait(over: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until it is over."""
    if seconds <= 0:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await over.wait()


async def _lags(found: list[float]) -> None:
    """Note how late this process wakes, in seconds: its stopwatch is no better than that."""
    while True:
        wanted = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        found.append(time.perf_counter() - wanted)


async def run(plan: Plan) -> dict[str, object]:
    """Do what the plan says; return what was noted."""
    over = asyncio.Event()
    replies: list[Reply] = []
    lags: list[float] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    loop.call_later(plan.seconds, over.set)
    threading.Thread(target=_until_input_ends, args=(loop, over), daemon=True).start()
    ticking = asyncio.create_task(_lags(lags))
    clients = [Asker(plan, number, over, replies).run() for number in plan.numbers]
    await asyncio.gather(*clients)
    ticking.cancel()
    lags.sort()
    return {
        "began": began,
        "lag": lags[int(len(lags) * 0.99)] if lags else 0.0,
        "replies": [reply.to_json() for reply in replies],
    }


def _until_input_ends(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    """Wait for the end of standard input: whoever started us wants what there is."""
    sys.stdin.read()
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(over.set)


def plan_from_json(text: str) -> Plan:
    """Return what ``asdict`` made of a plan."""
    found = json.loads(text)
    found["decks"] = [[Item(**item) for item in deck] for deck in found["decks"]]
    return Plan(**found)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(plan_from_json(sys.stdin.readline())))), flush=True)
