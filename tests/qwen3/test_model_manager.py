"""Several models in one service: loaded when they are needed, and as many as the memory allows."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import house
from tests.qwen3 import checkpoints
from tests.qwen3.recordings import recording
from tests.qwen3.test_service import heard, until
from wyoming_qwen3tts.app import engines_for
from wyoming_qwen3tts.config.settings import Settings
from wyoming_qwen3tts.engines.base import EngineUnavailableError, LoadStep
from wyoming_qwen3tts.engines.qwen3 import checkpoint, download, model_manager
from wyoming_qwen3tts.engines.qwen3.decoder import Decoder
from wyoming_qwen3tts.engines.qwen3.download import Source
from wyoming_qwen3tts.engines.qwen3.engine import Qwen3Engine, _AudioQueue
from wyoming_qwen3tts.engines.qwen3.model_manager import GIGABYTE, LoadedModel, ModelManager
from wyoming_qwen3tts.engines.qwen3.scheduler import Scheduler
from wyoming_qwen3tts.engines.qwen3.worker import Worker
from wyoming_qwen3tts.speech import CustomVoice, TextFeed, Utterance, Voice

SEED = 8
"""With it the tiny VoiceDesign checkpoint finds an end."""
LONG = "The quick brown fox jumps over the lazy dog and runs."


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint of each kind."""
    place = tmp_path_factory.mktemp("models")
    return {kind: checkpoints.make(place / kind, kind) for kind in ("custom_voice", "base", "voice_design")}


@pytest.fixture(autouse=True)
def nobody_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_manager, "MIN_LOADED_SECONDS", 0.0)


@asynccontextmanager
async def speaking(*directories: Path, **settings: Any) -> AsyncIterator[Qwen3Engine]:
    """A started engine with these models."""
    with tempfile.TemporaryDirectory() as data:
        asked = Settings.of(model=tuple(map(str, directories)), device="cpu", data_dir=Path(data), **settings)
        engine = engines_for(asked)[0]
        assert isinstance(engine, Qwen3Engine)
        try:
            await engine.start()
            yield engine
        finally:
            await engine.close()


class Loads:
    """Replaces ``checkpoint.load``, and can block the loader threads."""

    def __init__(self) -> None:
        self.of: list[str] = []
        """The names of the directories that were read."""
        self.held = ""
        """The name of a directory that is not read before ``go_on``."""
        self.go_on = threading.Event()
        self._load: Callable[..., Any] = checkpoint.load

    def __call__(self, directory: Path, *arguments: Any) -> Any:
        self.of.append(directory.name)
        if directory.name == self.held:
            assert self.go_on.wait(60)
        return self._load(directory, *arguments)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loads]:
    counted = Loads()
    monkeypatch.setattr(checkpoint, "load", counted)
    yield counted
    counted.go_on.set()


def worker_of(engine: Qwen3Engine) -> Worker:
    assert engine._worker is not None
    return engine._worker


async def all_of(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])


