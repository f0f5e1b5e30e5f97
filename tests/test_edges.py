"""The ends of utterances and the joins between them: what is taken off, what stays, what never clicks."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from wyoming.event import Event, async_write_event
from wyoming.tts import Synthesize

from tests.house import (
    AS_SET,
    UNPROCESSED,
    ScriptedEngine,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    raw,
    read_events,
    service,
    sound_of,
    types,
)
from wyoming_qwen3tts.audio.loudness import Gain, Levels, Meter
from wyoming_qwen3tts.audio.pcm import FRAME, from_db, power, silence, to_pcm, to_samples
from wyoming_qwen3tts.audio.postprocess import (
    Postprocessor,
    ReplyPostprocessor,
    Stage,
)
from wyoming_qwen3tts.audio.trim import FADE, LONGEST_PAUSE, Fade, SilenceTrimmer
from wyoming_qwen3tts.config.settings import AudioSettings, Settings
from wyoming_qwen3tts.engines.base import Engine, TruncatedAudioError
from wyoming_qwen3tts.engines.builtin import LOUDNESS, BuiltinEngine
from wyoming_qwen3tts.speech import BYTES_PER_SECOND, SAMPLE_RATE, Attribution, Utterance, Voice

Samples = NDArray[np.int16]

THRESHOLD = -50.0
PADDING = 0.05
PAUSE = 0.3
VOICE = Voice("any", "", ("en",), "any", Attribution("", ""))
TRIMMED = AudioSettings(trim_silence=THRESHOLD, trim_padding=PADDING, sentence_silence=PAUSE)
PEAK = 16_384
PADDED = round(PADDING * SAMPLE_RATE)


def through(stage: Stage, samples: Samples, cuts: Iterable[int] = ()) -> Samples:
    """Return what ``stage`` makes of ``samples``, given in pieces that begin at ``cuts``."""
    pieces = np.split(samples, sorted(cut for cut in cuts if cut < len(samples)))
    return np.concatenate([*[stage.push(piece) for piece in pieces], stage.finish()])


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    """Return white noise of ``level`` dBFS (RMS)."""
    rms = 32768 * 10 ** (level / 20)
    drawn = np.random.default_rng(seed).normal(0, rms, round(seconds * SAMPLE_RATE))
    return np.clip(np.round(drawn), -32768, 32767).astype(np.int16)


def tone(seconds: float, hertz: float = 200.0) -> Samples:
    """Return a tone that begins at its peak: the hardest step there is."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return to_samples(to_pcm((PEAK / 32768 * np.cos(2 * np.pi * hertz * at)).astype(np.float32)))


def loud_frames(samples: Samples) -> NDArray[np.intp]:
    return np.flatnonzero(power(samples) >= from_db(THRESHOLD))


