"""Text and audio are streamed early, in order, within the buffer limits, and only while a client listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from wyoming.event import async_write_event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.house import (
    HANG,
    ScriptedEngine,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    raw,
    read_events,
    service,
    sound_of,
    tone,
    types,
)
from wyoming_qwen3tts.audio.pcm import silence
from wyoming_qwen3tts.speech import BYTES_PER_SECOND, Utterance


async def eventually(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(HANG):
        while not condition():  # noqa: ASYNC110 - what is waited for is not ours to signal
            await asyncio.sleep(0.01)


async def test_the_first_sentence_sounds_before_the_text_ends(scripted: str) -> None:
    async with raw(scripted) as (reader, writer):
        await async_write_event(SynthesizeStart().event(), writer)
        await async_write_event(SynthesizeChunk("The first. The sec").event(), writer)
        events = await read_events(reader, until="audio-chunk")
        assert types(events) == ["audio-start", "audio-chunk"]
        await async_write_event(SynthesizeChunk("ond.").event(), writer)
        await async_write_event(SynthesizeStop().event(), writer)
        events += await read_events(reader, until="synthesize-stopped")
    assert sound_of(events) == tone("The first.") + tone("The second.")


async def test_the_first_sound_of_a_sentence_is_sent_before_its_last_is_made() -> None:
    go_on = asyncio.Event()

    async def halves(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone("one")
        await go_on.wait()
        yield tone("two")

    async with service([ScriptedEngine(halves)]) as uri, raw(uri) as (reader, writer):
        await async_write_event(Synthesize("Whatever.").event(), writer)
        events = await read_events(reader, until="audio-chunk")
        go_on.set()
        events += await read_events(reader, until="audio-stop")
    assert sound_of(events) == tone("one") + tone("two")


async def test_the_next_sentence_is_made_while_this_one_is_sent(
    engine: ScriptedEngine, scripted: str
) -> None:
    long = "word " * 30 + "end."  # 1.5 s of sound, more than the network holds unread
    async with raw(scripted) as (_, writer):
        await async_write_event(Synthesize(f"{long} Number two. Number three.").event(), writer)
        await eventually(lambda: len(engine.said) == 3)
    assert engine.said[1:] == ["Number two.", "Number three."], "nothing was read"


async def test_a_client_that_does_not_read_stops_its_own_making_only() -> None:
    made: dict[str, int] = {}

    async def count(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        made[utterance.text] = made.get(utterance.text, 0) + 1
        yield b"\x20\x20" * (BYTES_PER_SECOND // 2)

    text = "And again. " * 500
    async with service([ScriptedEngine(count)], buffer_seconds=3) as uri, raw(uri) as (_, writer):
        await async_write_event(Synthesize(text).event(), writer)
        before = -1
        async with asyncio.timeout(HANG):
            while before != made.get("And again.", 0):
                before = made.get("And again.", 0)
                await asyncio.sleep(0.2)
        # Three seconds ahead, a piece on its way, and what the sockets' buffers hold at both ends.
        assert before < 60
        async with connect(uri) as client:
            assert len(await home_assistant_plain(client, "Just once. " * 100)) == 100 * BYTES_PER_SECOND
        assert made["And again."] == before


async def test_a_client_that_leaves_costs_at_most_a_chunk_more() -> None:
    made = 0
    closed = asyncio.Event()

    async def count(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        nonlocal made
        try:
            while True:
                made += 1
                yield bytes(960)
                await asyncio.sleep(0.02)
        finally:
            closed.set()

    for unread in (True, False):
        closed.clear()
        async with service([ScriptedEngine(count)]) as uri:
            async with raw(uri) as (reader, writer):
                await async_write_event(Synthesize("For ever.").event(), writer)
                await read_events(reader, until="audio-chunk")
                if unread:
                    await asyncio.sleep(0.1)
            left = made
            await asyncio.wait_for(closed.wait(), HANG)
            assert made - left <= 3


async def test_a_client_that_leaves_before_the_first_sound_ends_the_work() -> None:
    closed = asyncio.Event()

    async def think(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.sleep(HANG)
            yield b""
        finally:
            closed.set()

    async with service([ScriptedEngine(think)]) as uri:
        async with raw(uri) as (_, writer):
            await async_write_event(SynthesizeStart().event(), writer)
            await async_write_event(SynthesizeChunk("Hello there. And").event(), writer)
            await asyncio.sleep(0.1)
        assert await asyncio.wait_for(closed.wait(), HANG / 2)


async def test_a_client_that_only_ends_its_own_side_hears_its_answer(scripted: str) -> None:
    async with raw(scripted) as (reader, writer):
        await async_write_event(Synthesize("Said with netcat.").event(), writer)
        writer.write_eof()
        events = await read_events(reader)
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop"]
    assert sound_of(events) == tone("Said with netcat.")


async def test_describe_is_answered_while_eight_requests_are_spoken(home: str) -> None:
    text = "The quick brown fox jumps over the lazy dog, again and again. " * 3
    async with asyncio.TaskGroup() as group:
        talks = []
        for _ in range(8):

            async def talk() -> int:
                async with connect(home) as client:
                    return len(await home_assistant_plain(client, text))

            talks.append(group.create_task(talk()))
        answered = 0
        async with connect(home) as client:
            while not all(task.done() for task in talks):
                await client.write_event(Describe().event())
                event = await client.read_event()
                assert event is not None
                assert event.type == "info"
                answered += not any(task.done() for task in talks)
                await asyncio.sleep(0.02)
    assert answered >= 5, "describe has to be answered long before the first request has ended"
    assert len({task.result() for task in talks}) == 1


async def test_stalled_text_is_bridged_with_silence(engine: ScriptedEngine) -> None:
    async with service([engine], keepalive_after=0.1) as uri, raw(uri) as (reader, writer):
        loop = asyncio.get_running_loop()
        await async_write_event(SynthesizeStart().event(), writer)
        await asyncio.sleep(0.3)
        await async_write_event(SynthesizeChunk("One. Tw").event(), writer)
        events = []
        began = loop.time()
        while loop.time() - began < 1:
            events += await read_events(reader, until="audio-chunk")
        await async_write_event(SynthesizeChunk("o.").event(), writer)
        await async_write_event(SynthesizeStop().event(), writer)
        events += await read_events(reader, until="synthesize-stopped")
    sound = sound_of(events)
    one, two = tone("One."), tone("Two.")
    assert sound.startswith(one)
    assert sound.endswith(two)
    bridge = sound[len(one) : -len(two)]
    assert not any(bridge)
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"], (
        "none before sound"
    )
    # In real time, give or take a step: more would only be heard as a longer pause.
    assert 0.5 < len(bridge) / BYTES_PER_SECOND < 1.5


async def test_a_listener_with_sound_in_hand_gets_only_what_keeps_the_stream_alive(
    engine: ScriptedEngine,
) -> None:
    sentence = "word " * 50 + "end."  # 5 s of sound
    async with service([engine], keepalive_after=0.2) as uri, raw(uri) as (reader, writer):
        await async_write_event(SynthesizeStart().event(), writer)
        await async_write_event(SynthesizeChunk(f"{sentence} An").event(), writer)
        await asyncio.sleep(1)
        await async_write_event(SynthesizeChunk("d.").event(), writer)
        await async_write_event(SynthesizeStop().event(), writer)
        sound = sound_of(await read_events(reader, until="synthesize-stopped"))
    extra = (len(sound) - len(tone(sentence)) - len(tone("And."))) / BYTES_PER_SECOND
    assert 0.05 <= extra <= 0.5


async def test_the_bridge_can_be_switched_off(engine: ScriptedEngine) -> None:
    async with service([engine], keepalive_after=0) as uri, raw(uri) as (reader, writer):
        await async_write_event(SynthesizeStart().event(), writer)
        await async_write_event(SynthesizeChunk("One. Tw").event(), writer)
        await asyncio.sleep(1.2)  # more than the bridge waits that nobody has switched off
        await async_write_event(SynthesizeChunk("o.").event(), writer)
        await async_write_event(SynthesizeStop().event(), writer)
        assert sound_of(await read_events(reader, until="synthesize-stopped")) == tone("One.") + tone("Two.")


async def test_a_slow_voice_is_no_stalled_text() -> None:
    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone("one")
        await asyncio.sleep(0.25)
        yield tone("two")

    async with service([ScriptedEngine(slow)], keepalive_after=0.05) as uri, connect(uri) as client:
        assert await home_assistant_plain(client, "Slowly. Slowly.") == (tone("one") + tone("two")) * 2


async def test_a_voice_that_gives_no_sound_in_time_is_an_error() -> None:
    async def hang(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone("one")
        await asyncio.Event().wait()

    async with service([ScriptedEngine(hang)], engine_timeout=0.2) as uri, connect(uri) as client:
        with pytest.raises(SpeechFailedError, match=r"no sound for 0\.2 s") as failure:
            await home_assistant_plain(client, "Hello.")
    assert failure.value.code == "engine-unavailable"


async def test_a_voice_with_a_time_out_of_its_own_is_an_error_not_a_stall() -> None:
    async def time_out(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone("one")
        raise TimeoutError

    async with service([ScriptedEngine(time_out)]) as uri, connect(uri) as client:
        with pytest.raises(SpeechFailedError, match="internal error"):
            await home_assistant_plain(client, "Hello.")


@pytest.mark.parametrize("rubbish", [[], [b""], [b"\0" * 3]])
async def test_a_voice_that_gives_no_whole_samples_is_an_error(rubbish: list[bytes]) -> None:
    async def give(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        for piece in rubbish:
            yield piece

    async with service([ScriptedEngine(give)]) as uri, connect(uri) as client:
        with pytest.raises(SpeechFailedError, match="scripted voice gave"):
            await home_assistant_plain(client, "Hello.")


async def test_text_no_voice_can_read_is_an_error_that_says_so(scripted: str) -> None:
    async with connect(scripted) as client:
        with pytest.raises(SpeechFailedError, match="cyrillic") as failure:
            await home_assistant_plain(client, "Привет, мир.")
    assert failure.value.code == "no-voice-for-script"


def test_silence_is_counted_in_whole_samples() -> None:
    assert silence(0.1) == bytes(4800)
    assert len(silence(0.00003)) == 2