async def at_rest(engine: Qwen3Engine) -> None:
    """Wait until the device's thread has done what it was asked for, and reads nothing."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    worker_of(engine)._commands.put(lambda: loop.call_soon_threadsafe(done.set))
    await done.wait()
    there = worker_of(engine)._model_manager
    await until(lambda: there._loading is None and not there._load_queue)
    await until(lambda: not any(loaded_model.warm_up_calls for loaded_model in there.loaded))


def fails_on_device(*_: object) -> None:
    raise RuntimeError("CUDA error: device-side assert triggered")


def loaded(engine: Qwen3Engine) -> set[str]:
    return {Path(name).name for name, status in engine.status().items() if status["loaded"]}


def both(engine: Qwen3Engine, tmp_path: Path) -> tuple[Voice, Voice]:
    """A voice of the CustomVoice model, and a clone."""
    ryan = next(voice for voice in engine.voices() if voice.name == "Ryan")
    reference = recording(tmp_path, transcript="Good evening.")
    clone = engine.clone(CustomVoice("Grandma", reference, seed=3))
    return ryan, clone


def budget(*directories: Path, spare: float = 0.0) -> float:
    """Gigabytes of these models together, plus the fraction ``spare`` of the last one."""
    sizes = [
        download.read_info(directory).estimate_memory(torch.float32, 8, 2048) for directory in directories
    ]
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


async def test_the_step_before_a_model_can_speak_is_reported(
    models: dict[str, Path], loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads.held = "custom_voice"
    steps: list[LoadStep | None] = []
    warm = ModelManager._warm

    def watched(manager: ModelManager, loaded_model: LoadedModel) -> None:
        steps.append(manager.load_step())
        warm(manager, loaded_model)

    monkeypatch.setattr(ModelManager, "_warm", watched)
    with tempfile.TemporaryDirectory() as data:
        settings = Settings.of(model=(str(models["custom_voice"]),), device="cpu", data_dir=Path(data))
        engine = engines_for(settings)[0]
        assert engine.load_step() is None
        starting = asyncio.create_task(engine.start())
        try:
            await until(lambda: engine.load_step() is not None)
            assert engine.load_step() == LoadStep("reading", str(models["custom_voice"]), None, None)
            loads.go_on.set()
            await starting
            assert engine.load_step() is None
        finally:
            await engine.close()
    shares = [step.share for step in steps if step is not None and step.share is not None]
    assert {step.step for step in steps if step is not None} == {"warming up"}
    assert len(shares) == len(steps) > 1
    assert shares == sorted(shares)
    assert shares[0] == 0.0


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
    models: dict[str, Path], tmp_path: Path, loads: Loads
) -> None:
    loads.held = "base"
    async with speaking(models["custom_voice"], models["base"]) as engine:
        ryan, clone = both(engine, tmp_path)
        waiting = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
        await until(lambda: "base" in loads.of)
        assert await heard(engine, Utterance(LONG, ryan, "en-US", 5))
        assert not waiting.done()
        loads.go_on.set()
        assert await waiting


async def test_a_model_keeps_its_place_while_a_reply_goes_on(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: Loads
) -> None:
    monkeypatch.setattr(model_manager, "MIN_LOADED_SECONDS", 600.0)
    short = budget(models["custom_voice"], models["base"], spare=-0.5)
    async with speaking(models["custom_voice"], models["base"], memory_budget=short) as engine:
        voices = both(engine, tmp_path)
        ended: list[str] = []

        async def reply(voice: Voice) -> None:
            for sentence in ("Good evening.", "Hi.", "Hi there."):
                assert await heard(engine, Utterance(sentence, voice, "en-US", 3))
            ended.append(voice.name)

        await asyncio.gather(*map(reply, voices))
        # The thread wakes by itself when the first has paused.
        assert ended == ["Ryan", "Grandma"]
        assert loads.of == ["custom_voice", "base"]


async def test_a_model_that_is_always_used_leaves_all_the_same(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_manager, "MIN_LOADED_SECONDS", 0.2)
    monkeypatch.setattr(model_manager, "IDLE_SECONDS", 600.0)
    short = budget(models["custom_voice"], models["base"], spare=-0.5)
    async with speaking(models["custom_voice"], models["base"], memory_budget=short) as engine:
        ryan, clone = both(engine, tmp_path)
        other = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
        async with asyncio.timeout(house.HANG):
            while not other.done():
                assert await heard(engine, Utterance("Hi.", ryan, "en-US", 3))
        assert await other


async def test_a_model_is_put_together_where_it_is_read(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    build = ModelManager._build

    def noted(self: ModelManager, found: Any) -> Any:
        threads.append(threading.current_thread().name)
        return build(self, found)

    monkeypatch.setattr(ModelManager, "_build", noted)
    async with speaking(models["custom_voice"]):
        assert threads == ["qwen3-loader"]


async def test_a_model_is_looked_for_again_only_if_it_has_gone(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: Loads
) -> None:
    asked: list[Source] = []
    mine = Path(shutil.copytree(models["base"], tmp_path / "mine"))
    async with speaking(models["custom_voice"], mine) as engine:
        _, clone = both(engine, tmp_path)
        said = Utterance("Hi.", clone, "en-US", 3)

        def find(source: Source, **_: object) -> Path:
            asked.append(source)
            return moved

        monkeypatch.setattr(download, "find", find)
        sound = await heard(engine, said)
        assert not asked
        worker_of(engine).unload(str(mine))
        await until(lambda: "mine" not in loaded(engine))
        moved = mine.rename(tmp_path / "moved")
        assert await heard(engine, said) == sound
        assert len(asked) == 1
        assert loads.of == ["custom_voice", "mine", "moved"]


async def test_freed_memory_goes_back_to_the_system(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(model_manager, "_malloc_trim", lambda: calls.append)
    async with speaking(models["custom_voice"], idle_unload=0.1) as engine:
        assert calls == [0]
        await until(lambda: not loaded(engine))
        await at_rest(engine)
        assert calls == [0, 0]


def test_memory_is_left_to_a_c_library_that_has_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert model_manager._malloc_trim.__wrapped__() is None


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


async def test_whoever_leaves_makes_room_for_others_that_wait(
    models: dict[str, Path], tmp_path: Path, loads: Loads
) -> None:
    loads.held = "base"
    async with speaking(models["custom_voice"], models["base"]) as engine:
        _, clone = both(engine, tmp_path)
        for _ in range(5):
            gone = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
            await asyncio.sleep(0.01)
            gone.cancel()
            await asyncio.wait({gone})
        last = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
        await until(lambda: len(worker_of(engine).models[1].waiting_callbacks) == 1)
        loads.go_on.set()
        assert await last


async def test_a_model_larger_than_the_budget_is_one_sentence(models: dict[str, Path]) -> None:
    with pytest.raises(
        EngineUnavailableError, match=r"CustomVoice takes about 0\.\d+ GB, and --memory-budget is"
    ):
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
        with pytest.raises(EngineUnavailableError, match="the model cannot be loaded: out of memory"):
            await heard(engine, Utterance("Hi.", clone, "en-US", 3))
        assert await heard(engine, Utterance("Hi.", ryan, "en-US"))
        monkeypatch.setattr(checkpoint, "load", load)
        assert await heard(engine, Utterance("Hi.", clone, "en-US", 3))


async def test_a_chore_drives_no_model_out(models: dict[str, Path], tmp_path: Path) -> None:
    other = checkpoints.make(tmp_path / "other", "base", seed=9)
    short = budget(models["custom_voice"], models["base"], spare=0.5)
    async with speaking(models["custom_voice"], models["base"], other, memory_budget=short) as engine:
        voices = [
            engine.clone(CustomVoice(model.name, recording(tmp_path), model=str(model)))
            for model in (models["base"], other)
        ]
        # Each one fits alone, but not both; the second one has no request.
        first, second = [asyncio.create_task(engine.prepare_voice(voice)) for voice in voices]
        await first
        await at_rest(engine)
        assert loaded(engine) == {"custom_voice", "base"}
        second.cancel()
        await asyncio.wait({second})


async def test_a_chore_for_a_model_that_never_fits_ends(models: dict[str, Path], tmp_path: Path) -> None:
    short = (budget(models["custom_voice"]) + budget(models["base"])) / 2
    assert budget(models["custom_voice"]) < short
    async with speaking(models["custom_voice"], models["base"], memory_budget=short) as engine:
        _, clone = both(engine, tmp_path)
        with pytest.raises(EngineUnavailableError, match=r"Base takes about .* and --memory-budget is"):
            await engine.prepare_voice(clone)


async def test_a_chore_is_done_with_little_memory_where_nothing_is_loaded(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_manager, "free_memory", lambda device: 1)
    asked = Settings.of(model=(str(models["base"]),), device="cpu", data_dir=tmp_path)
    engine = Qwen3Engine(asked.model, asked.voices.prompts, load_at_start=False)
    await engine.start()
    try:
        await engine.prepare_voice(engine.clone(CustomVoice("Grandma", recording(tmp_path))))
    finally:
        await engine.close()


async def test_a_model_that_is_no_good_is_left_out(
    models: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = Path(shutil.copytree(models["base"], tmp_path / "damaged"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    async with speaking(damaged, models["custom_voice"]) as engine:
        assert loaded(engine) == {"custom_voice"}
        assert "qwen3: model skipped" in caplog.text
        assert "is truncated" in caplog.text
    with pytest.raises(EngineUnavailableError, match="is truncated"):
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
        assert f'duplicate voice skipped voice="Ryan 1.7B" model={third}' in caplog.text


async def test_a_voice_is_designed_and_its_model_leaves(models: dict[str, Path]) -> None:
    async with speaking(models["base"], models["voice_design"]) as engine:
        assert not engine.voices()
        sounds = [
            b"".join([piece async for piece in engine.design(description, "Hello there.", "en", SEED)])
            for description in ("A warm grandmother.", "A warm grandmother.", "A pirate.")
        ]
        assert sounds[0] == sounds[1] != sounds[2]
        assert "voice_design" in loaded(engine)  # for another attempt
        engine.end_design()
        await until(lambda: "voice_design" not in loaded(engine))
    async with speaking(models["base"]) as engine:
        with pytest.raises(EngineUnavailableError, match="designing needs a VoiceDesign checkpoint"):
            await anext(engine.design("A pirate.", "Hello.", "en", 1))


async def test_idle_models_leave_one_by_one(models: dict[str, Path], tmp_path: Path) -> None:
    async with speaking(models["custom_voice"], models["base"], idle_unload=0.3) as engine:
        ryan, clone = both(engine, tmp_path)
        assert await heard(engine, Utterance("Hi.", clone, "en-US", 3))
        await until(lambda: not loaded(engine))
        assert await heard(engine, Utterance("Hi.", ryan, "en-US"))
        assert "base" not in loaded(engine)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_design_that_is_given_up_leaves_no_model(
    models: dict[str, Path], loads: Loads, begun: bool
) -> None:
    loads.held = "" if begun else "voice_design"
    async with speaking(models["base"], models["voice_design"]) as engine:
        stream = engine.design("A pirate.", LONG, "en", 5)
        first = asyncio.ensure_future(anext(stream))
        await until(lambda: "voice_design" in loads.of)
        if begun:
            await first
        first.cancel()
        await asyncio.wait({first})
        await stream.aclose()
        engine.end_design()
        loads.go_on.set()
        await at_rest(engine)
        await until(lambda: "voice_design" not in loaded(engine))


# ------------------------------------------------------------------ text that is still written


async def test_text_comes_though_the_model_is_to_leave(models: dict[str, Path], tmp_path: Path) -> None:
    short = budget(models["custom_voice"], models["base"], spare=-0.5)
    async with speaking(models["custom_voice"], models["base"], memory_budget=short) as engine:
        ryan, clone = both(engine, tmp_path)
        feed = TextFeed()
        stream = engine.speak_live(Utterance("The quick brown fox ", ryan, "en-US", 5), feed)
        await anext(stream)
        other = asyncio.create_task(heard(engine, Utterance("Hi.", clone, "en-US", 3)))
        await until(lambda: worker_of(engine).models[0].is_evicting)
        feed.push("jumps over the lazy dog ")
        feed.push("and runs.")
        feed.end()
        assert await all_of(stream)
        assert await other


async def test_text_comes_though_a_new_clone_waits_for_another_model(
    models: dict[str, Path], tmp_path: Path, loads: Loads
) -> None:
    loads.held = "custom_voice"
    async with speaking(models["base"], models["custom_voice"]) as engine:
        ryan, clone = both(engine, tmp_path)
        new = engine.clone(CustomVoice("Grandpa", recording(tmp_path, seed=5), seed=3))
        feed = TextFeed()
        stream = engine.speak_live(Utterance("The quick brown fox ", clone, "en-US", 5), feed)
        await anext(stream)
        others = [asyncio.create_task(heard(engine, Utterance("Hi.", ryan, "en-US", 3)))]
        await until(lambda: "custom_voice" in loads.of)
        # A new clone is not computed while a model is read: torch's default dtype changes meanwhile.
        others.append(asyncio.create_task(heard(engine, Utterance("Hi.", new, "en-US", 3))))
        await until(lambda: bool(worker_of(engine).models[0].waiting_callbacks))
        feed.push("jumps over the lazy dog.")
        feed.end()
        assert await all_of(stream)
        loads.go_on.set()
        assert all(await asyncio.gather(*others))


async def test_pieces_of_a_text_are_not_utterances_that_wait(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: Loads
) -> None:
    loads.held = "base"
    ends: list[BaseException | None] = []
    end = _AudioQueue.end

    def noted(self: _AudioQueue, error: BaseException | None) -> None:
        ends.append(error)
        end(self, error)

    monkeypatch.setattr(_AudioQueue, "end", noted)
    async with speaking(models["custom_voice"], models["base"]) as engine:
        _, clone = both(engine, tmp_path)
        feed = TextFeed()
        said = asyncio.create_task(all_of(engine.speak_live(Utterance("", clone, "en-US", 5), feed)))
        for word in LONG.split(" "):
            feed.push(word + " ")
            await asyncio.sleep(0)
        feed.end()
        await until(lambda: "base" in loads.of)
        loads.go_on.set()
        assert await said
        await at_rest(engine)
        assert ends == [None]


async def test_who_waits_for_text_does_not_keep_an_idle_model(
    models: dict[str, Path], tmp_path: Path
) -> None:
    third = models["voice_design"]
    short = budget(models["custom_voice"], third, spare=0.3)
    async with speaking(models["custom_voice"], models["base"], third, memory_budget=short) as engine:
        ryan, clone = both(engine, tmp_path)
        feed = TextFeed()
        stream = engine.speak_live(Utterance("The quick brown fox ", ryan, "en-US", 5), feed)
        async with aclosing(stream):
            await anext(stream)
            scheduler = worker_of(engine).models[0].scheduler
            assert scheduler is not None
            await until(lambda: scheduler.idle)
            assert await heard(engine, Utterance("Hi.", clone, "en-US", 3))
            assert loaded(engine) == {"custom_voice", "base"}
            assert await all_of(engine.design("A warm grandmother.", "Hello there.", "en", SEED))


# ------------------------------------------------------------------ what fails


@pytest.mark.parametrize("where", ["placing", "warming up"])
async def test_a_first_model_that_does_not_fit_is_read_once_and_let_go(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, loads: Loads, where: str
) -> None:
    made: list[weakref.ref[Scheduler]] = []
    init, place, remember = Scheduler.__init__, ModelManager._move_to_device, Scheduler.cache_prefix

    def noted(self: Scheduler, *arguments: Any, **more: Any) -> None:
        init(self, *arguments, **more)
        made.append(weakref.ref(self))

    def short_of_room(self: ModelManager, loaded_model: LoadedModel, *more: Any) -> None:
        place(self, loaded_model, *more)
        if "custom_voice" in loaded_model.name:
            raise torch.OutOfMemoryError("no room")

    def short_of_more(self: Scheduler, speech: Any) -> None:
        if self.builder.kind == "custom_voice":
            raise torch.OutOfMemoryError("no room")
        remember(self, speech)

    monkeypatch.setattr(Scheduler, "__init__", noted)
    if where == "placing":
        monkeypatch.setattr(ModelManager, "_move_to_device", short_of_room)
    else:
        monkeypatch.setattr(Scheduler, "cache_prefix", short_of_more)
    async with speaking(models["custom_voice"], models["voice_design"]) as engine:
        await at_rest(engine)
        assert [about.kind for about in engine._models.values()] == ["voice_design"]
        assert loads.of == ["custom_voice", "voice_design"]
        if where == "placing":  # else the log, which pytest keeps, holds the traceback and so the model
            gc.collect()
            assert [one.builder.kind for ref in made if (one := ref()) is not None] == ["voice_design"]


async def test_a_model_that_cannot_be_warmed_up_is_read_once(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: Loads
) -> None:
    def short(*_: object) -> None:
        raise torch.OutOfMemoryError("no room")

    async with speaking(models["custom_voice"], models["base"]) as engine:
        _, clone = both(engine, tmp_path)
        monkeypatch.setattr(Decoder, "advance", short)
        with pytest.raises(EngineUnavailableError, match="the device is out of memory"):
            await heard(engine, Utterance("Hi.", clone, "en-US", 3))
        await at_rest(engine)
        assert loads.of == ["custom_voice", "base"]


async def test_a_device_that_fails_while_memory_is_freed_ends_nothing(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with speaking(models["custom_voice"], models["base"]) as engine:
        ryan, clone = both(engine, tmp_path)
        with monkeypatch.context() as broken:
            broken.setattr(Decoder, "advance", fails_on_device)
            broken.setattr(torch.cuda, "is_available", lambda: True)
            broken.setattr(torch.cuda, "empty_cache", fails_on_device)
            with pytest.raises(EngineUnavailableError, match="device-side assert"):
                await heard(engine, Utterance("Hi.", clone, "en-US", 3))
            await at_rest(engine)
        assert loaded(engine) == {"custom_voice"}
        assert await heard(engine, Utterance("Hi.", ryan, "en-US"))


async def test_a_thread_that_cannot_begin_is_an_error(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def full(self: threading.Thread) -> None:
        if self.name == "qwen3-loader":
            raise RuntimeError("can't start new thread")
        start(self)

    async with speaking(models["custom_voice"], models["base"]) as engine:
        _, clone = both(engine, tmp_path)
        monkeypatch.setattr(threading.Thread, "start", full)
        with pytest.raises(
            EngineUnavailableError, match="the model cannot be loaded: can't start new thread"
        ):
            await heard(engine, Utterance("Hi.", clone, "en-US", 3))


# ------------------------------------------------------------------ checkpoints


def test_a_model_may_name_its_revision(tmp_path: Path) -> None:
    assert Source.parse("a/b@c", "d", None, False) == Source("a/b", "c")
    assert Source.parse("a/b", "d", None, True) == Source("a/b", "d", None, True)
    (tmp_path / "x@y").mkdir()
    assert Source.parse(f"{tmp_path}/x@y", None, None, False) == Source(f"{tmp_path}/x@y")


def test_a_fingerprint_tells_models_apart(models: dict[str, Path], tmp_path: Path) -> None:
    def fingerprint(directory: Path, dtype: torch.dtype = torch.float32) -> str:
        return download.fingerprint(directory, dtype)

    one = fingerprint(models["base"])
    assert one == fingerprint(Path(shutil.copytree(models["base"], tmp_path / "copy")))
    assert len({one, fingerprint(models["base"], torch.bfloat16), fingerprint(models["custom_voice"])}) == 3
    assert one != fingerprint(checkpoints.make(tmp_path / "other", "base", seed=9))


def test_a_checkpoint_says_what_it_is_without_being_loaded(models: dict[str, Path]) -> None:
    about = download.read_info(models["custom_voice"])
    assert about.name == "Qwen3-TTS 1.7B CustomVoice"
    assert about.supports_instructions
    assert len(about.speakers) == 9
    assert len(about.languages) == 10
    assert not download.read_info(models["base"]).supports_instructions
    assert not download.supports_instructions("custom_voice", "0.6B")
