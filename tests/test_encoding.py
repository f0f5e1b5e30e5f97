"""Files that are heard while they are written, read back by another library's decoders."""

from __future__ import annotations

import io
import wave

import av
import numpy as np
import pytest
import soundfile

from wyoming_qwen3tts.audio.formats import FORMATS
from wyoming_qwen3tts.speech import SAMPLE_RATE

SECONDS = 3
TIMES = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
SOUND = (8000 * np.sin(2 * np.pi * 440 * TIMES) * (0.6 + 0.4 * np.sin(5 * TIMES))).astype("<i2")
COMPRESSED = ("mp3", "flac", "opus", "aac")


def encoded(name: str, size: int = 1024, sound: bytes = SOUND.tobytes()) -> list[bytes]:
    encoder = FORMATS[name].encoder()
    pieces = [encoder.push(sound[at : at + 2 * size]) for at in range(0, len(sound), 2 * size)]
    return [*pieces, encoder.finish()]


def decoded(data: bytes) -> np.ndarray:
    """Return the samples of a file at SAMPLE_RATE, as FFmpeg reads them."""
    with av.open(io.BytesIO(data), "r") as file:
        resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def test_raw_sound_is_the_samples() -> None:
    assert b"".join(encoded("pcm")) == SOUND.tobytes()


def test_a_wav_file_has_the_samples_behind_a_header_that_every_player_takes() -> None:
    data = b"".join(encoded("wav"))
    assert data[44:] == SOUND.tobytes()
    assert np.array_equal(decoded(data), SOUND)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (SAMPLE_RATE, 2, 1)


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "opus"])
def test_a_whole_file_knows_its_length(name: str) -> None:
    file = io.BytesIO()
    encoder = FORMATS[name].encoder(file)
    for at in range(0, len(SOUND), 1024):
        assert encoder.push(SOUND[at : at + 1024].tobytes()) == b""
    assert encoder.finish() == b""
    found = soundfile.info(io.BytesIO(file.getvalue()))
    assert (found.frames, found.samplerate, found.channels) == (len(SOUND), SAMPLE_RATE, 1)
    with av.open(io.BytesIO(file.getvalue()), "r") as read:
        assert read.duration == pytest.approx(SECONDS * av.time_base, abs=0.01 * av.time_base)
    heard = decoded(file.getvalue())
    assert len(heard) == pytest.approx(len(SOUND), abs=0.01 * SAMPLE_RATE)
    if name in {"wav", "flac"}:
        assert np.array_equal(heard, SOUND)


def test_flac_is_lossless() -> None:
    assert np.array_equal(decoded(b"".join(encoded("flac"))), SOUND)


@pytest.mark.parametrize("name", ["mp3", "opus", "aac"])
def test_what_is_lost_is_not_heard_and_no_end_is_cut(name: str) -> None:
    heard = decoded(b"".join(encoded(name))).astype(float)
    assert len(SOUND) <= len(heard) <= len(SOUND) + 0.2 * SAMPLE_RATE
    # Encoders add some samples before the first: the best place is where both are most alike.
    sound = SOUND.astype(float)
    likeness = max(
        np.corrcoef(sound[: len(heard) - lag][: len(sound)], heard[lag:][: len(sound)])[0, 1]
        for lag in range(len(heard) - len(sound) + 1)
    )
    assert likeness > 0.99


@pytest.mark.parametrize("name", COMPRESSED)
def test_sound_comes_out_while_it_goes_in(name: str) -> None:
    pieces = encoded(name)
    ready = [number for number, piece in enumerate(pieces) if piece]
    assert max(np.diff(ready)) * 1024 <= 0.18 * SAMPLE_RATE, "never a fifth of a second behind"
    # What came so far is a file that can be played so far.
    half = decoded(b"".join(pieces[: len(pieces) // 2]))
    assert len(half) >= 0.4 * len(SOUND)


@pytest.mark.parametrize("name", COMPRESSED)
def test_the_pieces_do_not_matter(name: str) -> None:
    assert b"".join(encoded(name, 1024)) == b"".join(encoded(name, 240)) or name == "opus"
    assert len(decoded(b"".join(encoded(name, 240)))) == len(decoded(b"".join(encoded(name, 1024))))
