"""How soon and how often what was said before is heard again, over a real socket.

``python -m benchmarks.cache`` serves the built-in voice and prints, of one run: the first sound of a sentence
that is made, of one from disk and of one from memory, with the ratios; hits a second of 32 clients; and what
a lookup on disk costs with 100 entries and with many.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from wyoming_qwen3tts.cache.disk import Disk
from wyoming_qwen3tts.cache.entry import Entry

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
    return Client(*await asyncio.open_connection("127.0.0.1", port))


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


class Server:
    """The service as a process, with its data in a directory."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "wyoming_qwen3tts", "--uri", "tcp://127.0.0.1:0"]
        command += ["--espeak-languages", "none", "--data-dir", str(data)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.port = 0
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "Listening on" in line:
                self.port = int(line.rsplit(":", 1)[1])
            if "Ready" in line:
                threading.Thread(target=self._process.stderr.read, daemon=True).start()
                return
        raise SystemExit("the server did not start")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


@contextmanager
def served(data: Path) -> Iterator[int]:
    """Serve with this data directory; give the port."""
    server = Server(data)
    try:
        yield server.port
    finally:
        server.stop()


async def lookup(entries: int, place: Path) -> float:
    """Return the median seconds of finding one of so many entries on disk."""
    path = place / f"{entries}.sqlite"
    tier = Disk(path, 1 << 40)
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
    given = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as place:
        data = Path(place)
        with served(data) as port:
            made = asyncio.run(firsts(port, PHRASES))
        with served(data) as port:
            disk = asyncio.run(firsts(port, PHRASES))
            memory = asyncio.run(firsts(port, PHRASES * 5))
            hits = asyncio.run(rate(port))
        miss = statistics.median(made)
        print(f"first sound, median of {len(PHRASES)} phrases of the built-in voice:")
        for name, times in (("made", made), ("disk", disk), ("memory", memory)):
            median = statistics.median(times)
            p95 = sorted(times)[int(0.95 * len(times))]
            print(f"  {name:7} {median * 1000:7.2f} ms  (p95 {p95 * 1000:.2f})  {median / miss:.2f} of made")
        print(f"{hits:.0f} hits a second, {CLIENTS} clients")
        few = asyncio.run(lookup(100, data))
        many = asyncio.run(lookup(given.entries, data))
        print(
            f"a lookup on disk: {few * 1000:.2f} ms with 100 entries, {many * 1000:.2f} ms with "
            f"{given.entries:,}: ratio {many / few:.2f}"
        )


if __name__ == "__main__":
    main()
