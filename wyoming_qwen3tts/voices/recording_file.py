"""Files of recordings: opened safely, checked, and decoded to float samples at SAMPLE_RATE."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..speech import SAMPLE_RATE
from .names import printable
from .recording_error import (
    COPY_AGAIN,
    RECORD_AGAIN,
    SHORTEST,
    USE_RECORDING,
    USE_SPEECH,
    InvalidRecordingError,
    too_short,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from soundfile import SoundFile

    FloatSamples = NDArray[np.float32]
    """Full scale is 1; [samples] at SAMPLE_RATE, or [samples, channels] at any rate."""

FORMATS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "W64": "w64",
    "AIFF": "aiff",
    "AU": "au",
    "CAF": "caf",
    "FLAC": "flac",
    "OGG": "ogg",
    "MP3": "mp3",
}
"""libsndfile's names of the supported formats → file extension. Its other formats are mostly for samplers."""
LARGEST = 100_000_000
"""Bytes of a file: about ten minutes of CD audio."""
LOWEST_RATE, HIGHEST_RATE = 16_000, 192_000
"""Samples a second: lower rates lack the frequencies over 4 kHz that distinguish voices and consonants, as on
the telephone; no recorder has higher ones."""
LONGEST = 600.0
"""Seconds of a file: longer ones are not meant as a recording of a voice, but are music or an audio book."""
CLIPPED, DISTORTED = 1e-4, 1e-2
"""Share of samples that are clipped: the first is noted, the second refused.

Speech has about a Laplacian distribution. For that the share of clipped samples equals the power of the error
relative to the signal: -40 dB is hardly audible, -20 dB is as bad as the noise at ``NOISY``.
"""
CLIPPING_LEVEL = 0.99
"""Of full scale: equal samples in a row at this level are clipped. The largest value of 8 bits is 0.992."""

_BLOCK = 65_536
"""Samples that are decoded at a time, to limit memory."""
_LARGEST_SAMPLE = 2.0**32
"""Times full scale: beyond any integer format, so that the file holds no audio, as with NaN."""
_MISSING = 0.1
"""Seconds that may be missing at the end: programs count an MP3 encoder's padding differently."""


@contextmanager
def open_recording(path: Path) -> Iterator[tuple[int, int]]:
    """Open a regular file for reading: its descriptor and its size in bytes.

    Never blocks and follows no link, since the file may be anything. Raises InvalidRecordingError, also for
    an OSError inside the context.
    """
    name = printable(path.name)
    try:
        _check_type(path.lstat(), name)
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            _check_type(status, name)
            if not status.st_size:
                raise InvalidRecordingError(f"{name} is empty: {COPY_AGAIN}")
            if status.st_size > LARGEST:
                raise InvalidRecordingError(
                    f"{name} has {status.st_size / 1e6:,.0f} MB, and at most {LARGEST / 1e6:.0f} "
                    f"are allowed: {USE_SPEECH}"
                )
            yield file, status.st_size
        finally:
            os.close(file)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidRecordingError(f"{name} cannot be read: {reason}") from error


