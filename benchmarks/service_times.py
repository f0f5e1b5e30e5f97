"""Service times of servers for ``fleet``: read from a JSON file, or measured.

A file has, for some numbers of concurrent utterances, the server's throughput in seconds of audio per second,
and quantiles of the time to the first audio. ``source`` is the command that measured them, or a citation.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wyoming.client import AsyncClient

from benchmarks.cache import PHRASES
from benchmarks.load import LONG, MEDIUM, SHORT
from benchmarks.load_clients import ClientFailedError, Item, Reply, receive_reply
from benchmarks.servers import Program, Server, running
from benchmarks.speech_requests import HOST
from wyoming_qwen3tts.text.sentences import split_sentences

STREAMS = (1, 2, 4, 8, 16, 32, 64)
"""Measured numbers of concurrent clients."""
CUTS = 20
"""Stored quantiles: 5 %, 10 %, … 95 %, and the maximum."""
FRONT_CLIENTS = 8
NO_CACHE = ("--cache-memory", "0", "--cache-disk", "0")


class InvalidTimesError(ValueError):
    """A file of service times is invalid; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Point:
    """Service times at one number of concurrent utterances."""

    streams: int
    total: float
    """Throughput: seconds of audio per second, of all utterances together."""
    first: tuple[float, ...]
    """Equidistant quantiles of the seconds to the first audio, in ascending order; or a single value."""


@dataclass(frozen=True, slots=True)
class Front:
    """Costs of a front, a server that forwards to others, in seconds of one core."""

    first: float = 0.0
    """Seconds that it adds to the first audio."""
    passing: float = 0.0
    """Per second of audio that it forwards."""
    hit: float = 0.0
    """Per sentence from its cache."""


