"""The WebSocket: text in while it is being written, sound out while it is being made, and one end each."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_sync

from tests import house
from tests.house import (
    HANG,
    ScriptedEngine,
    home_assistant_streamed,
    service,
    service_in_thread,
    tone,
)
from tests.test_encoding import decoded
from tests.web import free_port
from wyoming_qwen3tts.app import Service
from wyoming_qwen3tts.config.settings import Settings
from wyoming_qwen3tts.engines.base import UnsupportedTextError
from wyoming_qwen3tts.server.http import websocket_protocol
from wyoming_qwen3tts.server.http.context import AppContext
from wyoming_qwen3tts.server.http.websocket import MAX_MESSAGE_BYTES
from wyoming_qwen3tts.server.http.websocket_messages import InvalidMessageError
from wyoming_qwen3tts.server.http.websocket_protocol import BoundedWebSocketProtocol
from wyoming_qwen3tts.server.http.websocket_session import Cancellation, PendingUtterance, WebSocketSession
from wyoming_qwen3tts.speech import Utterance

PATH = "/v1/audio/speech/ws"
FIRST, SECOND = "Dinner is ready.", "The soup gets cold."


class Client:
    """What a client of the protocol would be: it keeps everything that it was told, in its order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.sound: dict[str, bytes] = {}
        """By the id of the utterance."""
        self._now = ""

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """Return the next message; where ``kinds`` are given, the next of those."""
        async with asyncio.timeout(HANG):
            while True:
                received = await self.socket.recv()
                if isinstance(received, bytes):
                    assert self._now, "sound that belongs to nobody"
                    self.sound[self._now] += received
                    continue
                message: dict[str, Any] = json.loads(received)
                self.heard.append(message)
                if message["type"] == "speech.started":
                    self._now = message["id"]
                    assert self._now not in self.sound, "begun twice"
                    self.sound[self._now] = b""
                elif message.get("id") == self._now:
                    self._now = ""
                if not kinds or message["type"] in kinds:
                    return message

    async def hear_sound(self) -> None:
        """Wait until an utterance has begun to sound, and its first piece is there."""
        await self.hear("speech.started")
        received = await asyncio.wait_for(self.socket.recv(), HANG)
        assert isinstance(received, bytes)
        self.sound[self._now] += received

    async def speak(self, text: str, id: str, **fields: Any) -> None:  # noqa: A002 - as the field is called
        await self.say("speech.speak", input=text, id=id, **fields)

    async def pong(self) -> None:
        """Wait until everything that was said before is read."""
        await self.say("ping")
        await self.hear("pong")


@asynccontextmanager
async def door(engine: ScriptedEngine, **settings: Any) -> AsyncIterator[Client]:
    """A service, and a client that is connected to it."""
    port = free_port()
    async with service([engine], http_port=port, **settings) as uri:
        async with connect(f"ws://127.0.0.1:{port}{PATH}", open_timeout=HANG, close_timeout=1) as socket:
            client = Client(socket)
            client.wyoming = uri  # type: ignore[attr-defined]
            client.port = port  # type: ignore[attr-defined]
            yield client


class Endless(ScriptedEngine):
    """An engine that speaks texts with "ever" in them until nobody wants it any more."""

    def __init__(self) -> None:
        super().__init__(self._forever)
        self.ended: list[str] = []
        self.silent = asyncio.Event()

    async def _forever(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        try:
            yield tone(utterance.text)
            while "ever" in utterance.text:
                yield tone(utterance.text)
                await asyncio.sleep(0.001)
        finally:
            self.ended.append(utterance.text)
            self.silent.set()


def outcomes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.fields["outcome"] for record in caplog.records if hasattr(record, "fields")]


async def test_a_text_in_pieces_is_heard_while_it_is_still_coming() -> None:
    async with door(ScriptedEngine()) as client:
        await client.say("speech.start", id="a", voice="tone")
        for piece in ("Dinner is ", "ready. The", " soup"):
            await client.say("speech.text", text=piece)
        await client.hear_sound()
        assert client.sound["a"]
        await client.say("speech.text", text=" gets cold.")
        await client.say("speech.end")
        done = await client.hear("speech.done")
    assert client.sound["a"] == tone(FIRST) + tone(SECOND)
    started, _ = client.heard
    assert started == {
        "type": "speech.started",
        "id": "a",
        "response_format": "pcm",
        "sample_rate": 24_000,
        "first_audio_ms": started["first_audio_ms"],
        "cache": "off",
    }
    assert done["id"] == "a"
    assert done["audio_seconds"] == pytest.approx(len(client.sound["a"]) / 48_000, abs=0.001)
    assert done["total_ms"] >= started["first_audio_ms"] >= 0
    assert done["rtf"] == pytest.approx(done["total_ms"] / 1000 / done["audio_seconds"], abs=0.001)
    assert len(done["request_id"]) == 32


