"""What each door adds: the first sound of the same phrases over Wyoming, HTTP and a WebSocket.

``python -m benchmarks.doors`` serves the built-in voice and asks at every door in turn, one sentence after
the other: first with nothing kept, then for what is in memory. It prints the median of the milliseconds to
the first byte of sound, and the ratio to Wyoming's. A format that has to be encoded has its header first,
which is no sound: what counts is the first byte after it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import websockets

from benchmarks.cache import PHRASES, connect, ours
from benchmarks.servers import free_port, running
from benchmarks.talk import HOST

HEADERS = {"pcm": 0, "wav": 44, "flac": 86, "mp3": 0, "opus": 47 + 60}
"""Bytes before the first byte of sound, about; Ogg has two pages."""
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ROUNDS = 2

First = Callable[[str], Awaitable[float]]
"""Returns the seconds to the first sound of a text, and hears it to its end."""


class Web:
    """A connection for HTTP that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, form: str) -> None:
        self._reader = reader
        self._writer = writer
        self._form = form

    async def first(self, text: str) -> float:
        """Return the seconds to the first sound of ``text``; hear it to its end."""
        body = json.dumps({"input": text, "response_format": self._form}).encode()
        head = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
        began = time.perf_counter()
        self._writer.write(head + body)
        first, size = 0.0, 0
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        while chunk := int(await self._reader.readline(), 16):
            size += len(await self._reader.readexactly(chunk + 2)) - 2
            if not first and size > HEADERS[self._form]:
                first = time.perf_counter() - began
        await self._reader.readline()
        return first


class Socket:
    """A WebSocket."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self._connection = connection

    async def first(self, text: str) -> float:
        """Return the seconds to the first sound of ``text``; hear it to its end."""
        began = time.perf_counter()
        await self._connection.send(json.dumps({"type": "speech.speak", "input": text}))
        first = 0.0
        async for message in self._connection:
            if isinstance(message, bytes):
                first = first or time.perf_counter() - began
            elif json.loads(message)["type"] in {"speech.done", "error"}:
                break
        return first


async def doors(port: int, http_port: int) -> dict[str, First]:
    """Return a client at every door."""
    found: dict[str, First] = {"wyoming": (await connect(port)).first}
    for form in HEADERS:
        web = Web(*await asyncio.open_connection(HOST, http_port), form)
        found[f"http {form}"] = web.first
    url = f"ws://localhost:{http_port}/v1/audio/speech/ws"
    found["websocket pcm"] = Socket(await websockets.connect(url, compression=None)).first
    return found


async def measure(clients: dict[str, First], phrases: Sequence[str]) -> dict[str, float]:
    """Return each door's median, in seconds: all doors say a phrase before anybody says the next."""
    times: dict[str, list[float]] = {name: [] for name in clients}
    for phrase in phrases:
        for name, first in clients.items():
            times[name].append(await first(phrase))
    return {name: statistics.median(found) for name, found in times.items()}


def tell(found: dict[str, float], base: str, what: str = "") -> None:
    """Print medians, and their ratios to that of ``base``."""
    print(f"{what}median of {len(PHRASES) * ROUNDS}, first sound")
    for name, seconds in found.items():
        print(f"  {name:15}{seconds * 1000:8.2f} ms{seconds / found[base]:8.2f}")


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        for what, kept in (("made", ("--cache-memory", "0", "--cache-disk", "0")), ("from memory", ())):
            http_port = free_port()
            program = ours(Path(place), "--http-port", str(http_port), *kept)
            async with running(program) as server:
                await server.ready()
                clients = await doors(server.port, http_port)
                await measure(clients, PHRASES[:5] if kept else PHRASES)
                found = await measure(clients, PHRASES * ROUNDS)
            tell(found, "wyoming", f"{what}: ")


if __name__ == "__main__":
    asyncio.run(main())
