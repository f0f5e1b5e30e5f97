"""The traffic of ``soak``: visitors of every manner, in a process of their own.

``python -m benchmarks.visitors PORT HTTP_PORT VISITORS`` goes on until its standard input ends. Every few
seconds it prints, as a line of JSON, how many visits of each kind there were and what was not as it should
be. What a visitor provokes (bad input, leaving) is as it should be if the server answers as it says it does.
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

from benchmarks import talk
from benchmarks.clients import BYTES_PER_SECOND, ClientFailedError, Item, Reply, hear
from benchmarks.talk import HOST, LONG_TEXT, InvalidAnswerError, unique

PAUSE = 1.0
"""Longest pause of a visitor, seconds."""
PATIENCE = 120.0
"""Seconds for a visit."""
REPORT_EVERY = 2.0
SHOWN = 50
"""Faults that are told in words."""
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
"""What is said again and again: text and voice; without a voice the language decides."""
FORMATS = {"mp3": 1500, "opus": 500, "flac": 4000, "wav": 20_000, "pcm": 20_000}
"""Bytes that a sentence has in a format at the least."""
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


class UnexpectedAnswerError(Exception):
    """The server did not do as it says it does."""


class Visitors:
    """Visitors, and what they saw."""

    def __init__(self, port: int, http_port: int) -> None:
        self._port = port
        self._http_port = http_port
        self._random = random.Random(port)
        self._known: dict[tuple[str, str | None, bool], str] = {}
        """Digests of what was said again and again."""
        self.visits: Counter[str] = Counter()
        self.faults: list[str] = []
        self.sound = 0.0
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.plain: 8,
            self.streamed: 8,
            self.web: 8,
            self.web_whole: 2,
            self.web_events: 1,
            self.socket: 4,
            self.describe: 4,
            self.page: 6,
            self.leave: 4,
            self.leave_web: 2,
            self.leave_socket: 2,
            self.bad_event: 2,
            self.bad_body: 2,
            self.bad_message: 1,
            self.slow: 1,
            self.stall: 1,
            self.wordless: 2,
            self.half_event: 1,
        }
        """Kinds of visits, and how often each comes in proportion."""

    async def visit(self) -> None:
        """Visit again and again."""
        while True:
            await asyncio.sleep(self._random.uniform(0, PAUSE))
            (kind,) = self._random.choices(list(self._kinds), list(self._kinds.values()))
            name = getattr(kind, "__name__", "")
            self.visits[name] += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    await kind()
            except (UnexpectedAnswerError, ClientFailedError, InvalidAnswerError) as error:
                self._fault(f"{name}: {error}")
            except TimeoutError:
                self._fault(f"{name}: not over after {PATIENCE:g} s")
            except (OSError, EOFError, ValueError, websockets.WebSocketException) as error:
                self._fault(f"{name}: {type(error).__name__}: {error}")

    def _fault(self, what: str) -> None:
        """Note a fault, with the time as the server's log has it."""
        self.faults.append(f"{time.strftime('%H:%M:%S')} {what}")

    # -- Wyoming ---------------------------------------------------------------------------------------------

    async def plain(self) -> None:
        """Say a text at once."""
        await self._say(streamed=False)

    async def streamed(self) -> None:
        """Say a text sentence by sentence."""
        await self._say(streamed=True)

    async def _say(self, *, streamed: bool) -> None:
        """Say something known, which must sound as ever, or something new, on a connection of its own."""
        text, voice = self._random.choice(PHRASES)
        known = self._random.random() < 0.6
        start = self._random.randrange(len(LONG_TEXT) - 2)
        sentences = [text] if known else unique(LONG_TEXT[start : start + self._random.randint(1, 3)])
        item = Item(sentences, voice if known else None, streamed)
        samples = await self._hear(item, paced=False)
        if known:
            digest = hashlib.sha256(samples).hexdigest()
            if self._known.setdefault((text, voice, streamed), digest) != digest:
                raise UnexpectedAnswerError(f"{text!r} ({voice}) was {len(samples)} other bytes before")

    async def _hear(self, item: Item, *, paced: bool) -> bytes:
        async with self._client() as client:
            reply = Reply(0, 0, time.perf_counter())
            samples = await hear(client, item, reply, paced=paced, over=asyncio.Event())
        self.sound += reply.sound
        if reply.sound < 0.03 * sum(map(len, item.sentences)):
            raise UnexpectedAnswerError(f"{reply.sound:.2f} s of sound for {item.sentences[0]!r}")
        return samples

    async def describe(self) -> None:
        """Ask what there is."""
        await talk.describe(self._port, 10.0)

    async def leave(self) -> None:
        """Ask for a long text and leave: before, at, or some time after its first sound."""
        item = Item(unique(LONG_TEXT), None, self._random.random() < 0.5)
        async with self._client() as client:
            events = item.events()
            for event in events[: self._random.choice((len(events), 2))]:
                await client.write_event(event)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._random.choice((0.001, 0.05, 0.5))):
                    while (came := await client.read_event()) is not None:
                        _no_error(came)

    async def slow(self) -> None:
        """Read a long text no faster than it is played."""
        await self._hear(Item(unique(LONG_TEXT[:5]), None, streamed=False), paced=True)

    async def stall(self) -> None:
        """Ask for a very long text and read nothing of it, for longer than the server waits or for less."""
        async with self._client() as client:
            await client.write_event(Item(unique(LONG_TEXT) * 3, None, streamed=False).events()[0])
            await asyncio.sleep(self._random.choice((2.0, 15.0)))

    async def wordless(self) -> None:
        """Connect and say nothing."""
        _, writer = await asyncio.open_connection(HOST, self._random.choice((self._port, self._http_port)))
        await asyncio.sleep(self._random.uniform(0, 5))
        writer.close()

    async def half_event(self) -> None:
        """Begin an event and never end it: the server waits for so long and says so."""
        await self._refused(b'{"type": "synthesi', "timeout")

    async def bad_event(self) -> None:
        """Send what is no event, or none that can be answered."""
        await self._refused(self._random.choice(BAD_EVENTS))

    async def _refused(self, sent: bytes, code: str | None = None) -> None:
        """Send bytes; an error and the end of the connection must be the answer."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(sent)
            event = await async_read_event(reader)
            if event is None or not Error.is_type(event.type):
                raise UnexpectedAnswerError(
                    f"{sent[:40]!r} was answered with {event.type if event else 'nothing'}"
                )
            if code and event.data.get("code") != code:
                raise UnexpectedAnswerError(f"{sent[:40]!r} was refused as {event.data.get('code')}")
            if await async_read_event(reader) is not None:
                raise UnexpectedAnswerError(f"something came after the error for {sent[:40]!r}")
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

    async def web(self) -> None:
        """Have a file that is sent while it is made."""
        form = self._random.choice(list(FORMATS))
        body = await self._file({"response_format": form})
        if len(body) < FORMATS[form]:
            raise UnexpectedAnswerError(f"{len(body)} bytes of {form}")

    async def web_whole(self) -> None:
        """Have a file that knows its length."""
        body = await self._file({"response_format": "wav", "stream": False})
        said = int.from_bytes(body[40:44], "little")
        if body[:4] != b"RIFF" or said != len(body) - 44:
            raise UnexpectedAnswerError(f"a WAV file of {len(body)} bytes says {said}")
        self.sound += said / BYTES_PER_SECOND

    async def web_events(self) -> None:
        """Have sound as server-sent events."""
        body = await self._file({"response_format": "pcm", "stream_format": "sse"})
        if b"speech.audio.done" not in body or b"error" in body:
            raise UnexpectedAnswerError("server-sent events did not end well")

    async def _file(self, how: dict[str, object]) -> bytes:
        text, voice = self._random.choice(PHRASES)
        if self._random.random() < 0.4:
            text, voice = unique([self._random.choice(LONG_TEXT)])[0], None
        asked = {"input": text, **({"voice": voice} if voice else {}), **how}
        status, body = await self._http("POST", "/v1/audio/speech", json.dumps(asked).encode())
        if status != 200:
            raise UnexpectedAnswerError(f"status {status} for {asked}: {body[:200]!r}")
        return body

    async def page(self) -> None:
        """Look at what HTTP has beside sound."""
        path = self._random.choice(PAGES)
        status, body = await self._http("GET", path)
        if status != 200 or not body:
            raise UnexpectedAnswerError(f"{path}: status {status}, {len(body)} bytes")

    async def bad_body(self) -> None:
        """Ask for what cannot be."""
        sent = self._random.choice(BAD_BODIES)
        status, body = await self._http("POST", "/v1/audio/speech", sent)
        if not 400 <= status < 500 or not json.loads(body)["error"]["message"]:
            raise UnexpectedAnswerError(f"{sent!r} was answered with status {status}: {body[:100]!r}")

    async def leave_web(self) -> None:
        """Ask for a long file and leave."""
        asked = json.dumps({"input": " ".join(unique(LONG_TEXT)), "response_format": "mp3"}).encode()
        reader, writer = await asyncio.open_connection(HOST, self._http_port)
        writer.write(_request("POST", "/v1/audio/speech", asked))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._random.choice((0.001, 0.05, 0.5))):
                await reader.read(4000)
        writer.transport.abort()

    async def _http(self, method: str, path: str, sent: bytes = b"") -> tuple[int, bytes]:
        """Return the status and the body of an answer. Raises UnexpectedAnswerError where it breaks off."""
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
            raise UnexpectedAnswerError(
                f"{method} {path}: {len(body)} bytes of {length.decode() or 'unknown length'}"
            )
        return status, body

    # -- WebSocket -------------------------------------------------------------------------------------------

    async def socket(self) -> None:
        """Say some utterances on one socket, the last in pieces."""
        async with websockets.connect(self._url, compression=None) as socket:
            for number in range(self._random.randint(1, 3)):
                text, _ = self._random.choice(PHRASES)
                await socket.send(json.dumps({"type": "speech.speak", "input": text}))
                await self._done(socket, number)
            await socket.send('{"type": "speech.start"}')
            for sentence in unique(LONG_TEXT[:2]):
                await socket.send(json.dumps({"type": "speech.text", "text": f"{sentence} "}))
            await socket.send('{"type": "speech.end"}')
            await self._done(socket, -1)

    async def _done(self, socket: websockets.ClientConnection, number: int) -> None:
        """Hear one utterance to its end."""
        size = 0
        async for message in socket:
            if isinstance(message, bytes):
                size += len(message)
                continue
            told = json.loads(message)
            if told["type"] == "error":
                raise UnexpectedAnswerError(f"utterance {number}: {message}")
            if told["type"] == "speech.done":
                if abs(size / BYTES_PER_SECOND - told["audio_seconds"]) > 0.01:
                    raise UnexpectedAnswerError(
                        f"{size / BYTES_PER_SECOND:.3f} s came, {told['audio_seconds']} s are told"
                    )
                self.sound += size / BYTES_PER_SECOND
                return
        raise UnexpectedAnswerError(f"the socket ended in utterance {number}")

    async def leave_socket(self) -> None:
        """Cancel an utterance, which is told; then ask for another, and leave."""
        long = json.dumps({"type": "speech.speak", "input": " ".join(unique(LONG_TEXT))})
        async with websockets.connect(self._url, compression=None) as socket:
            await socket.send(long)
            await asyncio.sleep(self._random.choice((0.0, 0.05, 0.3)))
            await socket.send('{"type": "speech.cancel"}')
            async for message in socket:
                if isinstance(message, str) and json.loads(message)["type"] in {
                    "speech.cancelled",
                    "speech.done",
                }:
                    break
            else:
                raise UnexpectedAnswerError("a cancelled utterance has no end")
            await socket.send(long)
            await asyncio.sleep(self._random.choice((0.0, 0.05, 0.3)))
            if self._random.random() < 0.5:
                socket.transport.abort()

    async def bad_message(self) -> None:
        """Send what is no message: it is told, and the next utterance is spoken."""
        async with websockets.connect(self._url, compression=None) as socket:
            await socket.send(self._random.choice(("{", "[]", '{"type": "speech.shout"}', '{"type": 5}')))
            told = json.loads(await socket.recv())
            if told["type"] != "error":
                raise UnexpectedAnswerError(f"a bad message was answered with {told}")
            await socket.send(json.dumps({"type": "speech.speak", "input": PHRASES[0][0]}))
            await self._done(socket, 0)

    @property
    def _url(self) -> str:
        return f"ws://{HOST}:{self._http_port}/v1/audio/speech/ws"


def _no_error(event: Event) -> None:
    """Raise UnexpectedAnswerError for an error."""
    if Error.is_type(event.type):
        raise UnexpectedAnswerError(f"error: {Error.from_event(event).text}")


def _request(method: str, path: str, body: bytes) -> bytes:
    """Return a request after whose answer the connection ends."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _unchunked(body: bytes) -> bytes:
    """Return what was sent in chunks. Raises UnexpectedAnswerError where the last one is missing."""
    found: list[bytes] = []
    at = 0
    while True:
        line, _, _ = body[at : at + 20].partition(b"\r\n")
        if not line:
            raise UnexpectedAnswerError(f"an answer broke off after {len(body)} bytes")
        size = int(line, 16)
        if not size:
            return b"".join(found)
        at += len(line) + 2
        found.append(body[at : at + size])
        at += size + 2


async def main(port: int, http_port: int, visitors: int) -> None:
    """Visit until standard input ends."""
    all_of_them = Visitors(port, http_port)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    tasks = [asyncio.create_task(all_of_them.visit()) for _ in range(visitors)]
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_EVERY):
                await over.wait()
        faults = all_of_them.faults
        report = {
            "visits": all_of_them.visits,
            "sound": all_of_them.sound,
            "faults": len(faults),
            "shown": faults[:SHOWN],
            "ended": [str(task.exception()) for task in tasks if task.done()],
        }
        print(json.dumps(report), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4])))