async def test_both_doors_say_the_same() -> None:
    pieces = ["Dinner is ", "ready. The soup", " gets cold."]
    async with door(ScriptedEngine(), **house.AS_SET) as client:
        await client.say("speech.start", id="a", voice="tone")
        for piece in pieces:
            await client.say("speech.text", text=piece)
        await client.say("speech.end")
        await client.hear("speech.done")
        async with house.connect(client.wyoming) as wyoming:  # type: ignore[attr-defined]
            assert client.sound["a"] == await home_assistant_streamed(wyoming, pieces)


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "opus"])
async def test_every_format_is_a_file_that_can_be_read(form: str) -> None:
    async with door(ScriptedEngine()) as client:
        await client.speak(FIRST, "a", response_format=form)
        await client.hear("speech.done")
    assert client.heard[0]["response_format"] == form
    heard, said = decoded(client.sound["a"]), tone(FIRST)
    assert len(said) // 2 <= len(heard) <= len(said) // 2 + 0.2 * 24_000
    if form in {"wav", "flac"}:
        assert heard.tobytes() == said


async def test_utterances_are_spoken_in_order_and_one_after_the_other() -> None:
    async with door(ScriptedEngine()) as client:
        texts = {each: f"This is {each}." for each in ("one", "two", "three", "four", "five")}
        for each, text in texts.items():
            await client.speak(text, each)
        for each in texts:
            assert (await client.hear("speech.done"))["id"] == each
    assert [message["type"] for message in client.heard] == ["speech.started", "speech.done"] * 5
    assert {each: tone(text) for each, text in texts.items()} == client.sound


async def test_who_gives_no_name_is_told_one() -> None:
    async with door(ScriptedEngine()) as client:
        await client.say("speech.speak", input=FIRST)
        done = await client.hear("speech.done")
    assert client.heard[0]["id"] == done["id"] == done["request_id"]


async def test_binary_messages_are_small_and_whole_samples_even_of_what_was_said_before() -> None:
    async with door(ScriptedEngine(), cache_memory=64.0) as client:
        for each in ("a", "b"):
            await client.speak("A sentence that is long enough for a few messages, and is known.", each)
            await client.hear("speech.started")
            sizes = []
            while isinstance(received := await client.socket.recv(), bytes):
                sizes.append(len(received))
            assert max(sizes) <= MAX_MESSAGE_BYTES < sum(sizes)
            assert all(size % 2 == 0 for size in sizes)
            assert json.loads(received)["type"] == "speech.done"


async def test_what_is_asked_for_reaches_the_voice() -> None:
    engine = ScriptedEngine(voices=house.CAST)
    async with door(engine) as client:
        await client.speak(FIRST, "a", voice="Ryan", instructions="Whisper.", speed=1.5)
        await client.speak("Guten Abend.", "b", voice={"id": "Vivian"}, language="de", model="tts-1")
        await client.hear("speech.done")
        await client.hear("speech.done")
    first, second = engine.told
    assert (first.voice.speaker, first.voice.style and first.voice.style.instruct) == ("Ryan", "Whisper.")
    assert first.speed == 1.5
    assert (second.voice.speaker, second.language) == ("Vivian", "de-DE")


