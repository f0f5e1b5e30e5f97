"""What no client should send: each fault is named in an ``error``, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import re
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest
from wyoming.audio import AudioChunk, AudioStart
from wyoming.event import async_write_event
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.house import (
    ScriptedEngine,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    raw,
    read_events,
    service,
    sound_of,
    tone,
    types,
)

TEXT = "All is well."


def line(**event: Any) -> bytes:
    return json.dumps(event).encode() + b"\n"


def synthesize(**data: Any) -> bytes:
    return line(type="synthesize", data=data)


@pytest.fixture
async def strict() -> AsyncIterator[str]:
    """A service with small limits."""
    async with service(
        [ScriptedEngine()],
        max_event_bytes=64 * 1024,
        max_text=10_000,
        event_timeout=0.5,
        idle_timeout=1.0,
    ) as uri:
        yield uri


async def still_speaks(uri: str) -> None:
    async with connect(uri) as client:
        assert await home_assistant_plain(client, TEXT) == tone(TEXT)
        assert await home_assistant_streamed(client, [TEXT]) == tone(TEXT)


FATAL = {
    "not JSON": (b"GET / HTTP/1.1\r\n", "invalid-json", "GET / HTTP/1.1"),
    "bytes that are no text": (b"\xff\xfe\x00\n", "invalid-json", "not JSON"),
    "a JSON list": (b"[]\n", "invalid-json", "list"),
    "a JSON string": (b'"synthesize"\n', "invalid-json", "str"),
    "deeply nested JSON": (b"[" * 50_000 + b"\n", "invalid-json", "not JSON"),
    "a number without end": (b'{"type": ' + b"1" * 5000 + b"}\n", "invalid-json", "not JSON"),
    "no type": (line(data={}), "invalid-event", "type"),
    "a type that is no string": (line(type=5), "invalid-event", "type"),
    "an empty type": (line(type=""), "invalid-event", "type"),
    "data that is no object": (line(type="synthesize", data=[1]), "invalid-event", "data"),
    "10 GB of data": (line(type="synthesize", data_length=10**10), "event-too-large", "10000000000"),
    "10 GB of payload": (line(type="audio-chunk", payload_length=10**10), "event-too-large", "10000000000"),
    "a negative length": (line(type="ping", data_length=-1), "invalid-event", "data_length"),
    "a length that is no number": (line(type="ping", payload_length="9"), "invalid-event", "payload_length"),
    "a length that is no whole number": (
        line(type="ping", payload_length=1.5),
        "invalid-event",
        "payload_length",
    ),
    "a length that is a truth": (line(type="ping", data_length=True), "invalid-event", "data_length"),
    "data that is no JSON": (line(type="ping", data_length=3) + b"{x}", "invalid-json", "event data"),
    "no text": (synthesize(), "invalid-event", "synthesize: text is missing"),
    "text that is a number": (synthesize(text=5), "invalid-event", "synthesize: text must be a string"),
    "text that is nothing": (synthesize(text=None), "invalid-event", "text is missing"),
    "voice that is a string": (
        synthesize(text="a", voice="heart"),
        "invalid-event",
        "voice must be an object",
    ),
    "a voice's name that is a list": (
        synthesize(text="a", voice={"name": []}),
        "invalid-event",
        "voice.name",
    ),
    "a format that is a number": (synthesize(text="a", text_format=1), "invalid-event", "text_format"),
    "a lone surrogate": (synthesize(text="ab\ud800"), "invalid-text", "U+D800) at character 2"),
    "NUL": (synthesize(text="a\0b"), "invalid-text", "NUL at character 1"),
    "too long a text": (synthesize(text="a" * 10_001), "text-too-long", "10000"),
    "a line without end": (b"x" * 70_000, "event-too-large", "no end of line"),
    "start inside a stream": (
        line(type="synthesize-start") * 2,
        "unexpected-event",
        "send synthesize-stop first",
    ),
}


@pytest.mark.parametrize("case", FATAL)
async def test_what_breaks_the_stream_is_named_and_ends_it(strict: str, case: str) -> None:
    sent, code, named = FATAL[case]
    async with raw(strict) as (reader, writer):
        writer.write(sent)
        (event,) = await read_events(reader)  # to the end of the connection
    assert event.type == "error"
    assert event.data["code"] == code
    assert named in event.data["text"]
    await still_speaks(strict)


HARMLESS = {
    "chunk before start": SynthesizeChunk("lost").event(),
    "stop without start": SynthesizeStop().event(),
    "audio": AudioStart(16000, 2, 1).event(),
    "audio with a payload": AudioChunk(16000, 2, 1, b"\0" * 2048).event(),
}


@pytest.mark.parametrize("case", HARMLESS)
async def test_what_makes_no_sense_is_named_and_the_connection_goes_on(strict: str, case: str) -> None:
    async with connect(strict) as client:
        await client.write_event(HARMLESS[case])
        event = await client.read_event()
        assert event is not None
        assert (event.type, event.data["code"]) == ("error", "unexpected-event")
        assert HARMLESS[case].type in event.data["text"]
        assert await home_assistant_plain(client, TEXT) == tone(TEXT)


async def test_a_fault_inside_a_stream_ends_it_with_an_error_and_no_stop(strict: str) -> None:
    async with raw(strict) as (reader, writer):
        writer.write(line(type="synthesize-start"))
        writer.write(line(type="synthesize-chunk", data={"text": "One. "}))
        writer.write(line(type="synthesize-chunk", data={"text": 2}))
        events = await read_events(reader)
    assert types(events)[-1] == "error"
    assert not {"audio-stop", "synthesize-stopped"} & set(types(events))


async def test_a_request_before_a_fault_is_answered_whole(strict: str) -> None:
    async with raw(strict) as (reader, writer):
        writer.write(synthesize(text=TEXT) + b"garbage\n")
        events = await read_events(reader)
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop", "error"]
    assert sound_of(events) == tone(TEXT)


async def test_megabytes_without_a_line_end_are_cut_off_and_not_kept(strict: str) -> None:
    async with raw(strict) as (reader, writer):
        sent = 0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            while sent < 64 << 20:
                writer.write(b"y" * (1 << 16))
                await asyncio.wait_for(writer.drain(), 5)
                sent += 1 << 16
        except (OSError, TimeoutError):
            pass
        (event,) = await read_events(reader)
        assert event.data["code"] == "event-too-large"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 16 << 10, f"{grown} KiB more"
    await still_speaks(strict)


async def test_a_million_events_of_one_character_end_at_the_limit(strict: str) -> None:
    async with raw(strict) as (reader, writer):
        reading = asyncio.create_task(read_events(reader))
        writer.write(line(type="synthesize-start"))
        block = line(type="synthesize-chunk", data={"text": "a"}) * 1000
        try:
            for _ in range(1000):
                writer.write(block)
                await writer.drain()
        except OSError:
            pass
        speaking = asyncio.create_task(still_speaks(strict))
        events = await reading
        await speaking
    assert events[-1].data["code"] == "text-too-long"
    assert "audio-stop" not in types(events)


async def test_text_at_the_limit_is_spoken(strict: str) -> None:
    text = "Go on now. " * 909  # 9,999 characters
    async with connect(strict) as client:
        assert await home_assistant_streamed(client, [text]) == tone("Go on now.") * 909


async def test_a_slow_writer_is_told_so(strict: str) -> None:
    async with raw(strict) as (reader, writer):

        async def dribble() -> None:
            for byte in synthesize(text="slow") * 20:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        task = asyncio.create_task(dribble())
        event = (await read_events(reader))[-1]
        task.cancel()
    assert (event.type, event.data["code"]) == ("error", "timeout")
    assert "not complete after 0.5 s" in event.data["text"]


async def test_a_silent_client_is_told_so() -> None:
    async with service([ScriptedEngine()], idle_timeout=0.3) as uri:
        async with raw(uri) as (silent, _), raw(uri) as (stuck, writer):
            writer.write(line(type="synthesize-start"))
            for reader in (silent, stuck):
                events = await read_events(reader)
                assert [event.data.get("code") for event in events] == ["timeout"]


async def test_who_stops_in_the_middle_of_a_text_has_died() -> None:
    """Its listener would hear silence for as long as a client may be idle: a language model that crashed."""
    async with service([ScriptedEngine()], text_timeout=0.3, keepalive_after=0.1) as uri:
        async with raw(uri) as (thinking, slow), raw(uri) as (reader, writer):
            slow.write(line(type="synthesize-start"))
            writer.write(line(type="synthesize-start"))
            writer.write(line(type="synthesize-chunk", data={"text": "The lamp is on. The d"}))
            *events, last = await read_events(reader)
            assert sound_of(event for event in events if event.type == "audio-chunk").startswith(
                tone("The lamp is on.")
            )
            assert (last.type, last.data["code"]) == ("error", "timeout")
            assert "no event was received for 0.3 s" in last.data["text"]
            slow.write(line(type="synthesize-chunk", data={"text": "At last."}))
            slow.write(line(type="synthesize-stop"))
            events = await read_events(thinking, "synthesize-stopped")
            assert sound_of(event for event in events if event.type == "audio-chunk") == tone("At last.")


async def test_a_client_that_listens_is_not_silent() -> None:
    async def slow(utterance):  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.5)
        yield tone(utterance.text)

    async with service([ScriptedEngine(slow)], idle_timeout=0.2) as uri, connect(uri) as client:
        assert await home_assistant_plain(client, TEXT) == tone(TEXT)


async def test_the_longest_idle_of_too_many_connections_makes_room() -> None:
    async with service([ScriptedEngine()], max_connections=4) as uri:
        first, *others = [await asyncio.open_connection(*address(uri)) for _ in range(4)]
        await asyncio.sleep(0.05)
        await still_speaks(uri)
        (event,) = await read_events(first[0])
        assert (event.type, event.data["code"]) == ("error", "too-many-connections")
        for _, writer in (first, *others):
            writer.close()


async def test_no_room_among_busy_connections_is_said() -> None:
    async def for_ever(utterance):  # type: ignore[no-untyped-def]
        yield tone(utterance.text)
        await asyncio.Event().wait()

    async with service([ScriptedEngine(for_ever)], max_connections=2, stop_timeout=0.1) as uri:
        async with raw(uri) as one, raw(uri) as two:
            for _, writer in (one, two):
                writer.write(synthesize(text=TEXT))
            for reader, _ in (one, two):
                await read_events(reader, until="audio-chunk")
            async with raw(uri) as (reader, _):
                (event,) = await read_events(reader)
            assert (event.type, event.data["code"]) == ("error", "busy")


@pytest.mark.slow
async def test_a_thousand_idle_connections_hinder_nobody() -> None:
    async with service([ScriptedEngine()], max_connections=400) as uri:
        idle = [await asyncio.open_connection(*address(uri)) for _ in range(1000)]
        await still_speaks(uri)
        told = [await read_events(reader) for reader, _ in idle[:600]]
        assert {event.data["code"] for events in told for event in events} == {"too-many-connections"}
        for _, writer in idle:
            writer.close()


async def test_a_reader_that_stops_reading_is_dropped_after_a_while() -> None:
    gone = asyncio.Event()

    async def endless(utterance):  # type: ignore[no-untyped-def]
        try:
            while True:
                yield bytes(48_000)
        finally:
            gone.set()

    async with service([ScriptedEngine(endless)], send_timeout=0.3) as uri, raw(uri) as (_, writer):
        writer.write(synthesize(text=TEXT))
        assert await asyncio.wait_for(gone.wait(), 10)


async def test_a_flood_of_senseless_events_without_reading_is_bounded() -> None:
    async with service([ScriptedEngine()], send_timeout=0.3) as uri, raw(uri) as (_, writer):

        async def flood() -> None:
            for _ in range(10_000):
                writer.write(line(type="synthesize-stop") * 100)
                await asyncio.wait_for(writer.drain(), 5)

        with pytest.raises((OSError, TimeoutError)):
            await flood()
        await still_speaks(uri)


async def test_a_lone_surrogate_in_a_ping_comes_back_as_a_question_mark(strict: str) -> None:
    async with raw(strict) as (reader, writer):
        writer.write(line(type="ping", data={"text": "a\ud800"}) + synthesize(text=TEXT))
        events = await read_events(reader, until="audio-stop")
    assert events[0].data["text"] == "a?"
    assert sound_of(events) == tone(TEXT)


async def test_blank_lines_between_events_are_nothing(strict: str) -> None:
    async with raw(strict) as (reader, writer):
        writer.write(b"\r\n\n" + synthesize(text=TEXT))
        assert sound_of(await read_events(reader, until="audio-stop")) == tone(TEXT)


async def test_an_error_arrives_though_its_cause_was_not_read_to_the_end(strict: str) -> None:
    for _ in range(20):
        async with raw(strict) as (reader, writer):
            writer.write(b"no event\n" + b"z" * 300_000)
            (event,) = await read_events(reader)
            assert event.type == "error"


async def test_another_connection_speaks_while_one_is_being_refused() -> None:
    async with service([ScriptedEngine()], idle_timeout=0.5) as uri, raw(uri) as (reader, writer):
        await async_write_event(SynthesizeStart().event(), writer)
        await asyncio.gather(*(still_speaks(uri) for _ in range(4)))
        assert [event.data["code"] for event in await read_events(reader)] == ["timeout"]


def address(uri: str) -> tuple[str, int]:
    match = re.fullmatch(r"tcp://(.+):(\d+)", uri)
    assert match
    return match[1], int(match[2])
