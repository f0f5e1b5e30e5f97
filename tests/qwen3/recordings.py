"""Prepared recordings to clone voices from."""

from __future__ import annotations

import hashlib
import wave
from pathlib import Path

import numpy as np

from wyoming_qwen3tts.speech import SAMPLE_RATE, Reference


def recording(directory: Path, *, transcript: str = "", seed: int = 0, seconds: float = 1.5) -> Reference:
    """Write a recording of something that hums like a voice; each ``seed`` hums otherwise."""
    chance = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 90 + 60 * chance.random()
    sound = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 12))
    sound = sound * (1 + np.sin(2 * np.pi * 4 * time)) + 0.02 * chance.standard_normal(len(time))
    samples = (sound / np.abs(sound).max() * 12_000).astype("<i2")
    path = directory / f"recording-{seed}.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return Reference(path, hashlib.sha256(path.read_bytes() + transcript.encode()).hexdigest(), transcript)