@pytest.mark.parametrize("named", [{"id": "a"}, {}])
@pytest.mark.parametrize("written", [False, True])
async def test_what_is_cancelled_ends_at_once_and_the_next_is_spoken(
    named: dict[str, str], written: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    engine = Endless()
    async with door(engine) as client:
        if written:
            await client.say("speech.start", id="a")
            await client.say("speech.text", text="For ever and ever. And")
        else:
            await client.speak("For ever and ever.", "a")
        await client.hear_sound()
        await client.say("speech.cancel", **named)
        assert await client.hear("speech.cancelled", "speech.done") == {"type": "speech.cancelled", "id": "a"}
        assert engine.ended == ["For ever and ever."], "it is told when the work has ended"
        if written:  # the writer may not have noticed yet
            await client.say("speech.text", text=" ever.")
            await client.say("speech.end")
        await client.speak(FIRST, "b")
        assert (await client.hear("speech.done"))["id"] == "b"
    assert client.sound["b"] == tone(FIRST)
    assert engine.said == ["For ever and ever.", FIRST]
    assert outcomes(caplog) == ["cancelled", "ok"]


async def test_what_waits_is_cancelled_without_being_spoken() -> None:
    engine = Endless()
    async with door(engine) as client:
        await client.speak("For ever.", "a")
        await client.hear_sound()
        await client.speak(FIRST, "b")
        await client.speak(SECOND, "c")
        await client.say("speech.cancel", id="b")
        assert (await client.hear("speech.cancelled"))["id"] == "b"
        await client.say("speech.cancel", id="a")
        assert (await client.hear("speech.cancelled"))["id"] == "a"
        assert (await client.hear("speech.done"))["id"] == "c"
    assert engine.said == ["For ever.", SECOND]


async def test_cancelling_without_a_name_ends_all_and_nothing_is_said_twice() -> None:
    engine = Endless()
    async with door(engine) as client:
        await client.say("speech.cancel")  # there is nothing
        for each in "abc":
            await client.speak(f"For ever, {each}.", each)
        await client.hear_sound()
        await client.say("speech.cancel")
        await client.say("speech.cancel")
        ended = [(await client.hear("speech.cancelled"))["id"] for _ in "abc"]
        assert sorted(ended) == ["a", "b", "c"]
        await client.pong()
    assert Counter(message["type"] for message in client.heard) == {
        "speech.started": 1,
        "speech.cancelled": 3,
        "pong": 1,
    }
    assert engine.said == ["For ever, a."]


async def test_a_name_may_be_used_again_when_its_utterance_is_over() -> None:
    async with door(ScriptedEngine()) as client:
        for _ in range(2):
            client.sound.clear()
            await client.speak(FIRST, "a")
            await client.hear("speech.done")
            assert client.sound["a"] == tone(FIRST)


async def picky(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    if "unspeakable" in utterance.text:
        raise UnsupportedTextError("nobody can say that")
    if "odd" in utterance.text:
        raise ValueError("odd")
    yield tone(utterance.text)


@pytest.fixture(scope="module")
def picking() -> Iterator[str]:
    """Where a service answers whose voice cannot say everything, and that takes two hundred characters."""
    port = free_port()
    with service_in_thread([ScriptedEngine(picky)], http_port=port, max_text=200):
        yield f"ws://127.0.0.1:{port}{PATH}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    async with connect(url, open_timeout=HANG, close_timeout=1) as socket:
        yield Client(socket)


@pytest.mark.parametrize(
    ("asked", "code", "param", "words"),
    [
        ({"voice": "Nobody"}, "voice-not-found", None, "no voice 'Nobody'"),
        ({"model": "gpt-9"}, "model-not-found", None, "unknown model 'gpt-9'"),
        ({"response_format": "opus", "sample_rate": 8000}, "invalid-request", None, "opus has 24000"),
        ({"response_format": "midi"}, "invalid-request", "response_format", "response_format: Input"),
        ({"response_format": 5}, "invalid-request", "response_format", "response_format: Input"),
        ({"speed": 4}, "invalid-request", "speed", "less than or equal to 2"),
        ({"speed": "fast"}, "invalid-request", "speed", "valid number"),
        ({"speed": float("nan")}, "invalid-request", "speed", "speed"),
        ({"voice": ["tone"]}, "invalid-request", "voice", "voice: "),
        ({"language": 3}, "invalid-request", "language", "language: Input should be a valid string"),
        ({"instructions": "a\0b"}, "invalid-request", "instructions", "NUL at character 1"),
        ({"instructions": "Whisper."}, "style-not-supported", None, "instructions"),
        ({"input": ""}, "invalid-request", "input", "at least 1 character"),
        ({"input": "\ud83d"}, "invalid-request", "input", "a lone surrogate (U+D83D) at character 0"),
        ({"input": 5}, "invalid-request", "input", "input: Input should be a valid string"),
        ({"input": "word " * 50}, "text-too-long", None, "over 200 characters"),
        ({"input": "This is unspeakable."}, "cannot-speak", None, "nobody can say that"),
        ({"input": "This is odd."}, "internal-error", None, "internal error"),
    ],
)
async def test_an_error_ends_its_utterance_and_no_other(
    picking: str, asked: dict[str, Any], code: str, param: str | None, words: str
) -> None:
    async with connected(picking) as client:
        await client.say("speech.speak", **{"id": "a", "input": FIRST, **asked})
        await client.speak(SECOND, "b")
        error = await client.hear("error")
        assert error["id"] == "a"
        assert (error["error"]["code"], error["error"]["param"]) == (code, param)
        assert words in error["error"]["message"]
        assert (await client.hear("speech.done", "error"))["id"] == "b"
    assert client.sound == {"b": tone(SECOND)}


@pytest.mark.parametrize(
    ("start", "text", "code"),
    [
        ({"voice": "Nobody"}, "Dinner.", "voice-not-found"),
        ({"speed": 9}, "Dinner.", "invalid-request"),
        ({"model": "gpt-9"}, "Dinner.", "model-not-found"),
        ({}, "This is unspeakable. And", "cannot-speak"),
        ({}, "word " * 50, "text-too-long"),
        ({}, 7, "invalid-request"),
        ({}, None, "invalid-request"),
        ({}, "\udc00", "invalid-request"),
    ],
)
async def test_what_still_comes_of_a_text_that_has_its_end_is_ignored(
    picking: str, start: dict[str, Any], text: Any, code: str
) -> None:
    async with connected(picking) as client:
        await client.say("speech.start", id="a", **start)
        await client.say("speech.text", text=text)
        error = await client.hear()
        assert (error["type"], error.get("id"), error["error"]["code"]) == ("error", "a", code)
        await client.say("speech.text", text=" and more of it.")
        await client.say("speech.end")
        await client.speak(FIRST, "b")
        assert (await client.hear("speech.done", "error"))["id"] == "b"
    assert client.sound == {"b": tone(FIRST)}
    assert [message["type"] for message in client.heard] == ["error", "speech.started", "speech.done"]


async def test_all_pieces_together_have_a_limit() -> None:
    async with door(ScriptedEngine(), max_text=20) as client:
        for last, end in (("6789.", "speech.done"), ("67890.", "error")):
            await client.say("speech.start", id=end)
            await client.say("speech.text", text="It is number 12")
            await client.say("speech.text", text=last[1:])
            await client.say("speech.text", text=last[:1])
            await client.say("speech.end")
            assert (await client.hear("speech.done", "error"))["id"] == end


async def test_a_text_that_the_next_one_interrupts_is_not_whole() -> None:
    async with door(ScriptedEngine()) as client:
        await client.say("speech.start", id="a")
        await client.say("speech.text", text="Dinner is ready. The soup")
        await client.hear_sound()
        await client.say("speech.start", id="b")
        await client.say("speech.text", text=SECOND)
        await client.say("speech.end")
        error = await client.hear("error")
        assert (error["id"], error["error"]["code"]) == ("a", "unexpected-message")
        assert (await client.hear("speech.done"))["id"] == "b"
    assert client.sound["b"] == tone(SECOND)


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("", "invalid-json", None),
        ("nonsense", "invalid-json", None),
        ("[" * 100_000, "invalid-json", None),
        ("[]", "invalid-json", None),
        ("null", "invalid-json", None),
        ("{}", "invalid-request", "type"),
        ('{"type": 3}', "invalid-request", "type"),
        ('{"type": "speech.shout"}', "invalid-request", "type"),
        ('{"type": "speech.text", "text": "Hi."}', "unexpected-message", None),
        ('{"type": "speech.end"}', "unexpected-message", None),
        ('{"type": "speech.cancel", "id": "x"}', "unknown-id", "id"),
        ('{"type": "speech.cancel", "id": 3}', "invalid-request", "id"),
        ('{"type": "speech.start", "id": ["a"]}', "invalid-request", "id"),
        ('{"type": "speech.start", "speed": "x", "id": ["a"]}', "invalid-request", "speed"),
        ('{"type": "speech.speak", "id": "", "input": "Hi."}', "invalid-request", "id"),
        ('{"type": "speech.speak", "id": "\\ud800", "input": "Hi."}', "invalid-request", "id"),
        (b"\0\1", "invalid-request", None),
    ],
)
async def test_a_message_that_cannot_be_followed_is_named_and_ignored(
    picking: str, message: str | bytes, code: str, param: str | None
) -> None:
    async with connected(picking) as client:
        await client.socket.send(message)
        error = await client.hear()
        assert (error["type"], error["error"]["code"], error["error"]["param"]) == ("error", code, param)
        assert error["error"]["message"]
        assert "id" not in error
        await client.speak(FIRST, "b")
        await client.hear("speech.done")
    assert client.sound == {"b": tone(FIRST)}


