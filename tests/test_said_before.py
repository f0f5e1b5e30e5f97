"""The cache on the road: what a client hears again, and what it never does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wyoming.audio import AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.house import (
    AS_SET,
    HANG,
    ScriptedEngine,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    service,
    sound_of,
    tone,
)
from wyoming_qwen3tts.cache.keys import utterance_key
from wyoming_qwen3tts.cache.sqlite import FILE_NAME
from wyoming_qwen3tts.engines.base import Engine, TruncatedAudioError
from wyoming_qwen3tts.speech import Attribution, Reference, Style, Utterance, Voice


class Repeatable(ScriptedEngine):
    """An engine that says the same the same way, and says which version of it this is."""

    version = "1"

    def identity(self, voice: Voice) -> str:
        return self.version


KEPT: dict[str, Any] = {"cache_memory": 64.0, "cache_disk": 10.0}


async def test_a_phrase_is_made_once_and_heard_for_ever(tmp_path: Path) -> None:
    for start in range(3):
        engine = Repeatable()
        async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
            for _ in range(3):
                assert await home_assistant_plain(client, "Front door open.") == tone("Front door open.")
        assert engine.said == (["Front door open."] if start == 0 else [])


async def test_only_the_new_sentence_of_a_reply_is_made(tmp_path: Path) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        await home_assistant_plain(client, "The front door is open. The back door is shut.")
        text = "The front door is open. It is getting rather cold. The back door is shut."
        sound = await home_assistant_plain(client, text)
    sentences = ["The front door is open.", "It is getting rather cold.", "The back door is shut."]
    assert engine.said == [sentences[0], sentences[2], sentences[1]]
    assert sound == b"".join(map(tone, sentences))


LONG = (
    "Attention please, the fire alarm in the basement has been triggered, so leave the building by the nearest "
    "exit now."
)


@pytest.mark.parametrize("pin", ["pin", None])
async def test_a_long_sentence_is_known_wherever_it_stands(tmp_path: Path, pin: str | None) -> None:
    """At the beginning of a reply it may be said in two parts, to be heard sooner; elsewhere it is one."""
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        await ask(uri, f"{LONG} OK. The lights are off.", pin)
        parts = len(engine.said)
        assert parts == (2 if pin else 3)
        for text in (f"Good morning. {LONG}", LONG, f"Good morning. OK. The lights are off. {LONG}"):
            await home_assistant_plain(client, text)
            await home_assistant_streamed(client, [text])
    assert engine.said[parts:] == ["Good morning."]


async def test_a_long_sentence_that_was_said_later_on_is_known_at_the_beginning(tmp_path: Path) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        await home_assistant_plain(client, f"Good morning. {LONG}")
        assert engine.said == ["Good morning.", LONG]
        assert await home_assistant_plain(client, LONG) == tone(LONG)
    assert len(engine.said) == 2


async def test_ten_clients_at_once_cost_one_synthesis(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def slowly(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)[:480]
        await go.wait()
        yield tone(utterance.text)[480:]

    engine = Repeatable(slowly)

    hearing = 0

    async def one(uri: str) -> bytes:
        nonlocal hearing
        async with connect(uri) as client:
            await client.write_event(Synthesize("Dinner is ready.").event())
            events = []
            while (event := await client.read_event()) is not None and event.type != "audio-stop":
                hearing += event.type == "audio-start"
                events.append(event)
            return sound_of(events)

    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        listening = [asyncio.create_task(one(uri)) for _ in range(10)]
        async with asyncio.timeout(HANG):
            while hearing < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            # Once is not always enough: wait_for of Python 3.11 may swallow it.
            while not listening[0].done():
                listening[0].cancel()
                await asyncio.sleep(0.01)
        go.set()
        assert await asyncio.gather(*listening[1:]) == [tone("Dinner is ready.")] * 9
    assert engine.said == ["Dinner is ready."]


async def test_what_was_cut_short_or_failed_is_made_again(tmp_path: Path) -> None:
    async def lost(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)
        if "odd" in utterance.text:
            yield b"x"
        if "lost" in utterance.text:
            raise TruncatedAudioError("lost itself")

    engine = Repeatable(lost)
    async with service([engine], data_dir=tmp_path, resume=False, **KEPT) as uri:
        for _ in range(2):
            async with connect(uri) as client:
                assert await home_assistant_plain(client, "He is lost.") == tone("He is lost.")
            async with connect(uri) as client:
                with pytest.raises(SpeechFailedError, match="gave 1 bytes, not samples"):
                    await home_assistant_plain(client, "This is odd.")
    assert engine.said == ["He is lost.", "This is odd."] * 2


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (bytes(48_000), "gave nothing to be heard"),
        (b"\x20\0" * 24_000, "gave nothing to be heard"),
    ],
)
async def test_what_cannot_be_the_whole_sentence_is_an_error_and_not_kept(
    tmp_path: Path, sound: bytes, reason: str
) -> None:
    """A model that ends too early, or says nothing, does not do so for ever."""

    async def odd(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield sound[:480]
        yield sound[480:]

    engine = Repeatable(odd)
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        for times in (1, 2):
            async with connect(uri) as client:
                with pytest.raises(SpeechFailedError, match=reason):
                    await home_assistant_plain(client, "Front door open.")
            assert len(engine.said) == times
        with pytest.raises(SpeechFailedError, match=reason):
            await ask(uri, "Front door open.", "pin")


async def test_truncated_audio_is_never_pinned(tmp_path: Path) -> None:
    async def odd(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone("F")[:960]

    async with service([Repeatable(odd)], data_dir=tmp_path, **KEPT) as uri:
        with pytest.raises(SpeechFailedError, match="audio are too short for 12 letters"):
            await ask(uri, "Front door open.", "pin")


async def write_in_two(client: AsyncClient, context: dict[str, Any] | None = None) -> None:
    """Say "The soup is hot. And so on." as a language model does: the rest comes when the first is heard."""
    await client.write_event(SynthesizeStart(context=context).event())
    await client.write_event(SynthesizeChunk("The soup is hot. And ").event())
    async with asyncio.timeout(HANG):
        while (event := await client.read_event()) is not None and event.type != "audio-chunk":
            pass
    await client.write_event(SynthesizeChunk("so on.").event())
    await client.write_event(SynthesizeStop().event())
    async with asyncio.timeout(HANG):
        while (event := await client.read_event()) is not None and event.type != "synthesize-stopped":
            pass


async def test_a_text_that_is_still_being_written_is_kept_only_when_asked(tmp_path: Path) -> None:
    for live, times in ((False, 2), (True, 1)):
        engine = Repeatable()
        data = tmp_path / str(live)
        async with service([engine], data_dir=data, cache_live=live, **KEPT) as uri:
            for _ in range(2):
                async with connect(uri) as client:
                    await write_in_two(client)
        assert engine.said.count("The soup is hot.") == times


async def ask(uri: str, text: str, cache: object, voice: str | None = None) -> bytes:
    """Say ``text`` with ``context.cache``."""
    chosen = SynthesizeVoice(name=voice) if voice else None
    async with connect(uri) as client:
        await client.write_event(Synthesize(text, voice=chosen, context={"cache": cache, "else": 1}).event())
        events = []
        while (event := await client.read_event()) is not None:
            events.append(event)
            if Error.is_type(event.type):
                error = Error.from_event(event)
                raise SpeechFailedError(error.text, error.code)
            if AudioStop.is_type(event.type):
                break
        return sound_of(events)


@pytest.mark.parametrize("off", [False, "off"])
async def test_a_request_can_go_by_without_the_cache(tmp_path: Path, off: object) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        for times in (1, 2):
            assert await ask(uri, "Front door open.", off) == tone("Front door open.")
            assert len(engine.said) == times
        await ask(uri, "Front door open.", "auto")
        assert len(engine.said) == 3, "nothing of it was kept"
        await ask(uri, "Front door open.", None)
        assert len(engine.said) == 3
        await ask(uri, "Front door open.", off)
        assert len(engine.said) == 4, "what is kept is not used"


async def test_a_request_can_ask_that_a_text_that_is_being_written_is_kept(tmp_path: Path) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        for _ in range(2):
            async with connect(uri) as client:
                await write_in_two(client, {"cache": True})
    assert engine.said == ["The soup is hot.", "And so on."]


async def test_all_of_a_text_that_was_being_written_is_live(tmp_path: Path) -> None:
    """The last sentences of a model's reply, too: by then its text has ended."""
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        await write_in_two(client)
        await home_assistant_plain(client, "And so on.")
    assert engine.said.count("And so on.") == 2


