"""Several models in one service: loaded when they are needed, and as many as the memory allows."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.qwen3 import checkpoints
from tests.qwen3.recordings import recording
from tests.qwen3.test_service import heard, until
from wyoming_qwen3tts.engines.base import EngineUnavailable
from wyoming_qwen3tts.engines.qwen3 import checkpoint
from wyoming_qwen3tts.engines.qwen3.checkpoint import Source
from wyoming_qwen3tts.engines.qwen3.engine import Qwen3Engine
from wyoming_qwen3tts.engines.qwen3.residents import GIGABYTE
from wyoming_qwen3tts.service import engines_for
from wyoming_qwen3tts.settings import Settings
from wyoming_qwen3tts.speech import Recorded, Utterance, Voice

SEED = 8
"""With it the tiny VoiceDesign checkpoint finds an end."""
LONG = "The quick brown fox jumps over the lazy dog and runs."


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint of each kind."""
    place = tmp_path_factory.mktemp("models")
    return {kind: checkpoints.make(place / kind, kind) for kind in ("custom_voice", "base", "voice_design")}


@asynccontextmanager
async def speaking(*directories: Path, **settings: Any) -> AsyncIterator[Qwen3Engine]:
    """A started engine with these models."""
    with tempfile.TemporaryDirectory() as data:
        asked = Settings(model=tuple(map(str, directories)), device="cpu", data_dir=Path(data), **settings)
        engine = engines_for(asked)[0]
        assert isinstance(engine, Qwen3Engine)
        try:
            await engine.start()
            yield engine
        finally:
            await engine.close()


def loaded(engine: Qwen3Engine) -> set[str]:
    return {Path(name).name for name, status in engine.status().items() if status["loaded"]}


def both(engine: Qwen3Engine, tmp_path: Path) -> tuple[Voice, Voice]:
    """A voice of the CustomVoice model, and a clone."""
    ryan = next(voice for voice in engine.voices() if voice.name == "Ryan")
    reference = recording(tmp_path, transcript="Good evening.")
    clone = engine.clone(Recorded("Grandma", reference, seed=3))
    return ryan, clone


def budget(*directories: Path, spare: float = 0.0) -> float:
    """Gigabytes that these models take together, and ``spare`` of the last one more."""
    sizes = [checkpoint.about(directory).memory(torch.float32, 8, 2048) for directory in directories]
    return (sum(sizes) + spare * sizes[-1]) / GIGABYTE


async def test_a_voice_knows_its_model_and_that_is_loaded_when_it_is_needed(
    models: dict[str, Path], tmp_path: Path
) -> None:
    async with speaking(models["custom_voice"], models["base"]) as engine:
        ryan, clone = both(engine, tmp_path)
        assert (Path(ryan.model), Path(clone.model)) == (models["custom_voice"], models["base"])
        assert loaded(engine) == {"custom_voice"}
        assert await heard(engine, Utterance("Hi.", clone, "en-US", 3))
        assert loaded(engine) == {"custom_voice", "base"}
        assert await heard(engine, Utterance("Hi.", ryan, "en-US"))


async def test_the_least_recently_used_leaves_when_memory_is_short_and_comes_back_the_same(
    models: dict[str, Path], tmp_path: Path
) -> None:
    short = budget(models["custom_voice"], models["base"], spare=-0.5)
    async with speaking(models["custom_voice"], models["base"], memory_budget=short) as engine:
        ryan, clone = both(engine, tmp_path)
        said = [Utterance("Good evening.", ryan, "en-US"), Utterance("Hi.", clone, "en-US", 3)]
        first = [await heard(engine, utterance) for utterance in said]
        assert loaded(engine) == {"base"}
        again = [await heard(engine, utterance) for utterance in said]
        assert again == first
        assert loaded(engine) == {"base"}
        assert engine.status()[str(models["base"])]["clones"]["made"] == 1  # then it came from disk


async def test_a_model_that_speaks_finishes_before_it_leaves_and_then_has_its_turn_again(
    models: dict[str, Path], tmp_path: Path
) -> None:
    short = budget(models["custom_voice"], models["base"], spare=-0.5)
    async with speaking(models["custom_voice"], models["base"], memory_budget=short) as engine:
        ryan, clone = both(engine, tmp_path)
        alone = [
            await heard(engine, utterance)
            for utterance in (
                Utterance(LONG, ryan, "en-US", 5),
                Utterance("Hi.", clone, "en-US", 3),
                Utterance("Good evening.", ryan, "en-US"),
            )
        ]
        stream = engine.speak(Utterance(LONG, ryan, "en-US", 5))
        sound = await anext(stream)
        clone_speaks = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
        await asyncio.sleep(0.05)
        ryan_again = asyncio.create_task(heard(engine, Utterance("Good evening.", ryan, "en-US")))
        sound += b"".join([piece async for piece in stream])
        assert [sound, await clone_speaks, await ryan_again] == alone