async def test_what_is_ignored_does_no_harm_to_the_text_that_is_open() -> None:
    async with door(ScriptedEngine()) as client:
        await client.say("speech.start", id="a")
        await client.say("speech.text", text="Dinner is ")
        for message in ("nonsense", b"\0", '{"type": "speech.shout"}', '{"type": "speech.end", "id": "b"}'):
            await client.socket.send(message)
            assert "id" not in await client.hear("error")
        await client.speak(SECOND, "a")  # whose name is taken
        error = await client.hear("error")
        assert (error.get("id"), error["error"]["code"]) == (None, "duplicate-id")
        await client.say("speech.text", id="a", text="ready.")
        await client.say("speech.end", id="a")
        await client.hear("speech.done")
    assert client.sound == {"a": tone(FIRST)}


async def test_more_than_may_wait_are_refused_and_nothing_else_is_lost() -> None:
    engine = Endless()
    async with door(engine, max_requests=2) as client:
        await client.speak("For ever.", "a")
        await client.hear_sound()
        for each in "bcd":
            await client.speak(f"This is {each}.", each)
        busy = await client.hear("error")
        assert (busy["id"], busy["error"]["code"], busy["error"]["type"]) == ("d", "busy", "rate_limit_error")
        await client.say("speech.cancel", id="a")
        assert [(await client.hear("speech.done"))["id"] for _ in "bc"] == ["b", "c"]
    assert engine.said == ["For ever.", "This is b.", "This is c."]


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    engine = Endless()
    async with door(engine, max_event_bytes=2000) as client:
        await client.speak("For ever.", "a")
        await client.hear_sound()
        await client.say("speech.text", text="a" * 3000)
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear("speech.done")
        await asyncio.wait_for(engine.silent.wait(), HANG)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("when", ["in the middle of the sound", "before the first sound", "without a word"])