@dataclass(frozen=True, slots=True)
class Times:
    """Service times, and the lengths of the measured sentences."""

    name: str
    source: str
    points: tuple[Point, ...]
    lengths: tuple[float, ...]
    """Seconds of audio of the sentences, which are equally likely."""
    front: Front = Front()

    @classmethod
    def read(cls, file: Path) -> Times:
        """Read a file. Raises InvalidTimesError, OSError."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            points = tuple(
                Point(each["streams"], float(each["total"]), tuple(map(float, each["first"])))
                for each in found["points"]
            )
            lengths = tuple(map(float, found["lengths"]))
            return cls(found["name"], found["source"], points, lengths, Front(**found.get("front", {})))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidTimesError(f"{file} has no valid service times: {error!r}") from error

    def __post_init__(self) -> None:
        numbers = [point.streams for point in self.points]
        if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1:
            raise InvalidTimesError(
                f"{self.name}: streams of the points must be ascending, from 1 on: {numbers}"
            )
        if not self.lengths or min(self.lengths) <= 0 or min(point.total for point in self.points) <= 0:
            raise InvalidTimesError(f"{self.name}: lengths and totals must be above 0")
        if any(not point.first or list(point.first) != sorted(point.first) for point in self.points):
            raise InvalidTimesError(f"{self.name}: quantiles of the first audio must be ascending")

    def write(self, file: Path, **more: Any) -> None:
        """Write a file; ``more``: further fields, such as remarks."""
        file.write_text(json.dumps({**asdict(self), **more}, indent=1) + "\n", encoding="utf-8")

    @property
    def max_streams(self) -> int:
        """The largest measured number of concurrent utterances."""
        return self.points[-1].streams

    @property
    def mean_length(self) -> float:
        """Mean seconds of audio of a sentence."""
        return statistics.fmean(self.lengths)

    def speed(self, streams: int) -> float:
        """Return the seconds of audio per second for each of so many concurrent utterances."""
        below, above, share = self._around(streams)
        return (below.total + share * (above.total - below.total)) / streams

    def first(self, streams: int, probability: float) -> float:
        """Return a quantile, from 0 to 1, of the seconds to the first audio among so many utterances."""
        below, above, share = self._around(streams)
        low, high = quantile(below.first, probability), quantile(above.first, probability)
        return low + share * (high - low)

    def _around(self, streams: int) -> tuple[Point, Point, float]:
        """Return the points below and above, and the fraction between them; constant beyond the ends."""
        points = self.points
        if streams <= points[0].streams:
            return points[0], points[0], 0.0
        for below, above in itertools.pairwise(points):
            if streams <= above.streams:
                return below, above, (streams - below.streams) / (above.streams - below.streams)
        return points[-1], points[-1], 0.0


def quantile(ordered: Sequence[float], probability: float) -> float:
    """Return a quantile, 0 to 1, of sorted values, interpolated linearly; NaN where there are none."""
    if not ordered:
        return math.nan
    place = probability * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


# -- measuring -----------------------------------------------------------------------------------------------


async def measure(uri: str | None, seconds: float, streams: Sequence[int] = STREAMS) -> Times:
    """Measure a server's service times, for ``seconds`` at each number of streams.

    Without ``uri``, a server without a cache is started, and a front for it.
    """
    if uri is not None:
        points, lengths = await _points(uri, seconds, streams)
        return Times(f"the server at {uri}", _source(f"--measure {uri}", seconds), points, lengths)
    with tempfile.TemporaryDirectory() as place:
        async with running(_server(Path(place, "back"), "--engine", "builtin", *NO_CACHE)) as back:
            await back.ready()
            there = f"tcp://{HOST}:{back.port}"
            points, lengths = await _points(there, seconds, streams)
            front = await _front(there, Path(place, "front"), seconds)
    name = f"built-in voice, {os.cpu_count()} cores"
    return Times(name, _source("--measure", seconds), points, lengths, front)


def _source(command: str, seconds: float) -> str:
    where = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return f"measured: python -m benchmarks.fleet {command} --seconds {seconds:g} ({where})"


def _server(data: Path, *options: str) -> Program:
    command = ["wyoming_qwen3tts", "--uri", f"tcp://{HOST}:{{port}}", "--data-dir", str(data)]
    return Program("server", [sys.executable, "-m", *command, *options])


def sentences() -> list[str]:
    """Return the sentences of ``load``'s replies."""
    return [each for text in (*SHORT, *MEDIUM, *LONG) for each in split_sentences([text], "en")]


@asynccontextmanager
async def built_in() -> AsyncIterator[str]:
    """Start a server with the built-in voice and no cache; yield its address."""
    with tempfile.TemporaryDirectory() as place:
        async with running(_server(Path(place), "--engine", "builtin", *NO_CACHE)) as server:
            await server.ready()
            yield f"tcp://{HOST}:{server.port}"


async def measure_poisson(uri: str, a_second: float, seconds: float, seed: int) -> list[float]:
    """Request sentences at random times (Poisson), ``a_second`` on average; return the sorted waits.

    Each request has its own connection and does not wait for others. Raises ClientFailedError.
    """
    generator, stop = random.Random(seed), asyncio.Event()
    texts = sentences()

    async def ask(text: str) -> float:
        async with AsyncClient.from_uri(uri) as wyoming:
            reply = Reply(0, 0, time.perf_counter())
            await receive_reply(wyoming, Item([text], None, streamed=False), reply, paced=False, stop=stop)
            return reply.first

    await ask(texts[0])
    asked = []
    at = time.perf_counter()
    end = at + seconds
    while (at := at + generator.expovariate(a_second)) < end:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        asked.append(asyncio.create_task(ask(generator.choice(texts))))
    return sorted(await asyncio.gather(*asked))


