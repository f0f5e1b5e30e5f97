"""How long servers take: service times for ``fleet``, from a JSON file, and how such a file is measured.

A file holds, for some numbers of utterances that a server makes at once, the seconds of sound that it makes
in a second for all of them together, and quantiles of the time to the first sound. ``source`` says where that
comes from: a command, or whoever published it.
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
from benchmarks.clients import ClientFailedError, Item, Reply, hear
from benchmarks.load import LONG, MEDIUM, SHORT
from benchmarks.servers import Program, Server, running
from benchmarks.talk import HOST
from wyoming_qwen3tts.text.sentences import split_sentences

STREAMS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of clients that are measured."""
CUTS = 20
"""Quantiles that are kept: of 5 %, 10 %, … 95 %, and the largest."""
FRONT_CLIENTS = 8
NOT_KEPT = ("--cache-memory", "0", "--cache-disk", "0")


class InvalidTimesError(ValueError):
    """A file of service times is not what it should be; the message says why."""


@dataclass(frozen=True, slots=True)
class Point:
    """A server that makes so many utterances at once."""

    streams: int
    total: float
    """Seconds of sound that it makes in a second, all utterances together."""
    first: tuple[float, ...]
    """Quantiles of the seconds to the first sound, at equal distances, the smallest first; or one number."""


@dataclass(frozen=True, slots=True)
class Front:
    """What a server costs that passes on what others speak. Times are seconds of one core."""

    first: float = 0.0
    """Seconds that it adds to the first sound."""
    passing: float = 0.0
    """A second of sound that another machine makes."""
    hit: float = 0.0
    """A sentence from its cache."""


