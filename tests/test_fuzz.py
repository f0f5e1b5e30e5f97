"""Anything at all over a real socket: the server answers, ends or waits; it never breaks, and speaks on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wyoming.audio import AudioChunk
from wyoming.event import Event

from tests.house import (
    ScriptedEngine,
    connect,
    home_assistant_plain,
    raw,
    read_events,
    service_in_thread,
    sound_of,
    tone,
    types,
)
from wyoming_qwen3tts.server.wyoming.framing import EventParser, ProtocolError, encode, encode_audio_chunk

KNOWN = [
    "describe",
    "ping",
    "synthesize",
    "synthesize-start",
    "synthesize-chunk",
    "synthesize-stop",
    "audio-chunk",
]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
DATA = (
    st.fixed_dictionaries(
        {}, optional={"text": VALUES, "voice": VALUES, "text_format": VALUES, "context": VALUES}
    )
    | VALUES
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KNOWN) | VALUES,
        "data": DATA,
        "data_length": st.integers(-3, 40) | VALUES,
        "payload_length": st.integers(-3, 40) | VALUES,
    },
)
EVENTS = HEADERS.map(lambda header: json.dumps(header).encode() + b"\n")
TALK = st.lists(
    st.builds(
        lambda kind, text: json.dumps({"type": kind, "data": {"text": text}}).encode() + b"\n",
        st.sampled_from(KNOWN),
        st.text(max_size=30),
    )
    | EVENTS
    | st.binary(max_size=60),
    max_size=12,
)


@pytest.fixture(scope="module")
def patient() -> Iterator[str]:
    """A service that gives up on silent peers soon, so that every conversation ends."""
    with service_in_thread(
        [ScriptedEngine()], idle_timeout=0.3, event_timeout=0.3, max_event_bytes=4096
    ) as uri:
        yield uri


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(talk=TALK, cut=st.integers(1, 200), leave=st.booleans())
def test_any_conversation_ends_and_the_next_is_spoken(
    patient: str, talk: list[bytes], cut: int, leave: bool
) -> None:
    async def converse() -> None:
        sent = b"".join(talk)
        async with raw(patient) as (reader, writer):
            for at in range(0, len(sent), cut):
                writer.write(sent[at : at + cut])
            writer.write_eof()
            events = [] if leave else await read_events(reader)
        assert types(events).count("error") <= len(sent)
        for event in events:
            if event.type == "error":
                assert event.data["text"]
                assert event.data["code"] != "internal-error"
        assert len(sound_of(events)) % 2 == 0
        async with connect(patient) as client:
            assert await home_assistant_plain(client, "Still here.") == tone("Still here.")

    asyncio.run(converse())


@given(
    events=st.lists(
        st.builds(
            Event,
            type=st.text(min_size=1, max_size=10).filter(lambda t: t.isprintable()),
            data=st.dictionaries(
                st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=9)
            ),
            payload=st.none() | st.binary(min_size=1, max_size=50),
        ),
        max_size=6,
    ),
    sizes=st.lists(st.integers(1, 50), min_size=1),
)
def test_events_survive_the_wire_however_it_cuts_them(events: list[Event], sizes: list[int]) -> None:
    wire = b"".join(encode(event) for event in events)
    parser = EventParser(1 << 20)
    found = []
    at = turn = 0
    while at < len(wire):
        parser.feed(wire[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
        while (event := parser.pop()) is not None:
            found.append(event)
    assert found == events
    assert not parser.in_event


@given(pcm=st.binary(min_size=1, max_size=50), timestamp=st.integers(0, 10**9))
def test_sound_is_encoded_as_every_event_is(pcm: bytes, timestamp: int) -> None:
    event = AudioChunk(rate=24_000, width=2, channels=1, audio=pcm, timestamp=timestamp).event()
    assert encode_audio_chunk(pcm, timestamp) == encode(event)


@given(garbage=st.lists(EVENTS | st.binary(max_size=80), max_size=10))
def test_the_parser_knows_one_exception(garbage: list[bytes]) -> None:
    parser = EventParser(256)
    parser.feed(b"".join(garbage))
    fault: ProtocolError | None = None
    try:
        while (event := parser.pop()) is not None:
            assert isinstance(event.type, str)
            assert isinstance(event.data, dict)
    except ProtocolError as error:
        fault = error
    assert fault is None or (fault.fatal and str(fault))
