"""Latency of each API: the first audio of the same phrases over Wyoming, HTTP and a WebSocket.

``python -m benchmarks.apis`` starts a server with the built-in voice and sends each phrase to all APIs in
turn: first without a cache, then with all phrases in memory. It prints the median milliseconds to the first
byte of audio, and the ratio to Wyoming's. The header of an encoded format is no audio: the first byte after
it counts.
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
from benchmarks.speech_requests import HOST

HEADERS = {"pcm": 0, "wav": 44, "flac": 86, "mp3": 0, "opus": 47 + 60}
"""Approximate bytes before the first byte of audio; Ogg has two pages."""
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ROUNDS = 2

MeasureFirstAudio = Callable[[str], Awaitable[float]]
"""Requests a text and receives it completely; returns the seconds to its first audio."""


class HttpClient:
    """A persistent HTTP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, form: str) -> None:
        self._reader = reader
        self._writer = writer
        self._form = form

    async def first(self, text: str) -> float:
        """Request ``text`` and receive it completely; return the seconds to its first audio."""
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


class WebSocketClient:
    """A WebSocket connection."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self._connection = connection

    async def first(self, text: str) -> float:
        """Request ``text`` and receive it completely; return the seconds to its first audio."""
        began = time.perf_counter()
        await self._connection.send(json.dumps({"type": "speech.speak", "input": text}))
        first = 0.0
        async for message in self._connection:
            if isinstance(message, bytes):
                first = first or time.perf_counter() - began
            elif json.loads(message)["type"] in {"speech.done", "error"}:
                break
        return first


async def connect_all(port: int, http_port: int) -> dict[str, MeasureFirstAudio]:
    """Connect to every API; return the clients' functions by the API's name."""
    clients: dict[str, MeasureFirstAudio] = {"wyoming": (await connect(port)).first}
    for form in HEADERS:
        web = HttpClient(*await asyncio.open_connection(HOST, http_port), form)
        clients[f"http {form}"] = web.first
    url = f"ws://localhost:{http_port}/v1/audio/speech/ws"
    clients["websocket pcm"] = WebSocketClient(await websockets.connect(url, compression=None)).first
    return clients


async def measure(clients: dict[str, MeasureFirstAudio], phrases: Sequence[str]) -> dict[str, float]:
    """Return each client's median in seconds; every phrase is sent to all clients before the next one."""
    times: dict[str, list[float]] = {name: [] for name in clients}
    for phrase in phrases:
        for name, first in clients.items():
            times[name].append(await first(phrase))
    return {name: statistics.median(values) for name, values in times.items()}


def print_medians(medians: dict[str, float], base: str, label: str = "") -> None:
    """Print medians, and their ratios to that of ``base``."""
    print(f"{label}median of {len(PHRASES) * ROUNDS}, first audio")
    for name, seconds in medians.items():
        print(f"  {name:15}{seconds * 1000:8.2f} ms{seconds / medians[base]:8.2f}")


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        for label, options in (
            ("uncached", ("--cache-memory", "0", "--cache-disk", "0")),
            ("from memory", ()),
        ):
            http_port = free_port()
            program = ours(Path(place), "--http-port", str(http_port), *options)
            async with running(program) as server:
                await server.ready()
                clients = await connect_all(server.port, http_port)
                await measure(clients, PHRASES[:5] if options else PHRASES)
                medians = await measure(clients, PHRASES * ROUNDS)
            print_medians(medians, "wyoming", f"{label}: ")


if __name__ == "__main__":
    asyncio.run(main())
