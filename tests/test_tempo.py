"""Speed: the pitch stays, the length is right, 1.0 touches nothing, and what is missing is named at start."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.house import (
    AS_SET,
    ScriptedEngine,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    running_pool,
    service,
    synthesizer,
    tone,
)
from wyoming_qwen3tts.app import StartupError
from wyoming_qwen3tts.audio.loudness import Meter
from wyoming_qwen3tts.audio.speed import METHODS, Sonic, TempoError, TempoNotInstalledError, load
from wyoming_qwen3tts.engines.base import Engine
from wyoming_qwen3tts.speech import SAMPLE_RATE, SpeechRequest, TextFeed, Utterance

Samples = NDArray[np.int16]

SPEEDS = [0.5, 0.8, 1.25, 2.0]


@pytest.fixture(params=list(METHODS))
def method(request: pytest.FixtureRequest) -> str:
    """Every method in turn, the real package and the real command."""
    name = str(request.param)
    if name == "rubberband" and not shutil.which("rubberband"):
        pytest.fail("the command rubberband is missing; install it: apt-get install rubberband-cli")
    return name


def buzz(seconds: float, hertz: float) -> Samples:
    """Return a voiced sound: ten harmonics, each weaker than the one before."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    waves = sum(np.sin(2 * np.pi * hertz * n * at) / n for n in range(1, 11))
    return np.round(6000 * waves).astype(np.int16)


def pitch(samples: Samples) -> float:
    """Return the fundamental in Hz, where the autocorrelation of the sound peaks between 60 and 400 Hz."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64)
    spectrum = np.fft.rfft(middle, 2 * len(middle))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 60
    best = low + int(np.argmax(correlation[low:high]))
    before, at, after = correlation[best - 1 : best + 2]
    return float(SAMPLE_RATE / (best + (before - after) / (2 * (before - 2 * at + after))))


def at_speed(method: str, samples: Samples, speed: float, cuts: Sequence[int] = ()) -> Samples:
    tempo = METHODS[method](speed)
    pieces = np.split(samples, sorted(cut for cut in cuts if cut < len(samples)))
    return np.concatenate([*[tempo.push(piece) for piece in pieces], tempo.finish()])


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("hertz", [95.0, 210.0])
def test_the_pitch_stays_and_the_length_is_the_speed_s(method: str, speed: float, hertz: float) -> None:
    sound = buzz(3, hertz)
    assert pitch(sound) == pytest.approx(hertz, rel=0.002)
    stretched = at_speed(method, sound, speed)
    assert pitch(stretched) == pytest.approx(hertz, rel=0.005)
    assert len(sound) / len(stretched) == pytest.approx(speed, rel=0.01)
    before, after = Meter(), Meter()
    before.push(sound)
    after.push(stretched)
    assert after.level == pytest.approx(before.level, abs=1.5)


@settings(max_examples=40)
@given(
    st.integers(0, 9000),
    st.lists(st.integers(0, 9000), max_size=10),
    st.lists(st.integers(0, 9000), max_size=10),
    st.sampled_from([*SPEEDS, 0.99, 1.01, 1.5]),
)
def test_how_a_sound_is_cut_into_pieces_changes_nothing(
    length: int, one: list[int], other: list[int], speed: float
) -> None:
    noise = np.random.default_rng(length).normal(0, 300, length)
    sound = (buzz(1, 120)[:length] + noise).astype(np.int16)
    assert np.array_equal(at_speed("sonic", sound, speed, one), at_speed("sonic", sound, speed, other))


def test_pieces_change_nothing_for_what_needs_the_whole_either(method: str) -> None:
    sound = buzz(0.5, 150)
    assert np.array_equal(at_speed(method, sound, 1.25), at_speed(method, sound, 1.25, range(0, 12_000, 777)))


def test_sonic_gives_its_first_sound_after_40_ms() -> None:
    tempo = Sonic(1.25)
    assert not len(tempo.push(buzz(0.03, 150)))
    assert len(tempo.push(buzz(0.02, 150)))


@pytest.mark.parametrize("length", [0, 1, 7, 240, 1000])
def test_sounds_that_are_hardly_any(method: str, length: int) -> None:
    sound = buzz(1, 150)[:length]
    for speed in SPEEDS:
        made = len(at_speed(method, sound, speed))
        assert made == pytest.approx(length / speed, abs=SAMPLE_RATE / 40), "a period or a block more or less"


async def test_at_its_own_pace_a_voice_is_not_touched(method: str) -> None:
    async with service([ScriptedEngine()], speed=1.0, tempo=method) as uri, connect(uri) as client:
        assert await home_assistant_plain(client, "As it is.") == tone("As it is.")


@pytest.mark.parametrize("speed", [0.8, 1.25])
async def test_a_reply_of_the_built_in_voice(
    home: str, lent_heart: Engine, method: str, speed: float
) -> None:
    text = "The washing machine has finished. The door is locked."
    async with connect(home) as client:
        plain = len(await home_assistant_plain(client, text))
    async with service([lent_heart], **AS_SET, speed=speed, tempo=method) as uri, connect(uri) as client:
        sound = await home_assistant_plain(client, text)
        assert sound == await home_assistant_streamed(client, [text[:20], text[20:]])
    pause = 0.2 * 2 * SAMPLE_RATE  # what is put between two sentences has no speed
    assert (plain - pause) / (len(sound) - pause) == pytest.approx(speed, rel=0.03)


async def heard(speed: float | None, configured: float) -> tuple[float, list[float]]:
    """Return the seconds that a second of sound takes, and the speeds the engine was told."""
    told = []

    async def say(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        told.append(utterance.speed)
        yield buzz(1, 150).tobytes()

    engine = ScriptedEngine(say)
    async with running_pool(engine) as able:
        road = synthesizer(able, speed=configured)
        async with aclosing(road.speak(SpeechRequest(TextFeed.whole("Go."), speed=speed))) as pieces:
            sound = b"".join([piece async for piece in pieces])
    return len(sound) / 2 / SAMPLE_RATE, told


@pytest.mark.parametrize(
    ("speed", "configured", "expected"),
    [
        (None, 1.0, 1.0),
        (None, 1.25, 1.25),
        (0.8, 1.25, 0.8),
        (1.0, 1.25, 1.0),
        (9.0, 1.0, 2.0),
        (0.1, 1.0, 0.5),
    ],
)
async def test_a_request_has_its_own_speed_or_the_settings(
    speed: float | None, configured: float, expected: float
) -> None:
    seconds, told = await heard(speed, configured)
    assert told == [expected]
    assert seconds == pytest.approx(1 / expected, rel=0.01)


async def test_a_command_that_fails_is_an_error_and_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "rubberband"
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with service([ScriptedEngine()], speed=1.25, tempo="rubberband") as uri, connect(uri) as client:
        with pytest.raises(SpeechFailedError, match="rubberband failed") as failure:
            await home_assistant_plain(client, "Hello.")
    assert failure.value.code == TempoError.code


def hide_the_command(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PATH", "/nonexistent")


def hide_the_package(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "pyrubberband", None)


@pytest.mark.parametrize(
    ("hide", "expected"),
    [
        (hide_the_command, "apt-get install rubberband-cli"),
        (hide_the_package, "pip install pyrubberband"),
    ],
)
async def test_what_is_missing_is_named_at_start(
    hide: Callable[[Any], None], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch)
    with pytest.raises(StartupError, match=expected) as error:
        async with service([ScriptedEngine()], tempo="rubberband"):
            pass
    assert "\n" not in str(error.value)
    with pytest.raises(TempoNotInstalledError, match=expected):
        load("rubberband")
    load("sonic")