async def test_of_a_voice_nothing_is_kept_where_the_settings_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Repeatable()
    settings = {"cache_exclude_voices": ("KLANG-zwei", "Nobody"), **KEPT}
    async with service([engine], data_dir=tmp_path, **settings) as uri:
        for _ in range(2):
            await ask(uri, "Front door open.", None, "tone")
            await ask(uri, "Front door open.", True, "Klang Zwei")
        with pytest.raises(SpeechFailedError, match="the voice Klang Zwei is excluded") as failed:
            await ask(uri, "Front door open.", "pin", "Klang Zwei")
    assert failed.value.code == "not-kept"
    assert [utterance.voice.name for utterance in engine.told] == ["tone", "Klang Zwei", "Klang Zwei"]
    assert "unknown voice option=cache_exclude_voices voice=Nobody" in caplog.text
    assert "voice=KLANG-zwei" not in caplog.text


@pytest.mark.parametrize("wrong", ["never", "true", 3, ["off"], {}])
async def test_what_nobody_knows_of_the_cache_is_an_error(tmp_path: Path, wrong: object) -> None:
    async with service([Repeatable()], data_dir=tmp_path, **KEPT) as uri:
        with pytest.raises(
            SpeechFailedError,
            match=r"context\.cache must be one of true, false, \"off\", \"auto\", \"on\", \"pin\"",
        ):
            await ask(uri, "Front door open.", wrong)


