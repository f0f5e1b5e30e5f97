"""Faults of the model in any frame: every reply is complete and exact, and the next one works."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import pytest_asyncio
import torch
from torch import Tensor
from wyoming.tts import SynthesizeVoice

from tests import house, web
from tests.house import HANG, Spare, octave
from tests.qwen3.test_scheduler import same
from tests.qwen3.test_service import engine, heard, settings, until, utterance
from wyoming_qwen3tts.app import Service
from wyoming_qwen3tts.engines import managed
from wyoming_qwen3tts.engines.base import DeviceLostError, Engine, EngineUnavailableError
from wyoming_qwen3tts.engines.managed import ManagedEngine, State
from wyoming_qwen3tts.engines.qwen3 import checkpoint
from wyoming_qwen3tts.engines.qwen3.codec import Codec
from wyoming_qwen3tts.engines.qwen3.decoder import Decoder
from wyoming_qwen3tts.engines.qwen3.engine import Qwen3Engine
from wyoming_qwen3tts.engines.qwen3.model_manager import ModelManager
from wyoming_qwen3tts.engines.qwen3.scheduler import Generation, Scheduler
from wyoming_qwen3tts.speech import Reference

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # pytest reports threads that end by an exception, SystemExit included.
    pytest.mark.filterwarnings("ignore:Exception in thread qwen3-device"),
]

TEXT = "The quick brown fox jumps over the lazy dog."
NEXT = "The lamp is on."
LAST = 24
"""The step in which the tiny checkpoint chooses the end token of these texts, with the default seed."""
FRAMES = (0, 1, 2, LAST, *(pytest.param(frame, marks=pytest.mark.long) for frame in (3, 5, 8, 13)))
HEARD = 2
"""The first frame after audio was sent: the first two frames are decoded together."""
KEPT: dict[str, Any] = {"cache_memory": 8.0, "cache_disk": 8.0}


# -- what goes wrong ----------------------------------------------------------------------------------------

Fault = Callable[[Generation, Scheduler, Callable[[], Tensor]], Tensor]
"""Replaces the work of a step, which it may call."""


def ends(generation: Generation, scheduler: Scheduler, work: Callable[[], Tensor]) -> Tensor:
    raise SystemExit


def fails(generation: Generation, scheduler: Scheduler, work: Callable[[], Tensor]) -> Tensor:
    raise RuntimeError("device-side assert")


def is_lost(generation: Generation, scheduler: Scheduler, work: Callable[[], Tensor]) -> Tensor:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def runs_out_of_memory(generation: Generation, scheduler: Scheduler, work: Callable[[], Tensor]) -> Tensor:
    raise torch.OutOfMemoryError("out of memory")


def gives_no_numbers(generation: Generation, scheduler: Scheduler, work: Callable[[], Tensor]) -> Tensor:
    scheduler._decoder.hidden[generation.slot] = torch.nan
    return work()


def sounds_of_no_numbers(generation: Generation, scheduler: Scheduler, work: Callable[[], Tensor]) -> Tensor:
    return work() * torch.nan


class Stall:
    """A step that blocks until ``go`` is set."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, generation: Generation, scheduler: Scheduler, work: Callable[[], Tensor]) -> Tensor:
        self.begun.set()
        assert self.go.wait(HANG)
        return work()


@dataclass(slots=True, eq=False)
class Plan:
    """A fault, and the frame in which it happens."""

    fault: Fault
    frame: int
    text: str
    codec: bool
    happened: threading.Event = field(default_factory=threading.Event)

    def is_for(self, generation: Generation) -> bool:
        if self.happened.is_set() or generation.speech.text != self.text:
            return False
        return generation.frames >= self.frame if self.codec else generation.frames == self.frame


