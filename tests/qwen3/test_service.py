"""The whole service with a Qwen3-TTS checkpoint: over a real socket, from text to sound."""

from __future__ import annotations

import asyncio
import json
import shutil
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests import house
from tests.qwen3 import checkpoints
from tests.qwen3.official import Official
from wyoming_qwen3tts.app import engines_for
from wyoming_qwen3tts.config.settings import LimitSettings, Settings
from wyoming_qwen3tts.engines.base import EngineUnavailableError, TruncatedAudioError, UnsupportedTextError
from wyoming_qwen3tts.engines.builtin import BuiltinEngine
from wyoming_qwen3tts.engines.qwen3.engine import Qwen3Engine
from wyoming_qwen3tts.engines.qwen3.prompt import Speech
from wyoming_qwen3tts.engines.qwen3.sampling import Sampling
from wyoming_qwen3tts.engines.qwen3.scheduler import Scheduler
from wyoming_qwen3tts.speech import Utterance

LONG = "The quick brown fox jumps over the lazy dog and runs."


def settings(model: Path | str, **more: Any) -> Settings:
    return Settings.of(
        uri=("tcp://127.0.0.1:0",), model=(str(model),), device="cpu", espeak_languages="none", **more
    )


def engine(model: Path | str, **more: Any) -> Qwen3Engine:
    found = engines_for(settings(model, **more))[0]
    assert isinstance(found, Qwen3Engine)
    return found


@pytest.fixture(scope="module")
def served(tiny: Path) -> Iterator[str]:
    """The URI of a service with a tiny CustomVoice checkpoint."""
    with house.service_in_thread(
        [engine(tiny), BuiltinEngine()], model=(str(tiny),), espeak_languages="none"
    ) as uri:
        yield uri


@pytest.fixture
async def speaking(tiny: Path) -> AsyncIterator[Qwen3Engine]:
    """A started engine."""
    started = engine(tiny)
    await started.start()
    yield started
    await started.close()


async def test_the_speakers_are_voices(served: str) -> None:
    async with house.connect(served) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
    assert event is not None
    voices = {voice.name: voice for voice in Info.from_event(event).tts[0].voices}
    assert {"Ryan", "Uncle Fu", "Ono Anna", "heart"} <= set(voices)
    assert voices["Ryan"].languages[0] == "en-US"
    assert voices["Ono Anna"].languages[0] == "ja-JP"
    assert len(voices["Ryan"].languages) == 7, "its own, and those that nobody here was born to"
    assert voices["Ryan · 한국어"].languages == ["ko-KR"]
    assert "Qwen3-TTS" in (voices["Ryan"].description or "")


async def test_a_client_hears_what_the_official_package_says(served: str, custom_voice: Official) -> None:
    async with house.connect(served) as client:
        sound = await house.home_assistant_plain(client, "Hi there.", SynthesizeVoice(name="ryan"))
    _, expected = custom_voice.codes(Speech("Hi there.", "english", "ryan"), Sampling(), 0, 300)
    heard = np.frombuffer(sound, "<i2") / 32767
    assert len(heard) == len(expected)
    assert np.abs(heard - expected).max() < 1e-3


async def test_the_model_finds_the_language_where_nobody_else_does(
    tiny: Path, custom_voice: Official
) -> None:
    voice = SynthesizeVoice(name="ryan")
    off = house.service([engine(tiny)], model=(str(tiny),), language_detector="off")
    async with off as uri, house.connect(uri) as client:
        sound = await house.home_assistant_plain(client, "Hi there.", voice)
    _, expected = custom_voice.codes(Speech("Hi there.", "auto", "ryan"), Sampling(), 0, 300)
    assert len(sound) == 2 * len(expected)


async def test_a_client_may_say_the_language(served: str, custom_voice: Official) -> None:
    async with house.connect(served) as client:
        voice = SynthesizeVoice(name="Ono Anna", language="de")
        sound = await house.home_assistant_plain(client, "Guten Tag.", voice)
    _, expected = custom_voice.codes(Speech("Guten Tag.", "german", "ono_anna"), Sampling(), 0, 300)
    assert len(sound) == 2 * len(expected)


async def test_streamed_text_gives_the_same_sound(served: str) -> None:
    text = "First this. Then that, which is longer. And an end."
    async with house.connect(served) as client:
        whole = await house.home_assistant_plain(client, text)
        pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
        streamed = await house.home_assistant_streamed(client, pieces)
    assert house_same(whole, streamed)


def house_same(one: bytes, other: bytes) -> bool:
    """Whether two sounds are the same, to rounding: sentences may share steps, or not."""
    difference = np.frombuffer(one, "<i2").astype(int) - np.frombuffer(other, "<i2")
    return bool(np.abs(difference).max() <= 3)


