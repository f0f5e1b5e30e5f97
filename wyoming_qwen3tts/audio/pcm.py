"""PCM: silence, conversion, gain, levels, and how much of it a listener still has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..speech import BYTES_PER_SECOND, SAMPLE_RATE, SAMPLE_WIDTH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]
    """One channel at SAMPLE_RATE, as between the rooms, but as numbers."""

FRAME = 240
"""Samples over which a level is taken: 10 ms, a pitch period of the deepest voice."""
FULL_SCALE = 32768
AUDIBLE = round(FULL_SCALE * 10 ** (-50 / 20))
"""Peak of a sample in what is heard at all: -50 dBFS."""
KNEE = 0.7
"""Level (of full scale) under which ``limit`` changes nothing."""


def silence(seconds: float) -> bytes:
    """Return ``seconds`` of digital silence, in whole samples."""
    return bytes(round(seconds * SAMPLE_RATE) * SAMPLE_WIDTH)


def duration(pcm: bytes) -> float:
    """Return the length of ``pcm`` in seconds."""
    return len(pcm) / BYTES_PER_SECOND


def limit(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bend what is louder than ``KNEE`` so that it stays under full scale.

    ``samples``: float32, any shape. Memoryless (a rational curve with slope 1 at the knee), so that cutting
    a sound into chunks cannot change it.
    """
    import numpy as np

    room = np.float32(1 - KNEE)
    over = np.maximum(np.abs(samples) - np.float32(KNEE), 0)
    bent = np.sign(samples) * (np.float32(KNEE) + over * room / (over + room))
    return np.where(over > 0, bent, samples).astype(np.float32)


def to_pcm(samples: NDArray[np.float32]) -> bytes:
    """Convert float samples in [-1, 1] to PCM; what is beyond is clipped, as a resampler may overshoot."""
    import numpy as np

    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def to_samples(pcm: bytes) -> Samples:
    """Return ``pcm`` as int16 samples, a view that cannot be written to."""
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
    """Return the power of ``level`` decibels (of full scale, if that is what they are of)."""
    return float(10 ** (level / 10))


def difference(one: bytes, other: bytes) -> int:
    """Return by how many steps two sounds of one length differ at the most."""
    import numpy as np

    if not one:
        return 0
    return int(np.abs(np.frombuffer(one, "<i2").astype(np.int32) - np.frombuffer(other, "<i2")).max())


class PlaybackClock:
    """How much sound a listener still has who plays in real time from the first chunk on."""

    def __init__(self) -> None:
        self.ends = 0.0
        """When the listener runs dry, or did; 0 before the first chunk."""

    def sent(self, pcm: bytes, now: float) -> None:
        """Count ``pcm`` as handed over at ``now`` (seconds on any clock that only goes forward)."""
        self.ends = max(self.ends, now) + duration(pcm)

    def in_hand(self, now: float) -> float:
        """Return the seconds of sound not yet played at ``now``; 0 when the listener has run dry."""
        return max(0.0, self.ends - now)
