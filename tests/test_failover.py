"""The house is never mute: what one engine cannot say, the next one says."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.house import (
    HANG,
    ScriptedEngine,
    Spare,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    listed,
    octave,
    running_pool,
    say_octave,
    say_tone,
    service,
    sound_of,
    tone,
)
from tests.web import web
from wyoming_qwen3tts.app import Service
from wyoming_qwen3tts.config.settings import LimitSettings, Settings
from wyoming_qwen3tts.engines import audio_check, managed, supervisor
from wyoming_qwen3tts.engines.base import (
    DeviceLostError,
    EngineUnavailableError,
    TruncatedAudioError,
    UnsupportedTextError,
)
from wyoming_qwen3tts.engines.managed import State
from wyoming_qwen3tts.engines.pool import EnginePool
from wyoming_qwen3tts.speech import Attribution, TextFeed, Utterance, Voice

KEPT: dict[str, Any] = {"cache_memory": 8.0, "cache_disk": 8.0}
HELLO = "Dinner is ready."
SILENCE = bytes(48_000)


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines rest for a moment only."""
    monkeypatch.setattr(managed, "REST", (0.02,))


class Model(ScriptedEngine):
    """An engine that is preferred, and can be made to fail: ``script`` is what it does."""

    name = "model"

    def __init__(self, *languages: str) -> None:
        super().__init__(voices=[voice("Vivian", *languages or ("en-US", "de-DE"), engine="model")])

    def identity(self, of: Voice) -> str:
        return "1"


class German(Spare):
    """The same for German."""

    name = "german"

    def __init__(self) -> None:
        ScriptedEngine.__init__(self, say_octave, [voice("espeak-de", "de", engine="german")])


class Slow(Model):
    """An engine that takes its time to load, and knows its voices before."""

    starts_in_background = True

    def __init__(self) -> None:
        super().__init__()
        self.loaded = asyncio.Event()

    async def find(self) -> None:
        pass

    async def start(self) -> None:
        await self.loaded.wait()


class Watched(Model):
    """An engine that can be seen to work, or not to."""

    reports_progress = True

    def __init__(self) -> None:
        super().__init__()
        self.beats: Hashable | None = None
        self.broken: EngineUnavailableError | None = None
        self.starts = 0

    async def start(self) -> None:
        self.starts += 1
        self.broken = None

    def pulse(self) -> Hashable | None:
        return self.beats

    def fault(self) -> EngineUnavailableError | None:
        return self.broken


class Live(Model):
    """An engine that speaks while text is written, and loses its voice at once."""

    supports_live_text = True

    def __init__(self) -> None:
        super().__init__()
        self.failed = asyncio.Event()

    async def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        self.failed.set()
        raise EngineUnavailableError("it lost its voice")
        yield b""


def voice(name: str, *languages: str, engine: str) -> Voice:
    return Voice(name, name, languages, engine, Attribution("tests", ""))


