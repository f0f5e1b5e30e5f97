"""Recordings that voices are cloned from: which are refused, with which words, and what is made of the others."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recordings import RATE, noise, save, speech
from wyoming_qwen3tts.audio.formats import FORMATS
from wyoming_qwen3tts.audio.loudness import Meter
from wyoming_qwen3tts.audio.pcm import FULL_SCALE
from wyoming_qwen3tts.speech import SAMPLE_RATE
from wyoming_qwen3tts.voices import recording_file
from wyoming_qwen3tts.voices.recording import (
    LONGEST_TRANSCRIPT,
    TARGET_LEVEL,
    TRAILING_SILENCE,
    PreparedRecording,
    digest,
    fingerprint,
    prepare,
)
from wyoming_qwen3tts.voices.recording_error import InvalidRecordingError
from wyoming_qwen3tts.voices.recording_excerpt import LONGEST_EXCERPT, PADDING, SHORT
from wyoming_qwen3tts.voices.recording_file import LARGEST

SAID = "The washing machine has finished, and the door is open."
PADDED = PADDING / 100
"""Seconds of silence that stay at each end."""


def refused(path: Path, transcript: str = "") -> str:
    with pytest.raises(InvalidRecordingError) as caught:
        prepare(path, transcript)
    message = str(caught.value)
    assert path.name in message
    assert str(path.parent) not in message
    assert "\n" not in message
    assert caught.value.code == "bad-recording"
    return message


def level(prepared: PreparedRecording) -> float:
    meter = Meter()
    meter.push(prepared.samples)
    return meter.level


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Where a recording comes to lie."""
    return tmp_path / "voice.wav"


# What is no recording


