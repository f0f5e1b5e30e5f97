"""PCM: silence, conversion, soft limiting, levels, and the audio that a listener has not played yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..speech import BYTES_PER_SECOND, SAMPLE_RATE, SAMPLE_WIDTH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]
    """PCM as an array: one channel at SAMPLE_RATE, [samples]."""

FRAME = 240
"""Samples over which a level is measured: 10 ms, a pitch period of the deepest voice."""
FULL_SCALE = 32768
AUDIBLE = round(FULL_SCALE * 10 ** (-50 / 20))
"""Least peak, in steps of 16 bits, of audio that can be heard: -50 dBFS."""
KNEE = 0.7
"""Level (of full scale) under which ``limit`` changes nothing."""


def silence(seconds: float) -> bytes:
    """Return ``seconds`` of digital silence, in whole samples."""
    return bytes(round(seconds * SAMPLE_RATE) * SAMPLE_WIDTH)


def duration(pcm: bytes) -> float:
    """Return the length of ``pcm`` in seconds."""
    return len(pcm) / BYTES_PER_SECOND


def limit(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compress peaks over ``KNEE`` so that they stay under full scale.

    ``samples``: float32, any shape. The curve (rational, with slope 1 at the knee) has no memory, so that the
    result does not depend on how audio is cut into chunks.
    """
    import numpy as np

    headroom = np.float32(1 - KNEE)
    excess = np.maximum(np.abs(samples) - np.float32(KNEE), 0)
    limited = np.sign(samples) * (np.float32(KNEE) + excess * headroom / (excess + headroom))
    return np.where(excess > 0, limited, samples).astype(np.float32)


def to_pcm(samples: NDArray[np.float32]) -> bytes:
    """Convert float samples in [-1, 1] to PCM; values beyond (resamplers overshoot) are clipped."""
    import numpy as np

    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def to_samples(pcm: bytes) -> Samples:
    """Return ``pcm`` as int16 samples, a read-only view."""
    import numpy as np

    return np.frombuffer(pcm, "<i2")


def peak(pcm: bytes) -> int:
    """Return the largest magnitude of ``pcm``'s samples, 0 to 32768."""
    samples = to_samples(pcm)
    return max(int(samples.max()), -int(samples.min())) if len(samples) else 0


def power(samples: Samples) -> NDArray[np.float64]:
    """Return the mean square of every whole frame, [len(samples) // FRAME]; full scale is 1."""
    import numpy as np

    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    powers: NDArray[np.float64] = np.square(frames / FULL_SCALE).mean(axis=1)
    return powers


def from_db(level: float) -> float:
    """Return the power ratio of ``level`` decibels."""
    return float(10 ** (level / 10))


def max_difference(one: bytes, other: bytes) -> int:
    """Return the largest difference, in steps of 16 bits, between the samples of two equally long PCM."""
    import numpy as np

    if not one:
        return 0
    return int(np.abs(np.frombuffer(one, "<i2").astype(np.int32) - np.frombuffer(other, "<i2")).max())


class PlaybackClock:
    """The audio not played yet, if a listener plays in real time from the first chunk on."""

    def __init__(self) -> None:
        self.ends = 0.0
        """When the last audio sent has been played; 0 before the first chunk."""

    def add(self, pcm: bytes, now: float) -> None:
        """Count ``pcm`` as sent at ``now`` (seconds on any monotonic clock)."""
        self.ends = max(self.ends, now) + duration(pcm)

    def buffered_seconds(self, now: float) -> float:
        """Return the seconds of audio not yet played at ``now``; 0 when all of it has been played."""
        return max(0.0, self.ends - now)