@dataclass(frozen=True, slots=True)
class Times:
    """Service times, and the sentences that they were measured with."""

    name: str
    source: str
    points: tuple[Point, ...]
    lengths: tuple[float, ...]
    """Seconds of sound of sentences, each as likely as the others."""
    front: Front = Front()

    @classmethod
    def read(cls, file: Path) -> Times:
        """Return what a file says. Raises InvalidTimesError, OSError."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            points = tuple(
                Point(each["streams"], float(each["total"]), tuple(map(float, each["first"])))
                for each in found["points"]
            )
            lengths = tuple(map(float, found["lengths"]))
            return cls(found["name"], found["source"], points, lengths, Front(**found.get("front", {})))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidTimesError(f"{file} has no service times: {error!r}") from error

    def __post_init__(self) -> None:
        numbers = [point.streams for point in self.points]
        if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1:
            raise InvalidTimesError(
                f"{self.name}: points are wanted with more streams each, from 1 on: {numbers}"
            )
        if not self.lengths or min(self.lengths) <= 0 or min(point.total for point in self.points) <= 0:
            raise InvalidTimesError(f"{self.name}: lengths and totals have to be above 0")
        if any(not point.first or list(point.first) != sorted(point.first) for point in self.points):
            raise InvalidTimesError(f"{self.name}: first sounds are quantiles, the smallest first")

    def write(self, file: Path, **more: Any) -> None:
        """Write it as a file, with remarks for whoever reads that."""
        file.write_text(json.dumps({**asdict(self), **more}, indent=1) + "\n", encoding="utf-8")

    @property
    def most(self) -> int:
        """The largest number of utterances at once that was measured."""
        return self.points[-1].streams

    @property
    def mean_length(self) -> float:
        """Mean seconds of sound of a sentence."""
        return statistics.fmean(self.lengths)

    def speed(self, streams: int) -> float:
        """Return how many seconds of sound each of so many utterances gets in a second."""
        below, above, share = self._around(streams)
        return (below.total + share * (above.total - below.total)) / streams

    def first(self, streams: int, chance: float) -> float:
        """Return the seconds to a first sound among so many; ``chance``, from 0 to 1, chooses a quantile."""
        below, above, share = self._around(streams)
        low, high = quantile(below.first, chance), quantile(above.first, chance)
        return low + share * (high - low)

    def _around(self, streams: int) -> tuple[Point, Point, float]:
        """Return the points below and above, and where between them; at the ends it goes on as it was."""
        points = self.points
        if streams <= points[0].streams:
            return points[0], points[0], 0.0
        for below, above in itertools.pairwise(points):
            if streams <= above.streams:
                return below, above, (streams - below.streams) / (above.streams - below.streams)
        return points[-1], points[-1], 0.0


def quantile(ordered: Sequence[float], chance: float) -> float:
    """Return the value below which such a part of the values is, between two of them if need be."""
    if not ordered:
        return math.nan
    place = chance * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


# -- measuring -----------------------------------------------------------------------------------------------


async def measure(uri: str | None, seconds: float, streams: Sequence[int] = STREAMS) -> Times:
    """Return the service times of a server, ``seconds`` for each number of streams.

    Without an address one is started that keeps nothing of what it says, and a front before it.
    """
    if uri is not None:
        points, lengths = await _points(uri, seconds, streams)
        return Times(f"the server at {uri}", _source(f"--measure {uri}", seconds), points, lengths)
    with tempfile.TemporaryDirectory() as place:
        async with running(_server(Path(place, "back"), "--engine", "builtin", *NOT_KEPT)) as back:
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
    """A server with the built-in voice that keeps nothing of what it says; its address."""
    with tempfile.TemporaryDirectory() as place:
        async with running(_server(Path(place), "--engine", "builtin", *NOT_KEPT)) as server:
            await server.ready()
            yield f"tcp://{HOST}:{server.port}"


async def by_chance(uri: str, a_second: float, seconds: float, seed: int) -> list[float]:
    """Ask a server for so many sentences a second, by chance; return the waits, the shortest first.

    Each is asked for on a connection of its own, whether the others have been answered or not. Raises
    ClientFailedError.
    """
    chance, over = random.Random(seed), asyncio.Event()
    texts = sentences()

    async def ask(text: str) -> float:
        async with AsyncClient.from_uri(uri) as wyoming:
            reply = Reply(0, 0, time.perf_counter())
            await hear(wyoming, Item([text], None, streamed=False), reply, paced=False, over=over)
            return reply.first

    await ask(texts[0])
    asked = []
    at = time.perf_counter()
    end = at + seconds
    while (at := at + chance.expovariate(a_second)) < end:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        asked.append(asyncio.create_task(ask(chance.choice(texts))))
    return sorted(await asyncio.gather(*asked))


async def _points(
    uri: str, seconds: float, streams: Sequence[int]
) -> tuple[tuple[Point, ...], tuple[float, ...]]:
    await _crowd(uri, 1, 1.0)  # what is measured once for a voice is measured now
    points: list[Point] = []
    lengths: list[float] = []
    for number in streams:
        replies = await _crowd(uri, number, seconds)
        if number == streams[0]:
            lengths = sorted({round(reply.sound, 3) for reply in replies})
        # The last replies were heard to their end, with fewer at it: only what came before counts.
        total = sum(reply.in_time for reply in replies) / seconds
        firsts = sorted(reply.first for reply in replies)
        cuts = tuple(round(quantile(firsts, cut / CUTS), 5) for cut in range(1, CUTS + 1))
        points.append(Point(number, round(total, 2), cuts))
        print(
            f"  {number:3} at once: {total:6.1f} s of sound a second, first sound "
            f"{quantile(firsts, 0.5) * 1000:.0f} ms, p95 {quantile(firsts, 0.95) * 1000:.0f} ms "
            f"({len(replies)} sentences)",
            flush=True,
        )
    return tuple(points), tuple(lengths)


async def _crowd(uri: str, number: int, seconds: float, texts: Sequence[str] = ()) -> list[Reply]:
    """Let so many clients ask for one sentence after the other; return what they heard.

    Raises ClientFailedError.
    """
    texts = texts or sentences()
    replies: list[Reply] = []
    over = asyncio.Event()

    async def client(own: int) -> None:
        wyoming = AsyncClient.from_uri(uri)
        await wyoming.connect()
        try:
            for text in itertools.cycle((*texts[own % len(texts) :], *texts[: own % len(texts)])):
                if over.is_set():
                    return
                reply = Reply(own, 0, time.perf_counter())
                await hear(wyoming, Item([text], None, streamed=False), reply, paced=False, over=over)
                if math.isnan(reply.first):
                    raise ClientFailedError("no sound")
                replies.append(reply)
        finally:
            await wyoming.disconnect()

    asyncio.get_running_loop().call_later(seconds, over.set)
    await asyncio.gather(*map(client, range(number)))
    return replies


async def _front(there: str, place: Path, seconds: float) -> Front:
    """Return what a front costs before the server that is ``there``."""
    async with running(
        _server(
            place, "--engine", "remote", "--remote-uri", there, "--cache-disk", "0", "--cache-memory", "0"
        )
    ) as front:
        await front.ready()
        here = f"tcp://{HOST}:{front.port}"
        await _crowd(here, 1, 1.0)
        added = []
        for _ in range(5):  # in turns, so that what else the machine does meets both
            through = await _crowd(here, 1, 1.0)
            direct = await _crowd(there, 1, 1.0)
            added.append(_median(through) - _median(direct))
        passing, sound, _ = await _cost(front, seconds)
        passed = passing / sound
    async with running(_server(place, "--engine", "builtin")) as keeping:
        await keeping.ready()
        await _crowd(f"tcp://{HOST}:{keeping.port}", 1, 5.0, PHRASES)
        spent, _, hits = await _cost(keeping, seconds, PHRASES)
    found = Front(round(max(0.0, statistics.median(added)), 5), round(passed, 6), round(spent / hits, 6))
    print(
        f"  a front adds {found.first * 1000:.1f} ms and takes {found.passing * 1000:.2f} ms of a core for a "
        f"second of sound, {found.hit * 1000:.2f} ms for a sentence from its memory",
        flush=True,
    )
    return found


async def _cost(server: Server, seconds: float, texts: Sequence[str] = ()) -> tuple[float, float, int]:
    """Return the processor seconds, the seconds of sound and the sentences of a time."""
    before = server.tree.cpu_seconds()
    replies = await _crowd(f"tcp://{HOST}:{server.port}", FRONT_CLIENTS, seconds, texts)
    sound = sum(reply.sound for reply in replies)
    return server.tree.cpu_seconds() - before, sound, len(replies)


def _median(replies: Sequence[Reply]) -> float:
    return statistics.median(reply.first for reply in replies)