def parts(levels: Sequence[float | None], lengths: Sequence[int]) -> Samples:
    """Return stretches of noise of those levels (None: digital silence) and lengths in samples."""
    pieces = [
        np.zeros(length, np.int16) if level is None else noise(length / SAMPLE_RATE, level, seed)
        for seed, (level, length) in enumerate(zip(levels, lengths, strict=True))
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


sounds = st.lists(
    st.tuples(st.sampled_from([None, -80.0, -55.0, -49.0, -20.0, -3.0]), st.integers(1, 6000)), max_size=8
).map(lambda drawn: parts([level for level, _ in drawn], [length for _, length in drawn]))
cuts = st.lists(st.integers(0, 40_000), max_size=12)


@given(sounds, cuts, st.sampled_from([0.0, 0.003, PADDING, 0.2]))
def test_trimming_takes_nothing_but_silence_from_the_ends(
    sound: Samples, at: list[int], padding: float
) -> None:
    trim = SilenceTrimmer(THRESHOLD, padding)
    kept = through(trim, sound, at)
    frames = [sound[start : start + FRAME] / 32768 for start in range(0, len(sound), FRAME)]
    loud = [number for number, frame in enumerate(frames) if (frame**2).mean() >= from_db(THRESHOLD)]
    if not loud:
        assert not len(kept)
        return
    first, last = loud[0] * FRAME, min(len(sound), (loud[-1] + 1) * FRAME)
    begin = max(0, first - round(padding * SAMPLE_RATE))
    end = min(len(sound), last + round(padding * SAMPLE_RATE))
    assert np.array_equal(kept, sound[begin:end])
    assert trim.leading_silence * SAMPLE_RATE == pytest.approx(first - begin)
    assert trim.trailing_silence * SAMPLE_RATE == pytest.approx(end - last)


@given(sounds, cuts, cuts, st.sampled_from([0.0, PADDING]))
def test_how_a_sound_is_cut_into_pieces_changes_nothing(
    sound: Samples, one: list[int], other: list[int], padding: float
) -> None:
    for make in (Fade, lambda: SilenceTrimmer(THRESHOLD, padding)):
        assert np.array_equal(through(make(), sound, one), through(make(), sound, other))


def test_silence_without_end_is_not_held_without_end() -> None:
    trim = SilenceTrimmer(THRESHOLD, PADDING)
    speech, pause = tone(0.1), noise(1.0, -70)
    assert len(trim.push(speech)) == len(speech)
    out = sum(len(trim.push(pause)) for _ in range(8))
    assert out == 8 * len(pause) - LONGEST_PAUSE
    assert len(trim.push(speech)) == LONGEST_PAUSE + len(speech), "a pause is as long as it was"
    assert len(trim.push(np.zeros(4 * SAMPLE_RATE, np.int16))) == 0
    assert len(trim.finish()) == PADDED


@pytest.mark.parametrize("length", [0, 1, 2, FADE - 1, FADE, FADE + 1, 2 * FADE, 5000])
def test_a_fade_takes_nothing_away_but_level(length: int) -> None:
    sound = np.full(length, 20_000, np.int16)
    faded = through(Fade(), sound)
    assert len(faded) == length
    assert np.abs(np.diff(np.concatenate(([0], faded, [0])))).max(initial=0) < 20_000 * 2 / FADE
    assert (faded[FADE : length - FADE] == 20_000).all()


def finished(
    utterances: Iterable[Samples],
    finishing: AudioSettings = TRIMMED,
    speed: float = 1.0,
    cut: int = 4000,
) -> bytes:
    reply = ReplyPostprocessor(finishing, Levels(None))
    said = []
    for utterance in utterances:
        finish = reply.begin(VOICE, speed)
        pcm = utterance.tobytes()
        said += [finish.push(pcm[at : at + cut]) for at in range(0, len(pcm), cut)]
        said.append(finish.finish())
    return b"".join(said)


@given(
    st.lists(st.tuples(sounds, st.integers(60, 400), st.integers(1, 3000)), max_size=4),
    st.sampled_from([1.0, 1.25]),
)
def test_no_join_has_a_step(drawn: list[tuple[Samples, int, int]], speed: float) -> None:
    """Tones that come out of silence of any kind and go back to it, or begin and end at once, anywhere."""
    utterances = []
    for around, hertz, length in drawn:
        sound = tone(length / SAMPLE_RATE, hertz)
        if len(around):
            quiet = (around // 300).astype(np.int16)
            sound = np.concatenate((quiet, through(Fade(), sound), quiet[::-1]))
        utterances.append(sound)
    reply = to_samples(finished(utterances, speed=speed))
    steps = np.abs(np.diff(np.concatenate(([0], reply, [0])).astype(np.int64)))
    steepest = PEAK * 2 * np.pi * 400 / SAMPLE_RATE  # of the tones themselves
    fades = PEAK * np.pi / 2 / FADE
    hiss = 2 * 32768 / 300
    assert steps.max(initial=0) < steepest + 2 * fades + hiss


def test_the_pause_between_two_utterances_counts_the_padding() -> None:
    quiet = np.zeros(SAMPLE_RATE // 2, np.int16)
    padded = np.concatenate((quiet, tone(0.2), quiet))
    abrupt = tone(0.2)
    for utterances in itertools.product((padded, abrupt), repeat=2):
        reply = to_samples(finished(utterances))
        first, second = np.split(loud_frames(reply), np.flatnonzero(np.diff(loud_frames(reply)) > 1) + 1)
        assert len(first) == len(second) == 20
        assert second[0] - first[-1] - 1 == PAUSE * 100, "in frames of 10 ms"


def test_padding_longer_than_the_pause_is_the_pause() -> None:
    quiet = np.zeros(SAMPLE_RATE // 2, np.int16)
    padded = np.concatenate((quiet, tone(0.2), quiet))
    wide = AudioSettings(trim_silence=THRESHOLD, trim_padding=0.2, sentence_silence=0.3)
    assert len(finished([padded, padded], wide)) == BYTES_PER_SECOND * 1.2


def test_an_utterance_of_silence_has_no_pause_either() -> None:
    silent = np.zeros(SAMPLE_RATE, np.int16)
    assert finished([silent, tone(0.2), silent, silent, tone(0.2), silent]) == finished([tone(0.2)] * 2)
    assert finished([silent, silent]) == b""


def test_a_pause_of_ones_own() -> None:
    reply = ReplyPostprocessor(TRIMMED, Levels(None))

    def said(finish: Postprocessor) -> int:
        return len(finish.push(tone(0.2).tobytes()) + finish.finish())

    assert said(reply.begin(VOICE, pause=5.0)) == 0.2 * BYTES_PER_SECOND, "nothing was heard before it"
    assert said(reply.begin(VOICE, pause=0.0)) == 0.2 * BYTES_PER_SECOND
    assert said(reply.begin(VOICE, pause=1.0)) == 1.2 * BYTES_PER_SECOND


def test_what_is_not_to_be_finished_is_not_touched() -> None:
    utterances = [noise(0.3, -20), np.zeros(100, np.int16), noise(0.001, -60)]
    assert finished(utterances, UNPROCESSED) == b"".join(sound.tobytes() for sound in utterances)


# Through a real server.


@pytest.mark.slow
async def test_soft_consonants_survive(heart: BuiltinEngine) -> None:
    """What is taken off a word that begins or ends with a breath is 35 dB and more under the word."""
    settings = Settings()
    for word in "half five six hello laugh fish thin path who bus shoes have cut back".split():
        utterance = Utterance(f"{word.capitalize()}.", heart.voices()[0], "en-US")
        async with aclosing(heart.speak(utterance)) as stream:
            sound = to_samples(b"".join([piece async for piece in stream]))
        sound = Gain((settings.audio.loudness or 0) - LOUDNESS).push(sound)
        trim = SilenceTrimmer(settings.audio.trim_silence or 0, settings.audio.trim_padding)
        kept = len(through(trim, sound))
        begin = int(loud_frames(sound)[0]) * FRAME - round(trim.leading_silence * SAMPLE_RATE)
        taken = np.concatenate((power(sound[:begin]), power(sound[begin + kept :])))
        meter = Meter()
        meter.push(sound)
        assert len(taken) > 30, "silence was taken off"
        assert taken.max() < from_db(meter.level - 35), word


def runs(samples: Samples, level: float) -> list[tuple[int, int]]:
    """Return [begin, end) in samples of every stretch of frames at ``level`` dBFS or above."""
    loud = np.flatnonzero(power(samples) >= from_db(level))
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > 1)
    begins, ends = [loud[0], *loud[breaks + 1]], [*loud[breaks], loud[-1]]
    return [(int(b) * FRAME, (int(e) + 1) * FRAME) for b, e in zip(begins, ends, strict=True)]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_reply_of_the_built_in_voice(home: str, streamed: bool) -> None:
    """Lead, pause and trail of what a client gets; the voice itself gives 0.25 s, 0.7 s and 0.45 s."""
    first, second = "The light is on.", "The door is locked."
    async with connect(home) as client:
        if streamed:
            pcm = await home_assistant_streamed(client, [f"{first} Th", "e door ", "is locked."])
        else:
            pcm = await home_assistant_plain(client, f"{first} {second}")
        alone = len(await home_assistant_plain(client, first))
    reply = to_samples(pcm)
    loud = runs(reply, THRESHOLD)
    slack = 2 * FRAME  # the client counts frames from the reply's beginning, not from each sentence's
    assert abs(loud[0][0] - PADDED) <= slack
    assert abs(len(reply) - loud[-1][1] - PADDED) <= slack
    end = alone // 2 - PADDED  # where the first sentence's last loud frame ends
    before, after = (
        max(stretch[1] for stretch in loud if stretch[0] < end),
        min(stretch[0] for stretch in loud if stretch[0] >= end),
    )
    assert abs(after - before - PAUSE * SAMPLE_RATE) <= slack
    assert abs(int(reply[0])) < 10
    assert abs(int(reply[-1])) < 10


async def test_the_first_word_is_heard_sooner(home: str, lent_heart: Engine) -> None:
    text = "The washing machine has finished."
    untrimmed = AS_SET | {"trim_silence": None}
    async with service([lent_heart], **untrimmed) as uri, connect(uri) as client:
        untouched = to_samples(await home_assistant_plain(client, text))
    async with connect(home) as client:
        trimmed = to_samples(await home_assistant_plain(client, text))
    sooner = runs(untouched, THRESHOLD)[0][0] - runs(trimmed, THRESHOLD)[0][0]
    assert sooner / SAMPLE_RATE == pytest.approx(0.27, abs=0.01)
    assert len(untouched) - len(trimmed) > 0.6 * SAMPLE_RATE


async def test_an_utterance_of_silence_is_not_taken_for_speech() -> None:
    async def hush(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield silence(1.0) if "quiet" in utterance.text else tone(0.2).tobytes()

    async with service([ScriptedEngine(hush)], **AS_SET) as uri:
        for text in ("Be quiet.", "Say it. Be quiet. Say it."):
            async with connect(uri) as client:
                with pytest.raises(SpeechFailedError, match="gave nothing to be heard"):
                    await home_assistant_plain(client, text)
        async with connect(uri) as client:
            assert len(await home_assistant_plain(client, "Say it.")) == 0.2 * BYTES_PER_SECOND


async def test_a_sentence_that_is_cut_short_ends_without_a_click() -> None:
    async def break_off(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(0.3, hertz=100).tobytes()[:-240]
        raise TruncatedAudioError("lost itself")

    async with service([ScriptedEngine(break_off)], trim_silence=THRESHOLD, sentence_silence=PAUSE) as uri:
        async with connect(uri) as client:
            reply = to_samples(await home_assistant_plain(client, "One. Two."))
    assert len(runs(reply, THRESHOLD)) == 2
    assert np.abs(np.diff(np.concatenate(([0], reply, [0])).astype(np.int64))).max() < 1000


@pytest.mark.parametrize(
    ("seconds", "speed", "inline"), [(0.08, 1.0, True), (5, 1.0, False), (0.08, 1.5, False)]
)
async def test_what_takes_long_is_not_done_on_the_event_loop(
    seconds: float, speed: float, inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()
    push = Postprocessor.push

    def watched(finish: Postprocessor, pcm: bytes) -> bytes:
        threads.add(threading.get_ident())
        return push(finish, pcm)

    async def say(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(seconds).tobytes()

    monkeypatch.setattr(Postprocessor, "push", watched)
    async with service([ScriptedEngine(say)], trim_silence=THRESHOLD, speed=speed) as uri:
        async with connect(uri) as client:
            assert await home_assistant_plain(client, "Go.")
    assert (threading.get_ident() in threads) == inline


async def test_speech_is_sent_while_its_sentence_is_still_being_made() -> None:
    go_on = asyncio.Event()

    async def wait(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield silence(0.3)
        yield tone(0.2).tobytes()
        await go_on.wait()
        yield tone(0.2).tobytes()

    async with service([ScriptedEngine(wait)], trim_silence=THRESHOLD) as uri, raw(uri) as (reader, writer):
        await async_write_event(Synthesize("Whatever.").event(), writer)
        events: list[Event] = []
        while len(sound_of(events)) < 0.2 * BYTES_PER_SECOND:
            events += await read_events(reader, until="audio-chunk")
        heard = sound_of(events)
        go_on.set()
        events += await read_events(reader, until="audio-stop")
    assert runs(to_samples(heard), THRESHOLD)[0][0] == PADDED, "the voice's own lead is off"
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop"]
    assert len(sound_of(events)) == (0.4 + 0.05) * BYTES_PER_SECOND
