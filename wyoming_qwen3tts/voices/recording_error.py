"""The error for a recording that no voice can be cloned from, and the advice that its messages share."""

from __future__ import annotations

from ..speech import SpeechError

SHORTEST = 3.0
"""Seconds of audio: the least from which Qwen3-TTS claims to clone a voice."""

USE_RECORDING = "use a recording, as WAV, FLAC, MP3, Ogg or AIFF"
USE_SPEECH = "use 5 to 15 s of one person speaking"
RECORD_AGAIN = "record it again"
COPY_AGAIN = "copy it again"


class InvalidRecordingError(SpeechError):
    """No voice can be cloned from a recording; the message says which file, why, and what to do."""

    code = "bad-recording"


def too_short(seconds: float, name: str) -> InvalidRecordingError:
    """Return the error for a recording with less than SHORTEST seconds."""
    return InvalidRecordingError(
        f"{name} has {seconds:.1f} s of audio, and at least {SHORTEST:.0f} s are needed: {USE_SPEECH}"
    )
