"""PCM: silence, conversion, gain, and how much of it a listener still has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..speech import BYTES_PER_SECOND, SAMPLE_RATE, SAMPLE_WIDTH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def to_pcm(samples: NDArray[np.float32], gain_db: float = 0.0) -> bytes:
    """Convert float samples in [-1, 1] to PCM, ``gain_db`` decibels louder; limited if so."""
    import numpy as np

    if gain_db:
        samples = limit(samples * np.float32(10 ** (gain_db / 20)))
    return np.round(samples * 32767).astype("<i2").tobytes()


class PlaybackClock:
    """How much sound a listener still has who plays in real time from the first chunk on."""

    def __init__(self) -> None:
        self._ends = 0.0

    def sent(self, pcm: bytes, now: float) -> None:
        """Count ``pcm`` as handed over at ``now`` (seconds on any clock that only goes forward)."""
        self._ends = max(self._ends, now) + duration(pcm)

    def in_hand(self, now: float) -> float:
        """Return the seconds of sound not yet played at ``now``; 0 when the listener has run dry."""
        return max(0.0, self._ends - now)