async def refuses(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    raise EngineUnavailableError("the GPU fell off the bus")
    yield b""


async def is_lost(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    raise UnsupportedTextError("the voice repeated itself")
    yield b""


async def is_odd(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    raise ValueError("odd")
    yield b""


async def ends_the_thread(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    raise SystemExit
    yield b""


async def cancels_itself(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    raise asyncio.CancelledError
    yield b""


async def gives_rubbish(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    yield b"x"


async def gives_nothing(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    return
    yield b""


async def hangs(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    await asyncio.sleep(HANG)
    yield b""


async def is_silent(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    yield SILENCE
    raise TruncatedAudioError("the voice was silent for 4 s")


@asynccontextmanager
async def speaking(*engines: ScriptedEngine, **more: Any) -> AsyncIterator[AsyncClient]:
    """A client of a service with these engines."""
    async with service(engines, **more) as uri, connect(uri) as client:
        yield client


async def until(true: Callable[[], object]) -> None:
    """Wait for something that nobody tells."""
    async with asyncio.timeout(HANG):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def state(able: EnginePool, name: str, wanted: State) -> None:
    """Wait until an engine is in a state."""
    await until(lambda: able.members[name].state is wanted)


# -- before the first sound ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        *(refuses, is_lost, is_odd, ends_the_thread, cancels_itself, gives_rubbish, gives_nothing),
        *(hangs, is_silent),
    ],
)
@pytest.mark.parametrize("cached", [False, True])
async def test_what_one_engine_cannot_say_the_next_one_says(script: Any, cached: bool) -> None:
    model = Model()
    model.script = script
    how: dict[str, Any] = {"stall_timeout": 0.2, "trim_silence": -50.0, **(KEPT if cached else {})}
    async with speaking(model, Spare(), **how) as client:
        for _ in range(2):  # its ends are faded
            assert octave(HELLO)[2000:-2000] in await home_assistant_plain(client, HELLO)
        assert HELLO in model.said


async def test_a_stand_in_says_it_in_the_language_of_the_text() -> None:
    model = Model()
    model.script = refuses
    async with speaking(model, Spare(), German()) as client:
        german = "Das Abendessen ist fertig, kommt bitte alle in die Küche."
        assert await home_assistant_plain(client, german) == octave(german)
        english = "Dinner is ready, would you all come to the kitchen?"
        assert await home_assistant_plain(client, english) == octave(english)


async def test_who_reads_the_letters_is_better_than_nobody() -> None:
    model = Model()
    model.script = refuses
    async with speaking(model, Spare()) as client:
        german = "Das Abendessen ist fertig, kommt bitte alle in die Küche."
        assert await home_assistant_plain(client, german) == octave(german)


async def test_a_text_goes_on_with_whoever_can_and_is_one_stream() -> None:
    model = Model()

    async def once(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if "Second" in utterance.text:
            raise EngineUnavailableError("gone for a moment")
        async with aclosing(say_tone(utterance)) as sounds:
            async for sound in sounds:
                yield sound

    model.script = once
    async with speaking(model, Spare()) as client:
        pieces = ["First things first. ", "Second, the rest of it. ", "Third, and last."]
        expected = tone(pieces[0].strip()) + octave(pieces[1].strip()) + tone(pieces[2])
        assert await home_assistant_streamed(client, pieces) == expected


async def test_without_fallback_an_error_says_why() -> None:
    model = Model()
    model.script = refuses
    async with speaking(model, Spare(), fallback=False) as client:
        with pytest.raises(SpeechFailedError, match="the GPU fell off the bus") as failed:
            await home_assistant_plain(client, HELLO)
    assert failed.value.code == "engine-unavailable"


async def test_what_is_to_be_kept_for_ever_is_nobody_else_s_to_say(tmp_path: Path) -> None:
    model = Model()
    model.script = refuses
    async with web([model, Spare()], data_dir=tmp_path, **KEPT) as client:
        answer = await client.post("/v1/cache/phrases", json={"phrases": [{"text": HELLO}]})
        (missing,) = answer.json()["failed"]
        assert missing["error"]["code"] == "engine-unavailable"
        assert (await client.get("/v1/cache")).json()["tiers"]["disk"]["entries"] == 0


async def test_what_was_said_before_needs_no_engine(tmp_path: Path) -> None:
    model = Model()
    async with speaking(model, Spare(), data_dir=tmp_path, **KEPT) as client:
        assert await home_assistant_plain(client, HELLO) == tone(HELLO)
        model.script = refuses
        for number in range(managed.TRIPS + 1):
            text = f"This is new, number {'x' * number}."
            assert await home_assistant_plain(client, text) == octave(text)
        assert await home_assistant_plain(client, HELLO) == tone(HELLO)


async def test_a_stand_in_s_sound_is_kept_as_its_own(tmp_path: Path) -> None:
    model = Model()
    model.script = refuses
    async with speaking(model, Spare(), data_dir=tmp_path, **KEPT) as client:
        assert await home_assistant_plain(client, HELLO) == octave(HELLO)
        model.script = say_tone
        async with asyncio.timeout(HANG):  # a probe brings it back
            while await home_assistant_plain(client, HELLO) != tone(HELLO):
                pass


async def test_a_text_that_is_being_written_is_said_by_another() -> None:
    live, other = Live(), Spare()
    async with speaking(live, other, live_text=True) as client:
        await client.write_event(SynthesizeStart().event())
        await client.write_event(SynthesizeChunk(text="The quick brown fox jumps over ").event())
        async with asyncio.timeout(HANG):
            await live.failed.wait()
        await client.write_event(SynthesizeChunk(text="the lazy dog and the sleeping ").event())
        await client.write_event(SynthesizeChunk(text="cat.").event())
        await client.write_event(SynthesizeStop().event())
        sound = sound_of(await read_until(client, "synthesize-stopped"))
    text = "The quick brown fox jumps over the lazy dog and the sleeping cat."
    assert (other.said, sound) == ([text], octave(text))


async def read_until(client: AsyncClient, kind: str) -> list[Event]:
    """Read events to the first of a type."""
    events: list[Event] = []
    while not events or events[-1].type != kind:
        event = await client.read_event()
        assert event is not None
        events.append(event)
    return events


async def test_requests_say_that_another_spoke() -> None:
    model = Model()
    model.script = refuses
    async with web([model, Spare()]) as client, connect(client.wyoming) as wyoming:
        await home_assistant_plain(wyoming, HELLO)
        (last,) = (await client.get("/v1/requests")).json()["requests"]
        numbers = (await client.get("/metrics")).text
    assert (last["voice"], last["engine"], last["fallback"]) == ("heart", "spare", "engine")
    assert last["cache"] == "off"
    assert 'wyoming_tts_fallbacks_total{fallback="engine"} 1.0' in numbers
    assert 'wyoming_tts_engine_failures_total{engine="model"} 1.0' in numbers


# -- after the first sound ----------------------------------------------------------------------------------


def breaks_off(times: int, *, after: int = 1000, other: bytes | None = None) -> Any:
    """Return a script that fails ``times`` in the middle of a sentence, from its second try with ``other``."""
    left = [times]
    tries = [0]

    async def script(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        sound = tone(utterance.text)
        tries[0] += 1
        if other is not None and tries[0] > 1:
            sound = other
        yield sound[:after]
        if left[0]:
            left[0] -= 1
            raise EngineUnavailableError("it broke off")
        for start in range(after, len(sound), 700):
            yield sound[start : start + 700]

    return script


@pytest.mark.parametrize("after", [2, 700, 1000, len(tone(HELLO)) - 2])
async def test_what_broke_off_is_finished_by_the_engine_that_began_it(after: int, tmp_path: Path) -> None:
    model = Model()
    model.script = breaks_off(1, after=after)
    async with speaking(model, Spare(), data_dir=tmp_path, **KEPT) as client:
        assert await home_assistant_plain(client, HELLO) == tone(HELLO)
    assert model.said == [HELLO, HELLO]


@pytest.mark.parametrize(
    "script",
    [breaks_off(9), breaks_off(1, other=tone("something else")), breaks_off(1, other=tone(HELLO)[:600])],
)
async def test_what_cannot_be_finished_ends_with_an_error(script: Any, tmp_path: Path) -> None:
    model = Model()
    model.script = script
    async with service([model, Spare()], data_dir=tmp_path, **KEPT) as uri:
        async with connect(uri) as client:
            with pytest.raises(SpeechFailedError):
                await home_assistant_plain(client, HELLO)
        model.script = say_tone
        async with connect(uri) as client:  # nothing of it was kept
            assert await home_assistant_plain(client, HELLO) == tone(HELLO)


@pytest.mark.parametrize("how", [{"resume": False, **KEPT}, {}])
async def test_without_resume_or_cache_a_sentence_that_broke_off_is_an_error(how: dict[str, Any]) -> None:
    model = Model()
    model.script = breaks_off(1)
    async with speaking(model, Spare(), **how) as client:
        with pytest.raises(SpeechFailedError, match="it broke off"):
            await home_assistant_plain(client, HELLO)
    assert model.said == [HELLO]


async def test_what_broke_off_is_kept_when_it_is_whole(tmp_path: Path) -> None:
    model = Model()
    model.script = breaks_off(1)
    async with speaking(model, Spare(), data_dir=tmp_path, **KEPT) as client:
        for _ in range(2):
            assert await home_assistant_plain(client, HELLO) == tone(HELLO)
    assert model.said == [HELLO, HELLO]


def ends_early(times: int, seen: list[str]) -> Any:
    """Return a script that ends sentences with "odd" after 40 ms, as if they were whole, ``times`` times."""

    async def script(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        sound = tone(utterance.text)
        early = "odd" in utterance.text and seen.count(utterance.text) < times
        seen.append(utterance.text)
        yield sound[:1920] if early else sound

    return script


async def test_audio_that_seems_truncated_is_made_again_and_completed(tmp_path: Path) -> None:
    model = Model()
    model.script = ends_early(1, [])
    async with speaking(model, data_dir=tmp_path, **KEPT) as client:
        for _ in range(2):
            assert await home_assistant_plain(client, "This is odd.") == tone("This is odd.")
    assert model.said == ["This is odd."] * 2, "the second request is served from the cache"


@pytest.mark.parametrize("resume", [True, False])
async def test_a_sentence_that_stays_too_short_is_spoken_uncached_and_the_reply_goes_on(
    tmp_path: Path, resume: bool
) -> None:
    model = Model()
    model.script = ends_early(99, [])
    heard = tone("This is odd.")[:1920] + tone("This is not.")
    async with speaking(model, Spare(), data_dir=tmp_path, resume=resume, **KEPT) as client:
        for _ in range(2):
            assert await home_assistant_plain(client, "This is odd. This is not.") == heard
    assert model.said.count("This is odd.") == (4 if resume else 2)
    assert model.said.count("This is not.") == 1


@pytest.mark.parametrize("laugh", ["ha" * 60, "a" * 120, "hehe" * 30 + "!", "ㅋ" * 120, "はは" * 40])
async def test_repeated_letters_count_once_when_audio_is_checked_for_truncation(laugh: str) -> None:
    async def laughs(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone("one second of it, as a voice laughs, is enough..")

    model = Model("en-US", "ko-KR", "ja-JP")
    model.script = laughs
    async with speaking(model) as client:
        assert await home_assistant_plain(client, laugh)
    assert len(model.said) == 1


async def test_a_voice_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        while True:
            yield tone("again and again")

    model = Model()
    model.script = endless
    monkeypatch.setattr(audio_check, "LONGEST_BASE", 1.0)
    async with speaking(model, Spare()) as client:
        sound = await home_assistant_plain(client, HELLO)
    assert 0 < len(sound) <= (1 + len(HELLO)) * 48_000


# -- an engine comes and goes -------------------------------------------------------------------------------


async def test_while_a_model_loads_the_next_engine_speaks() -> None:
    slow = Slow()
    running = Service(Settings.of(uri=("tcp://127.0.0.1:0",), cache_memory=0, cache_disk=0, loudness=None, trim_silence=None), [slow, Spare()])  # fmt: skip
    await running.start()
    try:
        async with connect(str(running.addresses[0])) as client:
            assert [each.name for each in await listed(client)] == ["Vivian", "heart"]
            assert "spare is used, because model is not ready: it is loading" in await described(client)
            assert await home_assistant_plain(client, HELLO, SynthesizeVoice("Vivian")) == octave(HELLO)
            slow.loaded.set()
            await state(running.pool, "model", State.UP)
            assert await home_assistant_plain(client, HELLO, SynthesizeVoice("Vivian")) == tone(HELLO)
            assert "is used, because" not in await described(client)
    finally:
        await running.stop()


async def described(client: AsyncClient) -> str:
    """Return what the service says of itself."""
    await client.write_event(Describe().event())
    event = await client.read_event()
    assert event is not None
    return Info.from_event(event).tts[0].description or ""


async def test_without_fallback_the_doors_open_when_the_model_is_there() -> None:
    slow = Slow()
    running = Service(Settings.of(uri=("tcp://127.0.0.1:0",), fallback=False), [slow, Spare()])
    starting = asyncio.create_task(running.start())
    try:
        await asyncio.sleep(0.3)
        assert not running.addresses
        slow.loaded.set()
        await starting
        assert running.pool.up("model")
    finally:
        await running.stop()


async def test_health_tells_who_speaks() -> None:
    model = Model()
    model.script = refuses
    async with web([model, Spare()]) as client:
        assert (await client.get("/health")).json()["status"] == "ok"
        for _ in range(managed.TRIPS):
            await client.post("/v1/audio/speech", json={"input": HELLO})
        health = (await client.get("/health")).json()
        assert (health["status"], health["speaking"]) == ("degraded", "spare")
        first = health["engines"][0]
        assert (first["name"], first["ready"], first["state"]) == ("model", False, "resting")
        assert first["reason"] == "the GPU fell off the bus"
        assert (await client.get("/ready")).json()["speaking"] == "spare"


async def test_an_engine_that_fails_is_left_alone_and_probed_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(managed, "REST", (0.3,))
    model = Model()
    model.script = refuses
    async with service([model, Spare()]) as uri, connect(uri) as client:
        for _ in range(managed.TRIPS + 3):
            assert await home_assistant_plain(client, HELLO) == octave(HELLO)
        assert model.said.count(HELLO) == managed.TRIPS
        await until(lambda: model.said.count(supervisor.PROBE) > 1)
        model.script = say_tone
        async with asyncio.timeout(HANG):
            while await home_assistant_plain(client, HELLO) != tone(HELLO):
                pass


async def test_one_failure_between_others_that_do_well_is_no_reason_to_stand_aside() -> None:
    model = Model()
    async with running_pool(model) as able:
        for _ in range(4):
            for script, fails in ((refuses, True), (refuses, True), (say_tone, False)):
                model.script = script
                assert (await failed(able)) is fails
        assert able.up("model")
        assert able.members["model"].failures == 8


async def failed(able: EnginePool, name: str = "model") -> bool:
    """Tell whether an engine fails to speak."""
    of = able[name].voices()[0]
    try:
        async with aclosing(able.speak(Utterance(HELLO, of, "en"))) as sounds:
            return not [sound async for sound in sounds]
    except EngineUnavailableError:
        return True


async def test_an_engine_whose_thread_has_ended_is_started_again() -> None:
    model = Watched()
    async with running_pool(model, Spare()) as able:
        model.broken = EngineUnavailableError("the model's thread has ended")
        await until(lambda: able.members["model"].restarts)
        await state(able, "model", State.UP)
        assert (model.starts, able.members["model"].restarts, model.closed) == (2, 1, True)
        assert not await failed(able)


async def test_an_engine_that_cannot_be_started_again_is_tried_again() -> None:
    model = Watched()

    class Later(Watched):
        async def start(self) -> None:
            await super().start()
            if 1 < self.starts < 4:
                self.broken = EngineUnavailableError("still no GPU")
                raise self.broken

    model = Later()
    async with running_pool(model, Spare()) as able:
        model.broken = EngineUnavailableError("the model's thread has ended")
        await until(lambda: model.starts == 4)
        await state(able, "model", State.UP)


async def test_an_engine_that_cannot_start_is_tried_until_it_can() -> None:
    class Late(Model):
        def __init__(self) -> None:
            super().__init__()
            self.starts = 0

        async def start(self) -> None:
            self.starts += 1
            if self.starts < 3:
                raise EngineUnavailableError("there is no hub")

    model = Late()
    async with speaking(model, Spare()) as client:
        async with asyncio.timeout(HANG):
            while [each.name for each in await listed(client)] == ["heart"]:
                pass
        assert await home_assistant_plain(client, HELLO, SynthesizeVoice("Vivian")) == tone(HELLO)


SOON = LimitSettings(max_queue=10, stall_timeout=0.2, engine_timeout=5.0, exit_when_hung_for=0.3)


async def test_an_engine_without_a_sign_of_life_has_hung_and_whoever_waits_is_told() -> None:
    model = Watched()
    model.script = hangs
    lost: list[str] = []
    async with running_pool(model, Spare(), limits=SOON, on_lost=lost.append) as able:
        model.beats = "the same beat"
        asked = asyncio.create_task(failed(able))
        await state(able, "model", State.HUNG)
        assert await asked
        assert await failed(able)  # and now at once
        assert "made no progress" in able.members["model"].reason
        await until(lambda: lost)
        assert "has hung for" in lost[0]
        model.beats, model.script = None, say_tone
        await state(able, "model", State.UP)
        assert not await failed(able)


async def test_who_has_heard_something_waits_for_an_engine_that_hangs() -> None:
    model = Watched()
    go = asyncio.Event()

    async def stalls(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        sound = tone(utterance.text)
        yield sound[:100]
        await go.wait()
        yield sound[100:]

    model.script = stalls
    async with running_pool(model, Spare(), limits=SOON) as able:
        sounds = able.speak(Utterance(HELLO, model.voices()[0], "en"))
        async with aclosing(sounds):
            heard = [await anext(sounds)]
            model.beats = "the same beat"
            rest = asyncio.create_task(anext(sounds))
            await state(able, "model", State.HUNG)
            model.beats = None
            go.set()
            heard.append(await rest)
        assert b"".join(heard) == tone(HELLO)


async def test_a_slow_engine_that_works_has_not_hung() -> None:
    model = Watched()

    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        for beat in range(40):
            model.beats = beat
            await asyncio.sleep(0.02)
        yield tone(utterance.text)
        model.beats = None

    model.script = slow
    async with running_pool(model, Spare(), limits=SOON) as able:
        assert not await failed(able)
        assert able.up("model")


async def test_an_engine_that_keeps_somebody_waiting_is_started_again() -> None:
    model = Model()
    model.script = hangs
    async with running_pool(model, Spare(), limits=SOON) as able:
        assert await failed(able)
        model.script = say_tone
        await state(able, "model", State.UP)
        assert able.members["model"].restarts >= 1


async def test_who_waits_for_a_turn_is_told_when_the_engine_stands_aside() -> None:
    model = Watched()
    model.max_batch_size = 1
    model.script = hangs
    async with running_pool(model, Spare(), limits=SOON) as able:
        model.beats = "the same beat"
        assert all(await asyncio.gather(*(failed(able) for _ in range(5))))
        assert able.members["model"].waiting == 0


async def test_a_device_that_is_lost_asks_for_a_new_process() -> None:
    model = Watched()
    lost: list[str] = []
    async with running_pool(model, Spare(), limits=SOON, on_lost=lost.append) as able:
        model.broken = DeviceLostError("the device failed: CUDA error: an illegal memory access")
        await until(lambda: lost)
        assert not able.up("model")
        assert able.speaking == "spare"
        assert model.starts == 1


async def test_an_engine_that_cannot_be_looked_at_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Strange(Watched):
        def pulse(self) -> Hashable | None:
            raise ValueError("no pulse")

    spare_one = Watched()
    spare_one.name = "second"
    async with running_pool(Strange(), spare_one, limits=SOON) as able:
        spare_one.broken = EngineUnavailableError("ended")
        await state(able, "second", State.UP)
        await until(lambda: spare_one.starts == 2)
    assert "engine: cannot be supervised engine=model" in caplog.text


# -- a new process ------------------------------------------------------------------------------------------


HANGING = """
import sys
from tests import test_failover
from wyoming_qwen3tts import app
from wyoming_qwen3tts.__main__ import leave, main

model = test_failover.Watched()
if "hang" in sys.argv:
    model.beats, model.script = "the same beat", test_failover.hangs
app.engines_for = lambda settings: [model, test_failover.Spare()]
leave(main(sys.argv[1 : sys.argv.index("--")]))
"""


@asynccontextmanager
async def process(*words: str, **options: object) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A service in a process of its own, with these engines; give it and its URI."""
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    flags += [
        "--uri=tcp://127.0.0.1:0",
        "--loudness=off",
        "--trim-silence=off",
        "--cache-memory=0",
        "--cache-disk=0",
    ]
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGING, *flags, "--", *words),
        cwd=Path(__file__).parent.parent,
        stderr=asyncio.subprocess.PIPE,
    )
    assert running.stderr is not None
    try:
        async with asyncio.timeout(HANG):
            while b"listening uri=" not in (line := await running.stderr.readline()):
                assert line, "it has ended"
        uri = line.decode().split("uri=")[-1].strip()
        drain = asyncio.create_task(running.stderr.read())
        yield running, uri
        await drain
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


@pytest.mark.slow
async def test_a_service_whose_device_hangs_ends_with_a_status_that_a_supervisor_sees() -> None:
    async with process("hang", stall_timeout=0.2, exit_when_hung_for=0.5) as (running, uri):
        async with connect(uri) as client:
            assert await home_assistant_plain(client, HELLO) == octave(HELLO)  # the fallback took over
        async with asyncio.timeout(HANG):
            assert await running.wait() == os.EX_TEMPFAIL


@pytest.mark.slow
async def test_a_process_that_was_stopped_for_a_while_has_made_nobody_late() -> None:
    async with process(stall_timeout=0.4, engine_timeout=0.4) as (running, uri), connect(uri) as client:
        for _ in range(3):
            running.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.8)
            speaking = asyncio.create_task(home_assistant_plain(client, HELLO))
            await asyncio.sleep(0.2)
            running.send_signal(signal.SIGCONT)
            assert await speaking == tone(HELLO)
        running.terminate()
        assert await running.wait() == 0


@pytest.mark.slow
async def test_engines_are_asked_in_the_order_of_the_settings(tmp_path: Path) -> None:
    async with service(engine=("espeak", "builtin"), data_dir=tmp_path) as uri, connect(uri) as client:
        voices = await listed(client)
        assert voices[0].name.startswith("espeak-")
        assert "heart" in [each.name for each in voices]
    async with service(engine=("builtin",), data_dir=tmp_path) as uri, connect(uri) as client:
        assert [each.name for each in await listed(client)] == ["heart"]


# -- what an attacker found ---------------------------------------------------------------------------------


LONG = (
    "When the washing machine has finished its programme this afternoon, please take the laundry out of it."
)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_sentence_has_one_voice_from_its_first_clause_to_its_end(streamed: bool) -> None:
    model = Model()

    async def forgets(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if utterance.text.startswith("please") and "laundry" in utterance.text:
            raise EngineUnavailableError("it broke down after the clause")
        yield tone(utterance.text)

    model.script = forgets
    other = Spare()
    async with service([model, other]) as uri, connect(uri) as client:
        hearing = (
            home_assistant_streamed(client, [LONG[:30], LONG[30:]])
            if streamed
            else home_assistant_plain(client, LONG)
        )
        with pytest.raises(SpeechFailedError, match="it broke down after the clause"):
            await hearing
    assert other.said == []
    assert len(model.said) == 3  # the clause, and the rest of it twice


async def test_who_has_begun_a_sentence_in_another_s_place_ends_it() -> None:
    model, other = Model(), Spare()

    async def once(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if utterance.text.startswith("When"):
            raise EngineUnavailableError("gone for a moment")
        yield tone(utterance.text)

    model.script = once
    async with speaking(model, other) as client:
        sound = await home_assistant_plain(client, LONG + " That is all.")
    clause, rest = other.said
    assert sound == octave(clause) + octave(rest) + tone("That is all.")


@pytest.mark.parametrize("cached", [False, True])
async def test_an_engine_that_gives_silence_stands_aside(cached: bool, tmp_path: Path) -> None:
    async def silent(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield SILENCE

    model = Model()
    model.script = silent
    how: dict[str, Any] = {"trim_silence": -50.0, **({"data_dir": tmp_path, **KEPT} if cached else {})}
    async with service([model, Spare()], **how) as uri, connect(uri) as client:
        for number in range(managed.TRIPS + 3):
            text = f"{'Please ' * number}come to dinner."
            assert octave(text)[2000:-2000] in await home_assistant_plain(client, text)
    assert len([text for text in model.said if text != supervisor.PROBE]) == managed.TRIPS


async def test_an_engine_without_a_voice_of_its_own_comes_back() -> None:
    class Clones(Watched):
        def voices(self) -> list[Voice]:
            return []

    model = Clones()
    granny = voice("Granny", "en-US", engine="model")
    async with running_pool(model, Spare()) as able:
        for broken in (True, False):
            async with aclosing(able.speak(Utterance(HELLO, granny, "en"))) as sounds:
                assert b"".join([sound async for sound in sounds]) == tone(HELLO)
            if broken:
                model.broken = EngineUnavailableError("the model's thread has ended")
                await until(lambda: able.members["model"].restarts)
                await state(able, "model", State.UP)
        assert model.said == [HELLO, supervisor.PROBE, HELLO]


async def test_an_engine_that_cannot_be_closed_is_started_again_all_the_same() -> None:
    class Stubborn(Watched):
        async def close(self) -> None:
            raise OSError("it does not let go")

    model, other = Stubborn(), Spare()
    async with running_pool(model, other) as able:
        model.broken = EngineUnavailableError("the model's thread has ended")
        await until(lambda: model.starts == 2)
        await state(able, "model", State.UP)
    assert other.closed


async def test_whoever_comes_while_a_sentence_waits_to_be_finished_gets_the_stand_in(tmp_path: Path) -> None:
    model = Watched()
    go = asyncio.Event()

    async def breaks(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)[:100]
        model.broken = EngineUnavailableError("the model's thread has ended")
        await go.wait()
        raise model.broken

    async def held(self: Watched) -> None:
        self.starts += 1
        if self.starts > 1:
            await asyncio.sleep(HANG)

    model.script = breaks
    async with service([model, Spare()], data_dir=tmp_path, **KEPT) as uri:
        async with connect(uri) as one, connect(uri) as two:
            first = asyncio.create_task(home_assistant_plain(one, HELLO))
            await until(lambda: model.broken)
            type(model).start, start = held, type(model).start  # type: ignore[method-assign]
            try:
                go.set()
                await asyncio.sleep(0.3)
                assert await home_assistant_plain(two, HELLO) == octave(HELLO)
            finally:
                type(model).start = start  # type: ignore[method-assign]
                first.cancel()
                await asyncio.wait({first})


class Odd(Model):
    """An engine whose author had not read the protocol."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def identity(self, of: Voice) -> str:
        if self.how == "identity":
            raise ValueError("who am I?")
        return "1"

    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if self.how == "at once":
            raise ValueError("no")
        return self._odd(utterance)

    async def _odd(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield {"text": "abc", "none": None}.get(self.how, b"")  # type: ignore[misc]


@pytest.mark.parametrize("how", ["at once", "text", "none", "empty", "identity"])
@pytest.mark.parametrize("cached", [False, True])
async def test_an_engine_that_breaks_every_rule_is_stood_in_for(
    how: str, cached: bool, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"data_dir": tmp_path, **KEPT} if cached else {}
    async with service([Odd(how), Spare()], **more) as uri, connect(uri) as client:
        assert await home_assistant_plain(client, HELLO) == octave(HELLO)


async def test_a_stand_in_speaks_the_language_of_the_text_where_nobody_detects_it() -> None:
    model = Model("de-DE", "en-US")
    model.script = refuses
    async with service([model, Spare(), German()], language_detector="off") as uri, connect(uri) as client:
        assert await home_assistant_plain(client, "Das Essen ist fertig.") == octave("Das Essen ist fertig.")


async def test_an_engine_that_hangs_while_it_is_started_again_asks_for_a_new_process() -> None:
    class Hangs(Watched):
        async def start(self) -> None:
            await super().start()
            if self.starts > 1:
                self.beats = "the same beat"
                await asyncio.sleep(HANG)

    model = Hangs()
    lost: list[str] = []
    async with running_pool(model, Spare(), limits=SOON, on_lost=lost.append) as able:
        model.broken = EngineUnavailableError("the model's thread has ended")
        await until(lambda: lost)
        assert able.speaking == "spare"


async def test_who_takes_its_time_to_give_up_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def slow_to_leave(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.sleep(HANG)
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)
            raise
        yield b""

    model = Model()
    model.script = slow_to_leave
    async with running_pool(model, Spare(), limits=SOON) as able:
        assert await failed(able)
    assert "cannot be supervised" not in caplog.text
