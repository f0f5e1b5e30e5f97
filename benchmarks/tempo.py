"""Compares the two methods of changing speed: what they cost, and what they do to a voice.

    python -m benchmarks.tempo [--rounds N]

Both get the same sentences of the built-in voice, in turns on one thread. "Cost" is milliseconds of work for
a second of sound that goes in. "Wait" is how much sound has to be there before the first comes out.
"Distance" is what a sentence has lost when it was made faster or slower and then brought back by the same
method: the log-spectral distance to what it was (dB, root mean square over bins up to 8 kHz, mean over
frames that have speech). The way back does harm too, so it is only good to hold one method against the other.
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
PIECE = SAMPLE_RATE * 80 // 1000
"""Samples a piece: a frame of the model."""
WINDOW = 768
"""Samples of a spectrum: 32 ms."""
HOP = 192
HIGHEST = 8000
"""Hz: over it there is little in a voice, and it would weigh as much as the rest."""
ALIGN = SAMPLE_RATE * 30 // 1000
"""Samples a stretch may be off by without being worse for it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="times each is measured (%(default)s)")
    rounds = parser.parse_args().rounds
    for method in METHODS:
        load(method)
    sounds = asyncio.run(_spoken())
    seconds = sum(len(sound) for sound in sounds) / SAMPLE_RATE
    print(f"{len(sounds)} sentences, {seconds:.1f} s of sound, {rounds} rounds\n")
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
            sounds.append(to_samples(b"".join([piece async for piece in stream])))
    await engine.close()
    return sounds


def stretch(method: str, sound: Samples, speed: float) -> Samples:
    """Return ``sound`` at ``speed``, given a frame of the model at a time."""
    tempo = METHODS[method](speed)
    made = [tempo.push(sound[at : at + PIECE]) for at in range(0, len(sound), PIECE)]
    return np.concatenate([*made, tempo.finish()])


def wait(method: str, sound: Samples, speed: float) -> float:
    """Return the seconds of ``sound`` that go in before anything comes out."""
    tempo = METHODS[method](speed)
    step = SAMPLE_RATE // 100
    for at in range(0, len(sound), step):
        if len(tempo.push(sound[at : at + step])):
            return (at + step) / SAMPLE_RATE
    return len(sound) / SAMPLE_RATE


def round_trip(method: str, sound: Samples, speed: float) -> float:
    """Return the log-spectral distance in dB between ``sound`` and itself, there and back."""
    back = stretch(method, stretch(method, sound, speed), 1 / speed)
    back = np.pad(back, (0, max(0, len(sound) + ALIGN - len(back))))
    was = spectra(sound)
    loud = was.max(axis=1) > was.max() - 50
    # Every frame against the most alike of those near it: a delay of some periods is not heard.
    shifts = range(-ALIGN, ALIGN + 1, HOP // 2)
    shifted = (spectra(np.roll(back, shift)[: len(sound)]) for shift in shifts)
    distances = [np.sqrt(np.square(was - now).mean(axis=1)) for now in shifted]
    return float(np.min(distances, axis=0)[loud].mean())


def spectra(sound: Samples) -> NDArray[np.float64]:
    """Return log power spectra in dB, [frames, bins up to HIGHEST], nothing under -80 dBFS."""
    frames = np.lib.stride_tricks.sliding_window_view(sound / FULL_SCALE, WINDOW)[::HOP]
    found = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2 / WINDOW
    return 10 * np.log10(found[:, : HIGHEST * WINDOW // SAMPLE_RATE] + 1e-8)


if __name__ == "__main__":
    main()
