"""Cache: latency and throughput of cached phrases, over a real socket.

``python -m benchmarks.cache`` starts servers with the built-in voice and prints: the first audio of phrases
from wyoming-piper, synthesized by this server, and from its caches in Redis, on disk and in memory, with the
ratios; hits per second with 32 clients; and the time of a lookup on disk with 100 entries and with many.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np

from benchmarks import environment
from benchmarks.environment import VOICE
from benchmarks.servers import Program, running
from benchmarks.speech_requests import HOST
from wyoming_qwen3tts.cache.entry import Entry
from wyoming_qwen3tts.cache.sqlite import DiskTier

PHRASES = [
    f"The {thing} is {state}."
    for thing in ("front door", "window", "gate", "garage", "back door")
    for state in ("open", "shut", "locked", "not shut", "open again", "being opened")
]
CLIENTS = 32
HITS = 3200


class Client:
    """A Wyoming connection that measures the time to the first audio."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def first(self, text: str) -> float:
        """Request ``text`` and receive it completely; return the seconds to its first audio."""
        event = {"type": "synthesize", "data": {"text": text}}
        began = time.perf_counter()
        self._writer.write(json.dumps(event).encode() + b"\n")
        first = 0.0
        tail = b""
        while b'"audio-stop"' not in tail:
            data = await self._reader.read(1 << 18)
            assert data, "the server closed the connection"
            tail = tail[-100:] + data
            if not first and b'"audio-chunk"' in tail:
                first = time.perf_counter() - began
        return first

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


async def connect(port: int) -> Client:
    return Client(*await asyncio.open_connection(HOST, port))


async def firsts(port: int, texts: list[str]) -> list[float]:
    client = await connect(port)
    found = [await client.first(text) for text in texts]
    client.close()
    return found


async def rate(port: int) -> float:
    """Return hits per second of CLIENTS concurrent clients."""
    clients = [await connect(port) for _ in range(CLIENTS)]

    async def request(client: Client) -> None:
        for number in range(HITS // CLIENTS):
            await client.first(PHRASES[number % len(PHRASES)])

    began = time.perf_counter()
    await asyncio.gather(*map(request, clients))
    return HITS / (time.perf_counter() - began)


def ours(data: Path, *more: str) -> Program:
    """Return the command of this server, with its data directory."""
    uri = ("--uri", f"tcp://{HOST}:{{port}}")
    place = ("--espeak-languages", "none", "--data-dir", str(data))
    return Program("ours", (sys.executable, "-m", "wyoming_qwen3tts", *uri, *place, *more))


def theirs() -> Program:
    """Return the command of wyoming-piper. Raises EnvironmentSetupError."""
    piper = environment.find(None)
    uri = ("--uri", f"tcp://{HOST}:{{port}}")
    voice = ("--voice", VOICE, "--data-dir", str(piper.voices))
    return Program("piper", (str(piper.python), "-m", "wyoming_piper", *uri, *voice))


@asynccontextmanager
async def served(program: Program) -> AsyncIterator[int]:
    """Start a server; yield its port after a first request has warmed it up."""
    async with running(program) as server:
        await server.ready()
        await firsts(server.port, ["Are you there?"])
        yield server.port


@contextmanager
def redis(place: Path) -> Iterator[str | None]:
    """Start a Redis server; yield its URL, or None where it is not installed."""
    path = place / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(place))
    if shutil.which("redis-server") is None:
        yield None
        return
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        while not path.exists():
            time.sleep(0.01)
        yield f"unix://{path}"
    finally:
        process.kill()
        process.wait()


async def measure(place: Path, with_piper: bool) -> tuple[dict[str, list[float]], float]:
    """Return the times to first audio of all phrases, by their source, and hits per second."""
    found: dict[str, list[float]] = {}
    if with_piper:
        async with served(theirs()) as port:
            found["wyoming-piper"] = await firsts(port, PHRASES)
    async with served(ours(place / "data")) as port:
        found["uncached"] = await firsts(port, PHRASES)
    with redis(place) as url:
        if url is not None:
            async with served(ours(place / "one", "--cache-redis", url)) as port:
                await firsts(port, PHRASES)
            async with served(ours(place / "two", "--cache-redis", url)) as port:
                found["redis"] = await firsts(port, PHRASES)
    async with served(ours(place / "data")) as port:
        found["disk"] = await firsts(port, PHRASES)
        found["memory"] = await firsts(port, PHRASES * 5)
        hits = await rate(port)
    return found, hits


async def lookup(entries: int, place: Path) -> float:
    """Return the median seconds of a lookup on disk with so many entries."""
    path = place / f"{entries}.sqlite"
    tier = DiskTier(path, 1 << 40)
    pcm = np.random.default_rng(0).integers(-3000, 3000, 2400).astype("<i2").tobytes()
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(100)]
    for key in keys:
        await tier.put(key, Entry(pcm, 1.0, "a phrase"))
    with sqlite3.connect(path) as database:  # the rest are copies of one, in one statement
        rest = [(hashlib.sha256(f"copy {number}".encode()).digest(),) for number in range(entries - 100)]
        columns = "size, used, made, pinned, cost, text, voice"
        database.execute("CREATE TEMP TABLE new (key BLOB)")
        database.executemany("INSERT INTO new VALUES (?)", rest)
        one = (keys[0],)
        database.execute(
            f"INSERT INTO entries SELECT new.key, {columns} FROM new, entries WHERE entries.key = ?", one
        )
        database.execute(
            "INSERT INTO sounds SELECT new.key, sum, data FROM new, sounds WHERE sounds.key = ?", one
        )
    times = []
    for number in range(1000):
        began = time.perf_counter()
        assert await tier.get(keys[number * 37 % 100]) is not None
        times.append(time.perf_counter() - began)
    await tier.close()
    return statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--entries", type=int, default=100_000, help="entries of the larger cache")
    arguments.add_argument("--no-piper", action="store_true", help="measure this server only")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        found, hits = asyncio.run(measure(place, not given.no_piper))
        miss = statistics.median(found["uncached"])
        print("| first audio | median | p95 | ratio to uncached | ratio to wyoming-piper |")
        print("|---|---|---|---|---|")
        for where, times in found.items():
            median = statistics.median(times)
            p95 = sorted(times)[int(0.95 * len(times))]
            piper = f"{median / statistics.median(found['wyoming-piper']):.3f}" if not given.no_piper else ""
            print(
                f"| {where} | {median * 1000:.2f} ms | {p95 * 1000:.2f} ms | {median / miss:.2f} | {piper} |"
            )
        print(f"{hits:.0f} hits per second, {CLIENTS} clients")
        few = asyncio.run(lookup(100, place))
        many = asyncio.run(lookup(given.entries, place))
        print(
            f"a lookup on disk: {few * 1000:.2f} ms with 100 entries, {many * 1000:.2f} ms with "
            f"{given.entries:,}: ratio {many / few:.2f}"
        )


if __name__ == "__main__":
    main()