async def test_a_client_that_leaves_ends_the_work(when: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        try:
            while when == "in the middle of the sound":
                yield tone(utterance.text)
                begun.set()
                await asyncio.sleep(0.001)
            begun.set()
            await asyncio.sleep(HANG)
            yield tone(utterance.text)
        finally:
            ended.set()

    engine = ScriptedEngine(slow)
    async with door(engine) as client:
        await client.speak(FIRST, "a")
        await client.speak(SECOND, "b")
        await asyncio.wait_for(begun.wait(), HANG)
        if when == "without a word":
            client.socket.transport.abort()
        else:
            await client.socket.close()
        await asyncio.wait_for(ended.wait(), HANG / 2)
    assert engine.said == [FIRST]
    assert outcomes(caplog) == ["gone"]


async def test_a_client_that_reads_nothing_is_given_up() -> None:
    engine = Endless()
    async with door(engine, send_timeout=0.2) as client:
        client.socket.transport.pause_reading()
        await client.speak("For ever.", "a")
        await asyncio.wait_for(engine.silent.wait(), HANG / 2)
        client.socket.transport.abort()


async def test_who_owes_text_or_has_nothing_to_say_is_told_and_sent_away() -> None:
    async with door(ScriptedEngine(), idle_timeout=0.2) as client:
        await client.say("speech.start", id="a")
        await client.say("speech.text", text="Dinner is")
        error = await client.hear()
        assert (error["type"], error.get("id"), error["error"]["code"]) == ("error", "a", "timeout")
        error = await client.hear()
        assert (error["type"], error.get("id"), error["error"]["code"]) == ("error", None, "timeout")
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_a_client_that_listens_need_not_speak() -> None:
    go = asyncio.Event()

    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)[:4800]
        await go.wait()
        yield tone(utterance.text)[4800:]

    async with door(ScriptedEngine(slow), idle_timeout=0.1) as client:
        await client.speak(FIRST, "a")
        await client.hear_sound()
        await asyncio.sleep(0.3)  # three times what a client has that is silent
        go.set()
        await client.hear("speech.done")
        await client.pong()
    assert client.sound == {"a": tone(FIRST)}
    assert [message["type"] for message in client.heard] == ["speech.started", "speech.done", "pong"]


async def test_a_service_that_stops_says_so_and_announces_nothing_as_whole() -> None:
    engine, port = Endless(), free_port()
    running = Service(
        Settings.of(
            uri=("tcp://127.0.0.1:0",), http_port=port, stop_timeout=0.2, **house.NOT_KEPT, **house.AS_IT_IS
        ),
        [engine],
    )
    await running.start()
    try:
        async with connect(f"ws://127.0.0.1:{port}{PATH}", close_timeout=1) as socket:
            client = Client(socket)
            await client.speak("For ever.", "a")
            await client.hear_sound()
            stopping = asyncio.create_task(running.stop())
            with pytest.raises(ConnectionClosed) as closed:
                await client.hear("speech.done", "speech.cancelled")
            await stopping
    finally:
        await running.stop()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert engine.ended == ["For ever."]


async def test_what_nobody_expected_ends_the_connection_and_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: WebSocketSession, text: str | None) -> None:
        raise ZeroDivisionError(text)

    engine = Endless()
    async with door(engine) as client:
        await client.speak("For ever.", "a")
        await client.hear_sound()
        monkeypatch.setattr(WebSocketSession, "receive", fail)
        await client.say("ping")
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear("pong", "speech.done")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert engine.ended == ["For ever."]
    assert "websocket: internal error" in caplog.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "http://evil.example"}, 403), ({"Via": "1.1 proxy"}, 401)],
)
async def test_who_may_not_come_in_is_told_before_the_handshake(headers: dict[str, str], status: int) -> None:
    async with door(ScriptedEngine()) as client:
        url = f"ws://127.0.0.1:{client.port}{PATH}"  # type: ignore[attr-defined]
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=headers):
                pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["error"]["code"]


