"""Compares the two methods of changing speed: processing time, latency and quality.

    python -m benchmarks.tempo [--rounds N]

Both process the same sentences of the built-in voice, alternately on one thread. "Cost" is milliseconds of
processing per second of input. "Wait" is the seconds of input before the first output. "Distance" is the loss
of quality when a sentence's speed is changed and changed back by the same method: the log-spectral distance
to the original (dB, root mean square over bins up to 8 kHz, mean over frames with speech). As the second
change adds to it, it only serves to compare the methods.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from wyoming_qwen3tts.audio.pcm import FULL_SCALE, to_samples
from wyoming_qwen3tts.audio.speed import METHODS, load
from wyoming_qwen3tts.engines.builtin import BuiltinEngine
from wyoming_qwen3tts.speech import SAMPLE_RATE, Utterance

Samples = NDArray[np.int16]

TEXTS = (
    "The washing machine has finished, and the dryer needs another twenty minutes.",
    "It is eighteen degrees outside and it will probably rain in the afternoon.",
    "Good morning! The light in the kitchen is on, and the front door is locked.",
    "Six fish shops shut for the season, so she had to have half of a chicken.",
)
SPEEDS = (0.5, 0.8, 1.25, 2.0)
CHUNK = SAMPLE_RATE * 80 // 1000
"""Samples of a chunk: one frame of the model."""
WINDOW = 768
"""Samples of a spectrum's window: 32 ms."""
HOP = 192
HIGHEST = 8000
"""Hz: a voice has little energy above, which would have the same weight as the rest."""
ALIGN = SAMPLE_RATE * 30 // 1000
"""Samples of delay that do not count as a loss."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (%(default)s)")
    rounds = parser.parse_args().rounds
    for method in METHODS:
        load(method)
    sounds = asyncio.run(_spoken())
    seconds = sum(len(sound) for sound in sounds) / SAMPLE_RATE
    print(f"{len(sounds)} sentences, {seconds:.1f} s of audio, {rounds} rounds\n")
    print(
        "| speed | cost: sonic | rubberband | ratio | wait: sonic | rubberband "
        "| distance: sonic | rubberband |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for speed in SPEEDS:
        costs: dict[str, list[float]] = {method: [] for method in METHODS}
        for _ in range(rounds):
            for method in METHODS:
                began = time.perf_counter()
                for sound in sounds:
                    stretch(method, sound, speed)
                costs[method].append((time.perf_counter() - began) / seconds * 1000)
        cost = {method: statistics.median(found) for method, found in costs.items()}
        lost = {
            method: statistics.mean(round_trip(method, sound, speed) for sound in sounds)
            for method in METHODS
        }
        waits = {
            method: statistics.mean(wait(method, sound, speed) for sound in sounds) for method in METHODS
        }
        print(
            f"| {speed:g} | {cost['sonic']:.1f} ms | {cost['rubberband']:.1f} ms "
            f"| {cost['sonic'] / cost['rubberband']:.2f} "
            f"| {waits['sonic']:.2f} s | {waits['rubberband']:.2f} s "
            f"| {lost['sonic']:.1f} dB | {lost['rubberband']:.1f} dB |"
        )


async def _spoken() -> list[Samples]:
    engine = BuiltinEngine(threads=1)
    await engine.start()
    sounds = []
    for text in TEXTS:
        async with aclosing(engine.speak(Utterance(text, engine.voices()[0], "en-US"))) as stream:
            sounds.append(to_samples(b"".join([chunk async for chunk in stream])))
    await engine.close()
    return sounds


def stretch(method: str, sound: Samples, speed: float) -> Samples:
    """Return ``sound`` at ``speed``, processed in chunks of one frame of the model."""
    tempo = METHODS[method](speed)
    made = [tempo.push(sound[at : at + CHUNK]) for at in range(0, len(sound), CHUNK)]
    return np.concatenate([*made, tempo.finish()])


def wait(method: str, sound: Samples, speed: float) -> float:
    """Return the seconds of input before the first output."""
    tempo = METHODS[method](speed)
    step = SAMPLE_RATE // 100
    for at in range(0, len(sound), step):
        if len(tempo.push(sound[at : at + step])):
            return (at + step) / SAMPLE_RATE
    return len(sound) / SAMPLE_RATE


def round_trip(method: str, sound: Samples, speed: float) -> float:
    """Return the log-spectral distance in dB between ``sound`` and itself after both changes of speed."""
    back = stretch(method, stretch(method, sound, speed), 1 / speed)
    back = np.pad(back, (0, max(0, len(sound) + ALIGN - len(back))))
    was = spectra(sound)
    loud = was.max(axis=1) > was.max() - 50
    # Each frame is compared with the most similar one nearby: a delay of some periods is inaudible.
    shifts = range(-ALIGN, ALIGN + 1, HOP // 2)
    shifted = (spectra(np.roll(back, shift)[: len(sound)]) for shift in shifts)
    distances = [np.sqrt(np.square(was - now).mean(axis=1)) for now in shifted]
    return float(np.min(distances, axis=0)[loud].mean())


def spectra(sound: Samples) -> NDArray[np.float64]:
    """Return log power spectra in dB, [frames, bins up to HIGHEST], limited to -80 dBFS."""
    frames = np.lib.stride_tricks.sliding_window_view(sound / FULL_SCALE, WINDOW)[::HOP]
    found = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2 / WINDOW
    return 10 * np.log10(found[:, : HIGHEST * WINDOW // SAMPLE_RATE] + 1e-8)


if __name__ == "__main__":
    main()