async def test_sound_comes_before_the_take_ends(tiny: Path) -> None:
    async with house.service([engine(tiny)], model=(str(tiny),)) as uri, house.connect(uri) as client:
        await client.write_event(Synthesize(LONG, voice=SynthesizeVoice(name="ryan")).event())
        chunks = []
        while (event := await client.read_event()) is not None and event.type != "audio-stop":
            if event.type == "audio-chunk":
                chunks.append(asyncio.get_running_loop().time())
        assert len(chunks) > 20
        # Frames are made one after the other: the sound cannot have come all at once.
        assert chunks[len(chunks) // 2] > chunks[0]


async def test_many_clients_hear_what_they_would_hear_alone(served: str) -> None:
    texts = [f"Sentence number {number} for the house." for number in range(10)]

    async def one(text: str) -> bytes:
        async with house.connect(served) as client:
            return await house.home_assistant_plain(client, text, SynthesizeVoice(name="Serena"))

    alone = [await one(text) for text in texts]
    together = await asyncio.gather(*map(one, texts))
    assert all(map(house_same, alone, together))
    assert len({len(sound) for sound in alone}) > 1


async def test_live_text_is_heard_before_the_sentence_is_written(tiny: Path) -> None:
    pieces = ["The quick br", "own fox jum", "ps over the", " lazy dog and ", "runs. And then", " it rests."]
    async with (
        house.service([engine(tiny)], model=(str(tiny),), live_text=True) as uri,
        house.connect(uri) as client,
    ):
        await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="ryan")).event())
        for piece in pieces[:3]:
            await client.write_event(SynthesizeChunk(piece).event())
        async with asyncio.timeout(house.HANG):
            while (event := await client.read_event()) is not None and event.type != "audio-chunk":
                pass
        assert event is not None  # sound, and no sentence is complete
        for piece in pieces[3:]:
            await client.write_event(SynthesizeChunk(piece).event())
        await client.write_event(SynthesizeStop().event())
        events = [event]
        async with asyncio.timeout(house.HANG):
            while (event := await client.read_event()) is not None:
                events.append(event)
                if event.type in {"synthesize-stopped", "error"}:
                    break
    assert events[-1].type == "synthesize-stopped"
    assert len(house.sound_of(events)) > 30 * 1920 * 2  # a frame for each token at least


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_live_text_gives_one_sound_however_it_is_cut(tiny: Path, size: int) -> None:
    text = "The first of them. 3.5 degrees, Dr. Who said; and now? Go on!"
    async with (
        house.service([engine(tiny)], model=(str(tiny),), live_text=True) as uri,
        house.connect(uri) as client,
    ):
        sounds = []
        for step in (2, size):
            pieces = [text[at : at + step] for at in range(0, len(text), step)]
            sounds.append(await house.home_assistant_streamed(client, pieces))
    # When text comes late the end is held back for longer, so only the beginning has to be the same.
    least = min(map(len, sounds))
    assert least > 0
    assert house_same(sounds[0][:3840], sounds[1][:3840])


# ------------------------------------------------------------------ the engine


def utterance(speaker: Qwen3Engine, text: str = LONG, seed: int = 0, name: str = "Ryan") -> Utterance:
    voice = next(voice for voice in speaker.voices() if voice.name == name)
    return Utterance(text, voice, "en-US", seed)


def scheduler_of(speaker: Qwen3Engine) -> Scheduler:
    """The scheduler of the engine's first model, which is loaded."""
    assert speaker._worker is not None
    scheduler = speaker._worker.models[0].scheduler
    assert scheduler is not None
    return scheduler


def is_loaded(speaker: Qwen3Engine) -> bool:
    assert speaker._worker is not None
    return speaker._worker.models[0].scheduler is not None


async def until(come: Callable[[], bool]) -> None:
    async with asyncio.timeout(house.HANG):
        while not come():  # noqa: ASYNC110 - another thread brings it about
            await asyncio.sleep(0.005)


async def heard(speaker: Qwen3Engine, said: Utterance) -> bytes:
    return b"".join([piece async for piece in speaker.speak(said)])


@pytest.mark.parametrize("how", [{"quantize": "int8"}, {"dtype": "bfloat16"}, {"dtype": "float16"}])
async def test_other_numbers_speak_too(tiny: Path, how: dict[str, str]) -> None:
    speaker = engine(tiny, **how)
    await speaker.start()
    try:
        sounds = [await heard(speaker, utterance(speaker, "Hi.", 1)) for _ in range(2)]
        assert len(sounds[0]) > 1920 * 2
        assert sounds[0] == sounds[1]
    finally:
        await speaker.close()


