"""Loudness: what is measured, that it belongs to the voice, and that it never changes inside a reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from wyoming.tts import SynthesizeVoice

from tests.house import HANG, UNPROCESSED, ScriptedEngine, connect, home_assistant_plain, service
from wyoming_qwen3tts.audio.loudness import LARGEST_GAIN, Gain, Levels, Meter
from wyoming_qwen3tts.audio.pcm import to_samples
from wyoming_qwen3tts.audio.postprocess import MAX_STYLE_GAIN, ReplyPostprocessor
from wyoming_qwen3tts.config.settings import Settings
from wyoming_qwen3tts.engines import builtin, espeak
from wyoming_qwen3tts.engines.base import Engine, UnsupportedTextError
from wyoming_qwen3tts.speech import SAMPLE_RATE, Attribution, Reference, Style, Utterance, Voice
from wyoming_qwen3tts.voices import calibration
from wyoming_qwen3tts.voices.styles import with_style

Samples = NDArray[np.int16]

TARGET = -20.0


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    """Return white noise of ``level`` dBFS (RMS)."""
    drawn = np.random.default_rng(seed).normal(0, 32768 * 10 ** (level / 20), round(seconds * SAMPLE_RATE))
    return np.clip(np.round(drawn), -32768, 32767).astype(np.int16)


def measured(*sounds: Samples) -> float:
    meter = Meter()
    for sound in sounds:
        meter.push(sound)
    return meter.level


def voice(loudness: float | None = None, name: str = "any") -> Voice:
    return Voice(name, "", ("en",), "any", Attribution("", ""), loudness=loudness)


async def say(engine: Engine, speaker: Voice, text: str) -> Samples:
    async with aclosing(engine.speak(Utterance(text, speaker, speaker.languages[0]))) as stream:
        return to_samples(b"".join([piece async for piece in stream]))


async def test_the_built_in_voice_s_loudness_is_what_it_says(heart: builtin.BuiltinEngine) -> None:
    """The source of ``builtin.LOUDNESS``: seven sentences of a home, nine seconds of speech."""
    texts = [
        "Hello there, how are you today?",
        "The washing machine has finished.",
        "Fish and chips for five.",
        "Twenty one point five degrees outside.",
        "The light in the kitchen is on, and the front door has been locked.",
        "It will rain tomorrow afternoon, so take an umbrella with you.",
        "Good night.",
    ]
    (speaker,) = heart.voices()
    sounds = [await say(heart, speaker, text) for text in texts]
    assert speaker.loudness == pytest.approx(measured(*sounds), abs=0.2)
    assert all(measured(sound) == pytest.approx(speaker.loudness, abs=2) for sound in sounds)


async def test_espeak_s_loudness_is_what_it_says() -> None:
    """The source of ``espeak.LOUDNESS``: a sentence in each of nine languages; they differ by 4 dB."""
    texts = {
        "de": "Das Licht in der Küche ist an.",
        "fr-FR": "La lumière de la cuisine est allumée.",
        "es": "La luz de la cocina está encendida.",
        "it": "La luce della cucina è accesa.",
        "pt-BR": "A luz da cozinha está acesa.",
        "ru": "Свет на кухне включён.",
        "zh": "厨房的灯开着。",
        "ja": "だいどころの あかりが ついています。",
        "ko": "주방 불이 켜져 있습니다.",
    }
    engine = espeak.EspeakEngine()
    await engine.start()
    voices = {each.languages[0]: each for each in engine.voices()}
    sounds = [await say(engine, voices.get(tag) or voices[tag[:2]], text) for tag, text in texts.items()]
    assert measured(*sounds) == pytest.approx(espeak.LOUDNESS, abs=0.3)
    assert all(measured(sound) == pytest.approx(espeak.LOUDNESS, abs=3) for sound in sounds)
    assert all(each.loudness == espeak.LOUDNESS for each in voices.values())


@pytest.mark.parametrize("level", [-45.0, -30.0, -20.0, -12.0])
def test_a_level_is_that_of_the_speech_alone(level: float) -> None:
    speech = noise(1, level)
    assert measured(speech) == pytest.approx(level, abs=0.1)
    assert measured(np.zeros(24_000, np.int16), speech, noise(3, level - 25)) == pytest.approx(level, abs=0.1)
    assert measured(speech // 2) == pytest.approx(level - 6.02, abs=0.1)


def test_of_silence_there_is_no_level() -> None:
    assert measured() == measured(np.zeros(9999, np.int16)) == measured(noise(1, -80)) == -np.inf


@given(st.lists(st.integers(0, 20_000), max_size=8))
def test_pieces_change_no_measurement(cuts: list[int]) -> None:
    sound = np.concatenate((noise(0.5, -20), noise(0.3, -60)))
    meter = Meter()
    for piece in np.split(sound, sorted(cuts)):
        meter.push(piece)
    assert meter.level == measured(sound)


@pytest.mark.parametrize("loudness", [-30.0, -23.8, -20.0, -14.0])
def test_a_voice_is_brought_to_the_target(loudness: float) -> None:
    decibels = Levels(TARGET).gain(voice(loudness))
    assert measured(Gain(decibels).push(noise(1, loudness))) == pytest.approx(TARGET, abs=0.2)


def test_gains_have_bounds_and_peaks_too() -> None:
    levels = Levels(-20)
    assert levels.gain(voice(-60)) == LARGEST_GAIN
    assert levels.gain(voice(-1)) == -LARGEST_GAIN
    assert Levels(None).gain(voice(-60)) == 0
    loud = Gain(LARGEST_GAIN).push(np.array([-32768, -20_000, 0, 20_000, 32767], np.int16))
    assert np.abs(loud.astype(int)).max() < 32767
    assert (np.diff(loud.astype(int)) > 0).all(), "bent, not clipped"


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / "levels.json"
    first, second = Levels(TARGET, path), Levels(TARGET, path)
    unknown, other = voice(), voice(name="another")
    assert (first.level(unknown), first.gain(unknown)) == (None, 0.0)
    first.store(unknown, -30)
    second.store(other, -26)  # another process
    assert first.gain(unknown) == pytest.approx(10)
    again = Levels(-23, path)
    assert again.gain(unknown) == pytest.approx(7)
    assert again.gain(other) == pytest.approx(3)
    assert [entry.name for entry in path.parent.iterdir()] == ["levels.json"]
    assert "another" not in path.read_text()


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": "loud"}', '{"a": null}', "\0"])
def test_levels_that_cannot_be_read_are_measured_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "levels.json"
    path.write_text(damage)
    levels = Levels(TARGET, path)
    assert levels.level(voice()) is None
    assert "levels cannot be read and are measured again" in caplog.text
    levels.store(voice(), -30)
    assert Levels(TARGET, path).level(voice()) == -30


def test_levels_that_cannot_be_kept_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    levels = Levels(TARGET, tmp_path / "file" / "levels.json")
    levels.store(voice(), -30)
    assert levels.gain(voice()) == pytest.approx(10)
    assert "levels cannot be stored and are measured again" in caplog.text


def test_neither_style_nor_language_changes_a_level_and_a_recording_does() -> None:
    levels = Levels(TARGET)
    plain = voice()
    levels.store(plain, -26)
    styles = (
        Style("whisper", instruct="Whisper."),
        Style("slow", speed=0.8),
        Style("Deutsch", language="en"),
    )
    assert all(levels.level(styled(style)) == -26 for style in styles)
    for other in (
        replace(plain, reference=Reference(Path("x.wav"), "digest")),
        replace(plain, model="another"),
        replace(plain, version="2"),
        replace(plain, engine="another"),
    ):
        assert levels.level(other) is None


def test_a_voice_ends_a_reply_as_it_began_it() -> None:
    levels = Levels(TARGET)
    reply = ReplyPostprocessor(UNPROCESSED, levels)

    def level(of: ReplyPostprocessor) -> float:
        finish = of.begin(voice())
        return measured(to_samples(finish.push(noise(1, -30).tobytes()) + finish.finish()))

    assert level(reply) == pytest.approx(-30, abs=0.2)
    levels.store(voice(), -30)
    assert level(reply) == pytest.approx(-30, abs=0.2)
    assert level(ReplyPostprocessor(UNPROCESSED, levels)) == pytest.approx(TARGET, abs=0.2)


def scripted(level: float) -> ScriptedEngine:
    async def speak(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        for number in range(4):
            yield noise(0.3, level, seed=number).tobytes()

    return ScriptedEngine(speak)


def levels_of(sound: bytes, seconds: float = 0.3) -> Sequence[float]:
    step = round(seconds * SAMPLE_RATE)
    samples = to_samples(sound)
    return [measured(samples[at : at + step]) for at in range(0, len(samples), step)]


async def test_a_voice_is_measured_before_it_is_heard_and_never_again(tmp_path: Path) -> None:
    sounds = []
    for start in range(2):
        engine = scripted(-32)
        async with (
            service([engine], loudness=TARGET, data_dir=tmp_path) as uri,
            connect(uri) as client,
        ):
            sounds += [
                await home_assistant_plain(client, "Go one. Then two.", SynthesizeVoice(name))
                for name in ("tone", "Klang Zwei", "tone")
            ]
            measuring = {text for text in engine.said if text not in {"Go one.", "Then two."}}
            assert len(measuring) == (2 if start == 0 else 0)
    assert len(set(sounds)) == 1
    assert levels_of(sounds[0]) == pytest.approx([TARGET] * 8, abs=0.3)


async def test_a_voice_that_cannot_be_measured_is_heard_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def speak(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if utterance.text != "Go one.":
            raise UnsupportedTextError("not that")
        yield noise(1.2, -32).tobytes()

    async with service([ScriptedEngine(speak)], loudness=TARGET) as uri, connect(uri) as client:
        sounds = [await home_assistant_plain(client, "Go one.") for _ in range(2)]
    assert sounds[0] == sounds[1]
    assert levels_of(sounds[0]) == pytest.approx([-32] * 4, abs=0.3)
    assert caplog.text.count('voices: level cannot be measured voice=tone reason="not that"') == 1


async def test_a_voice_that_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "WAIT_TIMEOUT", 0.05)
    measured_now = asyncio.Event()

    async def speak(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if utterance.text != "Go one.":
            await measured_now.wait()
        yield noise(3.6, -32).tobytes()

    async with service([ScriptedEngine(speak)], loudness=TARGET) as uri, connect(uri) as client:
        assert levels_of(await home_assistant_plain(client, "Go one.")) == pytest.approx([-32] * 12, abs=0.3)
        measured_now.set()
        async with asyncio.timeout(HANG):
            while levels_of(await home_assistant_plain(client, "Go one."))[0] < TARGET - 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_off_is_off() -> None:
    async with service([scripted(-32)], loudness=None) as uri, connect(uri) as client:
        for _ in range(3):
            sound = await home_assistant_plain(client, "Go one. Then two. Then three.")
            assert levels_of(sound) == pytest.approx([-32] * 12, abs=0.3)


@pytest.mark.parametrize(
    ("name", "text"),
    [("heart", "The light in the kitchen is on."), ("espeak-de", "Das Licht in der Küche ist an.")],
)
async def test_every_voice_reaches_a_client_at_the_same_level(home: str, name: str, text: str) -> None:
    async with connect(home) as client:
        sound = await home_assistant_plain(client, text, SynthesizeVoice(name=name))
    assert measured(to_samples(sound)) == pytest.approx(Settings().audio.loudness, abs=2)


# -- styles -------------------------------------------------------------------------------------------------


def styled(style: Style, loudness: float | None = None, name: str = "any") -> Voice:
    return with_style(voice(loudness, name), style)


@pytest.mark.parametrize("gain", [-20.0, -6.0, 3.0])
async def test_a_style_s_gain_comes_on_top_of_the_level(gain: float) -> None:
    text = "Go one. Then two. Then three."
    speaker = replace(styled(Style("own", gain=gain), loudness=-30.0), engine=ScriptedEngine.name)
    engine = ScriptedEngine(scripted(-30).script, [speaker])
    async with service([engine], loudness=TARGET) as uri, connect(uri) as client:
        sound = await home_assistant_plain(client, text)
    assert levels_of(sound) == pytest.approx([TARGET + gain] * 12, abs=0.5)


def test_a_style_s_gain_has_bounds_of_its_own() -> None:
    """The learned part is bounded by LARGEST_GAIN; what a style adds comes on top, and bends at full scale."""
    reply = ReplyPostprocessor(UNPROCESSED, Levels(TARGET))
    finish = reply.begin(styled(Style("shout", gain=99), loudness=-60.0))
    sound = to_samples(finish.push(noise(1, -60).tobytes()) + finish.finish())
    assert measured(sound) == pytest.approx(-60 + LARGEST_GAIN + MAX_STYLE_GAIN, abs=0.3)
    loud = reply.begin(styled(Style("shout", gain=12), loudness=TARGET))
    sound = to_samples(loud.push(noise(1, TARGET).tobytes()) + loud.finish())
    assert np.abs(sound.astype(int)).max() < 32767


def test_no_more_of_a_soft_style_is_taken_for_silence() -> None:
    finishing = replace(UNPROCESSED, trim_silence=-50.0)
    sound = np.concatenate((noise(0.5, -45), noise(0.5, -20), noise(0.5, -45)))

    def length(style: Style) -> int:
        finish = ReplyPostprocessor(finishing, Levels(None)).begin(styled(style))
        return len(finish.push(sound.tobytes()) + finish.finish())

    assert length(Style("soft", gain=-20)) == length(Style("plain", seed=1)) == 2 * len(sound)
