"""The clients of ``soak``: all kinds of valid, invalid and aborted requests, in a separate process.

``python -m benchmarks.soak_clients PORT HTTP_PORT CLIENTS`` runs until its standard input ends. Every two
seconds it prints, as a line of JSON, the number of requests of each kind and the faults. A provoked error
(invalid input, a disconnect) is a fault only if the server's response differs from its documentation.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import websockets
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, async_read_event

from benchmarks import speech_requests
from benchmarks.load_clients import BYTES_PER_SECOND, ClientFailedError, Item, Reply, receive_reply
from benchmarks.speech_requests import HOST, LONG_TEXT, InvalidResponseError, unique

MAX_PAUSE = 1.0
"""Longest pause of a client, seconds."""
REPLY_TIMEOUT = 120.0
"""Seconds for a request."""
REPORT_EVERY = 2.0
MAX_REPORTED_FAULTS = 50
"""Faults whose messages are reported."""
PHRASES = (
    *(
        (f"The {thing} is {state}.", None)
        for thing in ("door", "gate", "window")
        for state in ("open", "shut")
    ),
    *((f"The {thing} is {state}.", "heart") for thing in ("lamp", "oven", "fan") for state in ("on", "off")),
    *((f"{thing} está abierta.", "espeak-es") for thing in ("La puerta", "La ventana", "La cancela")),
    *((f"{thing} ist offen.", "espeak-de") for thing in ("Die Tür", "Das Fenster", "Das Tor", "Die Garage")),
    *((f"{thing} est ouverte.", "espeak-fr-fr") for thing in ("La porte", "La fenêtre", "La boîte")),
    ("Das Wasser in der Küche läuft noch immer.", None),
    ("La machine à laver le linge est terminée.", None),
)
"""Repeated requests: text and voice; without a voice the text's language selects it."""
FORMATS = {"mp3": 1500, "opus": 500, "flac": 4000, "wav": 20_000, "pcm": 20_000}
"""Minimum bytes of a sentence, by format."""
PAGES = ("/", "/health", "/ready", "/metrics", "/v1/models", "/v1/audio/voices", "/v1/cache", "/v1/requests")
BAD_EVENTS = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\xff\xfe\x00\n",
    b'{"type": "synthesize", "data": {}}\n',
    b'{"type": "synthesize", "data": {"text": 5}}\n',
    b'{"type": "audio-chunk", "payload_length": 10000000000}\n',
    b'{"type": "synthesize-start"}\n{"type": "synthesize-start"}\n',
)
BAD_BODIES = (
    b"{",
    b"[]",
    b'{"input": ""}',
    b'{"input": "Hello.", "voice": "nobody at all"}',
    b'{"input": "Hello.", "response_format": "8-track"}',
    b'{"input": "Hello.", "speed": 99}',
)


class UnexpectedResponseError(Exception):
    """The server's response differs from its documentation."""