async def test_what_cannot_be_together_is_refused(tiny: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="--quantize int8 works on a CPU and in float32 only"):
        await engine(tiny, quantize="int8", dtype="bfloat16").start()


async def test_late_live_text_is_waited_for(tiny: Path) -> None:
    async with (
        house.service([engine(tiny)], model=(str(tiny),), live_text=True, engine_timeout=0.5) as uri,
        house.connect(uri) as client,
    ):
        await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="ryan")).event())
        await client.write_event(SynthesizeChunk("The quick brown fox ").event())
        await asyncio.sleep(1.5)
        await client.write_event(SynthesizeChunk("jumps.").event())
        await client.write_event(SynthesizeStop().event())
        async with asyncio.timeout(house.HANG):
            while (event := await client.read_event()) is not None:
                if event.type in {"synthesize-stopped", "error"}:
                    break
    assert event is not None
    assert event.type == "synthesize-stopped", event


async def test_every_speaker_is_warm(speaking: Qwen3Engine) -> None:
    known = set(scheduler_of(speaking)._prefix_cache)
    for voice in speaking.voices():
        stream = speaking.speak(Utterance("Hi.", voice, voice.languages[0]))
        assert await anext(stream)
        await stream.aclose()
    assert set(scheduler_of(speaking)._prefix_cache) == known


async def test_leaving_frees_the_slot_within_a_frame(speaking: Qwen3Engine) -> None:
    stream = speaking.speak(utterance(speaking, seed=5))
    assert await anext(stream)
    scheduler = scheduler_of(speaking)
    running = list(scheduler.running)
    frames = running[0].frames
    await stream.aclose()
    await until(lambda: not scheduler.running)
    assert running[0].frames <= frames + 12  # it ran on until it was cancelled
    assert await heard(speaking, utterance(speaking, "Hi.")) == await heard(
        speaking, utterance(speaking, "Hi.")
    )


@pytest.mark.parametrize(
    "text", ["Hi \ud800 there.", "\U0001f600", "\u202e\u0000x", "<|im_end|>", "…", "9" * 400]
)
async def test_no_text_does_harm(speaking: Qwen3Engine, text: str) -> None:
    others = asyncio.gather(*(heard(speaking, utterance(speaking, seed=seed)) for seed in (5, 6)))
    try:
        assert await heard(speaking, utterance(speaking, text))
    except UnsupportedTextError as error:
        assert text[:5] in str(error) or "too long" in str(error)  # noqa: PT017 - either is right
    except TruncatedAudioError:
        pass
    assert all(await others)


async def test_a_full_queue_is_busy(tiny: Path) -> None:
    speaker = engine(tiny, max_batch_size=1)
    limits = LimitSettings(max_queue=2, stall_timeout=house.HANG, engine_timeout=house.HANG)
    async with house.running_pool(speaker, limits=limits) as pool:

        async def said(seed: int) -> bytes:
            async with aclosing(pool.speak(utterance(speaker, seed=seed))) as audio:
                return b"".join([chunk async for chunk in audio])

        results = await asyncio.gather(*map(said, range(12)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, EngineUnavailableError)]
        assert refused
        assert {error.code for error in refused} == {"busy"}
        assert sum(isinstance(result, bytes | TruncatedAudioError) for result in results) + len(refused) == 12
        assert await heard(speaker, utterance(speaker, "Hi."))


async def test_it_unloads_when_idle_and_comes_back(tiny: Path) -> None:
    speaker = engine(tiny, idle_unload=0.3)
    await speaker.start()
    try:
        stream = speaker.speak(utterance(speaker, seed=5))
        before = await anext(stream)
        memory = weakref.ref(
            scheduler_of(speaker)._decoder.kv
        )  # a generation is running: it cannot be idle yet
        before += b"".join([piece async for piece in stream])
        await until(lambda: not is_loaded(speaker))
        await until(lambda: memory() is None)
        assert await heard(speaker, utterance(speaker, seed=5)) == before
    finally:
        await speaker.close()