@pytest.mark.parametrize("text", ["!!!", "😀", " "])
async def test_nothing_to_say_cannot_be_pinned(tmp_path: Path, text: str) -> None:
    async with service([Repeatable()], data_dir=tmp_path, **KEPT) as uri:
        with pytest.raises(SpeechFailedError, match="there is nothing to say"):
            await ask(uri, text, "pin")


async def test_a_pinned_phrase_is_stored_before_its_end_is_said(tmp_path: Path) -> None:
    async with service([Repeatable()], data_dir=tmp_path, **KEPT) as uri:
        await ask(uri, "The door is open. The window is shut.", "pin")
        with sqlite3.connect(tmp_path / FILE_NAME) as database:
            found = database.execute("SELECT text, pinned FROM entries ORDER BY text").fetchall()
        database.close()
    assert found == [("The door is open.", 1), ("The window is shut.", 1)]


async def test_what_cannot_be_pinned_is_an_error_after_its_sound(tmp_path: Path) -> None:
    async def lost(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)
        raise TruncatedAudioError("it lost itself")

    async with service([Repeatable(lost)], data_dir=tmp_path, **KEPT) as uri:
        with pytest.raises(SpeechFailedError, match="it lost itself"):
            await ask(uri, "Front door open.", "pin")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"cache_memory": 1.0, "cache_disk": 0.0}, "nothing is kept outside of memory"),
        ({"cache_memory": 0.0, "cache_disk": 0.0}, "there is no cache"),
        ({"cache_memory": 1.0, "cache_disk": 0.000001}, "the cache's disk has no room"),
    ]
    for settings, reason in cases:
        async with service([Repeatable()], data_dir=tmp_path, **settings) as uri:
            with pytest.raises(SpeechFailedError, match=f"'Front door open.' is not kept: .*{reason}"):
                await ask(uri, "Front door open.", "pin")
    async with service([ScriptedEngine()], data_dir=tmp_path, **KEPT) as uri:
        with pytest.raises(SpeechFailedError, match="do not repeat themselves exactly"):
            await ask(uri, "Front door open.", "pin")


async def test_home_assistant_s_stream_of_a_whole_text_is_a_phrase(tmp_path: Path) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        for _ in range(2):
            assert await home_assistant_streamed(client, ["Front door open."]) == tone("Front door open.")
    assert engine.said == ["Front door open."]


async def test_speed_comes_after_the_cache(tmp_path: Path) -> None:
    engine = Repeatable()
    lengths = []
    for speed in (1.0, 1.5):
        async with service([engine], data_dir=tmp_path, speed=speed, **KEPT) as uri, connect(uri) as client:
            lengths.append(len(await home_assistant_plain(client, "Front door open, said the voice again.")))
    assert len(engine.said) == 1
    assert lengths[1] < lengths[0]


async def test_another_version_makes_its_own(tmp_path: Path) -> None:
    for version in ("1", "2"):
        engine = Repeatable()
        engine.version = version
        async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
            await home_assistant_plain(client, "Front door open.")
        assert engine.said == ["Front door open."]