HEADS = {
    "MP4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41\0\0\0\x08moov",
    "MOV": b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
    "Matroska or WebM": b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23\x42\x82matroska",
    "AVI": b"RIFF\x24\x10\0\0AVI LIST",
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_video_is_told_how_to_become_a_recording(wav: Path, kind: str) -> None:
    wav.write_bytes(HEADS[kind] + bytes(2000))
    assert refused(wav) == (
        f"voice.wav is a video ({kind}), not a recording: "
        "extract the audio first, for example with ffmpeg -i FILE voice.wav"
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty: copy it again"),
        (b"MZ\x90\0" + bytes(100), "is a program (Windows), not a recording"),
        (b"\xcf\xfa\xed\xfe" + bytes(100), "is a program (Mach-O), not a recording"),
        (b"#!/bin/sh\nrm -rf /\n", "is a script, not a recording"),
        (b"#!AMR\n" + bytes(100), "is an AMR file, which has telephone quality"),
        (b"%PDF-1.7\n\0", "is a document (PDF)"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a picture (JPEG)"),
        (b"\x89PNG\r\n\x1a\n\0", "is a picture (PNG)"),
        (b"\0\0\0\x1cftypM4A \0\0\0\0", "is an M4A file (AAC), which cannot be read here: convert it to WAV first"),
        ("<!DOCTYPE html><p>404 – nicht gefunden".encode(), "is a web page, not a recording"),
        (b"Not found\n", "is a text, not a recording"),
        ("\ufeffGrüße\r\n".encode() * 100, "is a text, not a recording"),
        (bytes(5000), "is damaged, or not a recording"),
        (b"fLaC" + bytes(100), "is damaged, or not a recording"),
        (b"RIFF\x24\0\0\0WAVE" + bytes(50), "is damaged, or not a recording"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_called_what_it_is(wav: Path, content: bytes, what: str) -> None:
    wav.write_bytes(content)
    assert refused(wav).startswith(f"voice.wav {what}")


def test_a_program_with_the_name_of_a_recording(wav: Path) -> None:
    shutil.copy("/bin/true", wav)
    assert refused(wav).startswith("voice.wav is a program (ELF), not a recording: use a recording, as WAV,")


def test_an_archive(wav: Path) -> None:
    with zipfile.ZipFile(wav, "w") as archive:
        archive.writestr("voice.wav", b"RIFF")
    assert refused(wav) == "voice.wav is an archive (ZIP), not a recording: unpack it first"


def test_what_is_too_large_is_not_read(wav: Path) -> None:
    with wav.open("wb") as file:
        file.truncate(LARGEST + 1_500_000)
    assert (
        refused(wav)
        == "voice.wav has 102 MB, and at most 100 are allowed: use 5 to 15 s of one person speaking"
    )


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.symlink_to("/dev/zero"), "is a link: use the file itself"),
        (lambda path: path.mkdir(), "is a directory, not a recording"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: None, "cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_only_ordinary_files_are_opened(wav: Path, make: Callable[[Path], object], what: str) -> None:
    make(wav)
    assert refused(wav).startswith(f"voice.wav {what}")
    with pytest.raises(InvalidRecordingError):
        fingerprint(wav)


def test_a_name_is_shown_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"my\nvoice\xff.wav")
    path.touch()
    with pytest.raises(InvalidRecordingError, match=r"^my\ufffdvoice\ufffd\.wav is empty"):
        prepare(path)
    with pytest.raises(InvalidRecordingError):
        prepare(tmp_path / "null\0.wav")


# What is no good recording


def test_telephone_quality(wav: Path) -> None:
    save(wav, speech(6, rate=8000), 8000, format="WAV", subtype="ULAW")
    assert (
        refused(wav)
        == "voice.wav has 8,000 samples a second, which is telephone quality: at least 16,000 are needed"
    )


def test_a_rate_that_no_recorder_has(wav: Path) -> None:
    save(wav, speech(6), 1_000_000, format="WAV")
    assert refused(wav).startswith("voice.wav states 1,000,000 samples a second")


def test_surround_sound(wav: Path) -> None:
    save(wav, np.tile(speech(4)[:, None], 7), format="WAV")
    assert refused(wav) == "voice.wav has 7 channels: use one or two"


def claim(path: Path, samples: int) -> Path:
    """Let a FLAC file say that it has so many samples: 36 bits from its 22nd byte's second half on."""
    content = bytearray(path.read_bytes())
    before = int.from_bytes(content[18:26], "big") >> 36 << 36
    content[18:26] = (before | samples).to_bytes(8, "big")
    path.write_bytes(content)
    return path


def test_three_hours_of_music_are_not_listened_to(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(save(wav, speech(4)), 3 * 3600 * RATE)
    monkeypatch.delattr(soundfile.SoundFile, "read")
    assert refused(wav) == "voice.wav is 180 minutes long: use 5 to 15 s of one person speaking"


def test_no_more_than_ten_minutes_are_ever_decoded(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a header does not say, as of an MP3 without a count of its frames, is found out on the way."""
    save(wav, speech(4), 16_000)
    block = np.zeros((16_000 * 60, 1), np.float32)
    read = iter([block] * 11)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: next(read))
    assert refused(wav).startswith("voice.wav is over 10 minutes long")
    assert not list(read)


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "opus"])
def test_what_this_server_streams_is_accepted_though_its_header_states_no_length(
    wav: Path, name: str
) -> None:
    encoder = FORMATS[name].encoder()
    pcm = (speech(8) * 32767).astype("<i2").tobytes()
    pieces = [encoder.push(pcm[at : at + 9600]) for at in range(0, len(pcm), 9600)]
    wav.write_bytes(b"".join([*pieces, encoder.finish()]))
    assert prepare(wav).seconds == pytest.approx(8, abs=0.1)


def test_samples_are_counted_where_a_header_states_none(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare(claim(save(wav, speech(8)), 0)).seconds == pytest.approx(8, abs=0.1)
    assert "has 2.0 s of audio, and at least 3 s" in refused(claim(save(wav, speech(2)), 0))
    monkeypatch.setattr(recording_file, "LONGEST", 5.0)
    assert "is over 0 minutes long" in refused(claim(save(wav, speech(8)), 0))


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "FLAC", "MP3"])
def test_a_file_that_was_not_copied_to_its_end(wav: Path, kind: str) -> None:
    save(wav, speech(8), format=kind)
    content = wav.read_bytes()
    wav.write_bytes(content[: len(content) // 2])
    message = refused(wav)
    assert "cut off" in message or "damaged" in message
    if kind not in {"FLAC", "MP3"}:
        assert message.endswith(f"{len(content) // 2:,} of {len(content):,} bytes: copy it again")


def test_a_stream_whose_header_knows_no_length_is_whole(wav: Path) -> None:
    sound = subprocess.run(["espeak-ng", "--stdout", SAID * 2], capture_output=True, check=True).stdout
    assert sound[4:8] > b"\x24\xf0\xff\x7e", "2 GB are claimed"
    wav.write_bytes(sound)
    assert prepare(wav).seconds > SHORT


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e30])
def test_numbers_that_are_no_sound(wav: Path, wrong: float) -> None:
    sound = speech(6)
    sound[70_000] = wrong
    save(wav, sound, format="WAV", subtype="FLOAT")
    assert refused(wav) == "voice.wav is damaged, its samples are NaN or out of range: record it again"


@pytest.mark.parametrize("silence", [np.zeros(6 * RATE), np.full(6 * RATE, 0.3), noise(6, -90)])
def test_silence(wav: Path, silence: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    assert refused(save(wav, silence)) == "voice.wav is silent: record it again"


def test_a_whisper_across_the_room(wav: Path) -> None:
    save(wav, speech(6, level=-54) - noise(6, -75))
    assert refused(wav).startswith("voice.wav is too quiet (its speech has -5")
    assert level(prepare(save(wav, speech(6, level=-42)))) == pytest.approx(TARGET_LEVEL, abs=1)


@pytest.mark.parametrize(
    ("sound", "what"),
    [
        (speech(2.5), "has 2.5 s of audio, and at least 3 s are needed"),
        (np.zeros(0), "has 0.0 s of audio"),
        (np.pad(speech(2.5), RATE * 3), "has 2.5 s of audio"),
        (speech(0.2, 0.2, 0.2, pause=3), "is mostly silent, with 0.6 s of speech in it"),
        (speech(0.2, 0.2, 0.2, pause=9), "is mostly silent, with "),
    ],
)
def test_too_little_to_know_a_voice_by(
    wav: Path, sound: np.ndarray[tuple[int], np.dtype[np.float64]], what: str
) -> None:
    message = refused(save(wav, sound, format="WAV"))
    assert message.startswith(f"voice.wav {what}")
    assert message.endswith(": use 5 to 15 s of one person speaking")


def test_a_short_recording_will_do(wav: Path) -> None:
    prepared = prepare(save(wav, np.pad(speech(4), RATE)))
    assert prepared.seconds == pytest.approx(4 + 2 * PADDED, abs=0.06)
    assert prepared.notes == ("It has only 4.0 s of audio: 5 to 15 s are better.",)


@pytest.mark.parametrize("distance", [30, 17, 14])
def test_noise_is_remarked_on(wav: Path, distance: int) -> None:
    prepared = prepare(
        save(wav, speech(3, 3) + noise(6.6, level(prepare(save(wav, speech(6)))) - 10 - distance))
    )
    assert bool(prepared.notes) == (distance < 20)
    assert all("noise is only 1" in remark for remark in prepared.notes)


@pytest.mark.parametrize("sound", [noise(6, -20), noise(6, -45), speech(3, 3) + noise(6.6, -33)])
def test_what_is_hardly_louder_than_its_noise_is_used_whole(
    wav: Path, sound: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> None:
    prepared = prepare(save(wav, sound))
    assert any("Its speech is hardly louder than its noise" in remark for remark in prepared.notes)
    assert prepared.seconds == pytest.approx(len(sound) / RATE, abs=0.1)


@pytest.mark.parametrize(("full", "over"), [(1.0, "WAV"), (1.5, "WAV"), (1.0, "MP3"), (1.0, "FLAC")])
def test_clipping(wav: Path, full: float, over: str) -> None:
    how: dict[str, Any] = {"format": over, "subtype": "FLOAT" if over == "WAV" else None}
    loud = speech(3, 3)
    loud *= full / np.abs(loud).max()
    much = save(wav, np.clip(loud * 5, -full, full), **how)
    assert "voice.wav is distorted, since it was recorded too loud" in refused(much)
    little = prepare(save(wav, np.clip(loud * 2, -full, full), **how))
    assert little.notes == ("It was recorded a little too loud, and its loudest parts are distorted.",)
    assert prepare(save(wav, loud * 0.5 / full, **how)).notes == ()


def test_floats_beyond_full_scale_lose_nothing(wav: Path) -> None:
    softly = prepare(save(wav, speech(6), format="WAV", subtype="FLOAT"))
    loudly = prepare(save(wav, speech(6) * 100, format="WAV", subtype="FLOAT"))
    assert loudly.notes == ("Its level exceeded full scale and was reduced.",)
    assert np.abs(loudly.samples.astype(int) - softly.samples).max() <= 1


# What is made of a good one


@pytest.mark.parametrize(
    ("kind", "subtype", "extension"),
    [
        ("WAV", "PCM_16", "wav"), ("WAV", "PCM_U8", "wav"), ("WAV", "DOUBLE", "wav"), ("WAVEX", "PCM_24", "wav"),
        ("RF64", None, "wav"), ("AIFF", None, "aiff"), ("AU", None, "au"), ("CAF", None, "caf"), ("FLAC", None, "flac"),
        ("OGG", "VORBIS", "ogg"), ("OGG", "OPUS", "ogg"), ("MP3", None, "mp3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_every_format_under_any_name(
    tmp_path: Path, kind: str, subtype: str | None, extension: str, rate: int
) -> None:
    path = save(tmp_path / "voice.raw", speech(6, rate=rate) * 0.5, rate, format=kind, subtype=subtype)
    prepared = prepare(path)
    assert prepared.extension == extension
    assert prepared.samples.dtype == np.int16
    assert prepared.seconds == pytest.approx(6, abs=0.1)
    assert level(prepared) == pytest.approx(TARGET_LEVEL, abs=1)


def test_an_mp3_that_does_not_count_its_frames(wav: Path) -> None:
    """libsndfile then takes the first one for all: of this file it expects three times as much as there is."""
    save(wav, np.concatenate((np.zeros(3 * RATE), speech(6))), format="MP3", bitrate_mode="VARIABLE")
    content = wav.read_bytes()
    wav.write_bytes(content[content.index(content[:2], 10) :])
    assert soundfile.info(wav).frames > 10 * RATE
    assert prepare(wav).seconds == pytest.approx(6, abs=0.3)
    tag = b"ID3\x04\0\0" + bytes([0, 0, 8, 0]) + bytes(1024)
    wav.write_bytes(tag + content)
    assert prepare(wav).seconds == pytest.approx(6, abs=0.3)


def test_speech_stays_as_it_is_but_for_its_level(wav: Path) -> None:
    """All of it, in its place: what comes out is what went in, times a factor."""
    said = speech(3, 4)
    silent = RATE * 2
    prepared = prepare(
        save(wav, np.concatenate((np.zeros(silent), said, np.zeros(silent))), subtype="PCM_24")
    )
    assert prepared.notes == ()
    assert prepared.seconds == pytest.approx(7.6 + 2 * PADDED, abs=0.06)
    assert level(prepared) == pytest.approx(TARGET_LEVEL, abs=0.1)
    out = prepared.samples / FULL_SCALE
    lead = len(out) - len(said)
    offset = max(range(lead + 1), key=lambda at: float(out[at : at + len(said)] @ said))
    assert 0 < offset <= (PADDED + 0.01) * RATE
    found = out[offset : offset + len(said)]
    factor = (found @ said) / (said @ said)
    assert np.abs(found - factor * said).max() < 1e-3
    assert out[0] == pytest.approx(0, abs=1e-4)
    assert out[-1] == pytest.approx(0, abs=1e-4)


def test_the_same_recording_gives_the_same_samples(wav: Path) -> None:
    save(wav, speech(6, 7, 8, rate=44_100), 44_100)
    assert (prepare(wav).samples == prepare(wav).samples).all()


def test_peaks_stay_under_full_scale(wav: Path) -> None:
    sound = speech(6, level=-45)
    sound[50_000:50_010] += 0.9
    prepared = prepare(save(wav, sound))
    assert 0.8 < np.abs(prepared.samples / FULL_SCALE).max() < 0.95
    assert level(prepared) < TARGET_LEVEL - 1, "softer rather than clipped"


def test_an_offset_is_taken_out(wav: Path) -> None:
    prepared = prepare(save(wav, np.pad(speech(6), RATE) + 0.2))
    assert prepared.notes == ("A constant offset was removed from it.",)
    assert prepared.samples.mean() == pytest.approx(0, abs=20)
    assert level(prepared) == pytest.approx(TARGET_LEVEL, abs=0.1)


@pytest.mark.parametrize(
    ("left", "right", "alone"), [(1, 1, False), (1, 0, True), (0, 1, True), (1, -1, True), (0.5, -0.7, True), (1, 0.6, False)]
)  # fmt: skip
def test_two_channels_become_one(wav: Path, left: float, right: float, alone: bool) -> None:
    said = speech(6)
    prepared = prepare(save(wav, np.stack((left * said, right * said), axis=1)))
    assert len(prepared.notes) == alone
    one = prepare(save(wav, said)).samples
    assert min(np.abs(sign * prepared.samples.astype(int) - one).max() for sign in (1, -1)) < 60


def pauses(*phrases: float, pause: float = 0.6) -> list[tuple[float, float]]:
    """Return where ``speech`` pauses, in seconds."""
    ends = np.cumsum(phrases) + pause * np.arange(len(phrases))
    return [(float(end), float(end) + pause) for end in ends[:-1]]


@pytest.mark.parametrize(
    ("phrases", "pause", "best"),
    [
        ((6, 6, 6), 0.6, 1),
        ((4, 4, 4, 4), 0.3, 2),
        ((13, 4), 0.6, 0),
        ((7, 7.4, 2, 9), 0.4, 1),
        ((4.8, 14, 14), 1.5, 0),
        ((9,) * 12, 0.5, 0),
    ],
)
def test_a_long_recording_ends_at_a_pause(
    wav: Path, phrases: tuple[float, ...], pause: float, best: int
) -> None:
    prepared = prepare(save(wav, speech(*phrases, pause=pause)))
    begin, end = pauses(*phrases, pause=pause)[best]
    assert SHORT <= prepared.seconds <= LONGEST_EXCERPT
    assert begin < prepared.seconds < end
    assert level(prepared) == pytest.approx(TARGET_LEVEL, abs=0.5)
    assert f"only 0.0 s to {prepared.seconds:.1f} s of it are used" in prepared.notes[0]


def test_a_cough_and_a_long_silence_are_passed_over(wav: Path) -> None:
    prepared = prepare(save(wav, np.concatenate((speech(0.3), noise(18, -75), speech(8, 9)))))
    assert prepared.seconds == pytest.approx(8 + 2 * PADDED, abs=0.06)
    assert "only 18.2 s to 26.3 s of it are used" in prepared.notes[0]


def test_without_a_pause_it_ends_where_it_is_softest(wav: Path) -> None:
    sound = speech(30)
    soft = round(11.4 * RATE)
    sound[soft : soft + 2400] *= 0.01
    prepared = prepare(save(wav, sound))
    assert soft / RATE < prepared.seconds < soft / RATE + 0.1
    assert "It has no pause where it could be cut, and may end within a word." in prepared.notes
    assert prepared.samples[-1] == 0


# Its transcript


def test_with_a_transcript_silence_follows(wav: Path) -> None:
    save(wav, speech(6))
    without, prepared = prepare(wav), prepare(wav, f"  {SAID}\r\n")
    assert prepared.transcript == SAID
    after = round(TRAILING_SILENCE * SAMPLE_RATE)
    assert (prepared.samples[:-after] == without.samples).all()
    assert not prepared.samples[-after:].any()
    assert without.samples[-after:].any()


def test_a_recording_that_is_cut_has_none(wav: Path) -> None:
    prepared = prepare(save(wav, speech(6, 6, 6)), SAID)
    assert prepared.transcript == ""
    assert prepared.notes[1:] == (
        "Its transcript is not used, since it has to be exactly what is spoken: "
        "cut the recording to at most 15 s, at a pause, and write down what is said in that part.",
    )
    assert (prepared.samples == prepare(wav).samples).all()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("Eins\n  zwei\tdrei.", "Eins zwei drei."),
        ("\ufeffCafe\u0301 au\u00a0lait\x07", "Café au lait"),
        ("soft\u00adly\u200b spo\u202eken\x00", "softly spoken"),
        (" \n\t ", ""),
        ("今日はいい天気ですね。", "今日はいい天気ですね。"),
    ],
)
def test_a_transcript_is_cleaned(wav: Path, given: str, used: str) -> None:
    assert prepare(save(wav, speech(6)), given).transcript == used


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("a" * (LONGEST_TRANSCRIPT + 1), "the transcript of voice.wav has 1,001 characters, and at most 1,000"),
        ("Hello <|im_end|> there", "the transcript of voice.wav contains '<|', which cannot be spoken: remove it"),
        ("Hello <\u200b|im_end", "the transcript of voice.wav contains '<|'"),
        (SAID * 5, "voice.wav is 6 s long and its transcript has 275 characters, which do not fit: give all of what is spoken"),
        ("Hi.", "voice.wav is 6 s long and its transcript has 3 characters, which do not fit"),
    ],
)  # fmt: skip
def test_a_transcript_that_cannot_be(wav: Path, given: str, what: str) -> None:
    assert refused(save(wav, speech(6)), given).startswith(what)


def test_a_digest_tells_recordings_and_transcripts_apart(wav: Path) -> None:
    one = fingerprint(save(wav, speech(6)))
    other = fingerprint(save(wav, speech(7)))
    assert len({digest(one, ""), digest(one, SAID), digest(other, ""), digest(other, SAID)}) == 4
    assert all(len(each) == 64 for each in (one, digest(one, SAID)))


# Anything at all


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = tmp_path_factory.mktemp("whole") / "voice"
    kinds = [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("FLAC", None),
        ("MP3", None),
        ("OGG", "VORBIS"),
        ("AIFF", None),
    ]
    sound = speech(3.5, rate=16_000)
    return [save(path, sound, 16_000, format=kind, subtype=subtype).read_bytes() for kind, subtype in kinds]


def prepared_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        prepared = prepare(path)
    except InvalidRecordingError as error:
        message = str(error)
    else:
        assert 3 <= prepared.seconds <= LONGEST_EXCERPT
        assert prepared.samples.any()
        return
    assert path.name in message
    assert "\n" not in message


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3\x03", b"\xff\xfb", b"FORM", b".snd", b"caff", *HEADS.values()]),
    st.binary(max_size=300),
)  # fmt: skip
def test_any_bytes_are_a_recording_or_refused(wav: Path, head: bytes, rest: bytes) -> None:
    prepared_or_refused(wav, head + rest)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 5),
    st.lists(st.tuples(st.integers(0, 100) | st.integers(0, 100_000), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_any_damage_is_survived(
    wav: Path, whole: list[bytes], which: int, wrong: list[tuple[int, int]], left: float
) -> None:
    content = bytearray(whole[which])
    for at, byte in wrong:
        content[at % len(content)] = byte
    prepared_or_refused(wav, bytes(content[: max(1, round(len(content) * left**0.2))]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=40))
def test_any_transcript_is_used_clean_or_refused(wav: Path, text: str) -> None:
    if not wav.exists():
        save(wav, speech(3.5))
    try:
        used = prepare(wav, text).transcript
    except InvalidRecordingError:
        return
    assert used.isprintable() or not used.isascii()
    assert "<|" not in used
    used.encode()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=24, max_size=24))
def test_any_header_of_a_wav(wav: Path, fields: bytes) -> None:
    sound = (speech(3.5) * 32767).astype("<i2").tobytes()
    wav.write_bytes(
        b"RIFF"
        + struct.pack("<I", len(sound) + 36)
        + b"WAVEfmt "
        + fields[:20]
        + b"data"
        + fields[20:]
        + sound
    )
    prepared_or_refused(wav, wav.read_bytes())