async def test_others_speak_while_a_model_is_read(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, go_on = threading.Event(), threading.Event()
    load: Callable[..., Any] = checkpoint.load

    def slow(directory: Path, *arguments: Any) -> Any:
        if directory.name == "base":
            read.set()
            assert go_on.wait(60)
        return load(directory, *arguments)

    monkeypatch.setattr(checkpoint, "load", slow)
    async with speaking(models["custom_voice"], models["base"]) as engine:
        ryan, clone = both(engine, tmp_path)
        waiting = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
        await until(read.is_set)
        assert await heard(engine, Utterance(LONG, ryan, "en-US", 5))
        assert not waiting.done()
        go_on.set()
        assert await waiting


async def test_whoever_leaves_before_the_model_is_there_is_forgotten(
    models: dict[str, Path], tmp_path: Path
) -> None:
    async with speaking(models["custom_voice"], models["base"]) as engine:
        ryan, clone = both(engine, tmp_path)
        waiting = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert await heard(engine, Utterance("Hi.", clone, "en-US", 3))
        assert await heard(engine, Utterance("Hi.", ryan, "en-US"))


async def test_a_model_larger_than_the_budget_is_one_sentence(models: dict[str, Path]) -> None:
    with pytest.raises(EngineUnavailable, match=r"CustomVoice takes about 0\.\d+ GB, and --memory-budget is"):
        async with speaking(models["custom_voice"], memory_budget=0.001):
            pass


async def test_a_clone_of_a_model_larger_than_what_is_there_does_not_harm_the_others(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Callable[..., Any] = checkpoint.load

    def short(directory: Path, *arguments: Any) -> Any:
        if directory.name == "base":
            raise torch.OutOfMemoryError("out of memory")
        return load(directory, *arguments)

    monkeypatch.setattr(checkpoint, "load", short)
    async with speaking(models["custom_voice"], models["base"]) as engine:
        ryan, clone = both(engine, tmp_path)
        with pytest.raises(EngineUnavailable, match="the model cannot be loaded: out of memory"):
            await heard(engine, Utterance("Hi.", clone, "en-US", 3))
        assert await heard(engine, Utterance("Hi.", ryan, "en-US"))
        monkeypatch.setattr(checkpoint, "load", load)
        assert await heard(engine, Utterance("Hi.", clone, "en-US", 3))


async def test_a_model_that_is_no_good_is_left_out(
    models: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = Path(shutil.copytree(models["base"], tmp_path / "damaged"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    async with speaking(damaged, models["custom_voice"]) as engine:
        assert loaded(engine) == {"custom_voice"}
        assert "One model less:" in caplog.text
        assert "it was cut off" in caplog.text
    with pytest.raises(EngineUnavailable, match="it was cut off"):
        async with speaking(damaged, tmp_path / "absent"):
            pass


async def test_two_models_with_the_same_speakers_have_voices_of_their_own(
    models: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = checkpoints.make(tmp_path / "other", seed=9)
    third = checkpoints.make(tmp_path / "third", seed=10)
    async with speaking(models["custom_voice"], other, third) as engine:
        voices = {voice.name: voice for voice in engine.voices()}
        assert len(voices) == len(engine.voices()) == 18
        sounds = [
            await heard(engine, Utterance("Hi there.", voices[name], "en-US"))
            for name in ("Ryan", "Ryan 1.7B")
        ]
        assert sounds[0] != sounds[1]
        assert f"There are two voices Ryan 1.7B: that of {third} is left out" in caplog.text


async def test_a_voice_is_designed_and_its_model_leaves(models: dict[str, Path]) -> None:
    async with speaking(models["base"], models["voice_design"]) as engine:
        assert not engine.voices()
        sounds = [
            b"".join([piece async for piece in engine.design(description, "Hello there.", "en", SEED)])
            for description in ("A warm grandmother.", "A warm grandmother.", "A pirate.")
        ]
        assert sounds[0] == sounds[1] != sounds[2]
        await until(lambda: "voice_design" not in loaded(engine))
    async with speaking(models["base"]) as engine:
        with pytest.raises(EngineUnavailable, match="designing needs a VoiceDesign checkpoint"):
            await anext(engine.design("A pirate.", "Hello.", "en", 1))


async def test_idle_models_leave_one_by_one(models: dict[str, Path], tmp_path: Path) -> None:
    async with speaking(models["custom_voice"], models["base"], idle_unload=0.3) as engine:
        ryan, clone = both(engine, tmp_path)
        assert await heard(engine, Utterance("Hi.", clone, "en-US", 3))
        await until(lambda: not loaded(engine))
        assert await heard(engine, Utterance("Hi.", ryan, "en-US"))
        assert "base" not in loaded(engine)


def test_a_model_may_name_its_revision(tmp_path: Path) -> None:
    assert Source.parse("a/b@c", "d", None, False) == Source("a/b", "c")
    assert Source.parse("a/b", "d", None, True) == Source("a/b", "d", None, True)
    (tmp_path / "x@y").mkdir()
    assert Source.parse(f"{tmp_path}/x@y", None, None, False) == Source(f"{tmp_path}/x@y")


def test_a_fingerprint_tells_models_apart(models: dict[str, Path], tmp_path: Path) -> None:
    def fingerprint(directory: Path, dtype: torch.dtype = torch.float32) -> str:
        return checkpoint.fingerprint(directory, dtype)

    one = fingerprint(models["base"])
    assert one == fingerprint(Path(shutil.copytree(models["base"], tmp_path / "copy")))
    assert len({one, fingerprint(models["base"], torch.bfloat16), fingerprint(models["custom_voice"])}) == 3
    assert one != fingerprint(checkpoints.make(tmp_path / "other", "base", seed=9))


def test_a_checkpoint_says_what_it_is_without_being_loaded(models: dict[str, Path]) -> None:
    about = checkpoint.about(models["custom_voice"])
    assert about.name == "Qwen3-TTS 1.7B CustomVoice"
    assert about.hears_instructions
    assert len(about.speakers) == 9
    assert len(about.languages) == 10
    assert not checkpoint.about(models["base"]).hears_instructions
    assert not checkpoint.hears_instructions("custom_voice", "0.6B")
