"""Recordings for tests: speech whose pauses are known to the sample, and files of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 24_000
FLOOR = -75.0
"""dBFS of the noise under everything."""

Sound = NDArray[np.float64]


def noise(seconds: float, level: float, rate: int = RATE, seed: int = 0) -> Sound:
    """Return white noise of ``level`` dBFS (RMS)."""
    return np.random.default_rng(seed).normal(0, 10 ** (level / 20), round(seconds * rate))


def speech(
    *phrases: float, pause: float = 0.6, level: float = -23.0, rate: int = RATE, seed: int = 1
) -> Sound:
    """Return phrases of so many seconds with pauses between them: four syllables a second, of dark noise."""
    pieces = []
    for number, seconds in enumerate(phrases):
        if number:
            pieces.append(np.zeros(round(pause * rate)))
        times = np.arange(round(seconds * rate)) / rate
        dark = np.convolve(noise(seconds, level, rate, seed + number), np.full(16, 16**-0.5), "same")
        pieces.append(dark * np.maximum(0, np.abs(np.sin(np.pi * 4 * times + 0.3)) - 0.25))
    sound = np.concatenate(pieces)
    return sound + noise(len(sound) / rate, FLOOR, rate)[: len(sound)]


def save(path: Path, sound: Sound, rate: int = RATE, **how: Any) -> Path:
    """Write ``sound``, as FLAC whatever its name, unless ``how`` says otherwise."""
    soundfile.write(path, sound, rate, **{"format": "FLAC", **how})
    return path
