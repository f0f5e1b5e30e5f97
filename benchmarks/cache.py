"""How soon and how often what was said before is heard again, over a real socket.

``python -m benchmarks.cache`` serves the built-in voice and prints, of one run: the first sound of phrases
that wyoming-piper makes, that we make, and that come from Redis, from disk and from memory, with the ratios;
hits a second of 32 clients; and what a lookup on disk costs with 100 entries and with many.
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
from benchmarks.talk import HOST
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
    """A connection that asks for sentences and notes when their first sound came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def first(self, text: str) -> float:
        """Return the seconds to the first sound of ``text``; hear it to its end."""
        event = {"type": "synthesize", "data": {"text": text}}
        began = time.perf_counter()
        self._writer.write(json.dumps(event).encode() + b"\n")
        first = 0.0
        tail = b""
        while b'"audio-stop"' not in tail:
            data = await self._reader.read(1 << 18)
            assert data, "the server left"
            tail = tail[-100:] + data
            if not first and b'"audio-chunk"' in tail:
                first = time.perf_counter() - began
        return first

    def close(self) -> None:
        """Leave."""
        self._writer.close()


async def connect(port: int) -> Client:
    return Client(*await asyncio.open_connection(HOST, port))


async def firsts(port: int, texts: list[str]) -> list[float]:
    client = await connect(port)
    found = [await client.first(text) for text in texts]
    client.close()
    return found


async def rate(port: int) -> float:
    """Return hits a second of CLIENTS clients at once."""
    clients = [await connect(port) for _ in range(CLIENTS)]

    async def ask(client: Client) -> None:
        for number in range(HITS // CLIENTS):
            await client.first(PHRASES[number % len(PHRASES)])

    began = time.perf_counter()
    await asyncio.gather(*map(ask, clients))
    return HITS / (time.perf_counter() - began)


def ours(data: Path, *more: str) -> Program:
    """Return our server with its data in a directory."""
    uri = ("--uri", f"tcp://{HOST}:{{port}}")
    place = ("--espeak-languages", "none", "--data-dir", str(data))
    return Program("ours", (sys.executable, "-m", "wyoming_qwen3tts", *uri, *place, *more))


def theirs() -> Program:
    """Return wyoming-piper. Raises EnvironmentSetupError."""
    piper = environment.find(None)
    uri = ("--uri", f"tcp://{HOST}:{{port}}")
    voice = ("--voice", VOICE, "--data-dir", str(piper.voices))
    return Program("piper", (str(piper.python), "-m", "wyoming_piper", *uri, *voice))


@asynccontextmanager
async def served(program: Program) -> AsyncIterator[int]:
    """Serve; give the port once the first sentence has been spoken."""
    async with running(program) as server:
        await server.ready()
        await firsts(server.port, ["Are you there?"])
        yield server.port


@contextmanager
def redis(place: Path) -> Iterator[str | None]:
    """Run a Redis of our own; give its URL, None where the machine has none."""
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
    """Return the first sounds of all phrases, by where they came from, and hits a second."""
    found: dict[str, list[float]] = {}
    if with_piper:
        async with served(theirs()) as port:
            found["wyoming-piper"] = await firsts(port, PHRASES)
    async with served(ours(place / "data")) as port:
        found["made"] = await firsts(port, PHRASES)
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
    """Return the median seconds of finding one of so many entries on disk."""
    path = place / f"{entries}.sqlite"
    tier = DiskTier(path, 1 << 40)
    pcm = np.random.default_rng(0).integers(-3000, 3000, 2400).astype("<i2").tobytes()
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(100)]
    for key in keys:
        await tier.put(key, Entry(pcm, 1.0, "a phrase"))
    with sqlite3.connect(path) as database:  # the rest are copies of one, at once
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
    arguments.add_argument("--entries", type=int, default=100_000, help="the larger cache of the lookups")
    arguments.add_argument("--no-piper", action="store_true", help="measure our server alone")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        found, hits = asyncio.run(measure(place, not given.no_piper))
        miss = statistics.median(found["made"])
        print("| first sound | median | 95 % within | of made | of wyoming-piper |")
        print("|---|---|---|---|---|")
        for where, times in found.items():
            median = statistics.median(times)
            p95 = sorted(times)[int(0.95 * len(times))]
            piper = f"{median / statistics.median(found['wyoming-piper']):.3f}" if not given.no_piper else ""
            print(
                f"| {where} | {median * 1000:.2f} ms | {p95 * 1000:.2f} ms | {median / miss:.2f} | {piper} |"
            )
        print(f"{hits:.0f} hits a second, {CLIENTS} clients")
        few = asyncio.run(lookup(100, place))
        many = asyncio.run(lookup(given.entries, place))
        print(
            f"a lookup on disk: {few * 1000:.2f} ms with 100 entries, {many * 1000:.2f} ms with "
            f"{given.entries:,}: ratio {many / few:.2f}"
        )


if __name__ == "__main__":
    main()