async def test_an_engine_that_does_not_say_which_it_is_is_never_kept(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        for _ in range(2):
            await home_assistant_plain(client, "Front door open.")
    assert len(engine.said) == 2


async def test_the_built_in_voice_s_sound_is_the_same_from_the_cache(
    tmp_path: Path, lent_heart: Engine
) -> None:
    sounds = []
    for settings in ({"cache_memory": 0.0, "cache_disk": 0.0}, KEPT, KEPT, {**KEPT, "cache_disk": 0.0}):
        async with (
            service([lent_heart], data_dir=tmp_path, **AS_SET, **settings) as uri,
            connect(uri) as client,
        ):
            await client.write_event(Synthesize("The washing machine has finished. Shall I?").event())
            events = []
            while (event := await client.read_event()) is not None:
                events.append(event)
                if event.type == "audio-stop":
                    break
            sounds.append(sound_of(events))
    assert len(set(sounds)) == 1


@pytest.mark.parametrize("speed", [1.0, 1.5])
async def test_a_known_sentence_sounds_the_same_wherever_it_stands(
    tmp_path: Path, lent_heart: Engine, speed: float
) -> None:
    """Level, trimmed ends and the pauses between: what was finished once is finished for every place."""
    texts = [
        "The front door is open. Shall I shut it?",
        "Shall I shut it? The front door is open.",
        "Oh no. Shall I shut it? It is cold. The front door is open.",
    ]
    how: dict[str, Any] = {**AS_SET, "data_dir": tmp_path, "speed": speed}
    async with service([lent_heart], **how) as uri:
        async with connect(uri) as client:
            made = [await home_assistant_plain(client, text) for text in texts]
    async with service([lent_heart], **how, **KEPT) as uri:
        async with connect(uri) as client:
            for _ in range(3):
                assert [await home_assistant_plain(client, text) for text in texts] == made


async def test_a_known_sentence_follows_the_speed_and_the_level_of_each_voice(tmp_path: Path) -> None:
    """What was finished for one is not given to another."""
    slow = Style("slow", speed=0.8)
    loud = Style("loud", gain=6.0)
    maker = Attribution("", "")
    voices = [Voice("Ryan", "", ("en-US",), "scripted", maker, loudness=-20.0)]
    voices += [
        replace(voices[0], name=f"Ryan ({each.name})", base="Ryan", style=each) for each in (slow, loud)
    ]
    engine = Repeatable(voices=voices)
    sounds = []
    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        for _ in range(2):
            sounds += [
                await home_assistant_plain(client, "Front door open.", {"name": v.name}) for v in voices
            ]
    assert sounds[:3] == sounds[3:]
    assert len(set(sounds)) == 3
    assert engine.said == ["Front door open."]


def test_a_key_is_of_all_that_changes_the_sound_and_of_nothing_else() -> None:
    maker = Attribution("", "")
    voice = Voice("Ryan", "a man", ("en-US",), "qwen3", maker, model="m")
    said = Utterance("Hi.", voice, "en-US", 0)
    same = [
        said,
        replace(said, speed=1.5),
        replace(said, voice=replace(voice, description="another")),
        replace(said, voice=replace(voice, name="Ryan (slow)", base="Ryan", style=Style("slow", speed=0.8))),
        replace(said, voice=replace(voice, loudness=-20.0, rank=1, languages=("en-US", "de-DE"))),
    ]
    assert len({utterance_key(utterance, "engine") for utterance in same}) == 1
    reference = Reference(Path("a.wav"), "digest")
    others = [
        replace(said, text="Hi!"),
        replace(said, language="de-DE"),
        replace(said, seed=1),
        replace(said, voice=replace(voice, name="Aiden")),
        replace(said, voice=replace(voice, model="n")),
        replace(said, voice=replace(voice, engine="other")),
        replace(said, voice=replace(voice, base="Ryan", style=Style("calm", instruct="Calmly."))),
        replace(said, voice=replace(voice, reference=reference)),
        replace(said, voice=replace(voice, reference=replace(reference, digest="another"))),
    ]
    keys = {utterance_key(utterance, "engine") for utterance in [said, *others]} | {
        utterance_key(said, "another")
    }
    assert len(keys) == len(others) + 2
    cloned = replace(said, voice=replace(voice, reference=reference))
    renamed = replace(
        said, voice=replace(voice, name="Aunt May", reference=replace(reference, path=Path("b")))
    )
    assert utterance_key(cloned, "engine") == utterance_key(renamed, "engine")


def test_the_key_of_an_utterance_has_a_fixed_value() -> None:
    """Another value would make every stored entry useless: a new VERSION should say so."""
    voice = Voice("Oma (calm)", "", ("de",), "qwen3", Attribution("", ""), model="Qwen/Tiny")
    calm = replace(voice, base="Oma", style=Style("calm", "Speak calmly."))
    cloned = replace(voice, base="Oma", reference=Reference(Path("a.wav"), "ab" * 32))
    keys = [
        utterance_key(Utterance("Grüß Gott.", each, "de", 7), "qwen3 1.0").hex() for each in (calm, cloned)
    ]
    assert keys == [
        "1c61130553827c9d21f1351e57aaf057ef5cc64eedd5c639a429a5d37d5bdc41",
        "c56f94d09035f98f0206fbb17ee04113194ae604e5af8d3f175465af145604fe",
    ]