class Faults:
    """Injects faults into the steps of all models."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._plans: list[Plan] = []
        self._scheduler: Scheduler | None = None
        step, predict, decode = Scheduler.step, Decoder.predict, Codec.decode

        def stepping(scheduler: Scheduler) -> None:
            self._scheduler = scheduler
            step(scheduler)

        def predicting(decoder: Decoder, first: int, last: int) -> Tensor:
            return self._do(range(first, last), lambda: predict(decoder, first, last), codec=False)

        def decoding(codec: Codec, codes: Tensor, slots: Sequence[int]) -> Tensor:
            return self._do(slots, lambda: decode(codec, codes, slots), codec=True)

        patch.setattr(Scheduler, "step", stepping)
        patch.setattr(Decoder, "predict", predicting)
        patch.setattr(Codec, "decode", decoding)

    def plan(self, fault: Fault, frame: int, text: str = TEXT, *, codec: bool = False) -> Plan:
        """Inject ``fault``, once, in the step that generates a frame of ``text``.

        ``codec``: in the codec's first call after that frame.
        """
        plan = Plan(fault, frame, text, codec)
        self._plans.append(plan)
        return plan

    def _do(self, slots: Sequence[int], work: Callable[[], Tensor], *, codec: bool) -> Tensor:
        scheduler = self._scheduler
        if scheduler is not None:
            for plan in self._plans:
                for generation in scheduler.running if plan.codec is codec else ():
                    if generation.slot in slots and plan.is_for(generation):
                        plan.happened.set()
                        return plan.fault(generation, scheduler, work)
        return work()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


# -- where it goes wrong ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Home:
    """A service, its model, and the state of the model's engine."""

    running: Service
    model: Qwen3Engine
    member: ManagedEngine

    async def says(self, text: str) -> bytes:
        """Return the audio that a client gets."""
        async with house.connect(str(self.running.addresses[0])) as client:
            return await house.home_assistant_plain(client, text, SynthesizeVoice(name="ryan"))

    async def up(self) -> None:
        """Wait until the engine is up."""
        await until(lambda: self.member.state is State.UP)

    async def forgets(self) -> None:
        """Empty the cache."""
        assert self.running._cache is not None
        await self.running._cache.forget(None)


def of_the_device() -> Sequence[threading.Thread]:
    """Return the running device threads."""
    return [thread for thread in threading.enumerate() if thread.name == "qwen3-device"]


def build(model: Path, spare: Engine | None = None, **more: Any) -> Home:
    """Return a service that is not started, without post-processing and with caches."""
    how = {**house.AS_IT_IS, **KEPT, "stop_timeout": 1.0, **more}
    own = engine(model, **how)
    running = Service(settings(model, **how), [own, spare or Spare()])
    return Home(running, own, running.pool.members[own.name])