def _check_type(status: os.stat_result, name: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise InvalidRecordingError(f"{name} is a link: use the file itself")
    if stat.S_ISDIR(status.st_mode):
        raise InvalidRecordingError(f"{name} is a directory, not a recording: {USE_RECORDING}")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidRecordingError(f"{name} is not a regular file: {USE_RECORDING}")


def decode(file: int, name: str, notes: list[str]) -> tuple[FloatSamples, str]:
    """Return samples, [samples, 1 or 2] at SAMPLE_RATE, and the file extension of the format.

    ``file``: a descriptor. ``name``: for messages. ``notes``: gets sentences for the user. Raises
    InvalidRecordingError.
    """
    from soundfile import SoundFile, SoundFileError

    class SequentialFile(SoundFile):  # type: ignore[misc]
        """Does not seek after each read, which fails for FLAC without a length."""

        def seekable(self) -> bool:
            return False

    try:
        with SequentialFile(file, closefd=False) as sound_file:
            if sound_file.format not in FORMATS:
                raise InvalidRecordingError(
                    f"{name} is a file for samplers ({sound_file.format}): {USE_RECORDING}"
                )
            stated = _check_header(sound_file, file, name)
            samples = _resample(sound_file, name, notes)
            seconds = len(samples) / SAMPLE_RATE
            if seconds + _MISSING < stated:
                raise InvalidRecordingError(
                    f"{name} is cut off: it has {seconds:.1f} of {stated:.1f} s: {COPY_AGAIN}"
                )
            return samples, FORMATS[sound_file.format]
    except SoundFileError as error:
        raise InvalidRecordingError(f"{name} is damaged, or not a recording: {USE_RECORDING}") from error


def _check_header(sound_file: SoundFile, file: int, name: str) -> float:
    """Return the seconds that a header states; 0 if it states none, or libsndfile guesses.

    Raises InvalidRecordingError.
    """
    rate = sound_file.samplerate
    if rate > HIGHEST_RATE:
        raise InvalidRecordingError(
            f"{name} states {rate:,} samples a second, which no recording has: {USE_RECORDING}"
        )
    if rate < LOWEST_RATE:
        raise InvalidRecordingError(
            f"{name} has {rate:,} samples a second, which is telephone quality: "
            f"at least {LOWEST_RATE:,} are needed"
        )
    if sound_file.channels > 2:
        raise InvalidRecordingError(f"{name} has {sound_file.channels} channels: use one or two")
    if sound_file.format == "MP3" and not _has_frame_count(file):
        return 0
    seconds: float = sound_file.frames / rate
    if seconds > 1e9:  # a FLAC stream without a length: samples are counted while they are decoded
        return 0
    if seconds > LONGEST:
        raise InvalidRecordingError(f"{name} is {seconds / 60:,.0f} minutes long: {USE_SPEECH}")
    if seconds < SHORTEST:
        raise too_short(seconds, name)
    return seconds


def _has_frame_count(file: int) -> bool:
    """Return whether an MP3 file states its length; otherwise libsndfile guesses it from the first frame.

    It is in the first frame, which may follow an ID3 tag with a picture.
    """
    head = os.pread(file, 10, 0)
    tag_length = 0
    if head.startswith(b"ID3") and len(head) == 10:
        for byte in head[6:]:
            tag_length = tag_length << 7 | byte & 0x7F
        tag_length += 10
    frame = os.pread(file, 256, tag_length)
    return any(marker in frame for marker in (b"Xing", b"Info", b"VBRI"))


def _resample(sound_file: SoundFile, name: str, notes: list[str]) -> FloatSamples:
    """Decode up to LONGEST seconds, and resample each channel to SAMPLE_RATE.

    Clipped samples are counted before, since resampling hides them. Raises InvalidRecordingError.
    """
    import numpy as np
    import soxr

    stream = soxr.ResampleStream(sound_file.samplerate, SAMPLE_RATE, sound_file.channels, "float32", "VHQ")
    is_float = sound_file.subtype in {"FLOAT", "DOUBLE"}
    chunks = []
    read = clipped = 0
    peak = 0.0
    while len(block := sound_file.read(_BLOCK, "float32", always_2d=True)):
        read += len(block)
        if read > LONGEST * sound_file.samplerate:
            raise InvalidRecordingError(f"{name} is over {LONGEST / 60:.0f} minutes long: {USE_SPEECH}")
        peak = max(peak, float(np.abs(block).max()))
        if not (np.abs(block) < _LARGEST_SAMPLE).all():
            raise InvalidRecordingError(
                f"{name} is damaged, its samples are NaN or out of range: {RECORD_AGAIN}"
            )
        clipped += _count_clipped(block, max(3, sound_file.samplerate // LOWEST_RATE), is_float=is_float)
        chunks.append(stream.resample_chunk(block))
    if not read:
        raise InvalidRecordingError(f"{name} has no audio: {RECORD_AGAIN}")
    chunks.append(stream.resample_chunk(np.zeros((0, sound_file.channels), np.float32), last=True))
    share = clipped / (read * sound_file.channels)
    if share >= DISTORTED:
        raise InvalidRecordingError(
            f"{name} is distorted, since it was recorded too loud ({share:.0%} of it is clipped): "
            f"{RECORD_AGAIN}, at a lower level"
        )
    if share >= CLIPPED:
        notes.append("It was recorded a little too loud, and its loudest parts are distorted.")
    elif peak > 1 and is_float:
        notes.append("Its level exceeded full scale and was reduced.")
    return np.concatenate(chunks)


def _count_clipped(block: FloatSamples, fewest: int, *, is_float: bool) -> int:
    """Return the number of clipped samples: at least ``fewest`` equal ones in a row, from CLIPPING_LEVEL on.

    A lossy codec makes such samples unequal, but over full scale, which is no clipping in a float format.
    """
    import numpy as np

    count = 0
    for channel in block.T:
        found = runs((np.abs(channel[1:]) >= CLIPPING_LEVEL) & (channel[1:] == channel[:-1]))
        lengths = found[:, 1] - found[:, 0] + 1
        count += int(lengths[lengths >= fewest].sum())
    return max(count, 0 if is_float else int((np.abs(block) > 1).sum()))


def runs(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where ``mask`` is true: [runs, 2], the first index of each and the one after its last."""
    import numpy as np

    padded = np.concatenate(([False], mask, [False]))
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)