async def test_every_utterance_counts_as_a_request_with_its_key() -> None:
    key = "correct-horse-battery"
    engine = ScriptedEngine()
    async with door(engine, api_keys=(key,), rate_limit=3, http_host="127.0.0.1") as client:
        url = f"ws://127.0.0.1:{client.port}{PATH}"  # type: ignore[attr-defined]
        async with connect(url, additional_headers={"X-API-Key": key}) as socket:
            mine = Client(socket)
            for name in "abc":
                await mine.speak(f"Sentence {name}.", name)
            refused = await mine.hear("error")
            assert (refused["id"], refused["error"]["code"]) == ("c", "rate-limited")
            await mine.pong()  # and the socket goes on
    assert engine.said == ["Sentence a.", "Sentence b."]


TEXT, CONTINUED, PING, PONG, LAST = 0x1, 0x0, 0x9, 0xA, 0x80


def frame(head: int, content: bytes = b"") -> bytes:
    """Return a frame as a client sends it, masked with zeros."""
    size = len(content)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([head]) + length + bytes(4) + content


@asynccontextmanager
async def raw(
    client: Client, limit: int = 1 << 20
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A WebSocket of which every frame is the test's own, and that reads about ``limit`` bytes ahead."""
    port = client.port  # type: ignore[attr-defined]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    writer.write(
        f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    try:
        async with asyncio.timeout(HANG):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            yield reader, writer
    finally:
        writer.close()


async def ends(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Return the code and the reason with which a raw WebSocket is closed; 0 where it was reset."""
    try:
        received = await reader.read()
    except ConnectionError:
        return 0, ""
    _, _, end = received.rpartition(b"\x88")
    return int.from_bytes(end[1:3]), end[3:].decode()


async def test_a_flood_of_small_frames_leaves_everybody_else_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = 0
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(websocket_protocol, "CONTROL_BURST", 1_000_000)
    take = WebSocketsSansIOProtocol.data_received

    def spied(self: WebSocketsSansIOProtocol, data: bytes) -> None:
        taken.append((turn, len(data)))
        take(self, data)

    async def others() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async with door(ScriptedEngine()) as client, raw(client) as (_, writer):
        monkeypatch.setattr(WebSocketsSansIOProtocol, "data_received", spied)
        waiting = asyncio.create_task(others())
        flood = frame(LAST | PONG) * 20_000
        writer.write(flood)
        while sum(size for _, size in taken) < len(flood):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        waiting.cancel()
    assert max(size for _, size in taken) <= websocket_protocol.SLICE_BYTES <= 4096
    assert max(Counter(turn for turn, _ in taken).values()) == 1


@pytest.mark.parametrize("kind", [PING, PONG])
async def test_who_floods_with_control_frames_is_sent_away(kind: int) -> None:
    async with door(ScriptedEngine()) as client, raw(client) as (reader, writer):
        writer.write(frame(LAST | kind) * 1000)
        writer.write(frame(LAST | TEXT, b'{"type": "ping"}'))
        await reader.readuntil(b'{"type": "pong"}')
        for _ in range(20):
            writer.write(frame(LAST | kind) * 1000)
        assert await ends(reader) in {(1008, "too many pings and pongs"), (0, "")}
        await client.pong()


async def test_a_message_in_fragments_without_end_is_refused() -> None:
    async with door(ScriptedEngine()) as client, raw(client) as (reader, writer):
        writer.write(frame(TEXT) + frame(CONTINUED) * (websocket_protocol.MAX_FRAGMENTS - 1))
        writer.write(frame(LAST | PING, b"there"))
        await reader.readuntil(b"there")
        writer.write(frame(CONTINUED))
        assert await ends(reader) == (1008, "too many fragments")
        await client.pong()


async def test_who_reads_no_pongs_is_read_no_more_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "CONTROL_BURST", 1_000_000)
    made: list[BoundedWebSocketProtocol] = []
    begin = BoundedWebSocketProtocol.connection_made

    def spied(self: BoundedWebSocketProtocol, transport: asyncio.BaseTransport) -> None:
        made.append(self)
        begin(self, transport)

    async with door(ScriptedEngine()) as client:
        monkeypatch.setattr(BoundedWebSocketProtocol, "connection_made", spied)
        async with raw(client, 1024) as (reader, writer):
            (protocol,) = made
            sent, pings = 0, frame(LAST | PING, b"x" * 119) * 100
            while not (protocol._pong_blocked and writer.transport.get_write_buffer_size() > 1 << 20):
                writer.write(pings)
                sent += 100
                await asyncio.sleep(0)
            assert protocol.transport.get_write_buffer_size() < 1 << 17
            assert len(protocol._input) <= 1 << 18
            assert (await reader.readexactly(sent * 121)).count(b"x" * 119) == sent


async def test_a_service_that_receives_nothing_holds_few_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    go, many = asyncio.Event(), 5000
    made: list[BoundedWebSocketProtocol] = []
    begin, receive = BoundedWebSocketProtocol.connection_made, WebSocket.receive

    def spied(self: BoundedWebSocketProtocol, transport: asyncio.BaseTransport) -> None:
        made.append(self)
        begin(self, transport)

    async def busy(self: WebSocket) -> MutableMapping[str, Any]:
        await go.wait()
        return await receive(self)

    async with door(ScriptedEngine()) as client:
        monkeypatch.setattr(BoundedWebSocketProtocol, "connection_made", spied)
        async with raw(client) as (reader, writer):
            (protocol,) = made
            monkeypatch.setattr(WebSocket, "receive", busy)
            writer.write(frame(LAST | TEXT, b'{"type": "ping"}') * many)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert protocol.queue.qsize() < websocket_protocol.SLICE_BYTES // 16
            assert len(protocol._input) <= 1 << 18
            go.set()
            received = 0
            while received < many:
                received += (await reader.readuntil(b'{"type": "pong"}')).count(b'{"type": "pong"}')


async def test_many_messages_in_fragments_are_no_message_in_many_fragments() -> None:
    async with door(ScriptedEngine()) as client, raw(client) as (reader, writer):
        for _ in range(3):
            padding = frame(CONTINUED, b" ") * (websocket_protocol.MAX_FRAGMENTS // 2)
            writer.write(frame(TEXT, b'{"type":') + padding + frame(LAST | CONTINUED, b'"ping"}'))
            await reader.readuntil(b'{"type": "pong"}')


@pytest.mark.parametrize("size", [100_000, 1000, 125])
async def test_a_message_of_the_greatest_size_is_taken_in_however_many_fragments(size: int) -> None:
    async with door(ScriptedEngine(), max_event_bytes=50_000) as client, raw(client) as (reader, writer):
        message = b'{"type":' + b" " * (50_000 - 15) + b'"ping"}'
        parts = [message[at : at + size] for at in range(0, len(message), size)]
        assert len(parts) < websocket_protocol.MAX_FRAGMENTS
        for number, part in enumerate(parts, 1):
            head = (TEXT if number == 1 else CONTINUED) | (LAST if number == len(parts) else 0)
            writer.write(frame(head, part))
        await reader.readuntil(b'{"type": "pong"}')


async def test_messages_that_come_all_at_once_are_taken_in_their_order() -> None:
    async with door(ScriptedEngine(), max_requests=1000) as client:
        names = [f"{number:03}" for number in range(200)]
        speak = b"".join(
            frame(LAST | TEXT, json.dumps({"type": "speech.speak", "id": name, "voice": "Nobody"}).encode())
            for name in names
        )
        async with raw(client) as (reader, writer):
            writer.write(speak + frame(LAST | TEXT, b'{"type": "ping"}'))
            received = await reader.readuntil(b'{"type": "pong"}')
    assert re.findall(rb'"id": "(\d+)"', received) == [name.encode() for name in names]


async def test_texts_that_come_all_at_once_are_spoken_without_waiting_for_more() -> None:
    words = [f"{number} " for number in range(100, 200)]
    engine = ScriptedEngine()
    async with door(engine, normalize="off") as client, raw(client) as (reader, writer):
        texts = [json.dumps({"type": "speech.text", "text": word}).encode() for word in words]
        messages = [b'{"type": "speech.start"}', *texts, b'{"type": "speech.end"}']
        writer.write(b"".join(frame(LAST | TEXT, message) for message in messages))
        await reader.readuntil(b'"type": "speech.done"}')
    assert " ".join(engine.said).split() == [word.strip() for word in words]


async def test_a_websocket_may_last_longer_than_the_headers_of_a_request() -> None:
    async with door(ScriptedEngine(), event_timeout=0.3) as client, raw(client) as (reader, writer):
        await asyncio.sleep(0.8)
        writer.write(frame(LAST | TEXT, b'{"type": "ping"}'))
        assert await reader.readuntil(b"}") == b'\x81\x10{"type": "pong"}'


IDS = st.sampled_from(["a", "b", "c"])


class Rules(RuleBasedStateMachine):
    """The rules alone, held against a plainer account: every piece goes to its own text, or nowhere."""

    def __init__(self) -> None:
        super().__init__()
        nobody: Any = SimpleNamespace(catalog=SimpleNamespace(voices=()))
        parts = AppContext(
            synthesizer=nobody, voices=nobody, pool=nobody, settings=Settings.of(max_requests=1)
        )
        self.dialogue = WebSocketSession(parts)
        self.living: dict[str, PendingUtterance] = {}
        self.texts: dict[PendingUtterance, str] = {}
        self.writing: PendingUtterance | None = None

    def say(self, kind: str, **fields: Any) -> Any:
        try:
            return self.dialogue.receive(json.dumps({"type": kind, **fields}))
        except InvalidMessageError:
            return None

    def began(self, job: PendingUtterance | None, name: str, text: str) -> None:
        assert (job is not None) == (name not in self.living and len(self.living) <= 1)
        if job is not None:
            self.living[name], self.texts[job] = job, text

    @rule(name=IDS)
    def start(self, name: str) -> None:
        job = self.say("speech.start", id=name)
        self.began(job, name, "")
        self.writing = job

    @rule(name=IDS)
    def speak(self, name: str) -> None:
        self.began(self.say("speech.speak", id=name, input="Hi."), name, "Hi.")

    @rule(text=st.text("xyz ", max_size=6))
    def piece(self, text: str) -> None:
        self.say("speech.text", text=text)
        if self.writing is not None:
            self.texts[self.writing] += text

    @rule()
    def bad_piece(self) -> None:
        self.say("speech.text", text=None)
        self.writing = None

    @rule()
    def end(self) -> None:
        self.say("speech.end")
        if self.writing is not None:
            assert self.writing.request.text.ended
        self.writing = None

    @rule(name=IDS | st.none())
    def cancel(self, name: str | None) -> None:
        stop = self.say("speech.cancel", id=name)
        meant = [job for each, job in self.living.items() if name in {None, each}]
        assert (stop.utterances if isinstance(stop, Cancellation) else []) == meant
        if self.writing in meant:
            self.writing = None

    @rule(name=IDS)
    def over(self, name: str) -> None:
        if (job := self.living.pop(name, None)) is not None:
            self.dialogue.finish(job)
            if job is self.writing:
                self.writing = None

    @invariant()
    def holds(self) -> None:
        assert self.dialogue.awaits_text == (self.writing is not None)
        for job in self.living.values():
            assert job.request.text.peek() == self.texts[job]
        if self.writing is not None:
            assert not self.writing.request.text.ended


def test_every_piece_goes_to_the_text_that_it_was_written_for_or_nowhere() -> None:
    run_state_machine_as_test(Rules, settings=settings(max_examples=60))


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from("ab")
)
BRANCHES = st.lists(LEAVES, max_size=3) | st.dictionaries(st.text(max_size=8), LEAVES, max_size=3)
VALUES = LEAVES | BRANCHES | st.lists(BRANCHES, max_size=2)
KINDS = st.sampled_from(
    ["speech.start", "speech.text", "speech.end", "speech.speak", "speech.cancel", "ping", "speech.shout"]
)
FIELDS = ["id", "text", "input", "voice", "style", "language", "speed", "instructions", "response_format"]
LIKELY = st.builds(
    lambda kind, fields: json.dumps({"type": kind, **fields}),
    KINDS,
    st.fixed_dictionaries(
        {},
        optional={"id": st.sampled_from("ab"), "text": st.text(max_size=30), "input": st.just("Hi there.")},
    ),
)
ODD = st.builds(
    lambda kind, fields: json.dumps({"type": kind, **fields}),
    KINDS | VALUES,
    st.dictionaries(st.sampled_from(FIELDS), VALUES),
)
TALK = st.lists(
    LIKELY | ODD | VALUES.map(json.dumps) | st.text(max_size=40) | st.binary(max_size=9), max_size=12
)


@pytest.fixture(scope="module")
def patient() -> Iterator[str]:
    """Where a service answers that has few places."""
    port = free_port()
    with service_in_thread([ScriptedEngine()], http_port=port, max_requests=2, max_text=100):
        yield f"ws://127.0.0.1:{port}{PATH}"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(talk=TALK)
def test_whatever_is_said_is_answered_and_every_utterance_has_one_end(
    patient: str, talk: list[str | bytes]
) -> None:
    with connect_sync(patient, open_timeout=HANG, close_timeout=HANG, max_size=None) as client:
        for message in talk:
            client.send(message)
        client.send('{"type": "speech.cancel"}')  # a text may be open
        client.send('{"type": "speech.speak", "id": "last", "input": "Dinner is ready."}')
        heard, sound = list[dict[str, Any]](), b""
        while not (heard and heard[-1].get("id") == "last" and heard[-1]["type"] != "speech.started"):
            received = client.recv(HANG)
            if isinstance(received, bytes):
                sound += received
                continue
            heard.append(json.loads(received))
            if heard[-1]["type"] == "speech.started":
                sound = b""
            if heard[-1].get("id") == "last" and heard[-1].get("error", {}).get("code") == "busy":
                heard.clear()  # what is cancelled needs a moment to make room
                client.send('{"type": "speech.speak", "id": "last", "input": "Dinner is ready."}')
    assert heard[-1]["type"] == "speech.done"
    assert sound == tone(FIRST)
    assert all(message["error"]["code"] != "internal-error" for message in heard if "error" in message)
    started = Counter(message["id"] for message in heard if message["type"] == "speech.started")
    ends = Counter(m["id"] for m in heard if m["type"] != "speech.started" and "id" in m)
    assert all(ends[each] >= count for each, count in started.items())