@asynccontextmanager
async def home(model: Path, data: Path, **more: Any) -> AsyncIterator[Home]:
    """Run a service whose model is up; failed engines are retried almost at once."""
    found = build(model, data_dir=data, **more)
    threads = len(of_the_device())
    with mock.patch.object(managed, "REST", (0.02,)):
        await found.running.start()
        try:
            await found.up()
            yield found
        finally:
            await found.running.stop()
    await until(lambda: len(of_the_device()) <= threads)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """A service that is shared by the tests of this file."""
    async with home(tiny, tmp_path_factory.mktemp("lasting")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty_one(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """A service with a short stall timeout."""
    async with home(
        tiny, tmp_path_factory.mktemp("hasty"), stall_timeout=0.5, exit_when_hung_for=0.0
    ) as found:
        yield found


Alone = Mapping[tuple[str, int], bytes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(tiny: Path) -> Alone:
    """The audio of the model without faults, by text and seed."""
    speaker = engine(tiny)
    await speaker.start()
    found = {}
    for text, seed in [(TEXT, 0), (TEXT, 1), (NEXT, 0), *((text, 0) for text in CROWD)]:
        found[text, seed] = await heard(speaker, utterance(speaker, text, seed))
    await speaker.close()
    assert len(found[TEXT, 0]) == LAST * 3840
    return found


CROWD = tuple(f"{who} is at home." for who in ("Alice", "Bob", "Carol", "Grandmother", "Nobody", "The cat"))


@asynccontextmanager
async def well_afterwards(home: Home, alone: Alone, kept: bytes | None = None) -> AsyncIterator[None]:
    """Check the state after a fault. ``kept``: other audio of ``TEXT`` that may be cached."""
    await home.up()
    await home.forgets()
    before = asyncio.all_tasks()
    threads = len(of_the_device())
    yield
    assert await home.says(NEXT) in {alone[NEXT, 0], octave(NEXT)}
    await home.up()
    for _ in range(2):
        assert await home.says(NEXT) == alone[NEXT, 0]
        assert await home.says(TEXT) in {kept, alone[TEXT, 0]}
    await until(lambda: len(of_the_device()) == threads)
    await until(lambda: asyncio.all_tasks() <= before)


# -- in any frame -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("fault", [ends, fails, runs_out_of_memory])
async def test_a_fault_in_any_frame_is_never_heard(
    lasting: Home, alone: Alone, faults: Faults, fault: Fault, frame: int
) -> None:
    restarts = lasting.member.restarts
    async with well_afterwards(lasting, alone):
        plan = faults.plan(fault, frame)
        assert await lasting.says(TEXT) == (octave(TEXT) if frame < HEARD else alone[TEXT, 0])
        assert plan.happened.is_set()
    assert lasting.member.restarts == restarts + (fault is ends)


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_talker_that_gives_no_numbers_is_never_heard(
    lasting: Home, alone: Alone, faults: Faults, frame: int
) -> None:
    expected = alone[TEXT, 1 if frame < HEARD else 0]  # before the first audio it is retried
    async with well_afterwards(lasting, alone, expected):
        plan = faults.plan(gives_no_numbers, frame)
        assert await lasting.says(TEXT) == expected
        assert plan.happened.is_set()


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_codec_that_gives_no_numbers_is_never_heard(
    lasting: Home, alone: Alone, faults: Faults, frame: int
) -> None:
    expected = alone[TEXT, 1 if frame <= HEARD else 0]  # its first call comes after two frames
    async with well_afterwards(lasting, alone, expected):
        plan = faults.plan(sounds_of_no_numbers, frame, codec=True)
        assert await lasting.says(TEXT) == expected
        assert plan.happened.is_set()


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_device_that_hangs_in_any_frame_and_goes_on_is_not_started_again(
    hasty_one: Home, alone: Alone, faults: Faults, frame: int
) -> None:
    restarts = hasty_one.member.restarts
    async with well_afterwards(hasty_one, alone):
        faults.plan(stall := Stall(), frame)
        asked = asyncio.create_task(hasty_one.says(TEXT))
        try:
            await until(stall.begun.is_set)
            assert await hasty_one.says(NEXT) == octave(NEXT)
            await until(lambda: hasty_one.member.state is State.HUNG)
            assert await hasty_one.says(NEXT) == octave(NEXT)
            if frame < HEARD:
                assert await asked == octave(TEXT)
            assert asked.done() is (frame < HEARD)
        finally:
            stall.go.set()
        assert await asked == (octave(TEXT) if frame < HEARD else alone[TEXT, 0])
    assert hasty_one.member.restarts == restarts


@pytest.mark.long
async def test_a_device_that_hangs_for_half_a_minute_is_waited_for(
    tiny: Path, alone: Alone, faults: Faults, tmp_path: Path
) -> None:
    async with home(tiny, tmp_path) as found, well_afterwards(found, alone):
        faults.plan(stall := Stall(), 5)
        asked = asyncio.create_task(found.says(TEXT))
        await until(stall.begun.is_set)
        other = asyncio.create_task(found.says(NEXT))
        await asyncio.sleep(30)
        assert await other == octave(NEXT)
        assert not asked.done()
        stall.go.set()
        assert await asked == alone[TEXT, 0]
        assert found.member.restarts == 0


# -- what is not to be finished, or cannot be -----------------------------------------------------------------


@pytest.mark.parametrize("fault", [ends, fails])
async def test_what_is_not_to_be_finished_is_an_error_and_nothing_of_it_is_kept(
    tiny: Path, alone: Alone, faults: Faults, tmp_path: Path, fault: Fault
) -> None:
    async with home(tiny, tmp_path, resume=False) as found, well_afterwards(found, alone):
        faults.plan(fault, 5)
        with pytest.raises(house.SpeechFailedError, match=r"ended|device-side assert") as failed:
            await found.says(TEXT)
        assert failed.value.code == "engine-unavailable"


@pytest.mark.parametrize("frame", [0, 5])
async def test_a_device_that_is_lost_asks_for_a_new_process(
    tiny: Path, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: int
) -> None:
    monkeypatch.setattr(managed, "REST", (0.02,))
    found = build(tiny, data_dir=tmp_path)
    faults.plan(is_lost, frame)
    serving = asyncio.create_task(found.running.run())
    await found.up()
    await until(lambda: bool(found.running.addresses))
    if frame < HEARD:
        assert await found.says(TEXT) == octave(TEXT)
    else:
        with pytest.raises((house.SpeechFailedError, ConnectionError)):
            await found.says(TEXT)
    async with asyncio.timeout(HANG):
        assert not await serving
    assert isinstance(found.model.fault(), DeviceLostError)


async def test_a_device_that_is_lost_is_tried_again_where_there_is_to_be_no_new_process(
    hasty_one: Home, alone: Alone, faults: Faults
) -> None:
    restarts = hasty_one.member.restarts
    async with well_afterwards(hasty_one, alone):
        faults.plan(is_lost, 5)
        assert await hasty_one.says(TEXT) == alone[TEXT, 0]
    assert hasty_one.member.restarts == restarts + 1


HANGING = """
import sys
import threading
from tests.qwen3 import test_faults
from wyoming_qwen3tts import app
from wyoming_qwen3tts.__main__ import leave, main
from wyoming_qwen3tts.engines.qwen3.engine import Qwen3Engine
from wyoming_qwen3tts.engines.qwen3.scheduler import Scheduler

Scheduler.step = lambda *_: threading.Event().wait()
app.engines_for = lambda said: [Qwen3Engine(said.model, said.voices.prompts), test_faults.Spare()]
leave(main(sys.argv[1:]))
"""


async def test_a_process_whose_device_hangs_for_good_ends_to_be_started_again(
    tiny: Path, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            HANGING,
            "--model",
            str(tiny),
            "--device",
            "cpu",
            "--data-dir",
            str(tmp_path),
        ),
        *(
            "--uri",
            "tcp://127.0.0.1:0",
            "--loudness",
            "off",
            "--trim-silence",
            "off",
            "--sentence-silence",
            "0",
        ),
        *("--stall-timeout", "0.3", "--exit-when-hung-for", "1"),
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(HANG):
            lines: list[bytes] = []
            while b"qwen3: warmed up" not in b"".join(lines) or b"listening uri=" not in b"".join(lines):
                lines.append(await process.stderr.readline())
                assert lines[-1], lines
            (uri,) = [line.decode().split("uri=")[-1].strip() for line in lines if b"listening uri=" in line]
            ended = asyncio.create_task(process.communicate())
            async with house.connect(uri) as client:
                for text in (TEXT, NEXT):
                    said = await house.home_assistant_plain(client, text, SynthesizeVoice(name="ryan"))
                    assert said == octave(text)
            await ended
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == os.EX_TEMPFAIL


# -- the thread, at other moments ---------------------------------------------------------------------------


async def test_a_thread_that_is_ended_while_it_has_nothing_to_do_is_started_again(
    lasting: Home, alone: Alone
) -> None:
    restarts = lasting.member.restarts
    async with well_afterwards(lasting, alone):
        worker = lasting.model._worker
        assert worker is not None
        # It does that itself, and without a line of Python: on Python 3.11 a thread that is ended from another one keeps
        # every thread that is traced (for coverage) from calling anything, until it is its turn, which may be never.
        end = ctypes.pythonapi.PyThreadState_SetAsyncExc
        worker._post(partial(end, ctypes.c_ulong(worker._thread.ident or 0), ctypes.py_object(SystemExit)))
        assert await lasting.says(TEXT) in {octave(TEXT), alone[TEXT, 0]}
        await until(lambda: lasting.member.restarts > restarts)
    assert lasting.member.restarts == restarts + 1


async def test_a_thread_that_is_ended_while_somebody_joins_tells_them(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise SystemExit

    speaker = engine(tiny)
    await speaker.start()
    monkeypatch.setattr(Decoder, "prepare", end)
    async with asyncio.timeout(HANG):
        with pytest.raises(EngineUnavailableError, match="the model's thread has ended"):
            await heard(speaker, utterance(speaker))
    assert speaker.fault() is not None
    await speaker.close()


async def test_whoever_has_been_promised_something_hears_that_the_thread_was_ended(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise SystemExit

    speaker = engine(tiny)
    await speaker.start()
    assert speaker._worker is not None
    monkeypatch.setattr(ModelManager, "get", end)
    made = speaker._worker.prepare(str(tiny), Reference(tmp_path, "a" * 64), ["english"])
    async with asyncio.timeout(HANG):
        with pytest.raises(EngineUnavailableError, match="the model's thread has ended"):
            await asyncio.wrap_future(made)
    await speaker.close()


# -- starting -----------------------------------------------------------------------------------------------


async def test_a_thread_that_is_ended_while_it_reads_a_model_is_a_model_that_cannot_be_loaded(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(checkpoint, "load", end)
    speaker = engine(tiny)
    async with asyncio.timeout(HANG):
        with pytest.raises(EngineUnavailableError, match="the model cannot be loaded"):
            await speaker.start()
    await speaker.close()


def vanishes(model: Path) -> Callable[[], object]:
    """Take a checkpoint away; return what brings it back."""
    elsewhere = model.rename(model.with_name("elsewhere"))
    return lambda: elsewhere.rename(model)


def is_cut_off(model: Path) -> Callable[[], object]:
    """Cut a checkpoint's weights off; return what mends them."""
    weights = model / "model.safetensors"
    whole = weights.rename(model / "whole")
    weights.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return lambda: whole.rename(weights)


@pytest.mark.parametrize("frame", [0, 5])
@pytest.mark.parametrize("harm", [vanishes, is_cut_off])
async def test_a_model_that_has_gone_meanwhile_comes_back_when_it_is_there_again(
    tiny: Path,
    alone: Alone,
    faults: Faults,
    tmp_path: Path,
    harm: Callable[[Path], Callable[[], object]],
    frame: int,
) -> None:
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    async with home(model, tmp_path / "data") as found, well_afterwards(found, alone):
        mend = harm(model)
        faults.plan(ends, frame)
        asked = asyncio.create_task(found.says(TEXT))
        await until(lambda: found.member.restarts > 1)
        assert await found.says(NEXT) == octave(NEXT)
        assert found.member.state is not State.UP
        mend()
        assert await asked == (octave(TEXT) if frame < HEARD else alone[TEXT, 0])


async def test_a_model_that_cannot_be_read_leaves_the_others_speaking_and_is_read_when_it_can_be(
    tiny: Path, alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managed, "REST", (0.02,))
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    mend = is_cut_off(model)
    port = web.free_port()
    found = build(model, data_dir=tmp_path / "data", http_port=port)
    await found.running.start()
    try:
        await house.settled(found.running)
        async with (
            web.Web(base_url=f"http://127.0.0.1:{port}", timeout=HANG, verify=False) as door,
            house.connect(str(found.running.addresses[0])) as client,
        ):
            health = (await door.get("/health")).json()
            assert (health["status"], health["speaking"]) == ("degraded", "spare")
            assert "Ryan" in {voice.name for voice in await house.listed(client)}
            assert await found.says(TEXT) == octave(TEXT)
            mend()
            await found.up()
            assert (await door.get("/health")).json()["status"] == "ok"
            assert await found.says(TEXT) == alone[TEXT, 0]
    finally:
        await found.running.stop()


async def test_while_the_model_loads_others_speak_and_what_it_has_said_before_is_its_own(
    tiny: Path, alone: Alone, lent_heart: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with home(tiny, tmp_path) as before:
        assert await before.says(TEXT) == alone[TEXT, 0]
    go = threading.Event()
    load = checkpoint.load

    def late(*how: Any) -> Any:
        assert go.wait(HANG)
        return load(*how)

    monkeypatch.setattr(checkpoint, "load", late)
    found = build(tiny, lent_heart, data_dir=tmp_path)
    await found.running.start()
    try:
        async with house.connect(str(found.running.addresses[0])) as client:
            names = {voice.name for voice in await house.listed(client)}
            assert {"Ryan", "Vivian", "heart"} <= names
        await until(lambda: bool(found.model.status()))
        assert await found.says(TEXT) == alone[TEXT, 0]
        said = await found.says(NEXT)
        assert len(said) > 24_000
        assert said != alone[NEXT, 0]
        assert found.member.state is State.STARTING
        go.set()
        await found.up()
        assert await found.says(NEXT) == alone[NEXT, 0]
    finally:
        go.set()
        await found.running.stop()


# -- several at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [1, LAST, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize("fault", [ends, fails, runs_out_of_memory])
async def test_a_fault_in_a_crowd_leaves_every_sentence_whole(
    lasting: Home, alone: Alone, faults: Faults, fault: Fault, frame: int
) -> None:
    asked = [CROWD[number : number + 1 + number % 2] for number in range(len(CROWD))]
    async with well_afterwards(lasting, alone):
        plan = faults.plan(fault, frame, CROWD[2])
        replies = await asyncio.gather(*(lasting.says(" ".join(each)) for each in asked))
        assert plan.happened.is_set()
        for texts, reply in zip(asked, replies, strict=True):
            wholes = itertools.product(*([alone[text, 0], octave(text)] for text in texts))
            assert any(same(b"".join(whole), reply) for whole in wholes)