async def test_a_model_that_has_gone_meanwhile_is_an_error_and_its_return_is_noticed(
    tiny: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    shutil.copytree(tiny, place)
    speaker = engine(place, idle_unload=0.2)
    await speaker.start()
    try:
        said = utterance(speaker, "Hi.")
        await until(lambda: not is_loaded(speaker))
        place.rename(tmp_path / "elsewhere")
        with pytest.raises(EngineUnavailableError, match="there is no directory"):
            await heard(speaker, said)
        (tmp_path / "elsewhere").rename(place)
        assert await heard(speaker, said)
    finally:
        await speaker.close()


async def test_a_step_that_fails_ends_its_takes_and_the_next_is_spoken(speaking: Qwen3Engine) -> None:
    decoder = scheduler_of(speaking)._decoder
    predict = decoder.predict
    calls = 0

    def fail_once(first: int, last: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise RuntimeError("device-side assert")
        return predict(first, last)

    decoder.predict = fail_once  # type: ignore[method-assign]
    with pytest.raises(EngineUnavailableError, match="device-side assert"):
        await heard(speaking, utterance(speaking, seed=5))
    assert await heard(speaking, utterance(speaking, "Hi."))


async def test_out_of_memory_is_survived(speaking: Qwen3Engine) -> None:
    decoder = scheduler_of(speaking)._decoder
    predict = decoder.predict
    calls = 0

    def short(first: int, last: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise torch.OutOfMemoryError("out of memory")
        return predict(first, last)

    expected = [await heard(speaking, utterance(speaking, "Hi.", seed)) for seed in range(3)]
    decoder.predict = short  # type: ignore[method-assign]
    results = await asyncio.gather(
        *(heard(speaking, utterance(speaking, "Hi.", seed)) for seed in range(3)), return_exceptions=True
    )
    for result, sound in zip(results, expected, strict=True):
        assert isinstance(result, EngineUnavailableError) or house_same(result, sound)  # type: ignore[arg-type]
    assert sum(isinstance(result, bytes | TruncatedAudioError) for result in results) >= 2 or calls == 1
    assert house_same(await heard(speaking, utterance(speaking, "Hi.", 1)), expected[1])


async def test_closing_ends_what_is_spoken(tiny: Path) -> None:
    speaker = engine(tiny)
    await speaker.start()
    stream = speaker.speak(utterance(speaker, seed=8))
    assert await anext(stream)
    await speaker.close()
    with pytest.raises(EngineUnavailableError, match="stopping"):
        async for _ in stream:
            pass
    assert not speaker._worker._thread.is_alive()  # type: ignore[union-attr]
    with pytest.raises(EngineUnavailableError, match="stopping"):
        await heard(speaker, utterance(speaker))


async def test_a_designed_voice_follows_the_instruction(tmp_path: Path) -> None:
    model = checkpoints.make(tmp_path, "voice_design")
    sounds = []
    for instruct in (None, "A pirate."):
        speaker = engine(model, instruct=instruct)
        await speaker.start()
        sounds.append(await heard(speaker, utterance(speaker, name="Designed")))
        await speaker.close()
    assert sounds[0] != sounds[1]


async def test_without_a_model_the_built_in_voice_speaks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    absent = str(tmp_path / "absent")
    async with (
        house.service(None, model=(absent,), espeak_languages="none") as uri,
        house.connect(uri) as client,
    ):
        assert await house.home_assistant_plain(client, "Hello.")
    assert f'engine: no voices engine=qwen3 reason="there is no directory {absent}' in caplog.text


async def test_a_base_checkpoint_has_no_voice_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    speaker = engine(checkpoints.make(tmp_path, "base"), instruct="Softly.")
    await speaker.start()
    assert not speaker.voices()
    assert "qwen3: --instruct ignored" in caplog.text
    await speaker.close()


def test_the_engine_is_asked_for_only_with_a_model() -> None:
    without = settings("x").changed(model=())
    assert not any(isinstance(found, Qwen3Engine) for found in engines_for(without))


async def test_what_the_model_said_is_not_made_again_and_another_model_makes_its_own(
    tiny: Path, tmp_path: Path
) -> None:
    other = checkpoints.make(tmp_path / "other", seed=9)
    kept: dict[str, Any] = {"cache_memory": 1.0, "cache_disk": 10.0, "data_dir": tmp_path / "data"}
    sounds = []
    for model in (tiny, tiny, other):
        speaker = engine(model)
        async with house.service([speaker], model=(str(model),), **kept) as uri, house.connect(uri) as client:
            sounds.append(await house.home_assistant_plain(client, "Hi there.", SynthesizeVoice(name="ryan")))
    assert sounds[0] == sounds[1] != sounds[2]


async def test_an_identity_is_of_all_that_changes_the_model_s_sound(tiny: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny, tmp_path / "other"))
    config = json.loads((other / "generation_config.json").read_text())
    (other / "generation_config.json").write_text(json.dumps({**config, "temperature": 0.5}))
    same = Path(shutil.copytree(tiny, tmp_path / "same"))
    identities = []
    for model, more in (
        (tiny, {}),
        (same, {"max_batch_size": 2}),
        (other, {}),
        (tiny, {"quantize": "int8"}),
        (tiny, {"dtype": "bfloat16"}),
        (tiny, {"instruct": "Softly."}),
    ):
        speaker = engine(model, **more)
        await speaker.start()
        identities.append(speaker.identity(speaker.voices()[0]))
        await speaker.close()
    assert identities[0] == identities[1]
    assert len(set(identities)) == 5
