"""The contract with Home Assistant as a client, rule by rule."""

from __future__ import annotations

import asyncio

import pytest
from wyoming.event import async_write_event
from wyoming.info import Describe, Info, SelectProgram
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.house import (
    ScriptedEngine,
    SpeechFailedError,
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
from wyoming_qwen3tts import __version__

TEXT = "The light is on. It is late."
SOUND = tone("The light is on.") + tone("It is late.")


async def test_describe_lists_installed_voices_with_languages(home: str) -> None:
    async with connect(home) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
    assert event is not None
    (program,) = Info.from_event(event).tts
    assert program.installed
    assert program.version == __version__
    assert program.supports_synthesize_streaming
    assert program.voices[0].name == "heart"
    assert all(voice.installed and voice.languages and voice.description for voice in program.voices)
    assert {"de", "fr", "zh", "ja", "ko", "ru", "pt-BR", "es", "it"} <= {
        v.languages[0] for v in program.voices
    }
    last_resort = [voice for voice in program.voices if voice.name.startswith("espeak-")]
    assert all((voice.description or "").startswith("last resort, ") for voice in last_resort)
    assert all("robotic" in (voice.description or "") for voice in last_resort)


async def test_describe_says_when_streaming_is_off(engine: ScriptedEngine) -> None:
    async with service([engine], streaming=False) as uri, connect(uri) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        assert not Info.from_event(event).tts[0].supports_synthesize_streaming
        # A client that streams all the same gets its compatibility text spoken, once.
        await client.write_event(SynthesizeStart().event())
        await client.write_event(SynthesizeChunk(text=TEXT).event())
        assert await home_assistant_plain(client, TEXT) == SOUND


async def test_a_whole_text_is_one_start_sound_and_one_stop(scripted: str) -> None:
    async with raw(scripted) as (reader, writer):
        await async_write_event(Synthesize(text=TEXT).event(), writer)
        events = await read_events(reader, until="audio-stop")
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop"]
    assert sound_of(events) == SOUND


async def test_a_streamed_text_ends_with_synthesize_stopped(scripted: str) -> None:
    async with raw(scripted) as (reader, writer):
        for event in (SynthesizeStart(), SynthesizeChunk(TEXT), Synthesize(TEXT), SynthesizeStop()):
            await async_write_event(event.event(), writer)
        events = await read_events(reader, until="synthesize-stopped")
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert sound_of(events) == SOUND


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_streamed_pieces_of_any_size_give_the_sound_of_the_whole(scripted: str, size: int) -> None:
    pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    async with connect(scripted) as client:
        assert await home_assistant_streamed(client, pieces) == SOUND


async def test_the_compatibility_synthesize_is_not_spoken_again(
    scripted: str, engine: ScriptedEngine
) -> None:
    async with connect(scripted) as client:
        await home_assistant_streamed(client, [TEXT])
        await home_assistant_plain(client, "Afterwards.")
    assert engine.said == ["The light is on.", "It is late.", "Afterwards."]


async def test_chunks_have_the_customary_size(scripted: str) -> None:
    async with raw(scripted) as (reader, writer):
        await async_write_event(Synthesize(text=TEXT).event(), writer)
        events = await read_events(reader, until="audio-stop")
    sizes = [len(event.payload or b"") for event in events if event.type == "audio-chunk"]
    assert max(sizes) == 2 * 1024
    stamps = [event.data["timestamp"] for event in events if event.type == "audio-chunk"]
    assert stamps == sorted(stamps)
    assert stamps[0] == 0


async def test_requests_follow_each_other_in_both_forms(scripted: str) -> None:
    async with connect(scripted) as client:
        for _ in range(3):
            assert await home_assistant_streamed(client, [TEXT]) == SOUND
            assert await home_assistant_plain(client, TEXT) == SOUND


async def test_requests_sent_at_once_are_answered_in_order(scripted: str) -> None:
    texts = [f"This is number {letter}." for letter in "bcdefghjklmn"]  # more than wait by default
    async with raw(scripted) as (reader, writer):
        for text in texts:
            await async_write_event(Synthesize(text=text).event(), writer)
        writer.write_eof()
        for text in texts:
            assert sound_of(await read_events(reader, until="audio-stop")) == tone(text)


@pytest.mark.parametrize("text", ["", "   ", "…", "?!", "🙂 👍", "—", "\n\n"])
async def test_nothing_to_say_is_a_short_silence_not_nothing(
    scripted: str, engine: ScriptedEngine, text: str
) -> None:
    async with connect(scripted) as client:
        assert await home_assistant_plain(client, text) == bytes(4800)
        assert await home_assistant_streamed(client, [text]) == bytes(4800)
        assert await home_assistant_streamed(client, []) == bytes(4800)
    assert engine.said == []


async def test_a_failure_before_sound_is_an_error_and_the_end() -> None:
    async def fail(_: object) -> object:
        raise RuntimeError("boom")
        yield b""

    async with service([ScriptedEngine(fail)]) as uri:  # type: ignore[arg-type]
        async with connect(uri) as client:
            with pytest.raises(SpeechFailedError) as failure:
                await home_assistant_plain(client, TEXT)
            assert failure.value.code == "internal-error"
            assert "boom" not in str(failure.value), "inner details are for the log"
            assert await client.read_event() is None


async def test_a_failure_in_mid_sound_never_ends_in_a_normal_stop() -> None:
    async def fail_second(utterance):  # type: ignore[no-untyped-def]
        yield tone(utterance.text)
        if utterance.text.startswith("It"):
            raise RuntimeError("boom")

    async with service([ScriptedEngine(fail_second)]) as uri:
        for events_to_send in (
            [Synthesize(TEXT)],
            [SynthesizeStart(), SynthesizeChunk(TEXT), SynthesizeStop()],
        ):
            async with raw(uri) as (reader, writer):
                for event in events_to_send:
                    await async_write_event(event.event(), writer)
                assert types(await read_events(reader)) == ["audio-start", "audio-chunk", "error"]


async def test_the_default_voice_speaks_when_none_or_an_unknown_one_is_asked_for(
    scripted: str, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(scripted) as client:
        for name in ("en_US-amy-medium", "no such voice"):
            assert await home_assistant_plain(client, TEXT, SynthesizeVoice(name=name)) == SOUND
            assert name in caplog.text
        assert await home_assistant_plain(client, TEXT) == SOUND


@pytest.mark.parametrize(
    "voice", [{"name": "klang_zwei"}, {"language": "de"}, {"name": "?", "language": "de_AT"}]
)
async def test_a_voice_is_found_by_name_without_regard_to_spelling_or_by_language(
    voice: dict[str, str],
) -> None:
    heard: list[str] = []

    async def note_voice(utterance):  # type: ignore[no-untyped-def]
        heard.append(utterance.voice.name)
        yield tone(utterance.text)

    async with service([ScriptedEngine(note_voice)]) as uri, raw(uri) as (reader, writer):
        event = Synthesize(text="Hallo.").event()
        event.data["voice"] = voice
        await async_write_event(event, writer)
        await read_events(reader, until="audio-stop")
    assert heard == ["Klang Zwei"]


async def test_select_program_ping_and_unknown_events_are_tolerated(scripted: str) -> None:
    async with connect(scripted) as client:
        await client.write_event(SelectProgram("some-program").event())
        await client.write_event(Ping(text="are you there").event())
        event = await client.read_event()
        assert event is not None
        assert Pong.from_event(event).text == "are you there"
        event = Ping().event()
        event.type = "something-new"
        await client.write_event(event)
        assert await home_assistant_plain(client, TEXT) == SOUND


async def test_describe_is_answered_in_the_middle_of_an_answer(engine: ScriptedEngine) -> None:
    go_on = asyncio.Event()

    async def pause(utterance):  # type: ignore[no-untyped-def]
        yield tone(utterance.text)
        await go_on.wait()

    engine.script = pause
    async with service([engine]) as uri, raw(uri) as (reader, writer):
        await async_write_event(Synthesize("One.").event(), writer)
        assert types(await read_events(reader, until="audio-chunk")) == ["audio-start", "audio-chunk"]
        await async_write_event(Describe().event(), writer)
        assert "info" in types(await read_events(reader, until="info"))
        go_on.set()
        assert types(await read_events(reader, until="audio-stop"))[-1] == "audio-stop"
