"""Preparation of the recording that a voice is cloned from: checks, then corrections.

A clone reproduces noise, reverberation and distortion of its recording. So a recording is checked first, and
its faults are reported in sentences for the user. What can be corrected is: rate, channels, offset, level,
silence, length.
"""

from __future__ import annotations

import hashlib
import io
import os
import unicodedata
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..audio.pcm import FRAME, from_db, power, silence, to_pcm, to_samples
from ..audio.trim import Fade
from ..speech import CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH
from .file_signatures import HEAD, check_head
from .names import printable
from .recording_error import InvalidRecordingError
from .recording_excerpt import LONGEST_EXCERPT, choose_excerpt, silence_threshold, speech_level
from .recording_file import decode, open_recording

if TYPE_CHECKING:
    from ..audio.pcm import Samples
    from .recording_file import FloatSamples

VERSION = 1
"""Of the preparation: increase it when the same recording would give other samples."""
TARGET_LEVEL = -20.0
"""dBFS of the prepared speech, the default level of all voices: a clone is as loud as its recording."""
HIGHEST_PEAK = 0.89
"""Of full scale (-1 dB), of the prepared samples, even if the speech stays under TARGET_LEVEL then."""
LONGEST_TRANSCRIPT = 1_000
"""Characters."""
LOWEST_PACE, HIGHEST_PACE = 1.0, 35.0
"""Characters a second: slow Mandarin has 2 and fast Spanish 20. Beyond these bounds the transcript is of
another recording."""
TRAILING_SILENCE = 0.5
"""Seconds after a recording with a transcript: the model continues it, and would repeat its last sound."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRecording:
    """A recording as engines need it."""

    samples: Samples
    """int16, [samples], 24 kHz."""
    transcript: str
    """Its text; empty if none was given or it cannot be used."""
    notes: tuple[str, ...]
    """Sentences for the user: what was changed and what is doubtful."""
    extension: str
    """Of the recording's real format, such as ``flac``."""

    @property
    def seconds(self) -> float:
        """Its length, with the silence at its end."""
        return len(self.samples) / SAMPLE_RATE


def prepare(path: Path, transcript: str = "") -> PreparedRecording:
    """Return the recording in a file, prepared. ``transcript``: its text, word for word.

    The same recording and transcript always give the same samples. Takes a second or so: call it in a thread.
    Raises InvalidRecordingError.
    """
    import numpy as np

    name = printable(path.name)
    transcript = clean_transcript(transcript, name)
    notes: list[str] = []
    with open_recording(path) as (file, size):
        check_head(os.pread(file, HEAD, 0), size, name)
        decoded, extension = decode(file, name, notes)
    samples = _center(_to_mono(decoded, notes), notes)
    pcm = _to_int16(samples)
    powers = power(pcm)
    threshold = silence_threshold(powers, speech_level(pcm, name), notes)
    start, end, is_cut = choose_excerpt(powers, threshold, name, notes)
    if is_cut and transcript:
        transcript = ""
        notes.append(
            "Its transcript is not used, since it has to be exactly what is spoken: cut the recording to at "
            f"most {LONGEST_EXCERPT:.0f} s, at a pause, and write down what is said in that part."
        )
    if transcript:
        _check_pace(transcript, (end - start) * FRAME / SAMPLE_RATE, name)
    excerpt = samples[start * FRAME : end * FRAME]
    gain = 10 ** ((TARGET_LEVEL - speech_level(_to_int16(excerpt), name)) / 20)
    gain = min(gain, HIGHEST_PEAK / np.abs(excerpt).max())
    fade = Fade()
    chunks = [fade.push(_to_int16(excerpt * np.float32(gain))), fade.finish()]
    if transcript:
        chunks.append(to_samples(silence(TRAILING_SILENCE)))
    return PreparedRecording(np.concatenate(chunks), transcript, tuple(notes), extension)


def to_wav(prepared: PreparedRecording) -> bytes:
    """Return a prepared recording as a WAV file: 24 kHz, mono, signed 16 bit."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((CHANNELS, SAMPLE_WIDTH, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(prepared.samples.astype("<i2").tobytes())
    return content.getvalue()


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a recording's file, hexadecimal. Raises InvalidRecordingError."""
    with open_recording(path) as (file, _), os.fdopen(os.dup(file), "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest(recording: str, transcript: str) -> str:
    """Return ``Reference.digest``. ``recording``: its fingerprint; ``transcript``: the prepared one."""
    return hashlib.sha256(f"{VERSION}\n{recording}\n{transcript}".encode()).hexdigest()


def clean_transcript(transcript: str, name: str) -> str:
    """Return ``transcript`` in NFC, on one line, without control and format characters.

    Raises InvalidRecordingError if it is too long, or has special tokens of the model. ``name``: the
    recording's, for the message.
    """
    words = " ".join(unicodedata.normalize("NFC", transcript).split())
    text = "".join(letter for letter in words if unicodedata.category(letter) not in {"Cc", "Cf", "Cs"})
    if len(text) > LONGEST_TRANSCRIPT:
        raise InvalidRecordingError(
            f"the transcript of {name} has {len(text):,} characters, and at most {LONGEST_TRANSCRIPT:,} are "
            "allowed: give what is spoken in the recording and nothing else"
        )
    if "<|" in text:
        raise InvalidRecordingError(
            f"the transcript of {name} contains '<|', which cannot be spoken: remove it"
        )
    return text


def _to_mono(samples: FloatSamples, notes: list[str]) -> FloatSamples:
    """Return both channels mixed, [samples]; or the louder one if the mix is over 5 dB softer.

    Mixing loses 0 dB for two equal channels, 3 dB for independent ones, 6 dB if one is silent, and everything
    if one is inverted.
    """
    import numpy as np

    if samples.shape[1] == 1:
        return samples[:, 0]
    mixed: FloatSamples = samples.mean(axis=1)
    powers = samples.var(axis=0, dtype=np.float64)
    if mixed.var(dtype=np.float64) >= powers.max() * from_db(-5):
        return mixed
    notes.append("Of its two channels only the louder is used: the other is silent, or cancels it out.")
    return samples[:, int(powers.argmax())]


def _center(samples: FloatSamples, notes: list[str]) -> FloatSamples:
    """Return ``samples`` without a constant offset, within full scale, padded to whole frames."""
    import numpy as np

    offset = samples.mean(dtype=np.float64)
    samples = samples - np.float32(offset)
    peak = np.abs(samples).max()
    if abs(offset) > 0.01 * max(1, peak):
        notes.append("A constant offset was removed from it.")
    return np.pad(samples / max(np.float32(1), peak), (0, -len(samples) % FRAME))


def _to_int16(samples: FloatSamples) -> Samples:
    return to_samples(to_pcm(samples))


def _check_pace(transcript: str, seconds: float, name: str) -> None:
    """Raise InvalidRecordingError if a transcript is too long or too short for the recording's length."""
    if not LOWEST_PACE <= len(transcript) / seconds <= HIGHEST_PACE:
        raise InvalidRecordingError(
            f"{name} is {seconds:.0f} s long and its transcript has {len(transcript)} characters, which do "
            "not fit: give all of what is spoken and nothing else, or no transcript"
        )