async def _points(
    uri: str, seconds: float, streams: Sequence[int]
) -> tuple[tuple[Point, ...], tuple[float, ...]]:
    await _run_clients(uri, 1, 1.0)  # loudness is measured at a voice's first use
    points: list[Point] = []
    lengths: list[float] = []
    for number in streams:
        replies = await _run_clients(uri, number, seconds)
        if number == streams[0]:
            lengths = sorted({round(reply.sound, 3) for reply in replies})
        # The last replies are received with fewer clients active: only audio before the end counts.
        total = sum(reply.seconds_in_time for reply in replies) / seconds
        firsts = sorted(reply.first for reply in replies)
        cuts = tuple(round(quantile(firsts, cut / CUTS), 5) for cut in range(1, CUTS + 1))
        points.append(Point(number, round(total, 2), cuts))
        print(
            f"  {number:3} concurrent: {total:6.1f} s of audio per second, first audio "
            f"{quantile(firsts, 0.5) * 1000:.0f} ms, p95 {quantile(firsts, 0.95) * 1000:.0f} ms "
            f"({len(replies)} sentences)",
            flush=True,
        )
    return tuple(points), tuple(lengths)


async def _run_clients(uri: str, number: int, seconds: float, texts: Sequence[str] = ()) -> list[Reply]:
    """Run clients that request one sentence after another; return the replies. Raises ClientFailedError."""
    texts = texts or sentences()
    replies: list[Reply] = []
    stop = asyncio.Event()

    async def client(own: int) -> None:
        wyoming = AsyncClient.from_uri(uri)
        await wyoming.connect()
        try:
            for text in itertools.cycle((*texts[own % len(texts) :], *texts[: own % len(texts)])):
                if stop.is_set():
                    return
                reply = Reply(own, 0, time.perf_counter())
                await receive_reply(
                    wyoming, Item([text], None, streamed=False), reply, paced=False, stop=stop
                )
                if math.isnan(reply.first):
                    raise ClientFailedError("no-audio")
                replies.append(reply)
        finally:
            await wyoming.disconnect()

    asyncio.get_running_loop().call_later(seconds, stop.set)
    await asyncio.gather(*map(client, range(number)))
    return replies


async def _front(there: str, place: Path, seconds: float) -> Front:
    """Measure a front of the server at the address ``there``."""
    async with running(
        _server(
            place, "--engine", "remote", "--remote-uri", there, "--cache-disk", "0", "--cache-memory", "0"
        )
    ) as front:
        await front.ready()
        here = f"tcp://{HOST}:{front.port}"
        await _run_clients(here, 1, 1.0)
        added = []
        for _ in range(5):  # alternately, so that other load affects both
            through = await _run_clients(here, 1, 1.0)
            direct = await _run_clients(there, 1, 1.0)
            added.append(_median(through) - _median(direct))
        passing, sound, _ = await _cost(front, seconds)
        passed = passing / sound
    async with running(_server(place, "--engine", "builtin")) as caching:
        await caching.ready()
        await _run_clients(f"tcp://{HOST}:{caching.port}", 1, 5.0, PHRASES)
        spent, _, hits = await _cost(caching, seconds, PHRASES)
    found = Front(round(max(0.0, statistics.median(added)), 5), round(passed, 6), round(spent / hits, 6))
    print(
        f"  a front adds {found.first * 1000:.1f} ms and uses {found.passing * 1000:.2f} ms of a core per "
        f"second of audio, {found.hit * 1000:.2f} ms per sentence from its memory",
        flush=True,
    )
    return found


async def _cost(server: Server, seconds: float, texts: Sequence[str] = ()) -> tuple[float, float, int]:
    """Return processor seconds, seconds of audio and number of sentences of a measurement."""
    before = server.tree.cpu_seconds()
    replies = await _run_clients(f"tcp://{HOST}:{server.port}", FRONT_CLIENTS, seconds, texts)
    sound = sum(reply.sound for reply in replies)
    return server.tree.cpu_seconds() - before, sound, len(replies)


def _median(replies: Sequence[Reply]) -> float:
    return statistics.median(reply.first for reply in replies)