class Clients:
    """Clients of one server, and their results."""

    def __init__(self, port: int, http_port: int) -> None:
        self._port = port
        self._http_port = http_port
        self._random = random.Random(port)
        self._digests: dict[tuple[str, str | None, bool], str] = {}
        """Digests of the audio of repeated requests."""
        self.requests: Counter[str] = Counter()
        self.faults: list[str] = []
        self.sound = 0.0
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.plain: 8,
            self.streamed: 8,
            self.http_stream: 8,
            self.http_file: 2,
            self.http_sse: 1,
            self.websocket: 4,
            self.describe: 4,
            self.http_get: 6,
            self.disconnect: 4,
            self.http_disconnect: 2,
            self.websocket_disconnect: 2,
            self.bad_event: 2,
            self.bad_http_body: 2,
            self.bad_websocket_message: 1,
            self.slow_reader: 1,
            self.stalled_reader: 1,
            self.idle_connection: 2,
            self.incomplete_event: 1,
        }
        """Kinds of requests, with their weights."""

    async def run_client(self) -> None:
        """Send random requests until cancelled."""
        while True:
            await asyncio.sleep(self._random.uniform(0, MAX_PAUSE))
            (kind,) = self._random.choices(list(self._kinds), list(self._kinds.values()))
            name = getattr(kind, "__name__", "")
            self.requests[name] += 1
            try:
                async with asyncio.timeout(REPLY_TIMEOUT):
                    await kind()
            except (UnexpectedResponseError, ClientFailedError, InvalidResponseError) as error:
                self._fault(f"{name}: {error}")
            except TimeoutError:
                self._fault(f"{name}: not finished after {REPLY_TIMEOUT:g} s")
            except (OSError, EOFError, ValueError, websockets.WebSocketException) as error:
                self._fault(f"{name}: {type(error).__name__}: {error}")

    def _fault(self, what: str) -> None:
        """Record a fault, with the time as in the server's log."""
        self.faults.append(f"{time.strftime('%H:%M:%S')} {what}")

    # -- Wyoming ---------------------------------------------------------------------------------------------

    async def plain(self) -> None:
        """Request a text in one event."""
        await self._speak(streamed=False)

    async def streamed(self) -> None:
        """Request a text, sent sentence by sentence."""
        await self._speak(streamed=True)

    async def _speak(self, *, streamed: bool) -> None:
        """Request a repeated text, whose audio must not change, or a new one, on a new connection."""
        text, voice = self._random.choice(PHRASES)
        is_repeated = self._random.random() < 0.6
        start = self._random.randrange(len(LONG_TEXT) - 2)
        sentences = [text] if is_repeated else unique(LONG_TEXT[start : start + self._random.randint(1, 3)])
        item = Item(sentences, voice if is_repeated else None, streamed)
        samples = await self._receive(item, paced=False)
        if is_repeated:
            digest = hashlib.sha256(samples).hexdigest()
            if self._digests.setdefault((text, voice, streamed), digest) != digest:
                raise UnexpectedResponseError(
                    f"{text!r} ({voice}) gave other audio than before ({len(samples)} bytes)"
                )

    async def _receive(self, item: Item, *, paced: bool) -> bytes:
        async with self._client() as client:
            reply = Reply(0, 0, time.perf_counter())
            samples = await receive_reply(client, item, reply, paced=paced, stop=asyncio.Event())
        self.sound += reply.sound
        if reply.sound < 0.03 * sum(map(len, item.sentences)):
            raise UnexpectedResponseError(f"{reply.sound:.2f} s of audio for {item.sentences[0]!r}")
        return samples

    async def describe(self) -> None:
        """Request the server's voices."""
        await speech_requests.describe(self._port, 10.0)

    async def disconnect(self) -> None:
        """Request a long text and disconnect: before, at, or some time after its first audio."""
        item = Item(unique(LONG_TEXT), None, self._random.random() < 0.5)
        async with self._client() as client:
            events = item.events()
            for event in events[: self._random.choice((len(events), 2))]:
                await client.write_event(event)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._random.choice((0.001, 0.05, 0.5))):
                    while (received := await client.read_event()) is not None:
                        _raise_for_error(received)

    async def slow_reader(self) -> None:
        """Receive a long text at the speed of playback."""
        await self._receive(Item(unique(LONG_TEXT[:5]), None, streamed=False), paced=True)

    async def stalled_reader(self) -> None:
        """Request a very long text and read nothing, for less or more than the server's send timeout."""
        async with self._client() as client:
            await client.write_event(Item(unique(LONG_TEXT) * 3, None, streamed=False).events()[0])
            await asyncio.sleep(self._random.choice((2.0, 15.0)))

    async def idle_connection(self) -> None:
        """Connect and send nothing."""
        _, writer = await asyncio.open_connection(HOST, self._random.choice((self._port, self._http_port)))
        await asyncio.sleep(self._random.uniform(0, 5))
        writer.close()

    async def incomplete_event(self) -> None:
        """Send an incomplete event: the server responds with a timeout error."""
        await self._expect_error(b'{"type": "synthesi', "timeout")

    async def bad_event(self) -> None:
        """Send an invalid event."""
        await self._expect_error(self._random.choice(BAD_EVENTS))

    async def _expect_error(self, sent: bytes, code: str | None = None) -> None:
        """Send bytes; the server must respond with an error and close the connection."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(sent)
            event = await async_read_event(reader)
            if event is None or not Error.is_type(event.type):
                raise UnexpectedResponseError(
                    f"the response to {sent[:40]!r} was {event.type if event else 'nothing'}, not error"
                )
            if code and event.data.get("code") != code:
                raise UnexpectedResponseError(
                    f"the error for {sent[:40]!r} has code {event.data.get('code')}, not {code}"
                )
            if await async_read_event(reader) is not None:
                raise UnexpectedResponseError(f"an event followed the error for {sent[:40]!r}")
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncTcpClient]:
        client = AsyncTcpClient(HOST, self._port)
        await client.connect()
        try:
            yield client
        finally:
            with contextlib.suppress(OSError):
                await client.disconnect()

    # -- HTTP ------------------------------------------------------------------------------------------------

    async def http_stream(self) -> None:
        """Request a file that is streamed."""
        form = self._random.choice(list(FORMATS))
        body = await self._file({"response_format": form})
        if len(body) < FORMATS[form]:
            raise UnexpectedResponseError(f"{len(body)} bytes of {form}")

    async def http_file(self) -> None:
        """Request a complete WAV file, with its length in the header."""
        body = await self._file({"response_format": "wav", "stream": False})
        size = int.from_bytes(body[40:44], "little")
        if body[:4] != b"RIFF" or size != len(body) - 44:
            raise UnexpectedResponseError(f"the header of a WAV file of {len(body)} bytes has size {size}")
        self.sound += size / BYTES_PER_SECOND

    async def http_sse(self) -> None:
        """Request audio as server-sent events."""
        body = await self._file({"response_format": "pcm", "stream_format": "sse"})
        if b"speech.audio.done" not in body or b"error" in body:
            raise UnexpectedResponseError("server-sent events without speech.audio.done, or with an error")

    async def _file(self, how: dict[str, object]) -> bytes:
        text, voice = self._random.choice(PHRASES)
        if self._random.random() < 0.4:
            text, voice = unique([self._random.choice(LONG_TEXT)])[0], None
        asked = {"input": text, **({"voice": voice} if voice else {}), **how}
        status, body = await self._http("POST", "/v1/audio/speech", json.dumps(asked).encode())
        if status != 200:
            raise UnexpectedResponseError(f"status {status} for {asked}: {body[:200]!r}")
        return body

    async def http_get(self) -> None:
        """Request another page or endpoint of the HTTP API."""
        path = self._random.choice(PAGES)
        status, body = await self._http("GET", path)
        if status != 200 or not body:
            raise UnexpectedResponseError(f"{path}: status {status}, {len(body)} bytes")

    async def bad_http_body(self) -> None:
        """Send an invalid request body."""
        sent = self._random.choice(BAD_BODIES)
        status, body = await self._http("POST", "/v1/audio/speech", sent)
        if not 400 <= status < 500 or not json.loads(body)["error"]["message"]:
            raise UnexpectedResponseError(f"the response to {sent!r} has status {status}: {body[:100]!r}")

    async def http_disconnect(self) -> None:
        """Request a long file and disconnect."""
        asked = json.dumps({"input": " ".join(unique(LONG_TEXT)), "response_format": "mp3"}).encode()
        reader, writer = await asyncio.open_connection(HOST, self._http_port)
        writer.write(_request("POST", "/v1/audio/speech", asked))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._random.choice((0.001, 0.05, 0.5))):
                await reader.read(4000)
        writer.transport.abort()

    async def _http(self, method: str, path: str, sent: bytes = b"") -> tuple[int, bytes]:
        """Return status and body of a response. Raises UnexpectedResponseError where it is truncated."""
        reader, writer = await asyncio.open_connection(HOST, self._http_port)
        try:
            writer.write(_request(method, path, sent))
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        status = int(head.split(b" ", 2)[1]) if head else 0
        names = head.lower()
        if b"transfer-encoding: chunked" in names:
            return status, _unchunked(body)
        length = names.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not length or len(body) != int(length):
            raise UnexpectedResponseError(
                f"{method} {path}: {len(body)} bytes of {length.decode() or 'unknown length'}"
            )
        return status, body

    # -- WebSocket -------------------------------------------------------------------------------------------

    async def websocket(self) -> None:
        """Request some utterances on one WebSocket, the last one with text in pieces."""
        async with websockets.connect(self._url, compression=None) as websocket:
            for number in range(self._random.randint(1, 3)):
                text, _ = self._random.choice(PHRASES)
                await websocket.send(json.dumps({"type": "speech.speak", "input": text}))
                await self._receive_utterance(websocket, number)
            await websocket.send('{"type": "speech.start"}')
            for sentence in unique(LONG_TEXT[:2]):
                await websocket.send(json.dumps({"type": "speech.text", "text": f"{sentence} "}))
            await websocket.send('{"type": "speech.end"}')
            await self._receive_utterance(websocket, -1)

    async def _receive_utterance(self, websocket: websockets.ClientConnection, number: int) -> None:
        """Receive one utterance completely."""
        size = 0
        async for message in websocket:
            if isinstance(message, bytes):
                size += len(message)
                continue
            data = json.loads(message)
            if data["type"] == "error":
                raise UnexpectedResponseError(f"utterance {number}: {message}")
            if data["type"] == "speech.done":
                seconds = size / BYTES_PER_SECOND
                if abs(seconds - data["audio_seconds"]) > 0.01:
                    raise UnexpectedResponseError(
                        f"{seconds:.3f} s received, audio_seconds is {data['audio_seconds']}"
                    )
                self.sound += seconds
                return
        raise UnexpectedResponseError(f"the WebSocket was closed in utterance {number}")

    async def websocket_disconnect(self) -> None:
        """Cancel an utterance, which is confirmed; then request another one, and disconnect."""
        long = json.dumps({"type": "speech.speak", "input": " ".join(unique(LONG_TEXT))})
        async with websockets.connect(self._url, compression=None) as websocket:
            await websocket.send(long)
            await asyncio.sleep(self._random.choice((0.0, 0.05, 0.3)))
            await websocket.send('{"type": "speech.cancel"}')
            async for message in websocket:
                if isinstance(message, str) and json.loads(message)["type"] in {
                    "speech.cancelled",
                    "speech.done",
                }:
                    break
            else:
                raise UnexpectedResponseError("no speech.cancelled or speech.done for a cancelled utterance")
            await websocket.send(long)
            await asyncio.sleep(self._random.choice((0.0, 0.05, 0.3)))
            if self._random.random() < 0.5:
                websocket.transport.abort()

    async def bad_websocket_message(self) -> None:
        """Send an invalid message: the server responds with an error, and speaks the next utterance."""
        async with websockets.connect(self._url, compression=None) as websocket:
            await websocket.send(self._random.choice(("{", "[]", '{"type": "speech.shout"}', '{"type": 5}')))
            message_data = json.loads(await websocket.recv())
            if message_data["type"] != "error":
                raise UnexpectedResponseError(f"the response to an invalid message was {message_data}")
            await websocket.send(json.dumps({"type": "speech.speak", "input": PHRASES[0][0]}))
            await self._receive_utterance(websocket, 0)

    @property
    def _url(self) -> str:
        return f"ws://{HOST}:{self._http_port}/v1/audio/speech/ws"


def _raise_for_error(event: Event) -> None:
    """Raise UnexpectedResponseError for an error event."""
    if Error.is_type(event.type):
        raise UnexpectedResponseError(f"error: {Error.from_event(event).text}")


def _request(method: str, path: str, body: bytes) -> bytes:
    """Return an HTTP request with ``Connection: close``."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _unchunked(body: bytes) -> bytes:
    """Decode a chunked body. Raises UnexpectedResponseError where the last chunk is missing."""
    found: list[bytes] = []
    at = 0
    while True:
        line, _, _ = body[at : at + 20].partition(b"\r\n")
        if not line:
            raise UnexpectedResponseError(f"a response was truncated after {len(body)} bytes")
        size = int(line, 16)
        if not size:
            return b"".join(found)
        at += len(line) + 2
        found.append(body[at : at + size])
        at += size + 2


async def main(port: int, http_port: int, count: int) -> None:
    """Run clients until standard input ends."""
    clients = Clients(port, http_port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_stdin_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_stdin_end, daemon=True).start()
    tasks = [asyncio.create_task(clients.run_client()) for _ in range(count)]
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_EVERY):
                await stop.wait()
        faults = clients.faults
        report = {
            "requests": clients.requests,
            "sound": clients.sound,
            "faults": len(faults),
            "shown": faults[:MAX_REPORTED_FAULTS],
            "ended": [str(task.exception()) for task in tasks if task.done()],
        }
        print(json.dumps(report), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4])))
